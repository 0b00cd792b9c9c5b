import shutil
import subprocess
import threading
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from tests.media import delivered, write_clip, write_sound
from vidette.errors import SourceError
from vidette.sources.base import Frame, Unreadable
from vidette.sources.synthetic import read_number

CLIPS = {
    "b-frames.mp4": {"options": {"preset": "veryfast", "bf": "3", "g": "12"}},
    "one-frame.mp4": {"frames": 1},
    "vfr.mp4": {"times_ms": [0, 33, 70, 500, 501, 1200, 1210, 1700]},
    "vfr.mkv": {"times_ms": [0, 33, 70, 500, 501, 1200, 1210, 1700]},
    "late-start.mkv": {"times_ms": [5000, 5040, 5080, 5200]},
    "open-gop.mp4": {"frames": 40, "options": {"preset": "veryfast", "x264-params": "open-gop=1:bframes=3:keyint=8"}},
    "open-gop-hevc.mkv": {
        "frames": 40,
        "codec": "libx265",
        "options": {"preset": "ultrafast", "x265-params": "open-gop=1:bframes=3:keyint=8:log-level=none"},
    },
    "ten-bit.mp4": {"pix_fmt": "yuv420p10le"},
    "422.mp4": {"pix_fmt": "yuv422p"},
    "444.mp4": {"pix_fmt": "yuv444p"},
    "422-ten-bit.mkv": {"codec": "ffv1", "pix_fmt": "yuv422p10le"},
    "full-range.mp4": {"full_range": True},
    "full-range-mjpeg.avi": {"codec": "mjpeg", "pix_fmt": "yuvj420p", "full_range": True},
    "odd.avi": {"codec": "mpeg4", "size": (161, 121)},
    "odd-444.mp4": {"pix_fmt": "yuv444p", "size": (161, 121)},
    "odd.mkv": {"codec": "ffv1", "size": (161, 121)},
    "grey.mkv": {"codec": "ffv1", "pix_fmt": "gray"},
    "grey.mp4": {"pix_fmt": "gray"},
    "alpha.mkv": {"codec": "ffv1", "pix_fmt": "yuva420p"},
    "alpha.mov": {"codec": "qtrle", "pix_fmt": "argb"},
    "hevc.mp4": {"codec": "libx265", "options": {"preset": "ultrafast", "x265-params": "log-level=none"}},
    "vp9.webm": {"codec": "libvpx-vp9", "options": {"deadline": "realtime", "cpu-used": "8"}},
    "mpeg4.mkv": {"codec": "mpeg4", "options": {"bf": "2"}},
    "mpeg2.ts": {"codec": "mpeg2video", "options": {"b": "2M"}},
    "h264.mov": {},
    "h264.mkv": {},
    "a: 100% of #1 [cam:2].mp4": {},
}


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("name", CLIPS)
def test_every_frame_once_in_order_with_its_time(tmp_path, opened, name, threads):
    path = tmp_path / name
    written = write_clip(path, **CLIPS[name])
    found = delivered(opened(path, threads=threads).frames())
    assert [number for _, number in found] == [number for _, number in written]
    start = 0.0 if path.suffix != ".ts" else found[0][0]  # a transport stream starts where it likes
    assert [pts for pts, _ in found] == pytest.approx([pts + start for pts, _ in written], abs=1e-3)


