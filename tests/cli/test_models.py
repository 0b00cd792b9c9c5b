"""`vidette models` as it is typed."""

import json
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from tests.tiny import make_detector
from vidette import catalogue
from vidette.cli import main
from vidette.job import ModelRequest
from vidette.models import load


@pytest.fixture(autouse=True)
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VIDETTE_MODELS", str(tmp_path / "models"))
    (tmp_path / "models").mkdir()
    return tmp_path / "models"


def save(path: Path, output: list[int | str], metadata: dict[str, str]) -> Path:
    """A model with the declarations of a detector and no sense inside."""
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node("Identity", ["images"], ["output0"])],
        "nothing",
        [value("images", TensorProto.FLOAT, ["batch", 3, "height", "width"])],
        [value("output0", TensorProto.FLOAT, output)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    helper.set_model_props(model, metadata)
    onnx.save(model, str(path))
    return path


@pytest.fixture
def twelve_classes(models: Path) -> Path:
    names = {index: f"thing{index}" for index in range(12)}
    return save(
        models / "things.onnx", ["batch", 16, "anchors"], {"task": "detect", "names": str(names), "stride": "32"}
    )


def test_the_list(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (models / "faces.onnx").write_bytes(b"x")
    (models / "own.onnx").write_bytes(b"x")
    assert main(["models"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert next(line for line in lines if "faces" in line).split()[:2] == ["faces", "installed"]
    assert any("vidette models get yolo11n --accept-license AGPL-3.0" in line for line in lines)
    assert any(str(models / "own.onnx") in line for line in lines)
    assert str(models) in lines[-1]


def test_the_list_as_json(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (models / "own.onnx").write_bytes(b"x")
    assert main(["models", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert {entry["name"]: entry["installed"] for entry in facts["catalogue"]} == {"faces": False, "yolo11n": False}
    assert facts["others"] == {"own": str(models / "own.onnx")}


@pytest.mark.parametrize("as_named", ["things", "models/things.onnx"])
def test_what_a_model_is(as_named: str, twelve_classes: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", as_named]) == 0
    out = capsys.readouterr().out
    for fact in (
        "detection",
        "ultralytics (",
        "12: thing0, thing1",
        "thing9, ...\n",
        "images: ? x 3 x ? x ?, float32",
        "NCHW, RGB, value = pixel / 255",
        "any multiple of 32",
        "resize letterbox",
        "batch any",
        "output0: ? x 16 x ?, float32",
        "opset     17",
        "onnx: ",
    ):
        assert fact in out
    assert "thing10" not in out


def test_what_a_model_is_as_json(twelve_classes: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "things", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["task"] == "detection"
    assert facts["family"] == "ultralytics"
    assert len(facts["labels"]) == 12
    assert facts["inputs"] == [{"name": "images", "shape": [None, 3, None, None], "dtype": "float32"}]
    assert facts["preprocess"]["resize"] == "letterbox"
    assert facts["metadata"]["stride"] == "32"
    assert facts["preprocess"]["identity"] == "rgb, pixel / 255, letterbox on 114, nchw float32"
    assert facts["sidecar"] is None
    assert facts["runtimes"]["onnx"] == "yes, on cpu in f32"
    assert set(facts["runtimes"]) >= {"onnx", "openvino", "cuda"}


def test_a_model_of_no_known_family(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save(models / "odd.onnx", [1, 2, 3, 4, 5], {"author": "me " * 100})
    assert main(["models", "odd"]) == 2
    captured = capsys.readouterr()
    assert "output0: 1 x 2 x 3 x 4 x 5" in captured.out
    assert "author: me me" in captured.out
    assert "(300 characters)" in captured.out
    assert f"say so in {models / 'odd.yaml'}" in captured.out
    assert captured.err.startswith(f"vidette: {models / 'odd.onnx'}: no family fits")
    assert captured.err.count("\n") == 1


def test_lines_to_paste_are_of_families_that_fit(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save(models / "odd.onnx", ["batch", "rows", 85], {})
    assert main(["models", "odd"]) == 2
    out = capsys.readouterr().out.partition("for example:\n")[2]
    assert "objectness" in out.strip().splitlines()[1]
    assert "centerface" not in out
    (models / "odd.yaml").write_text("family: centerface\n")
    assert main(["models", "odd"]) == 2
    assert "for example" not in capsys.readouterr().out, "what is written there must be mended"


@pytest.mark.parametrize(("channels", "says"), [(1, "colour: grey "), (3, "colour: rgb ")])
def test_lines_to_paste_know_how_many_channels_there_are(
    channels: int, says: str, models: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save(models / "odd.onnx", [1, 2, 3, 4, 5], {})
    model = onnx.load(str(models / "odd.onnx"))
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = channels
    onnx.save(model, str(models / "odd.onnx"))
    assert main(["models", "odd"]) == 2
    out = capsys.readouterr().out
    assert "layout: nchw" in out
    assert says in out


def test_a_model_of_one_channel(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_detector(models / "grey.onnx", grey=True)
    (models / "grey.yaml").write_text("input: {colour: grey, mean: 0.5, std: 0.25}\n")
    assert main(["models", "grey"]) == 0
    out = capsys.readouterr().out
    assert "images: ? x 1 x ? x ?, float32" in out
    assert "layout NCHW, GREY, value = (pixel - 127.5) / 63.75" in out


def test_lines_without_effect_are_told(
    models: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    save(models / "m.onnx", ["batch", 6, "anchors"], {"task": "detect", "names": "{0: 'a', 1: 'b'}"})
    (models / "m.yaml").write_text("skeleton: coco-17\n")
    assert main(["models", "m"]) == 0
    told = f"{models / 'm.yaml'}:1: skeleton: not used for this model"
    assert f"unused    {told}" in capsys.readouterr().out
    with caplog.at_level("WARNING"):
        load(ModelRequest("m", models / "m.onnx", runtime="onnx"), "latency").session.close()
    assert [record.getMessage().startswith(told) for record in caplog.records] == [True]


def test_the_lines_that_would_help_can_be_pasted(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = save(models / "odd.onnx", ["batch", 16, "anchors"], {})
    assert main(["models", "odd"]) == 2
    (models / "odd.yaml").write_text(
        capsys.readouterr().out.partition("for example:\n")[2].replace("first, second", "")
    )
    assert main(["models", "odd"]) == 2
    assert f"{models / 'odd.yaml'}:4: labels: must be a list" in capsys.readouterr().err
    text = (models / "odd.yaml").read_text()
    names = ", ".join(f"thing{index}" for index in range(12))
    (models / "odd.yaml").write_text(text.replace("labels: []", f"labels: [{names}]"))
    assert main(["models", "odd"]) == 0
    out = capsys.readouterr().out
    assert f"sidecar   {models / 'odd.yaml'} (family, labels, input)" in out
    assert "12: thing0, " in out
    assert "value = pixel / 255" in out
    assert path.is_file()


@pytest.mark.parametrize(
    ("sidecar", "says"),
    [
        ("input:\n  resise: crop\n", "things.yaml:2: input.resise: unknown; did you mean resize?"),
        ("family: ultralytic\n", "things.yaml:1: family: ultralytic is unknown; did you mean ultralytics?"),
        ("input:\n\n  dtype: uint8\n", "things.yaml:3: input.dtype: says uint8, but the file's input is float32"),
        ("input: {layout: nhwc}\n", "things.yaml:1: input.layout:"),
        ("labels: [cat, dog]\n", "things.yaml:1: labels has 2 names but the model has 12 classes"),
    ],
)
@pytest.mark.parametrize("command", [["models", "things"], ["run", "sample:?frames=1", "--model", "things"]])
def test_a_sidecar_that_is_wrong_is_told_at_load(
    command: list[str], sidecar: str, says: str, twelve_classes: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    twelve_classes.with_suffix(".yaml").write_text(sidecar)
    assert main(command) == 2
    err = capsys.readouterr().err
    assert says in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("lie", [{"task": "knitting"}, {"names": "{0: 'a'}"}])
def test_metadata_that_lie_are_told_at_load(
    lie: dict[str, str], models: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = str(dict(enumerate("abcdefghijkl")))
    save(models / "liar.onnx", ["batch", 16, "anchors"], {"task": "detect", "names": names, "stride": "32"} | lie)
    for command in (["models", "liar"], ["run", "sample:?frames=1", "--model", "liar"]):
        assert main(command) == 2
        err = capsys.readouterr().err
        assert ("its metadata name 1 class, the output has 12" if "names" in lie else "its metadata say task ") in err
        assert err.count("\n") == 1


def test_a_class_filter_that_names_no_class(twelve_classes: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "sample:?frames=1", "--model", "things", "--classes", "thing12"]) == 2
    assert "--classes: the model has no class 'thing12'; did you mean 'thing" in capsys.readouterr().err


def test_a_file_that_is_no_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "notes.onnx").write_text("just text")
    assert main(["models", "notes.onnx"]) == 2
    assert "text file" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        (["faces"], "vidette models get faces"),
        (["get"], "takes one name or URL"),
        (["get", "a", "b"], "takes one name or URL"),
        (["a", "b"], "one file or name"),
        (["get", "yolo11n"], "--accept-license AGPL-3.0"),
        (["get", "yolo11s"], 'YOLO("yolo11s.pt").export(format="onnx", dynamic=True)'),
        (["get", "https://example.org/a.onnx"], "--sha256"),
        (["get", "models/things.onnx"], "is a file already"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(
    arguments: list[str], answer: str, twelve_classes: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["models", *arguments]) == 2
    captured = capsys.readouterr()
    assert answer in captured.err
    assert captured.err.count("\n") == 1
    assert captured.out == ""


def test_get_prints_where_the_model_is(models: Path, monkeypatch, capsys: pytest.CaptureFixture[str]) -> None:
    asked = []

    def get(name: str, licence: str | None, say: object) -> Path:
        asked.append((name, licence))
        return models / f"{name}.onnx"

    monkeypatch.setattr(catalogue, "get", get)
    assert main(["models", "get", "yolo11n", "--accept-license", "AGPL-3.0"]) == 0
    assert asked == [("yolo11n", "AGPL-3.0")]
    assert capsys.readouterr().out == f"{models / 'yolo11n.onnx'}\n"


def test_ctrl_c_while_fetching(monkeypatch, capsys: pytest.CaptureFixture[str]) -> None:
    def get(*_: object) -> Path:
        raise KeyboardInterrupt

    monkeypatch.setattr(catalogue, "get", get)
    assert main(["models", "get", "faces"]) == 130
    assert "nothing was kept" in capsys.readouterr().err
