"""Everything bad that a user may hand over ends with one clear line and a non-zero exit; the rest goes on."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import onnx
import pytest
from onnx import TensorProto, helper

from tests.cli.console import Console
from tests.media import write_clip, write_sound
from tests.tiny import make_detector

SIZE = (320, 192)


@pytest.fixture
def folder(detector: Path, tmp_path: Path) -> Path:
    shutil.copy(detector, tmp_path / "tiny.onnx")
    write_clip(tmp_path / "good.mp4", 10, size=SIZE)
    return tmp_path


def seqs(path: Path, stream: str = "good") -> list[int]:
    records = [json.loads(line) for line in path.read_text().splitlines()]
    return [record["seq"] for record in records if record["stream"] == stream]


# ------------------------------------------------------------------ videos


def _cut_before_its_index(path: Path) -> None:
    write_clip(path, 60, size=SIZE)
    path.write_bytes(path.read_bytes()[:-3000])


def _cut_in_the_middle(path: Path) -> None:
    write_clip(path, 60, size=SIZE, container_options={"movflags": "faststart"})
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3])


VIDEOS: dict[str, tuple[Callable[[Path], Any], str]] = {
    "no-index": (_cut_before_its_index, "bytes are missing|never finished"),
    "cut": (_cut_in_the_middle, "cut off, the last [0-9]+ bytes are missing"),
    "empty": (lambda path: path.write_bytes(b""), "the file is empty"),
    "sound": (lambda path: write_sound(path), "no video stream"),
    "text": (lambda path: path.write_text("dear diary\n" * 50), "not a video; it looks like text"),
}


@pytest.mark.parametrize("kind", VIDEOS)
def test_a_bad_video_beside_a_good_one(console: Console, folder: Path, kind: str) -> None:
    make, said = VIDEOS[kind]
    make(folder / f"{kind}.mp4")
    words = ["--model", "tiny.onnx", "--runtime", "onnx", "--sink", "out.jsonl", "--sink", "out.mp4", "--quiet"]
    done = console("run", f"{kind}.mp4", "good.mp4", *words, "--report", "report.json")
    assert done.code == 1
    lines = done.err.splitlines(keepends=True)
    assert len(lines) == (2 if kind == "cut" else 1)  # of the last picture only a part is there: a warning of its own
    _one_line(lines[-1], f"{kind}.mp4", said)
    assert seqs(folder / "out.jsonl") == list(range(10))
    streams = {stream["stream"]: stream for stream in json.loads((folder / "report.json").read_text())["streams"]}
    assert streams["good"]["error"] is None
    assert f"{kind}.mp4" in streams[kind]["error"]
    assert seqs(folder / "out.jsonl", kind) == list(range(streams[kind]["results"]))
    if kind == "cut":
        assert 0 < streams[kind]["results"] < 60


def _one_line(text: str, *said: str) -> None:
    assert text.count("\n") == 1, text
    assert "Traceback" not in text
    for pattern in said:
        assert re.search(pattern, text), text


# ------------------------------------------------------------------ models


def _unknown(path: Path) -> None:
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3, 64, 64]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", ends[:1], ends[1:])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), str(path))


def _truncated(path: Path) -> None:
    make_detector(path)
    path.write_bytes(path.read_bytes()[:600])


def _scrambled(path: Path) -> None:
    """The frame of the file is whole, an operator in it is none."""
    make_detector(path)
    path.write_bytes(path.read_bytes().replace(b"AveragePool", b"AverigePool"))


EXPORTER = r'from ultralytics import YOLO; YOLO\("model.pt"\).export\(format="onnx", dynamic=True\)'
MODELS: dict[str, tuple[Callable[[Path], Any], str]] = {
    "truncated.onnx": (_truncated, "cut short: 600 bytes of at least [0-9]+: download or export it again"),
    "scrambled.onnx": (_scrambled, "AverigePool"),
    "noise.onnx": (lambda path: path.write_bytes(bytes(range(256)) * 8), "not an ONNX model"),
    "empty.onnx": (lambda path: path.write_bytes(b""), "empty|not an ONNX"),
    "model.pt": (lambda path: path.write_bytes(b"PK\x03\x04"), EXPORTER),
    "model.engine": (lambda path: path.write_bytes(b"ftrt"), EXPORTER),
    "model.tflite": (lambda path: path.write_bytes(b"\x1c\0\0\0TFL3"), EXPORTER),
    "model.xml": (lambda path: path.write_text("<net/>"), EXPORTER),
    "unknown.onnx": (_unknown, "no family fits this model: inputs x float32 .*a YAML file beside it"),
    "pose.onnx": (lambda path: make_detector(path, task="pose"), "no family fits|pose"),
    "liar.onnx": (lambda path: make_detector(path, works_only_at=(320, 320)), "320x192.*input: 320x320"),
    "nan.onnx": (lambda path: make_detector(path, nan=True), "not numbers"),
}


READABLE = ("scrambled.onnx", "nan.onnx", "liar.onnx")  # what is wrong shows when they are loaded or run


@pytest.mark.parametrize("runtime", ["onnx", "openvino"])
@pytest.mark.parametrize("name", MODELS)
def test_a_bad_model(console: Console, folder: Path, name: str, runtime: str) -> None:
    make, said = MODELS[name]
    make(folder / name)
    words = ["--runtime", runtime, "--sink", "out.jsonl", "--quiet"]
    done = console("run", "good.mp4", "--model", name, *words)
    assert done.code == (1 if name in READABLE else 2)
    if name == "liar.onnx":  # told once per caller at worst, always the same line
        assert len(set(done.err.splitlines())) == 1
        done.err = done.err.splitlines(keepends=True)[0]
    _one_line(done.err, said, "good" if name == "nan.onnx" else name)


def test_a_bad_model_beside_a_good_one(console: Console, folder: Path) -> None:
    """What only shows while it runs: NaN, and sizes that do not work, end their own stream."""
    make_detector(folder / "nan.onnx", nan=True)
    make_detector(folder / "liar.onnx", works_only_at=(320, 320))
    (folder / "site.yaml").write_text("""\