@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_rotated_as_ffmpeg_turns_it(tmp_path, opened, rotation):
    path = tmp_path / "rotated.mp4"
    write_clip(path, 3, rotation=rotation, options={"preset": "ultrafast", "crf": "10"})
    frames = list(opened(path).frames())
    assert {frame.picture.rotation for frame in frames} == {rotation}
    picture = frames[0].picture
    assert (picture.width, picture.height) == ((160, 120) if rotation == 180 else (120, 160))
    assert picture.bgr().shape == (picture.height, picture.width, 3)
    back = cv2.rotate(picture.bgr(), {90: 0, 180: 1, 270: 2}[rotation])
    assert read_number(back) == 0
    if shutil.which("ffmpeg"):
        command = ["ffmpeg", "-v", "error", "-i", path, "-frames:v", "1", "-f", "rawvideo", "-pix_fmt", "bgr24", "-"]
        raw = subprocess.run(command, capture_output=True, check=True).stdout
        theirs = np.frombuffer(raw, np.uint8).reshape(picture.bgr().shape)
        assert np.abs(theirs.astype(int) - picture.bgr()).mean() < 3


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("ending", ["h264", "ts"])
def test_resolution_changes_in_the_middle(tmp_path, opened, ending, threads):
    parts = [tmp_path / f"{i}.{ending}" for i in range(2)]
    write_clip(parts[0], 10, size=(160, 120))
    write_clip(parts[1], 10, size=(320, 180), first=10)
    path = tmp_path / f"both.{ending}"
    path.write_bytes(parts[0].read_bytes() + parts[1].read_bytes())
    frames = list(opened(path, threads=threads).frames())
    assert [read_number(frame.picture.bgr()) for frame in frames] == list(range(20))
    assert [frame.picture.width for frame in frames] == [160] * 10 + [320] * 10


def test_facts_are_what_the_container_says(tmp_path, opened):
    write_clip(tmp_path / "a.mp4", 30, size=(320, 180), rate=30)
    facts = opened(tmp_path / "a.mp4").facts
    assert (facts.width, facts.height, facts.fps, facts.frames) == (320, 180, 30.0, 30)


def test_cover_art_is_no_video(tmp_path, opened):
    cv2.imwrite(str(tmp_path / "cover.jpg"), np.zeros((64, 64, 3), np.uint8))
    write_sound(tmp_path / "music.mp4", cover=tmp_path / "cover.jpg")
    with av.open(str(tmp_path / "music.mp4")) as container:
        assert container.streams.video, "the clip has no cover"
    with pytest.raises(SourceError, match="audio") as error:
        opened(tmp_path / "music.mp4")
    assert error.value.code == "no-video"


def _lfs_pointer(path: Path) -> None:
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")


def _noise(path: Path) -> None:
    path.write_bytes(np.random.default_rng(1).bytes(5000))


def _without_index(path: Path) -> None:
    write_clip(path)
    data = path.read_bytes()
    path.write_bytes(data[: data.rindex(b"moov") - 4])


def _unknown_codec(path: Path) -> None:
    write_clip(path)
    path.write_bytes(path.read_bytes().replace(b"avc1", b"zzz9").replace(b"avcC", b"zzzC"))


