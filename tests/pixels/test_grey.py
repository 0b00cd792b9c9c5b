"""The slots of models of one channel: OpenCV's grey to the bit, and the decoder's luma beside it."""

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import cv2
import numba
import numpy as np
import numpy.typing as npt
import pytest

from tests.pixels.test_slot import as_frame, scene
from vidette.frame import Picture
from vidette.kernels import convert
from vidette.pixels.letterbox import Letterbox, fit, own_shape
from vidette.pixels.preprocess import Preprocess, slot_shape
from vidette.pixels.slot import ArrayBuffer, SlotWriter

GREY = Preprocess(colour="grey", mean=(0.0,), scale=(1.0,))


def write(picture: Picture, box: Letterbox, scaling: str, preprocess: Preprocess = GREY) -> npt.NDArray[np.float64]:
    """(height, width) of the one slot."""
    buffer = ArrayBuffer(np.zeros(slot_shape(preprocess, 1, box.shape), preprocess.dtype))
    SlotWriter(preprocess, scaling).write(picture, box, buffer, 0)  # type: ignore[arg-type]
    slot: npt.NDArray[np.float64] = buffer.slots.reshape(box.shape).astype(np.float64)
    return slot


def whole(picture: Picture, shape: tuple[int, int] = (192, 320)) -> Letterbox:
    return fit(picture.width, picture.height, shape[1], shape[0], "letterbox")


@pytest.mark.parametrize("scaling", ["fast", "exact"])
def test_of_a_bgr_picture_it_is_opencvs_of_the_letterbox_to_the_bit(scaling: str) -> None:
    bgr = np.random.default_rng(0).integers(0, 256, (270, 480, 3), np.uint8)
    canvas = np.full((384, 640, 3), 114, np.uint8)
    canvas[12:372] = cv2.resize(bgr, (640, 360), interpolation=cv2.INTER_LINEAR)
    picture = Picture(bgr)
    got = write(picture, whole(picture, (384, 640)), scaling)
    np.testing.assert_array_equal(got, cv2.cvtColor(canvas, cv2.COLOR_BGR2GRAY))


def test_exact_is_opencvs_of_the_decoded_picture_to_the_bit() -> None:
    picture = Picture(as_frame(scene(640, 360), "yuv420p"))
    canvas = np.full((192, 320, 3), 114, np.uint8)
    canvas[6:186] = cv2.resize(picture.bgr(), (320, 180), interpolation=cv2.INTER_LINEAR)
    got = write(picture, whole(picture), "exact")
    np.testing.assert_array_equal(got, cv2.cvtColor(canvas, cv2.COLOR_BGR2GRAY))


FORMATS = [
    "yuv420p", "yuvj420p", "yuv422p", "yuv444p", "yuv420p10le", "yuv444p12le", "nv12", "gray", "bgr24", "gbrp",
]  # fmt: skip


@pytest.mark.parametrize("colorspace", [1, 5, 9])
@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("size", [(640, 360), (641, 359), (320, 180)])
def test_planes_give_what_bgr_gives(format: str, size: tuple[int, int], colorspace: int) -> None:
    frame = as_frame(scene(*size), format)
    frame.colorspace = colorspace
    picture = Picture(frame)
    box = whole(picture)
    fast, exact = (write(picture, box, scaling) for scaling in ("fast", "exact"))
    assert abs((fast - exact).mean()) < 0.5
    assert np.abs(fast - exact).mean() < 0.7
    assert np.abs(fast - exact).max() < 4


@pytest.mark.fetched
@pytest.mark.parametrize("clip", ["vtest.avi", "bikes.mp4", "bigbuckbunny.mp4", "Megamind.avi"])
def test_luma_of_real_clips(clip: str, fetched: Callable[[str], Path]) -> None:
    differences = []
    with av.open(str(fetched(f"media/{clip}"))) as container:
        for number, frame in enumerate(itertools.islice(container.decode(video=0), 130)):
            if number % 20 == 0:
                picture = Picture(frame)
                box = fit(
                    picture.width, picture.height, *own_shape(picture.width, picture.height, 640, 32), "letterbox"
                )
                differences.append((write(picture, box, "fast") - write(picture, box, "exact")).ravel())
    off = np.concatenate(differences)
    far = np.percentile(np.abs(off), 99)
    print(f"\n{clip}: {off.mean():.2f} brighter in the mean, 99 % within {far:.1f}")
    assert abs(off.mean()) < 0.5
    assert far < 5


