import io
import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from vidette.errors import SourceError
from vidette.sources.base import Unreadable
from vidette.sources.images import MAX_PIXELS, decode_picture, natural, read_picture, unpack


@pytest.fixture
def picture():
    """(40, 60, 3) BGR, smooth, all four corners different."""
    y, x = np.mgrid[0:40, 0:60]
    return np.dstack([4 * x, 6 * y, 255 - 2 * x - 3 * y]).astype(np.uint8)


def close(ours, expected, tolerance=3):
    assert not isinstance(ours, Unreadable), ours
    assert ours.dtype == np.uint8
    assert ours.shape == expected.shape
    assert np.abs(ours.astype(int) - expected).mean() < tolerance


def encoded(image, **options):
    file = io.BytesIO()
    image.save(file, **options)
    return file.getvalue()


def pillow(bgr):
    return Image.fromarray(np.ascontiguousarray(bgr[:, :, ::-1]))


STORED = {  # EXIF 2.32, tag 0x112: how the upright picture was stored
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, 1),
    7: lambda a: np.rot90(a, 2).transpose(1, 0, 2),
    8: lambda a: np.rot90(a, -1),
}


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("format", ["JPEG", "PNG", "alpha PNG"])
def test_exif_orientation(picture, orientation, format):
    exif = Image.Exif()
    exif[0x112] = orientation
    image = pillow(np.ascontiguousarray(STORED[orientation](picture)))
    if format == "alpha PNG":
        image.putalpha(255)
    close(decode_picture(encoded(image, format=format.split()[-1], exif=exif), "p"), picture)


@pytest.mark.parametrize("ending", [".jpg", ".png", ".bmp", ".webp", ".tiff", ".ppm"])
def test_formats(tmp_path, picture, ending):
    path = str(tmp_path / f"a picture: 1{ending}")
    cv2.imwrite(path, picture)
    close(read_picture(path), picture)


def test_sixteen_bits_become_eight(picture):
    _, data = cv2.imencode(".png", picture.astype(np.uint16) * 257)
    close(decode_picture(data.tobytes(), "p"), picture, 1)


@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_grey_becomes_bgr(picture, depth):
    grey = picture[:, :, 0].astype(depth) * (257 if depth is np.uint16 else 1)
    _, data = cv2.imencode(".png", grey)
    close(decode_picture(data.tobytes(), "p"), np.repeat(picture[:, :, :1], 3, 2), 1)


def test_palette_and_cmyk(picture):
    close(decode_picture(encoded(pillow(picture).quantize(256), format="PNG"), "p"), picture, 12)
    close(decode_picture(encoded(pillow(picture).convert("CMYK"), format="JPEG", quality=95), "p"), picture, 6)


def test_alpha_lies_over_grey_114(picture):
    image = pillow(picture)
    alpha = np.zeros((40, 60), np.uint8)
    alpha[:, 30:] = 255
    image.putalpha(Image.fromarray(alpha))
    bgr = decode_picture(encoded(image, format="PNG"), "p")
    assert (bgr[:, :30] == 114).all()
    assert (bgr[:, 30:] == picture[:, 30:]).all()


def test_a_palette_with_a_transparent_colour():
    image = Image.new("P", (10, 10), 0)
    image.putpalette([255, 0, 0, 0, 255, 0])
    assert (decode_picture(encoded(image, format="PNG", transparency=0), "p") == 114).all()


