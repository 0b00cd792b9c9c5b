"""Classifiers and semantic maps from a file to the record, on both CPU runtimes, with graphs that can be reckoned."""

import json
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import vidette
from vidette.payloads import payload, payload_names
from vidette.payloads.record import record_json
from vidette.predictions.classification import Classification
from vidette.predictions.semantic import SemanticMap

RUNTIMES = ["onnx", "openvino"]
COLOURS = ("blue", "green", "red")  # in the order of OpenCV's channels, which is that of this test's pictures


def write_model(path: Path, nodes: list, output: list, kind: int, metadata: dict[str, str], side: int = 64) -> Path:
    """A graph from `images`, RGB in 0..1, to `output`; constants `axes` (2, 3) and `ten` are there."""
    constants = {"axes": np.array([2, 3], np.int64), "ten": np.float32(10)}
    graph = helper.make_graph(
        nodes, "tiny",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["batch", 3, side, side])],
        [helper.make_tensor_value_info("output", kind, output)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    helper.set_model_props(model, metadata)
    onnx.save(model, str(path))
    return path


NAMES = str(dict(enumerate(reversed(COLOURS))))
ULTRALYTICS = {"imgsz": "[64, 64]", "stride": "32", "names": NAMES}


def classifier(path: Path, last: str = "Softmax") -> Path:
    """Which colour the picture's mean is."""
    nodes = [
        helper.make_node("ReduceMean", ["images"], ["mean"], axes=[2, 3], keepdims=0),
        helper.make_node("Mul", ["mean", "ten"], ["logits"]),
        helper.make_node(last, ["logits"], ["output"]),
    ]
    return write_model(path, nodes, ["batch", 3], TensorProto.FLOAT, ULTRALYTICS | {"task": "classify"})


def class_numbers(path: Path) -> Path:
    """Which colour each pixel is."""
    nodes = [
        helper.make_node("ArgMax", ["images"], ["number"], axis=1, keepdims=0),
        helper.make_node("Cast", ["number"], ["output"], to=TensorProto.UINT8),
    ]
    return write_model(path, nodes, ["batch", 64, 64], TensorProto.UINT8, ULTRALYTICS | {"task": "semantic"})


def maps(path: Path) -> Path:
    """How much of each colour each 4 x 4 pixels are."""
    nodes = [
        helper.make_node("AveragePool", ["images"], ["pooled"], kernel_shape=[4, 4], strides=[4, 4]),
        helper.make_node("Mul", ["pooled", "ten"], ["output"]),
    ]
    return write_model(path, nodes, ["batch", 3, 16, 16], TensorProto.FLOAT, ULTRALYTICS | {"task": "semantic"})


def picture(path: Path) -> Path:
    """128 x 64: green in the middle, red on the left quarter, blue on the right quarter."""
    pixels = np.zeros((64, 128, 3), np.uint8)
    pixels[:, 32:96, 1] = 255
    pixels[:, :32, 2] = 255
    pixels[:, 96:, 0] = 255
    cv2.imwrite(str(path), pixels)
    return path


@pytest.mark.parametrize("scaling", ["fast", "exact"])
@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_classifier_sees_the_middle(tmp_path: Path, runtime: str, scaling: str) -> None:
    model = classifier(tmp_path / "model.onnx")
    ((found,),) = [list(vidette.run(picture(tmp_path / "a.png"), model=model, runtime=runtime, scaling=scaling))]
    answer = found.predictions
    assert isinstance(answer, Classification)
    assert answer.label(0) == "green"
    assert len(answer) == 3
    assert answer.confidence[0] == pytest.approx(1 / (1 + 2 * np.exp(-10)), abs=1e-3)
    assert found.run["input"] == "64x64"


def test_thresholds_of_classifiers(tmp_path: Path) -> None:
    model, source = classifier(tmp_path / "model.onnx", "Sigmoid"), picture(tmp_path / "a.png")

    def answer(**options: object) -> Classification:
        (found,) = vidette.run(source, model=model, **options)
        assert isinstance(found.predictions, Classification)
        return found.predictions

    assert answer().multi_label
    assert answer().class_id.tolist() == [1], "several may hold: those that are likelier than not"
    assert answer(confidence=0.3).class_id.tolist() == [1, 0, 2]
    assert answer(confidence=0.3, top_k=2).class_id.tolist() == [1, 0]
    assert answer(confidence=0.3, classes=["red", "blue"]).class_id.tolist() == [0, 2]


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("make", [class_numbers, maps])
def test_semantic_maps_lie_where_the_picture_is(tmp_path: Path, runtime: str, make) -> None:
    model = make(tmp_path / "model.onnx")
    (found,) = vidette.run(picture(tmp_path / "a.png"), model=model, runtime=runtime)
    answer = found.predictions
    assert isinstance(answer, SemanticMap)
    np.testing.assert_allclose(answer.extent, [0, 0, 128, 64])
    dense = answer.dense(128, 64)
    for name, columns in (("red", slice(0, 31)), ("green", slice(33, 95)), ("blue", slice(97, 128))):
        assert (dense[:, columns] == answer.labels.index(name)).all()
    assert answer.label(0) == "green"
    np.testing.assert_allclose(answer.shares, [0.5, 0.25, 0.25], atol=0.02)


@pytest.mark.parametrize("name", payload_names())
@pytest.mark.parametrize("make", [classifier, class_numbers, maps])
def test_records(tmp_path: Path, name: str, make) -> None:
    (found,) = vidette.run(picture(tmp_path / "a.png"), model=make(tmp_path / "model.onnx"))
    parsed = json.loads(record_json(found, payload(name)))
    assert parsed["image"] == {"width": 128, "height": 64}
    assert "green" in json.dumps(parsed["predictions"])


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_numbers_that_make_no_sense_fail_their_frame_only(tmp_path: Path, runtime: str) -> None:
    model = classifier(tmp_path / "model.onnx", "Identity")
    (tmp_path / "model.yaml").write_text("activation: none")
    run = vidette.run(picture(tmp_path / "a.png"), model=model, runtime=runtime)
    assert list(run) == []
    (stream,) = run.report["streams"]
    assert stream["failed"] == {"range": 1}
