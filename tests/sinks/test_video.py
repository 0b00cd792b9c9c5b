import contextlib
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest

from tests.sinks.results import detections, grey, result, run_of, write_until_error
from vidette.errors import ConfigError, SinkError
from vidette.frame import Picture
from vidette.predictions.detections import Detections
from vidette_sinks.video import VideoSettings, VideoSink

NOTHING = Detections.none(("person", "bus"))
ENDINGS = [".mp4", ".mov", ".mkv"]


def opened(path: Path, streams=("cam",), **settings) -> VideoSink:
    sink = VideoSink(VideoSettings(path=str(path), **settings))
    sink.open(run_of(streams))
    return sink


def level(seq: int) -> int:
    return 40 + seq * 7 % 180


def decoded(path: Path) -> tuple[list[float], list[np.ndarray]]:
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    return [frame.time for frame in frames], [frame.to_ndarray(format="bgr24") for frame in frames]


def assert_shows(pictures: list[np.ndarray], levels: list[int]) -> None:
    assert [round(float(picture.mean())) for picture in pictures] == pytest.approx(levels, abs=2)


@pytest.mark.parametrize("ending", ENDINGS)
def test_every_picture_is_in_the_file_at_its_time(tmp_path, ending):
    times = [0, 0.033, 0.07, 0.5, 0.501, 1.2]
    sink = opened(tmp_path / f"out{ending}")
    for seq, pts in enumerate(times):
        sink.write(result(seq, grey(level(seq)), pts_s=pts, predictions=NOTHING))
    sink.close()
    got, pictures = decoded(tmp_path / f"out{ending}")
    assert got == pytest.approx(times, abs=0.0006)  # Matroska counts milliseconds
    assert_shows(pictures, [level(seq) for seq in range(6)])


def test_what_was_found_is_drawn(tmp_path):
    sink = opened(tmp_path / "out.mp4", crf=10)
    picture = grey(90)
    sink.write(result(0, picture, predictions=detections(1)))
    sink.close()
    _, (shown,) = decoded(tmp_path / "out.mp4")
    difference = np.abs(shown.astype(int) - 90).max(axis=2) > 30
    assert difference[30, 10]  # left edge of the box
    assert not difference[30, 25]
    assert (picture.bgr() == 90).all(), "the picture is shared: nobody may draw into it"


def test_colours_survive_and_are_labelled(tmp_path):
    bgr = np.empty((64, 64, 3), np.uint8)
    bgr[:] = (200, 80, 40)
    sink = opened(tmp_path / "out.mp4")
    sink.write(result(0, Picture(bgr), predictions=NOTHING))
    sink.close()
    with av.open(str(tmp_path / "out.mp4")) as container:
        frame = next(container.decode(video=0))
        assert (frame.colorspace, frame.color_range, frame.format.name) == (6, 1, "yuv420p")
        assert np.abs(frame.to_ndarray(format="bgr24")[32, 32].astype(int) - (200, 80, 40)).max() <= 5


@pytest.mark.parametrize(("width", "height"), [(321, 241), (1, 1), (320, 35), (17, 240)])
def test_odd_sizes_grow_to_even_ones(tmp_path, width, height):
    sink = opened(tmp_path / "out.mp4")
    sink.write(result(0, grey(100, width, height), predictions=NOTHING))
    sink.close()
    _, (shown,) = decoded(tmp_path / "out.mp4")
    assert shown.shape == (height + height % 2, width + width % 2, 3)
    assert_shows([shown], [100])


def test_another_size_in_the_middle_is_scaled_to_the_first(tmp_path):
    sink = opened(tmp_path / "out.mp4")
    for seq, (width, height) in enumerate([(320, 240), (640, 480), (100, 301)]):
        sink.write(result(seq, grey(level(seq), width, height), predictions=NOTHING))
    sink.close()
    _, pictures = decoded(tmp_path / "out.mp4")
    assert {picture.shape for picture in pictures} == {(240, 320, 3)}
    assert_shows(pictures, [level(seq) for seq in range(3)])


def test_one_file_per_stream(tmp_path):
    streams = ("a/b", "a_b", "c")
    sink = VideoSink(VideoSettings(path=str(tmp_path / "out.mp4")))
    assert sink.paths() == [sink.name] == [str(tmp_path / "out.mp4")]
    sink.open(run_of(streams))
    assert sink.name == str(tmp_path / "out-{stream}.mp4")
    assert sink.paths() == [str(tmp_path / f"out-{name}.mp4") for name in ("a_b", "a_b-2", "c")]
    for number, stream in enumerate((*streams, "late")):
        sink.write(result(0, grey(level(number)), stream=stream, predictions=NOTHING))
    sink.close()
    for number, name in enumerate(("a_b", "a_b-2", "c", "late")):
        assert_shows(decoded(tmp_path / f"out-{name}.mp4")[1], [level(number)])


