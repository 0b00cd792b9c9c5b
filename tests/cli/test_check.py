"""`vidette check` and `vidette schema`: mistakes with their place before anything runs; examples that are right."""

import json
import shutil
from pathlib import Path

import onnx
import pytest
from onnx import helper

from tests.cli.console import Console
from tests.remote.scripted import inference_server, scripted
from vidette.runtimes.cuda import Cuda

CONFIGS = Path(__file__).parents[2] / "configs"


@pytest.fixture
def folder(detector: Path, tmp_path: Path) -> Path:
    shutil.copy(detector, tmp_path / "tiny.onnx")
    (tmp_path / "yard.mp4").write_bytes(b"x")
    (tmp_path / "weights.pt").write_bytes(b"PK\x03\x04")
    return tmp_path


GOOD = """\
models:
  m: {path: tiny.onnx, classes: [red, 2]}
streams:
  yard: {url: yard.mp4}
sinks:
  - {type: jsonl, path: out.jsonl}
"""


def test_nothing_wrong(console: Console, folder: Path) -> None:
    (folder / "site.yaml").write_text(GOOD)
    done = console("check", "site.yaml")
    assert (done.code, done.err) == (0, "")
    assert done.out == "site.yaml: 1 models, 1 streams, 1 sinks: nothing wrong\n"
    assert not (folder / "out.jsonl").exists()