models:
  tiny: {path: tiny.onnx, runtime: onnx}
  nan: {path: nan.onnx, runtime: onnx}
  liar: {path: liar.onnx, runtime: onnx}
streams:
  good: {url: good.mp4, model: tiny}
  first: {url: good.mp4, model: nan}
  second: {url: good.mp4, model: liar}
sinks:
  - {type: jsonl, path: out.jsonl}
""")
    done = console("run", "site.yaml", "--quiet", "--report", "report.json")
    assert done.code == 1
    assert "Traceback" not in done.err
    assert seqs(folder / "out.jsonl") == list(range(10))
    streams = {stream["stream"]: stream for stream in json.loads((folder / "report.json").read_text())["streams"]}
    assert streams["first"]["failed"] == {"nan": 10}
    assert "liar.onnx" in streams["second"]["error"]
    assert streams["good"]["results"] == 10


# ------------------------------------------------------------------ outputs


@pytest.mark.parametrize("name", ["out.jsonl", "out.csv", "out.mp4"])
def test_a_folder_that_is_not_there(console: Console, folder: Path, name: str) -> None:
    done = console("run", "good.mp4", "--model", "tiny.onnx", "--sink", f"none/{name}", "--sink", "good.jsonl")
    assert done.code == 2
    _one_line(done.err, f"--sink none/{name}: there is no folder none; make it first")


@pytest.mark.parametrize("name", ["out.jsonl", "out.csv", "out.mp4"])
def test_a_folder_that_cannot_be_written(folder: Path, name: str, console: Console) -> None:
    """Root may write anywhere, so this needs a file system that nobody may write to."""
    with _mounted(folder / "locked", "ro"):
        done = console("run", "good.mp4", "--model", "tiny.onnx", "--sink", f"locked/{name}")
    assert done.code == 2
    _one_line(done.err, f"--sink locked/{name}: no permission to write there")


def test_two_sinks_on_one_path(console: Console, folder: Path) -> None:
    done = console("run", "good.mp4", "--model", "tiny.onnx", "--sink", "out.jsonl", "--sink", "./out.jsonl")
    assert done.code == 2
    _one_line(done.err, "two sinks write to ./out.jsonl; give each its own path")
    assert not (folder / "out.jsonl").exists()


def test_a_sink_on_the_video_that_is_read(console: Console, folder: Path) -> None:
    before = (folder / "good.mp4").read_bytes()
    done = console("run", "good.mp4", "--model", "tiny.onnx", "--sink", "good.mp4")
    assert done.code == 2
    _one_line(done.err, "--sink good.mp4: stream good is read from it")
    assert (folder / "good.mp4").read_bytes() == before


class _mounted:
    """A small file system of its own at `path`; skips where it cannot be made."""

    def __init__(self, path: Path, *options: str) -> None:
        self._path = path
        self._options = options

    def __enter__(self) -> None:
        self._path.mkdir()
        words = ["mount", "-t", "tmpfs", "-o", ",".join(["size=1m", *self._options]), "tmpfs", str(self._path)]
        if os.geteuid() != 0 or not shutil.which("mount") or subprocess.run(words, capture_output=True).returncode:
            pytest.skip("only root can mount a small file system")

    def __exit__(self, *_: object) -> None:
        subprocess.run(["umount", "--lazy", str(self._path)], check=True)


@pytest.fixture
def small_disk(folder: Path) -> Iterator[Path]:
    with _mounted(folder / "disk"):
        yield folder / "disk"


def test_a_disk_that_fills_up(console: Console, folder: Path, small_disk: Path) -> None:
    """1 MiB for a file that would have 2: told, counted, whole lines, and the file elsewhere is complete."""
    write_clip(folder / "long.mp4", 300, size=SIZE)
    words = ["--model", "tiny.onnx", "--runtime", "onnx", "--sink", "disk/out.jsonl", "--sink", "out.jsonl", "--quiet"]
    done = console("run", "long.mp4", *words, "--report", "report.json")
    assert done.code == 1
    _one_line(done.err, "cannot write disk/out.jsonl: No space left on device: free some space")
    assert seqs(folder / "out.jsonl", "long") == list(range(300))
    kept = seqs(small_disk / "out.jsonl", "long")
    assert kept[:10] == list(range(10))
    sinks = {sink["sink"]: sink for sink in json.loads((folder / "report.json").read_text())["sinks"]}
    assert sinks["disk/out.jsonl"]["written"] == len(kept)
    assert sum(sinks["disk/out.jsonl"]["lost"].values()) == 300 - len(kept) > 0


def test_a_video_on_a_disk_that_fills_up_can_be_played(console: Console, folder: Path, small_disk: Path) -> None:
    words = ["--model", "tiny.onnx", "--runtime", "onnx", "--sink", "disk/out.mp4", "--quiet"]
    done = console("run", "testsrc:?size=320x192&frames=300", *words)
    assert done.code == 1
    _one_line(done.err, "cannot write disk/out.mp4: No space left on device")
    with av.open(str(small_disk / "out.mp4")) as container:
        assert sum(1 for _ in container.decode(video=0)) > 25


# ------------------------------------------------------------------ secrets

CANARY = "hunter2-canary"


@pytest.mark.parametrize(
    "words",
    [
        [f"rtsp://user:{CANARY}@127.0.0.1:9/x?token={CANARY}"],
        [f"http://user:{CANARY}@127.0.0.1:9/x.mp4"],
        [f"foo://user:{CANARY}@host/x"],
        ["good.mp4", "--sink", f"mqtt://user:{CANARY}@127.0.0.1:9/x"],
        ["good.mp4", "--sink", f"http://user:{CANARY}@127.0.0.1:9/x?key={CANARY}"],
        ["good.mp4", "--sink", f"rtsp://user:{CANARY}@127.0.0.1:9/x"],
        ["good.mp4", "--sink", f"foo://user:{CANARY}@host/x"],
        ["good.mp4", "--sink", f"mqtt://user:{CANARY}@"],
        ["good.mp4", "--model", f"https://user:{CANARY}@host/x.onnx"],
    ],
)
def test_a_password_in_a_url_is_not_shown(console: Console, folder: Path, words: list[str]) -> None:
    model = [] if "--model" in words else ["--model", "tiny.onnx"]
    done = console("run", *words, *model, "--report", "report.json", "--report", "report.html")
    assert done.code != 0
    assert done.err
    written = "".join(
        path.read_text(errors="replace") for path in folder.iterdir() if path.suffix in (".json", ".html", ".jsonl")
    )
    assert CANARY not in done.out + done.err + written
