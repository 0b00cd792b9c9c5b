"""`vidette run`: the lines of the README with a tiny model, the summary, progress, signals and exit codes."""

import json
import os
import pty
import re
import shutil
import signal
import subprocess
import termios
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from tests.cli.console import Console, start, until
from tests.media import write_clip

SIZE = (320, 192)
ENDLESS = "testsrc:?size=320x192"


@pytest.fixture
def folder(detector: Path, tmp_path: Path) -> Path:
    shutil.copy(detector, tmp_path / "tiny.onnx")
    write_clip(tmp_path / "a.mp4", 12, size=SIZE)
    write_clip(tmp_path / "b.mp4", 7, size=SIZE)
    (tmp_path / "pictures").mkdir()
    for number in range(3):
        cv2.imwrite(str(tmp_path / "pictures" / f"{number}.png"), np.full((192, 320, 3), 80 * number, np.uint8))
    return tmp_path


def records(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def frames_of(path: Path) -> int:
    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(video=0))


def test_one_video_gives_a_file_beside_it_and_a_summary(console: Console, folder: Path) -> None:
    done = console("run", "a.mp4", "--model", "tiny.onnx", "--runtime", "onnx")
    assert (done.code, done.out) == (0, "")
    assert "model tiny: ultralytics on onnx (cpu, f32)" in done.err
    assert "stream a: 12 decoded, 12 results" in done.err
    assert "sink a.jsonl: 12 written" in done.err
    lines = records(folder / "a.jsonl")
    assert [line["seq"] for line in lines] == list(range(12))
    first = lines[0]
    assert first.keys() >= {"stream", "epoch", "seq", "pts_s", "time", "image", "model", "predictions"}
    assert (first["stream"], first["model"], first["image"]) == ("a", "tiny", {"width": 320, "height": 192})
    assert first["run"]["runtime"] == "onnx"
    found = next(line["predictions"][0] for line in lines if line["predictions"])
    assert found.keys() >= {"x", "y", "width", "height", "confidence", "class", "class_id"}


def test_several_sinks_and_reports(console: Console, folder: Path) -> None:
    sinks = [word for name in ("out.jsonl", "annotated.mp4", "out.csv") for word in ("--sink", name)]
    reports = ["--report", "report.json", "--report", "report.html"]
    done = console("run", "a.mp4", "--model", "tiny.onnx", "--runtime", "onnx", "--quiet", *sinks, *reports)
    assert (done.code, done.out, done.err) == (0, "", "")
    assert len(records(folder / "out.jsonl")) == 12
    assert frames_of(folder / "annotated.mp4") == 12
    assert (folder / "out.csv").read_text().count("\n") > 12
    report = json.loads((folder / "report.json").read_text())
    stream = report["streams"][0]
    assert stream["decoded"] == stream["inferred"] == stream["results"] == 12
    assert stream.keys() >= {"dropped", "failed", "in_flight", "wall_s", "fps", "mean_batch", "stages_ms"}
    assert {sink["sink"]: sink["written"] for sink in report["sinks"]}["out.jsonl"] == 12
    assert report["models"][0]["runtime"] == "onnx"
    assert "<html" in (folder / "report.html").read_text()


def test_many_sources_share_one_model(console: Console, folder: Path) -> None:
    sources = ["a.mp4", "b.mp4", "pictures", "sample:?frames=5"]
    done = console("run", *sources, "--model", "tiny.onnx", "--sink", "all.jsonl", "--report", "report.json")
    assert done.code == 0, done.err
    count = {"a": 12, "b": 7, "pictures": 3, "sample": 5}
    lines = records(folder / "all.jsonl")
    for stream, expected in count.items():
        assert [line["seq"] for line in lines if line["stream"] == stream] == list(range(expected))
    report = json.loads((folder / "report.json").read_text())
    assert len(report["models"]) == 1
    assert {stream["stream"]: stream["results"] for stream in report["streams"]} == count


def test_without_sinks_each_source_gets_its_own_file(console: Console, folder: Path) -> None:
    done = console("run", "a.mp4", "pictures", "testsrc:?size=320x192&frames=4", "--model", "tiny.onnx", "--quiet")
    assert done.code == 0, done.err
    assert [len(records(folder / f"{name}.jsonl")) for name in ("a", "pictures", "testsrc")] == [12, 3, 4]