@pytest.mark.parametrize(("colorspace", "range_"), [(1, 1), (5, 1), (1, 2), (9, 1), (5, 2)])
@pytest.mark.parametrize("rgb", [(200, 60, 30), (20, 60, 180), (90, 90, 90)])
def test_it_is_the_grey_of_the_colour_whatever_luma_weighs(
    rgb: tuple[int, int, int], colorspace: int, range_: int
) -> None:
    """A frame of one colour by the formulas of ITU-T H.273; by BT.709's luma the red one would be 12 darker."""
    kr, kb = {1: (0.2126, 0.0722), 5: (0.299, 0.114), 9: (0.2627, 0.0593)}[colorspace]
    red, green, blue = rgb
    luma = kr * red + (1 - kr - kb) * green + kb * blue
    cb, cr = (blue - luma) / (2 - 2 * kb), (red - luma) / (2 - 2 * kr)
    full = range_ == 2
    yuv = [luma, cb + 128, cr + 128] if full else [luma * 219 / 255 + 16, cb * 224 / 255 + 128, cr * 224 / 255 + 128]
    planes = [np.full((64, 64), round(v), np.uint8) for v in yuv]
    frame = av.VideoFrame.from_ndarray(np.stack(planes), format="yuv444p")
    frame.colorspace, frame.color_range = colorspace, range_
    got = write(Picture(frame), fit(64, 64, 32, 32, "letterbox"), "fast")
    np.testing.assert_allclose(got, 0.299 * red + 0.587 * green + 0.114 * blue, atol=1)


def test_limited_range_is_made_full_and_cut() -> None:
    levels = np.array([0, 16, 126, 235, 255], np.uint8)
    y = np.repeat(levels, 16)[None].repeat(64, axis=0)
    planes = np.concatenate([y.ravel(), np.full(2 * 40 * 32, 128, np.uint8)]).reshape(96, 80)
    frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
    got = write(Picture(frame), fit(80, 64, 80, 64, "letterbox"), "fast")[32, 8::16]
    np.testing.assert_allclose(got, [0, 0, 128, 255, 255], atol=1)


@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
@pytest.mark.parametrize("dtype", ["float32", "float16", "uint8", "int32"])
@pytest.mark.parametrize("format", ["yuv420p", "bgr24"])
def test_layout_and_type(layout: str, dtype: str, format: str) -> None:
    mean, scale = (0.0, 1.0) if dtype in ("uint8", "int32") else (127.5, 1 / 58)
    preprocess = Preprocess(layout=layout, dtype=dtype, colour="grey", mean=(mean,), scale=(scale,))  # type: ignore[arg-type]
    bgr = scene(320, 160)
    picture = Picture(as_frame(bgr, format))
    got = write(picture, whole(picture), "fast", preprocess)
    grey = cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY).astype(np.float64)
    np.testing.assert_allclose(got[16:176], (grey - mean) * scale, atol=4 * scale)
    np.testing.assert_allclose(got[:16], (114 - mean) * scale, rtol=2e-3)


@pytest.mark.parametrize("scaling", ["fast", "exact"])
@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
@pytest.mark.parametrize("region", [(0, 0, 192, 128), (96, 64, 96, 64), (40, 20, 100, 80)])
def test_rotated_pictures_and_their_parts(scaling: str, rotation: int, region: tuple[int, int, int, int]) -> None:
    stored = scene(192, 128) if rotation in (0, 180) else scene(128, 192)
    picture = Picture(as_frame(stored, "yuv420p"), rotation)
    left, top, width, height = region
    cut = Picture(np.ascontiguousarray(picture.bgr()[top : top + height, left : left + width]))
    got = write(picture, fit(192, 128, 64, 64, "letterbox", region), scaling)
    expected = write(cut, fit(width, height, 64, 64, "letterbox"), "exact")
    assert np.abs(got - expected).mean() < (0.01 if scaling == "exact" else 0.7)


@pytest.mark.parametrize("antialias", [False, True])
def test_crop_and_antialias(antialias: bool) -> None:
    preprocess = Preprocess(colour="grey", mean=(0.0,), scale=(1.0,), resize="crop", antialias=antialias)
    picture = Picture(as_frame(scene(400, 256), "yuv420p"))
    box = fit(400, 256, 64, 64, "crop")
    fast, exact = (write(picture, box, scaling, preprocess) for scaling in ("fast", "exact"))
    assert np.abs(fast - exact).mean() < 0.7


def test_warm_compiles_what_the_first_pictures_need(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kernels that nothing has called yet: what they are compiled for is what `warm` asked for."""
    for name in ("plane_to_values", "yuv_to_grey"):
        monkeypatch.setattr(convert, name, numba.njit(getattr(convert, name).py_func))

    def compiled() -> list[int]:
        kernels: list[Any] = [convert.plane_to_values, convert.yuv_to_grey]
        return [len(each.signatures) for each in kernels]

    SlotWriter(GREY).warm()
    before = compiled()
    for colorspace in (1, 5):
        for width in (320, 310):  # whose lines are padded
            frame = as_frame(scene(width, 180), "yuv420p")
            frame.colorspace = colorspace
            for shape in ((180, width), (96, 160)):
                write(Picture(frame), whole(Picture(frame), shape), "fast")
    write(Picture(scene(640, 360)), whole(Picture(scene(640, 360))), "fast")
    assert compiled() == before
