import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.sinks.results import detections, result, run_of, write_until_error
from vidette.errors import ConfigError, SinkError
from vidette.payloads import payload
from vidette_sinks.jsonl import JsonlSettings, JsonlSink


def opened(path: Path, live: bool = False, **settings) -> JsonlSink:
    sink = JsonlSink(JsonlSettings(path=str(path), **settings))
    sink.open(run_of(live=live))
    return sink


def records(path: Path) -> list[dict]:
    text = path.read_bytes()
    assert text == b"" or text.endswith(b"\n")
    return [json.loads(line) for line in text.splitlines()]


def test_one_line_per_frame_also_without_objects(tmp_path):
    sink = opened(tmp_path / "out.jsonl")
    for seq in range(3):
        sink.write(result(seq, predictions=detections(seq)))
    got = records(tmp_path / "out.jsonl")  # before close: nothing waits in a buffer
    sink.close()
    assert [(r["stream"], r["epoch"], r["seq"], len(r["predictions"])) for r in got] == [
        ("cam", 0, 0, 0),
        ("cam", 0, 1, 1),
        ("cam", 0, 2, 2),
    ]


def test_the_format_is_the_chosen_one(tmp_path):
    sink = opened(tmp_path / "out.jsonl", format="ultralytics")
    sink.write(result())
    sink.close()
    assert records(tmp_path / "out.jsonl")[0]["predictions"] == payload("ultralytics")(detections())["predictions"]


@pytest.mark.parametrize("live", [False, True])
def test_what_files_left_is_replaced_and_what_cameras_left_is_kept_unless_said_otherwise(tmp_path, live):
    path = tmp_path / "out.jsonl"
    for append, expected in ((False, 1), (False, 1), (True, 2), (None, 3 if live else 1)):
        sink = opened(path, live, append=append)
        sink.write(result())
        sink.close()
        assert len(records(path)) == expected


def test_appending_behind_a_torn_line_costs_only_that_line(tmp_path):
    path = tmp_path / "out.jsonl"
    path.write_bytes(b'{"seq": 0}\n{"se')
    sink = opened(path, append=True)
    sink.write(result(7))
    sink.close()
    first, torn, last = path.read_bytes().splitlines()
    assert (first, torn) == (b'{"seq": 0}', b'{"se')
    assert json.loads(last)["seq"] == 7


def test_a_full_disk_is_an_error_and_the_file_keeps_whole_lines(small_disk, fill):
    sink = opened(small_disk / "out.jsonl")
    ballast = fill(8192)
    written, error = write_until_error(sink, (result(seq, predictions=detections(20)) for seq in range(10_000)))
    assert re.fullmatch(r"cannot write .*out\.jsonl: No space left on device: free some space.*", str(error))
    assert written
    assert [r["seq"] for r in records(small_disk / "out.jsonl")] == list(range(written))
    assert (small_disk / "out.jsonl").stat().st_size % 4096, "the last line fitted exactly: the test shows nothing"
    with pytest.raises(SinkError):
        sink.write(result(1, predictions=detections(20)))
    ballast.unlink()
    sink.write(result(99))
    sink.close()
    assert [r["seq"] for r in records(small_disk / "out.jsonl")] == [*range(written), 99]


def test_a_device_that_is_always_full():
    sink = opened(Path("/dev/full"))
    with pytest.raises(SinkError, match="cannot write /dev/full: No space left on device"):
        sink.write(result())
    sink.close()


def test_a_partly_written_line_is_cut_off_unless_somebody_wrote_behind_it(tmp_path, monkeypatch):
    path = tmp_path / "out.jsonl"
    sink = opened(path)
    sink.write(result(0))
    whole = path.read_bytes()
    real = os.write
    calls = []

    def half(descriptor: int, data: bytes) -> int:
        calls.append(len(data))
        if len(calls) % 2:
            return real(descriptor, bytes(data)[: len(data) // 2])
        if len(calls) == 4:
            other = os.open(path, os.O_WRONLY | os.O_APPEND)
            real(other, b"theirs\n")
            os.close(other)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", half)
    with pytest.raises(SinkError):
        sink.write(result(1))
    assert path.read_bytes() == whole
    with pytest.raises(SinkError):
        sink.write(result(2))
    assert path.read_bytes().endswith(b"theirs\n")


@pytest.mark.parametrize(
    ("name", "reason"),
    [("none/out.jsonl", "No such file or directory: make the folder first"), (".", "Is a directory")],
)
def test_a_place_that_cannot_be_written(tmp_path, name, reason):
    with pytest.raises(SinkError, match=f"cannot write .*: {reason}"):
        opened(tmp_path / name)


def test_the_video_that_is_read_is_never_overwritten(tmp_path):
    video = tmp_path / "a.jsonl"
    video.write_bytes(b"precious")
    sink = JsonlSink(JsonlSettings(path=str(video)))
    with pytest.raises(SinkError, match="stream cam is read from it"):
        sink.open(run_of(url=str(video)))
    assert video.read_bytes() == b"precious"


def test_settings():
    assert JsonlSink.from_target("a.jsonl") == JsonlSettings(path="a.jsonl")
    with pytest.raises(ConfigError, match=": path: String should have at least 1 character"):
        JsonlSink.from_target("")
    with pytest.raises(ValueError, match="known: roboflow, ultralytics"):
        JsonlSettings(path="a", format="coco")


WRITER = """
from tests.sinks.results import result, run_of
from vidette_sinks.jsonl import JsonlSettings, JsonlSink
import sys
sink = JsonlSink(JsonlSettings(path=sys.argv[1]))
sink.open(run_of())
seq = 0
while True:
    sink.write(result(seq))
    if seq == 500:
        print("writing", flush=True)
    seq += 1
"""


def test_kill_9_leaves_whole_lines(tmp_path):
    path = tmp_path / "out.jsonl"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, env=environment, text=True
    )
    assert writer.stdout is not None
    assert writer.stdout.readline() == "writing\n"
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    writer.stdout.close()
    seqs = [r["seq"] for r in records(path)]
    assert len(seqs) > 500
    assert seqs == list(range(len(seqs)))