def test_files_of_one_name_get_files_of_their_own(console: Console, folder: Path) -> None:
    shutil.copy(folder / "a.mp4", folder / "a.mkv")
    shutil.copy(folder / "b.mp4", folder / "a-2.mp4")
    done = console("run", "a-2.mp4", "a.mp4", "a.mp4", "a.mp4", "a.mkv", "--model", "tiny.onnx", "--quiet")
    assert (done.code, done.err) == (0, "")
    streams = {path.name: {line["stream"] for line in records(path)} for path in folder.glob("*.jsonl")}
    assert streams == {
        "a-2.jsonl": {"a-2"}, "a.jsonl": {"a"}, "a.mp4.jsonl": {"a-3"}, "a-4.jsonl": {"a-4"}, "a.mkv.jsonl": {"a-5"},
    }  # fmt: skip


def test_results_on_stdout_leave_nothing_else_there(console: Console, folder: Path) -> None:
    done = console("run", "a.mp4", "--model", "tiny.onnx", "--sink", "-", "--format", "ultralytics")
    assert done.code == 0
    assert [json.loads(line)["seq"] for line in done.out.splitlines()] == list(range(12))
    assert "12 results" in done.err


def test_a_site_file(console: Console, folder: Path) -> None:
    (folder / "site.yaml").write_text("""\
models:
  m: {path: tiny.onnx, runtime: onnx, confidence: 0.6}
streams:
  door: {url: a.mp4}
  yard: {url: b.mp4, model: m}
sinks:
  - {type: jsonl, path: door.jsonl, streams: [door]}
  - {type: jsonl, path: all.jsonl, format: ultralytics}
""")
    done = console("run", "site.yaml", "--quiet")
    assert (done.code, done.err) == (0, "")
    assert {line["stream"] for line in records(folder / "door.jsonl")} == {"door"}
    everything = records(folder / "all.jsonl")
    assert len(everything) == 19
    assert all(found["confidence"] > 0.6 for line in everything for found in line["predictions"])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["site.yaml", "a.mp4"], "a site file names its streams itself"),
        (["a.mp4", "--model", "tiny.onnx", "--confidence", "7"], "--confidence"),
        (["a.mp4", "--model", "tiny.onnx", "--input", "big"], "--input"),
        (["a.mp4", "--model", "tiny.onnx", "--max-batch", "0"], "--max-batch"),
        (["a.mp4", "--model", "tiny.onnx", "--fps-limit", "0"], "--fps-limit: "),
        (["a.mp4", "--model", "tiny.onnx", "--classes", "gren"], "did you mean 'green'?"),
        (["a.mp4", "--model", "tiny.onnx", "--classes", "²"], "the model has no class '²'"),  # a digit, but no number
        (["a.mp3", "--model", "tiny.onnx"], "did you mean a.mp4?"),
        (["a.mp4", "--model", "tiny.onx"], "did you mean tiny.onnx?"),
        (["a.mp4", "--model", "tiny.onnx", "--report", "report.txt"], "--report report.txt"),
        (["a.mp4", "--model", "tiny.onnx", "--sink", "out.xyz"], "--sink out.xyz: no sink takes this"),
        (["a.mp4", "--model", "tiny.onnx", "--sink", "none/x.mp4"], "--sink none/x.mp4: there is no folder none"),
        (["a.mp4", "--model", "tiny.onnx", "--input", "641x640"], "--input: tiny.onnx: input width must be"),
        (["a.mp4", "--model", "tiny.onnx", "--runtime", "onnx", "--precision", "f16"], "--precision: f16: ONNX"),
        (["a.mp4", "--model", "text.onnx"], "--model: text.onnx"),
    ],
)
def test_wrong_usage_is_told_in_one_line_with_exit_code_two(
    console: Console, folder: Path, words: list[str], said: str
) -> None:
    (folder / "text.onnx").write_text("hello")
    done = console("run", *words)
    assert done.code == 2
    assert said in done.err
    assert done.err.count("\n") == 1
    assert not list(folder.glob("*.jsonl"))