BAD = {
    "missing": ("missing", "no such file", lambda path: None),
    "folder": ("no-pictures", "no pictures there", lambda path: path.mkdir()),
    "empty": ("empty", "empty", lambda path: path.touch()),
    "text": ("not-a-video", "text", lambda path: path.write_text("hello\n" * 40)),
    "unicode text": ("not-a-video", "text", lambda path: path.write_text("häuser " * 200, "utf-8")),
    "web page": ("not-a-video", "web page", lambda path: path.write_text("<!DOCTYPE html><title>404</title>")),
    "git-lfs": ("not-a-video", "git lfs pull", _lfs_pointer),
    "zeros": ("not-a-video", "zero bytes", lambda path: path.write_bytes(bytes(5000))),
    "noise": (
        "not-a-video",
        "unknown binary data",
        lambda path: path.write_bytes(np.random.default_rng(1).bytes(5000)),
    ),
    "zip": ("not-a-video", "ZIP", lambda path: path.write_bytes(b"PK\x03\x04" + bytes(100))),
    "sound": ("no-video", "audio", write_sound),
    "no index": ("truncated", "moov", _without_index),
    "unknown codec": ("codec", "decoder", _unknown_codec),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_no_video_is_refused_in_one_clear_line(tmp_path, opened, case):
    code, text, make = BAD[case]
    path = tmp_path / "film.mp4"
    make(path)
    with pytest.raises(SourceError, match=text) as error:
        opened(path)
    assert error.value.code == code
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_a_text_file_is_not_played_as_a_terminal_recording(tmp_path, opened):
    (tmp_path / "notes.txt").write_text("hello\n" * 400)
    with pytest.raises(SourceError, match="looks like text"):
        opened(tmp_path / "notes.txt")


def test_without_permission(tmp_path, opened, monkeypatch):
    path = tmp_path / "film.mp4"
    path.touch()

    def refuse(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", refuse)  # root may read everything, so chmod would prove nothing
    with pytest.raises(SourceError, match="permission") as error:
        opened(path)
    assert error.value.code == "denied"


@pytest.mark.parametrize(
    ("name", "clip"),
    [
        ("a.mp4", {"container_options": {"movflags": "faststart"}}),
        ("a.avi", {"codec": "mpeg4"}),
        ("a.mkv", {}),
        ("fragments.mp4", {"container_options": {"movflags": "frag_keyframe+empty_moov+default_base_moof"}}),
    ],
)
def test_a_cut_off_file_gives_what_it_has_and_then_fails(tmp_path, opened, name, clip):
    path = tmp_path / name
    written = write_clip(path, 60, **clip)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 6 // 10])
    items = []
    with pytest.raises(SourceError, match=r"the last \d+ bytes are missing") as error:
        items.extend(opened(path).frames())
    numbers = [read_number(item.picture.bgr()) for item in items if isinstance(item, Frame)]
    assert error.value.code == "truncated"
    assert 10 < len(numbers) < len(written)
    assert numbers[:-1] == list(range(len(numbers) - 1))  # of the last picture a part may be missing


@pytest.mark.parametrize("threads", [1, 3])
def test_a_damaged_packet_is_reported_and_the_rest_goes_on(tmp_path, opened, threads):
    path = tmp_path / "a.mov"
    write_clip(path, 30, codec="png", pix_fmt="rgb24")
    with av.open(str(path)) as container:
        packets = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
    data = bytearray(path.read_bytes())
    for damaged in (7, 8):
        position, size = packets[damaged]
        data[position + 10 : position + size] = bytes(size - 10)
    path.write_bytes(data)
    items = list(opened(path, threads=threads).frames())
    bad = [item for item in items if isinstance(item, Unreadable)]
    good = [item for item in items if isinstance(item, Frame)]
    assert [item.code for item in bad] == ["corrupt"] * 2
    assert [read_number(frame.picture.bgr()) for frame in good] == [n for n in range(30) if n not in (7, 8)]
    assert [frame.seq for frame in good] == list(range(28))


def test_a_file_of_nothing_but_damage_ends(tmp_path, opened):
    path = tmp_path / "a.mov"
    write_clip(path, 150, size=(64, 48), codec="png", pix_fmt="rgb24")
    path.write_bytes(path.read_bytes().replace(b"IHDR", b"XXXX"))
    with pytest.raises(SourceError) as error:
        list(opened(path).frames())
    assert error.value.code == "undecodable"
    assert "100 packets" in str(error.value)


def test_much_damage_with_good_pictures_between_goes_on(tmp_path, opened):
    path = tmp_path / "a.mov"
    write_clip(path, 240, size=(64, 48), codec="png", pix_fmt="rgb24")
    parts = path.read_bytes().split(b"IHDR")
    assert len(parts) == 241
    path.write_bytes(b"".join(b"XXXX" + p if n % 2 else b"IHDR" + p for n, p in enumerate(parts))[4:])
    items = list(opened(path).frames())
    assert sum(isinstance(item, Unreadable) for item in items) == 120
    assert sum(isinstance(item, Frame) for item in items) == 120


def test_live_plays_at_its_own_pace(tmp_path, opened):
    write_clip(tmp_path / "a.mkv", times_ms=[1000, 1100, 1150, 1350])
    waits = []

    class Stop(threading.Event):
        def wait(self, timeout=None):
            waits.append(timeout)
            return False

    assert len(delivered(opened(tmp_path / "a.mkv", mode="live", stop=Stop()).frames())) == 4
    assert len(waits) == 3
    assert 0.15 < waits[-1] <= 0.35  # nobody waited, so the last frame is the time of all three early at most


def test_stop_ends_the_frames(tmp_path, opened):
    write_clip(tmp_path / "a.mp4", 20)
    stop = threading.Event()
    frames = opened(tmp_path / "a.mp4", stop=stop).frames()
    next(frames)
    stop.set()
    assert len(list(frames)) <= 4  # what the decoder gave out with the last packet