def test_a_stream_without_pictures_makes_no_file(tmp_path):
    sink = opened(tmp_path / "out.mp4")
    sink.close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_closed_file_is_played_by_ffmpeg_too(tmp_path, ending):
    if shutil.which("ffmpeg") is None:
        pytest.skip("ffmpeg is not installed")
    sink = opened(tmp_path / f"out{ending}")
    for seq in range(65):
        sink.write(result(seq, grey(level(seq))))
    sink.close()
    path = tmp_path / f"out{ending}"
    command = ["ffmpeg", "-v", "error", "-i", path, "-vsync", "passthrough", "-f", "rawvideo", "/dev/null", "-y"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_closed_mp4_is_a_plain_one(tmp_path):
    sink = opened(tmp_path / "out.mp4")
    for seq in range(90):
        sink.write(result(seq, grey(level(seq)), predictions=NOTHING))
    sink.close()
    data = (tmp_path / "out.mp4").read_bytes()
    boxes, at = [], 0
    while at < len(data):
        size = int.from_bytes(data[at : at + 4])
        boxes.append(data[at + 4 : at + 8])
        at += int.from_bytes(data[at + 8 : at + 16]) if size == 1 else size
    assert boxes[0] == b"ftyp"
    assert b"moof" not in boxes
    assert boxes[-1] == b"moov"


WRITER = """
from tests.sinks.results import detections, grey, result, run_of
from vidette_sinks.video import VideoSettings, VideoSink
import sys
sink = VideoSink(VideoSettings(path=sys.argv[1]))
sink.open(run_of())
seq = 0
while True:
    sink.write(result(seq, grey(90), predictions=detections(0)))  # 50 bytes: they must not wait in some buffer
    if seq == 200:
        print("writing", flush=True)
        sys.stdin.read()
    seq += 1
"""


@pytest.mark.parametrize("ending", ENDINGS)
def test_kill_9_leaves_all_but_the_last_second(tmp_path, ending):
    path = tmp_path / f"out{ending}"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
    )
    assert writer.stdin is not None
    assert writer.stdout is not None
    assert writer.stdout.readline() == b"writing\n"
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    writer.stdin.close()
    writer.stdout.close()
    times, _ = decoded(path)
    assert 170 <= len(times) <= 201
    assert times == pytest.approx([seq / 30 for seq in range(len(times))], abs=0.001)


def noise(seq: int) -> Picture:
    return Picture(np.random.default_rng(seq).integers(0, 255, (240, 320, 3), np.uint8))


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_full_disk_is_an_error_and_what_was_written_can_be_played(small_disk, ending):
    path = small_disk / f"out{ending}"
    sink = opened(path, crf=45)
    frames = (result(seq, noise(seq), pts_s=seq / 5, predictions=NOTHING) for seq in range(2000))
    written, error = write_until_error(sink, frames)
    assert "cannot write" in str(error)
    assert "No space left on device" in str(error)
    with pytest.raises(SinkError, match="No space left on device"):
        sink.write(result(1, grey(9)))
    sink.close()
    times, _ = decoded(path)
    assert written - 12 <= len(times) <= written


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("free", [4096, 8192, 16384, 32768])
def test_a_disk_that_fills_up_at_the_end_costs_no_more(small_disk, fill, ending, free):
    path = small_disk / f"out{ending}"
    sink = opened(path, crf=45)
    for seq in range(12):  # the first two seconds are out, a few pictures wait for their fragment
        sink.write(result(seq, noise(seq), pts_s=seq / 5, predictions=NOTHING))
    fill(free)
    with contextlib.suppress(SinkError):
        sink.close()
    times, _ = decoded(path)
    assert len(times) >= 5


def test_the_disk_full_only_at_the_end_is_reported(small_disk, fill):
    sink = opened(small_disk / "out.mp4", crf=30)
    for seq in range(8):
        sink.write(result(seq, noise(seq), pts_s=seq / 5, predictions=NOTHING))
    fill(4096)
    with pytest.raises(SinkError, match="No space left on device"):
        sink.close()


def test_one_stream_that_cannot_be_written_leaves_the_others_alone(tmp_path):
    sink = opened(tmp_path / "out.mp4", ("bad", "good"))
    (tmp_path / "out-bad.mp4").mkdir()
    for seq in range(3):
        with pytest.raises(SinkError, match=r"out-bad\.mp4: Is a directory"):
            sink.write(result(seq, grey(50), stream="bad"))
        sink.write(result(seq, grey(level(seq)), stream="good", predictions=NOTHING))
    sink.close()
    assert_shows(decoded(tmp_path / "out-good.mp4")[1], [level(seq) for seq in range(3)])


def test_pictures_that_cannot_be_encoded(tmp_path):
    sink = opened(tmp_path / "out.mp4")
    for seq in range(2):
        with pytest.raises(SinkError, match=r"cannot encode .*out\.mp4 from 20000x2 pictures"):
            sink.write(result(seq, grey(50, 20000, 2), predictions=NOTHING))
    sink.close()


def test_the_folder_is_looked_at_before_the_first_picture(tmp_path):
    with pytest.raises(SinkError, match="No such file or directory: make the folder first"):
        opened(tmp_path / "none" / "out.mp4")
    (tmp_path / "file").touch()
    with pytest.raises(SinkError, match="Not a directory"):
        opened(tmp_path / "file" / "out.mp4")


def test_the_video_that_is_read_is_never_overwritten(tmp_path):
    video = tmp_path / "people.mp4"
    video.write_bytes(b"precious")
    sink = VideoSink(VideoSettings(path=str(video)))
    with pytest.raises(SinkError, match="stream cam is read from it"):
        sink.open(run_of(url=str(video)))


def test_other_endings_are_refused_with_the_known_ones():
    with pytest.raises(ConfigError, match=r"out.avi: path: .*\.mp4 \.mov \.mkv"):
        VideoSink.from_target("out.avi")