def test_without_a_model_the_command_to_type_is_told(
    console: Console, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIDETTE_MODELS", str(folder / "none"))
    done = console("run", "a.mp4")
    assert done.code == 2
    assert "vidette models get faces" in done.err


# ------------------------------------------------------------------ exit codes


def test_a_run_that_loses_results_at_a_sink_does_not_end_well(console: Console, folder: Path) -> None:
    """/dev/full takes nothing: every record is lost, the other file is whole."""
    (folder / "full.jsonl").symlink_to("/dev/full")
    done = console("run", "a.mp4", "--model", "tiny.onnx", "--sink", "full.jsonl", "--sink", "good.jsonl")
    assert done.code == 1
    assert "sink full.jsonl: 0 written, 12 lost" in done.err
    assert "No space left on device" in done.err
    assert len(records(folder / "good.jsonl")) == 12


def test_fewer_results_than_frames_do_not_end_well(console: Console, folder: Path) -> None:
    path = folder / "damaged.mov"
    write_clip(path, 12, size=SIZE, codec="png", pix_fmt="rgb24")
    with av.open(str(path)) as container:
        position, size = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size][5]
    data = bytearray(path.read_bytes())
    data[position + 10 : position + size] = bytes(size - 10)
    path.write_bytes(data)
    done = console("run", "damaged.mov", "--model", "tiny.onnx", "--report", "report.json")
    stream = json.loads((folder / "report.json").read_text())["streams"][0]
    assert stream["unreadable"] == {"corrupt": 1}
    assert stream["decoded"] == stream["results"] == 11
    assert done.code == 1


def test_live_may_drop_and_still_ends_well(console: Console, folder: Path) -> None:
    source = "testsrc:?size=320x192&rate=2000&frames=200"
    done = console("run", source, "--model", "tiny.onnx", "--mode", "live", "--report", "report.json", "--quiet")
    stream = json.loads((folder / "report.json").read_text())["streams"][0]
    assert stream["decoded"] == stream["results"] + sum(stream["dropped"].values()) == 200
    assert done.code == 0


@pytest.mark.parametrize(("mode", "kept"), [("live", True), ("lossless", False)])
def test_what_a_camera_left_before_it_was_started_again_is_kept(
    console: Console, folder: Path, mode: str, kept: bool
) -> None:
    lines = []
    for _ in range(2):
        source = "testsrc:?size=320x192&rate=50&frames=10"
        console("run", source, "--model", "tiny.onnx", "--mode", mode, "--sink", "out.jsonl", "--quiet")
        lines.append((folder / "out.jsonl").read_text())
    assert lines[1].startswith(lines[0]) == kept
    assert lines[1] != lines[0]


# ------------------------------------------------------------------ progress


def test_a_line_a_second_where_there_is_no_terminal(console: Console, folder: Path) -> None:
    source = "testsrc:?size=320x192&rate=20&frames=50"
    done = console("run", source, "--model", "tiny.onnx", "--mode", "live")
    lines = [line for line in done.err.splitlines() if " fps" in line and " of 50 " in line]
    assert 1 <= len(lines) <= 3
    assert "ETA" in lines[0]


@pytest.mark.parametrize("columns", [0, 100])
def test_a_bar_with_speed_and_remaining_time_on_a_terminal(folder: Path, columns: int) -> None:
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (30 if columns else 0, columns))
    words = ["run", "testsrc:?size=320x192&rate=20&frames=40", "--model", "tiny.onnx", "--mode", "live"]
    process = start(*words, cwd=folder, stderr=theirs)
    os.close(theirs)
    shown = b""
    try:
        while chunk := os.read(ours, 4096):
            shown += chunk
    except OSError:  # the other end is closed
        pass
    os.close(ours)
    assert process.wait(20) == 0
    text = shown.decode()
    elapsed_remaining_speed = r"\[\d\d:\d\d<\d\d:\d\d, +\d+\.\d+ frames/s[],]"
    assert re.search(rf"\d+%\|.*\| \d+/40 {elapsed_remaining_speed}", text)


