"""`vidette models optimise` as it is typed."""

import builtins
import json
from pathlib import Path

import numpy as np
import onnx
import pytest
import yaml
from onnx import numpy_helper

from tests.heads import make_head
from tests.optimising.models import convolved
from tests.tiny import make_detector
from vidette.cli import main, models_optimise
from vidette.job import ModelRequest
from vidette.models import describe, load
from vidette.optimising import folding, quantising
from vidette.optimising.agreement import Agreement
from vidette.optimising.optimise import Optimised

CLIP = "testsrc:?size=320x320&frames=20"
INT8 = ["--int8", "--calibrate", CLIP, "--frames", "2"]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VIDETTE_MODELS", str(tmp_path / "models"))
    return tmp_path


def test_folding(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_detector(here / "m.onnx")
    assert main(["models", "optimise", "m.onnx", "fast.onnx"]) == 0
    out = capsys.readouterr().out
    assert "on sample: raw outputs differ by " in out
    assert "CPU       onnx (f32): " in out
    assert "written   fast.onnx" in out
    assert not (here / "fast.yaml").exists()  # metadata say enough
    before, after = describe(here / "m.onnx"), describe(here / "fast.onnx")
    assert after.recognised.preprocess == folding.folded(before.recognised.preprocess)
    assert after.recognised.labels == before.recognised.labels
    assert after.signature.metadata == before.signature.metadata
    assert list(here.glob(".part-*")) == []


def test_a_graph_that_would_end_early_is_compared_to_its_end(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_head(here / "m.onnx")
    assert main(["models", "optimise", "m.onnx", "fast.onnx"]) == 0
    assert "(output0, values up to " in capsys.readouterr().out
    request = ModelRequest("m", here / "fast.onnx", runtime="onnx", device="cpu")
    assert load(request, "latency").session._model.cut is not None


def test_one_channel(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_detector(here / "m.onnx", grey=True)
    (here / "m.yaml").write_text("input: {colour: grey, mean: 0.5, std: [0.5], scale: 1/255}\nlabels: [lit]\n")
    assert main(["models", "optimise", "m.onnx", "fast.onnx"]) == 0
    assert "on sample: raw outputs differ by " in capsys.readouterr().out
    after = describe(here / "fast.onnx")
    assert after.signature.inputs[0].shape[3] == 1
    assert after.recognised.preprocess.identity == "grey, pixel, letterbox on 114, nhwc uint8"
    assert after.recognised.labels == ("lit",)
    assert main(["models", "optimise", "m.onnx", "m8.onnx", *INT8]) == 1
    assert "no convolution" in capsys.readouterr().err


def test_the_sidecar_goes_along(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_detector(here / "m.onnx")
    sidecar = {"labels": ["r", "g", "b"], "input": {"mean": 0.5, "std": 0.25, "resize": "stretch", "colour": "bgr"}}
    (here / "m.yaml").write_text(yaml.safe_dump(sidecar))
    assert main(["models", "optimise", "m.onnx", "fast.onnx"]) == 0
    assert f"written   {Path('fast.yaml')}" in capsys.readouterr().out
    before, after = describe(here / "m.onnx"), describe(here / "fast.onnx")
    assert after.recognised.labels == ("r", "g", "b")
    assert after.recognised.preprocess == folding.folded(before.recognised.preprocess)
    assert after.recognised.preprocess.identity == "bgr, pixel, stretch, nhwc uint8"


def test_a_folded_model_that_answers_otherwise_is_refused(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make_detector(here / "m.onnx")
    fold = folding.fold

    def wrong(*arguments: object) -> object:
        model = fold(*arguments)  # type: ignore[arg-type]
        for tensor in model.graph.initializer:
            if tensor.name == f"{folding.PREFIX}scale":
                tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor) * np.float32(1.01), tensor.name))
        return model

    monkeypatch.setattr(folding, "fold", wrong)
    assert main(["models", "optimise", "m.onnx", "fast.onnx"]) == 1
    assert "output0 of the folded model differs by 0.0" in capsys.readouterr().err  # scores; beside boxes up to 300
    assert sorted(path.name for path in here.iterdir()) == ["m.onnx"]


def test_int8(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    convolved(here / "m.onnx")
    assert main(["models", "optimise", "m.onnx", "fast.onnx", *INT8, "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["convolutions"] == 1
    assert facts["agreement"]["objects"] > 10
    assert facts["agreement"]["lost"] == 0
    assert facts["agreement"]["iou"]["min"] > 0.9
    assert {gain["runtime"] for gain in facts["gains"]} >= {"onnx", "openvino"}
    assert facts["written"] == ["fast.onnx"]
    assert "QuantizeLinear" in describe(here / "fast.onnx").signature.ops
    assert describe(here / "fast.onnx").recognised.preprocess.dtype == "uint8"


def test_int8_that_loses_objects_is_written_only_by_force(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the head quantised, boxes and scores share one scale."""
    convolved(here / "m.onnx")
    monkeypatch.setattr(quantising, "head", lambda model: [])
    assert main(["models", "optimise", "m.onnx", "fast.onnx", *INT8]) == 1
    captured = capsys.readouterr()
    assert "IoU " in captured.out
    assert "more than 1 in 100: not written; --force" in captured.err
    assert not (here / "fast.onnx").exists()
    assert main(["models", "optimise", "m.onnx", "fast.onnx", *INT8, "--force"]) == 0
    assert "written because of --force" in capsys.readouterr().err
    assert (here / "fast.onnx").exists()


def test_objects_of_another_shape_are_told() -> None:
    found = Optimised(True, agreement=Agreement(pictures=5, objects=10, lost=3, misshapen=2))
    lines = list(models_optimise._lines(found, "bus.jpg"))
    assert any("7 of 10 objects" in line and "3 lost" in line for line in lines)
    assert any("2 of the lost only because keypoints, mask or corners are others" in line for line in lines)


def test_a_clip_in_which_nothing_is_found_proves_nothing(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = onnx.load(str(convolved(here / "m.onnx")))
    for tensor in model.graph.initializer:
        if tensor.name == "nan":  # the factor of all scores
            tensor.CopyFrom(numpy_helper.from_array(np.float32(0.01), "nan"))
    onnx.save(model, "m.onnx")
    assert main(["models", "optimise", "m.onnx", "fast.onnx", *INT8]) == 1
    assert "proves nothing" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["optimise", "m.onnx"], 2, "takes two files"),
        (["optimise", "m.onnx", "m.onnx"], 2, "this is the model itself"),
        (["optimise", "m.onnx", "fast.bin"], 2, "must end in .onnx"),
        (["optimise", "m.onnx", "nowhere/fast.onnx"], 2, "there is no folder nowhere"),
        (["optimise", "m.onnx", "other.onnx"], 2, "other.yaml is there already"),
        (["optimise", "m.onnx", "fast.onnx", "--int8"], 2, "--int8 needs --calibrate"),
        (["optimise", "m.onnx", "fast.onnx", "--force"], 2, "are for --int8"),
        (["optimise", "m.onnx", "fast.onnx", *INT8[:3], "--frames", "0"], 2, "--frames 0"),
        (["optimise", "m.onnx", "fast.onnx", "--int8", "--calibrate", "testsrc:?frames=3"], 2, "3 frames are too few"),
        (["optimise", "m.onnx", "fast.onnx", "--int8", "--calibrate", "rtsp://camera/"], 2, "not a camera"),
        (["optimise", "m.onnx", "fast.onnx", *INT8], 1, "m.onnx: no convolution lies before its head"),
        (["optimise", "m.onnx", "fast.onnx", "--picture", "none.png"], 1, "none.png"),
        (["optimise", "none.onnx", "fast.onnx"], 2, "no such file"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    here: Path, arguments: list[str], code: int, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    make_detector(here / "m.onnx")
    (here / "other.yaml").write_text("family: yolox\n")
    assert main(["models", *arguments]) == code
    lines = [line for line in capsys.readouterr().err.splitlines() if "calibrating with" not in line]
    assert len(lines) == 1
    assert says in lines[0]
    assert not (here / "fast.onnx").exists()


def test_a_folded_model_has_nothing_left_to_fold(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_detector(here / "m.onnx")
    assert main(["models", "optimise", "m.onnx", "fast.onnx"]) == 0
    capsys.readouterr()
    assert main(["models", "optimise", "fast.onnx", "faster.onnx"]) == 1
    assert "there is nothing to fold; int8 is left" in capsys.readouterr().err


def test_without_the_package_it_says_what_to_install(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make_detector(here / "m.onnx")
    true_import = builtins.__import__

    def without(name: str, *arguments: object, **options: object) -> object:
        if name == "onnx":
            raise ImportError(name)
        return true_import(name, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(builtins, "__import__", without)
    assert main(["models", "optimise", "m.onnx", "fast.onnx"]) == 1
    assert 'pip install "vidette[optimise]"' in capsys.readouterr().err