def png_header(width, height):
    """A PNG of a stated size whose pixels are missing."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header)) + struct.pack(">I", 999) + b"IDAT"
    return b"\x89PNG\r\n\x1a\n" + chunks


def thumbnail_jpeg(picture):
    """A JPEG whose EXIF block holds another whole JPEG, end marker included."""
    exif = b"Exif\0\0" + encoded(pillow(picture[:8, :8]), format="JPEG")
    data = encoded(pillow(picture), format="JPEG")
    return data[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + data[2:]


def test_bytes_behind_a_jpeg_do_no_harm(picture):
    data = encoded(pillow(picture), format="JPEG", quality=95)
    close(decode_picture(data + b"\xff\xda motion photo", "p"), picture)


def test_fill_bytes_before_a_marker_do_no_harm(picture):
    data = encoded(pillow(picture), format="JPEG", quality=95)
    close(decode_picture(data[:2] + b"\xff\xff" + data[2:], "p"), picture)


@pytest.mark.parametrize(
    ("code", "damage"),
    [
        ("empty", lambda p: b""),
        ("not-a-picture", lambda p: b"hello " * 30),
        ("truncated", lambda p: encoded(pillow(p), format="JPEG", quality=95)[:-200]),
        ("truncated", lambda p: thumbnail_jpeg(p)[:-100]),
        ("truncated", lambda p: encoded(pillow(p), format="PNG")[:-8]),
        ("truncated", lambda p: png_header(100, 100)),
        ("not-a-picture", lambda p: encoded(Image.fromarray(p[..., 0].astype(np.float32)), format="TIFF")),
        ("too-large", lambda p: png_header(10_000, 1 + MAX_PIXELS // 10_000)),
        ("too-large", lambda p: png_header(60_000, 60_000)),
    ],
)
def test_bad_pictures_say_what_is_wrong(picture, code, damage, capfd):
    answer = decode_picture(damage(picture), "shot.png")
    assert isinstance(answer, Unreadable)
    assert answer.code == code
    assert answer.message.startswith("shot.png: ")
    assert "\n" not in answer.message
    assert capfd.readouterr().err == ""  # no library speaks beside us


def test_what_pillow_refuses_by_itself_is_told_by_our_bound():
    answer = decode_picture(png_header(60_000, 60_000), "shot.png")
    assert answer.message == f"shot.png: it is more than {MAX_PIXELS} pixels"


def test_a_folder_is_one_source_in_natural_order(tmp_path, opened, picture):
    for number in (1, 2, 10):
        cv2.imwrite(str(tmp_path / f"img{number}.png"), np.full((8, 8, 3), number, np.uint8))
    (tmp_path / "img3.png").write_text("no picture")
    (tmp_path / "notes.txt").write_text("no picture")
    (tmp_path / ".hidden.png").write_text("no picture")
    source = opened(tmp_path)
    assert source.facts.frames == 4
    items = list(source.frames())
    assert [type(item).__name__ for item in items] == ["Frame", "Frame", "Unreadable", "Frame"]
    frames = [item for item in items if not isinstance(item, Unreadable)]
    assert [int(frame.picture.bgr()[0, 0, 0]) for frame in frames] == [1, 2, 10]
    assert [frame.seq for frame in frames] == [0, 1, 2]
    assert [frame.pts_s for frame in frames] == [None] * 3


def test_a_glob_and_a_single_picture(tmp_path, opened, picture):
    for name in ("a1.png", "a2.png", "b.png"):
        cv2.imwrite(str(tmp_path / name), picture)
    assert len(list(opened(tmp_path / "a*.png").frames())) == 2
    assert len(list(opened(tmp_path / "b.png").frames())) == 1


def test_a_glob_without_an_ending_takes_the_pictures(tmp_path, opened, picture):
    cv2.imwrite(str(tmp_path / "a.png"), picture)
    (tmp_path / "notes.txt").write_text("no picture")
    assert len(list(opened(f"{tmp_path}/*").frames())) == 1


def test_an_animated_gif_is_a_video(tmp_path, opened):
    frames = [Image.new("RGB", (64, 48), (n * 80, 0, 0)) for n in range(3)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:], duration=100, loop=0)
    found = list(opened(tmp_path / "a.gif").frames())
    assert [round(frame.pts_s, 3) for frame in found] == [0, 0.1, 0.2]
    assert [int(frame.picture.bgr()[20, 20, 2]) for frame in found] == [0, 80, 160]


def test_no_pictures(tmp_path, opened):
    with pytest.raises(SourceError, match="no pictures") as error:
        opened(tmp_path)
    assert error.value.code == "no-pictures"


def test_natural_order():
    assert natural(["img10", "img2", "a", "img02b", "7", "IMG1"]) == ["7", "IMG1", "a", "img02b", "img2", "img10"]


@pytest.mark.parametrize(("enough", "factor"), [(1000, 1), (640, 1), (400, 2), (250, 4), (100, 8), (None, 1)])
@pytest.mark.parametrize("orientation", [1, 6])
def test_large_jpegs_are_decoded_as_small_as_is_enough(enough, factor, orientation):
    image = Image.fromarray(np.full((600, 1000, 3), 90, np.uint8))
    exif = Image.Exif()
    exif[274] = orientation
    found = unpack(encoded(image, format="JPEG", exif=exif), "p", MAX_PIXELS, enough=enough)
    assert (found.width, found.height) == ((1000, 600) if orientation == 1 else (600, 1000))
    assert found.bgr().shape[:2] == (found.height // factor, found.width // factor)


def test_orientation_can_be_left_as_it_is():
    exif = Image.Exif()
    exif[274] = 6
    data = encoded(Image.fromarray(np.full((60, 100, 3), 90, np.uint8)), format="JPEG", exif=exif)
    found = unpack(data, "p", MAX_PIXELS, upright=False)
    assert (found.width, found.height) == (100, 60)
    assert found.bgr().shape == (60, 100, 3)