# ------------------------------------------------------------------ signals


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_drains_and_writes_the_report(folder: Path, number: signal.Signals, code: int) -> None:
    words = ["--model", "tiny.onnx", "--sink", "out.jsonl", "--sink", "out.mp4", "--report", "report.json"]
    process = start("run", ENDLESS, *words, cwd=folder)
    until(lambda: (folder / "out.jsonl").exists() and (folder / "out.jsonl").stat().st_size > 0)
    process.send_signal(number)
    _, said = process.communicate(timeout=10)
    assert process.returncode == code
    assert "Traceback" not in said
    report = json.loads((folder / "report.json").read_text())
    assert report["interrupted"]
    stream = report["streams"][0]
    assert stream["in_flight"] == 0
    assert stream["decoded"] == stream["results"] + sum(stream["dropped"].values())
    assert [line["seq"] for line in records(folder / "out.jsonl")] == list(range(stream["results"]))
    assert frames_of(folder / "out.mp4") == stream["results"]


@pytest.fixture
def stuck(folder: Path) -> Any:
    """A run whose sink hangs: nobody reads its pipe."""
    os.mkfifo(folder / "pipe.jsonl")
    reader = os.open(folder / "pipe.jsonl", os.O_RDONLY | os.O_NONBLOCK)
    words = ["--model", "tiny.onnx", "--sink", "pipe.jsonl", "--sink", "out.jsonl", "--report", "report.json"]
    process = start("run", ENDLESS, *words, cwd=folder)
    until(lambda: (folder / "out.jsonl").exists() and (folder / "out.jsonl").read_bytes().count(b"\n") > 300)
    yield process
    os.close(reader)
    process.kill()
    process.communicate()


def test_a_sink_that_hangs_does_not_keep_the_process(folder: Path, stuck: subprocess.Popen[str]) -> None:
    stuck.send_signal(signal.SIGINT)
    _, said = stuck.communicate(timeout=10)
    assert stuck.returncode == 130
    assert "pipe.jsonl: did not finish in time" in said
    sinks = {sink["sink"]: sink for sink in json.loads((folder / "report.json").read_text())["sinks"]}
    assert sinks["pipe.jsonl"]["lost"]["hung"] > 0
    assert sinks["out.jsonl"]["lost"] == {}


def test_a_second_signal_means_now(folder: Path, stuck: subprocess.Popen[str]) -> None:
    """The hanging sink would take its time to drain; the report that is written afterwards is not there."""
    stuck.send_signal(signal.SIGINT)
    stuck.send_signal(signal.SIGTERM)
    stuck.communicate(timeout=10)
    assert stuck.returncode == 130
    assert not (folder / "report.json").exists()
    assert whole_records(folder / "out.jsonl")


def whole_records(path: Path) -> list[Any]:
    """All lines that have an end; the kernel may cut the one that is being written when a process dies."""
    return [json.loads(line) for line in path.read_bytes().split(b"\n")[:-1]]


def test_a_signal_ends_the_wait_for_a_sink_that_does_not_open(folder: Path) -> None:
    os.mkfifo(folder / "pipe.jsonl")  # opening it waits for a reader
    words = ["--model", "tiny.onnx", "--sink", "first.jsonl", "--sink", "pipe.jsonl"]
    process = start("run", ENDLESS, *words, cwd=folder)
    until((folder / "first.jsonl").exists)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=10)
    assert process.returncode == 130
    assert "Traceback" not in said


def test_files_are_readable_after_a_kill(folder: Path) -> None:
    words = ["--model", "tiny.onnx", "--sink", "out.jsonl", "--sink", "out.mp4", "--sink", "out.csv", "--quiet"]
    process = start("run", ENDLESS, *words, cwd=folder)
    until(lambda: (folder / "out.mp4").exists() and (folder / "out.mp4").stat().st_size > 200_000)
    process.kill()
    process.communicate()
    assert [line["seq"] for line in whole_records(folder / "out.jsonl")][-1] > 10
    assert (folder / "out.csv").read_bytes().count(b"\n") > 10
    assert frames_of(folder / "out.mp4") > 10