@pytest.mark.parametrize("command", ["check", "run"])
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("path: tiny", "pth: tiny"), "site.yaml:2: models.m.pth: unknown key 'pth'; did you mean 'path'?"),
        (("tiny.onnx", "tinny.onnx"), "did you mean tiny.onnx?"),
        (("tiny.onnx", "weights.pt"), "site.yaml:2: models.m.path: weights.pt: PyTorch weights"),
        (("[red, 2]", "[redd]"), "site.yaml:2: models.m.classes: the model has no class 'redd'; did you mean 'red'?"),
        (("[red, 2]", "red"), "site.yaml:2: models.m.classes: "),
        (("yard.mp4", "yart.mp4"), "site.yaml:4: streams.yard.url: no such file or folder: yart.mp4; did you mean"),
        (("yard.mp4", "rtps://camera/1"), "site.yaml:4: streams.yard.url: rtps://camera/1: no such file, and rtps:"),
        (("{url: yard.mp4}", "yard.mp4"), "site.yaml:4: streams.yard: must hold fields"),
        (("type: jsonl", "type: json"), "site.yaml:6: sinks.0: unknown sink type 'json'"),
        (("out.jsonl}", "out.jsonl}\n  - {type: csv, path: ./out.jsonl}"), "site.yaml:5: sinks: two sinks write to"),
        (("streams:", "streams"), "site.yaml:"),
        (("tiny.onnx", "tiny.onnx, input: 641x640"), "site.yaml:2: models.m.input: tiny.onnx: input width must be"),
        (("tiny.onnx", "tiny.onnx, device: cuda"), "site.yaml:2: models.m.device: cuda: no GPU"),
        (("tiny.onnx", "tiny.onnx, runtime: onnx, precision: f16"), "site.yaml:2: models.m.precision: f16: ONNX"),
        (("tiny.onnx", "tiny.onnx, runtime: openvino, options: {foo: 1}"), "site.yaml:2: models.m.options: OpenVINO"),
        (("out.jsonl", "none/out.jsonl"), "site.yaml:6: sinks.0.path: none/out.jsonl: there is no folder none; make"),
        (("out.jsonl", "yard.mp4"), "site.yaml:6: sinks.0.path: yard.mp4: stream yard is read from it"),
        (("type: jsonl, path: out.jsonl", "type: video, path: x.mp4/out.mp4"), "Not a directory"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_place(
    console: Console, folder: Path, command: str, change: tuple[str, str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Cuda, "available", lambda self: "no GPU")
    (folder / "x.mp4").touch()
    (folder / "site.yaml").write_text(GOOD.replace(*change))
    done = console(command, "site.yaml")
    assert done.code == 2
    assert said in done.err
    assert done.err.startswith("vidette: site.yaml")
    assert not (folder / "out.jsonl").exists()


CANARY = "hunter2-canary"
SECRET = f"rtsp://user:{CANARY}@camera/1?token={CANARY}"


@pytest.mark.parametrize(
    "text",
    [
        GOOD.replace("yard.mp4", f'"{SECRET}", fsp_limit: 3'),
        GOOD.replace("{url: yard.mp4}", f'"{SECRET}"'),
        GOOD.replace("yard: {url", f'"{SECRET}": {{urll'),
        GOOD.replace("yard.mp4", f'["{SECRET}"]'),
        GOOD.replace("yard.mp4", f'yard.mp4, model: "{SECRET}"'),
        GOOD.replace("tiny.onnx", f'"{SECRET}"'),
        GOOD.replace("jsonl, path: out.jsonl", f'"{SECRET}"'),
        GOOD.replace("jsonl, path: out.jsonl", f'mqtt, url: "{SECRET}"'),
        GOOD.replace("jsonl, path: out.jsonl", f'mqtt, url: "mqtt://u:{CANARY}@h", foo: 1'),
        GOOD.replace("jsonl, path: out.jsonl", f'http, url: "https://u:{CANARY}@h:99999999"'),
        GOOD.replace("jsonl, path: out.jsonl", f'rtsp, url: "rtsp://u:{CANARY}@"'),
        GOOD.replace("  - {type: jsonl, path: out.jsonl}", f'  - "{SECRET}"'),
        GOOD.replace("out.jsonl}", f'out.jsonl, streams: ["{SECRET}"]}}'),
        GOOD + f'"{SECRET}": 1\n',
        GOOD + f'x: "{SECRET}" y\n',
        GOOD + f"{SECRET}\n",
    ],
)
def test_a_password_in_a_file_with_mistakes_is_not_shown(console: Console, folder: Path, text: str) -> None:
    (folder / "site.yaml").write_text(text)
    done = console("check", "site.yaml")
    assert done.code == 2
    assert CANARY not in done.out + done.err


def test_the_schema_in_the_repository_is_the_current_one(console: Console) -> None:
    done = console("schema")
    assert done.code == 0
    assert done.out == (CONFIGS / "site.schema.json").read_text(), (
        "write it anew: vidette schema > configs/site.schema.json"
    )
    schema = json.loads(done.out)
    assert schema["$schema"].endswith("2020-12/schema")
    assert {ref["$ref"].rpartition("-")[2] for ref in schema["properties"]["sinks"]["items"]["oneOf"]} >= {
        "jsonl", "csv", "video", "mqtt", "http", "rtsp", "stdout",
    }  # fmt: skip


@pytest.mark.parametrize("example", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.name)
def test_the_examples_are_right(console: Console, folder: Path, example: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    models = folder / "models"
    models.mkdir()
    shutil.copy(folder / "tiny.onnx", models / "faces.onnx")
    coco = onnx.load(str(folder / "tiny.onnx"))
    names = {"task": "detect", "names": str({0: "person", 1: "car", 2: "bicycle"}), "stride": "32", "imgsz": "[64, 64]"}
    helper.set_model_props(coco, names)
    onnx.save(coco, str(models / "yolo11n.onnx"))
    monkeypatch.setenv("VIDETTE_MODELS", str(models))
    for name in ("CAMERA_PASSWORD", "MQTT_PASSWORD", "SERVER_KEY", "VIDETTE_KEY", "VIDETTE_ADMIN_KEY"):
        monkeypatch.setenv(name, CANARY)
    with scripted(inference_server) as server:
        monkeypatch.setenv("SERVER", server.url)
        done = console("check", example)
    assert (done.code, done.err) == (0, "")
