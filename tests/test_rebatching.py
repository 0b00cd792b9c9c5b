"""Files that fix a batch: opened where that changes nothing, left alone and said so where it does."""

import json
import re
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.conftest import Collecting, make_job
from tests.runtimes.models import fill
from tests.tiny import make_detector
from vidette.frame import Picture
from vidette.job import ModelRequest
from vidette.models import Model, describe, load
from vidette.onnxfile import read_signature
from vidette.onnxopen import open_shapes
from vidette.optimising import folding, graph
from vidette.pixels.preprocess import Preprocess
from vidette.predictions import Detections
from vidette.rebatching import rebatched
from vidette.runtimes.base import ModelFile, Wish
from vidette.runtimes.cpu import OnnxCpu
from vidette.runtimes.openvino import OpenVino
from vidette.runtimes.simulated import Simulated

REFERENCE = Path(__file__).parent / "families" / "reference"


class Gpu(OnnxCpu):
    """ONNX Runtime with the ladder of a GPU; a run takes the whole buffer, so each session has one size."""

    def plan(self, model, wish):
        plan = super().plan(model, wish)
        return plan if model.preprocess.batch else replace(plan, ladder=(1, 2, 4))


def make(path: Path, batch: int, *, constants: str = "initializer", harm: str = "") -> Path:
    """(batch, 3, 32, 64) -> the sum of each 32x32 half, by way of reshapes that name the batch, as in many exports.

    harm   `mixes`: the mean over the batch is taken away; `fails`: a constant of the batch's size is joined on
    """
    shape = [batch, 3, 32, 64]
    targets = {"split": [batch, 3, 32, 2, 32], "flat": [batch, 6, -1]}
    tensors = [numpy_helper.from_array(np.array([2]), "last"), numpy_helper.from_array(np.array([0]), "first")]
    nodes = []
    for name, target in targets.items():
        if constants == "initializer":
            tensors.append(numpy_helper.from_array(np.array(target), name))
        else:  # int64_data instead of raw bytes
            value = helper.make_tensor(name, TensorProto.INT64, [len(target)], target)
            nodes.append(helper.make_node("Constant", [], [name], value=value))
    nodes += [
        helper.make_node("Reshape", ["images", "split"], ["halves"]),
        helper.make_node("Transpose", ["halves"], ["turned"], perm=[0, 3, 1, 2, 4]),
        helper.make_node("Reshape", ["turned", "flat"], ["rows"]),
        helper.make_node("ReduceSum", ["rows", "last"], ["sums"], keepdims=0),
    ]
    if harm == "mixes":
        nodes.append(helper.make_node("ReduceMean", ["sums"], ["mean"], axes=[0], keepdims=1))
        nodes.append(helper.make_node("Sub", ["sums", "mean"], ["out"]))
    elif harm == "fails":
        tensors.append(numpy_helper.from_array(np.zeros((batch, 1), np.float32), "column"))
        nodes.append(helper.make_node("Concat", ["sums", "column"], ["out"], axis=1))
    else:
        nodes.append(helper.make_node("Identity", ["sums"], ["out"]))
    graph = helper.make_graph(
        nodes,
        "m",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, [batch, 7 if harm == "fails" else 6])],
        tensors,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
    return path


def model_file(path: Path, batch: int) -> ModelFile:
    return ModelFile("m", path, read_signature(path), Preprocess(width=64, height=32, batch=batch))


@pytest.mark.parametrize("runtime", [OnnxCpu(), OpenVino()], ids=lambda runtime: runtime.name)
@pytest.mark.parametrize("constants", ["initializer", "constant"])
def test_a_batch_of_four_runs_singles_on_a_cpu(tmp_path, runtime, constants):
    file = model_file(make(tmp_path / "m.onnx", 4, constants=constants), 4)
    wish = Wish(precision="f32")
    found, line = rebatched(runtime, file, wish)
    assert line == "batch 4 of the file opened, the same answers"
    assert found.preprocess.batch is None
    session = runtime.open(found, runtime.plan(found, wish))
    buffer = session.buffer((32, 64))
    assert buffer.slots.shape == (1, 3, 32, 64)
    pixels = fill(buffer)
    (out,) = session.run(buffer, 1)
    halves = pixels.reshape(1, 3, 32, 2, 32).transpose(0, 3, 1, 2, 4).reshape(1, 6, -1)
    np.testing.assert_allclose(out, halves.sum(2), rtol=1e-5)


def test_a_batch_of_one_is_opened_where_the_runtime_gains_by_it(tmp_path):
    file = model_file(make(tmp_path / "m.onnx", 1), 1)
    assert rebatched(OnnxCpu(), file, Wish()) == (file, None)
    found, line = rebatched(Gpu(), file, Wish())
    assert line == "batch 1 of the file opened, the same answers"
    assert Gpu().plan(found, Wish()).ladder == (1, 2, 4)


@pytest.mark.parametrize(
    ("harm", "batch", "says"),
    [
        (
            "mixes",
            4,
            r"batch stays at 4, a picture alone costs as much as 4: in other batches output 0 is off",
        ),
        ("fails", 4, r"batch stays at 4, a picture alone costs as much as 4: the graph fails with another"),
        ("mixes", 1, r"batch stays at 1: in other batches output 0 is off"),
        ("fails", 1, r"batch stays at 1: the graph fails with another"),
    ],
)
def test_a_graph_that_needs_its_batch_keeps_it(tmp_path, harm, batch, says):
    file = model_file(make(tmp_path / "m.onnx", batch, harm=harm), batch)
    found, line = rebatched(Gpu(), file, Wish())
    assert found is file
    assert line is not None
    assert re.match(says, line)


def test_scores_beside_pixels_are_compared_as_scores(tmp_path):
    """What the batch does to small numbers is not lost beside large ones of the same tensor."""
    path = make(tmp_path / "m.onnx", 4, harm="mixes")
    model = onnx.load(str(path))
    model.graph.initializer.extend(
        [numpy_helper.from_array(np.float32(1e-5), "small"), numpy_helper.from_array(np.float32(640), "large")]
    )
    minus = next(node for node in model.graph.node if node.op_type == "Sub")
    minus.output[0] = "mixed"
    model.graph.node.extend(
        [
            helper.make_node("Mul", ["mixed", "small"], ["scores"]),
            helper.make_node("Mul", ["mean", "small"], ["none"]),
            helper.make_node("Sub", ["none", "none"], ["zeros"]),
            helper.make_node("Add", ["zeros", "large"], ["one"]),
            helper.make_node("Sub", ["sums", "sums"], ["nothing"]),
            helper.make_node("Add", ["nothing", "one"], ["pixels"]),
            helper.make_node("Concat", ["pixels", "scores"], ["out"], axis=1),
        ]
    )
    model.graph.output[0].type.tensor_type.shape.dim[1].dim_value = 12
    onnx.save(model, str(path))
    file = model_file(path, 4)
    found, line = rebatched(OnnxCpu(), file, Wish())
    assert found is file
    assert "output 0 is off" in str(line)


def test_a_runtime_that_cannot_gain_is_not_asked_to_open_anything(tmp_path):
    file = model_file(make(tmp_path / "m.onnx", 4), 4)
    assert rebatched(Simulated(0, 0), file, Wish()) == (file, None)


@pytest.mark.parametrize("folded", [False, True], ids=["nchw", "nhwc"])
def test_one_channel(tmp_path, folded):
    path = make_detector(tmp_path / "m.onnx", size=(64, 96), batch=4, grey=True)
    if folded:
        fast = tmp_path / "fast.onnx"
        graph.save(folding.fold(graph.read(path), "images", describe(path).recognised.preprocess), fast)
        path = fast
    found = describe(path).recognised.preprocess
    assert (found.colour, found.layout) == ("grey", "nhwc" if folded else "nchw")
    file, line = rebatched(OnnxCpu(), ModelFile("m", path, read_signature(path), found), Wish())
    assert line == "batch 4 of the file opened, the same answers"
    assert file.preprocess.batch is None


def test_only_targets_of_reshapes_are_opened(tmp_path):
    """A constant with the same value that is something else stays as it is."""
    path = make(tmp_path / "m.onnx", 4)
    model = onnx.load(path)
    model.graph.node.append(helper.make_node("Identity", ["flat"], ["sizes"]))
    model.graph.output.append(helper.make_tensor_value_info("sizes", TensorProto.INT64, [3]))
    opened = onnx.load_from_string(open_shapes(model.SerializeToString(), {0: "batch"}))
    values = {tensor.name: numpy_helper.to_array(tensor).tolist() for tensor in opened.graph.initializer}
    assert values["flat"] == [4, 6, -1]
    assert values["split"] == [-1, 3, 32, 2, 32]


def test_the_engine_says_it_once_and_finds_the_same(tmp_path, run):
    """A detector of batch 4 beside one of any batch."""
    found = {}
    for name, batch in (("any", None), ("four", 4)):
        path = make_detector(tmp_path / f"{name}.onnx", size=(64, 64), batch=batch)
        sink = Collecting()
        engine = run(make_job(path, {"s": "testsrc:?size=64x64&frames=3"}, [sink], runtime="onnx"))
        lines = engine.plan_lines()
        assert ("batch 4 of the file opened" in lines[0]) == (batch == 4)
        assert "batch up to 1" in lines[0]
        found[name] = [
            (result.predictions.xyxy.tolist(), result.predictions.confidence.tolist()) for result in sink.results
        ]
    assert found["four"] == found["any"]


# ------------------------------------------------------------------ a real export


def answers(model: Model, pixels: np.ndarray) -> Detections:
    box = model.letterbox(pixels.shape[1], pixels.shape[0])
    buffer = model.session.buffer(box.shape)
    model.writer().write(Picture(pixels), box, buffer, 0)
    return model.decoder([output[0] for output in model.session.run(buffer, 1)], box, model.limits)


@pytest.mark.fetched
@pytest.mark.parametrize("runtime", ["onnx", "openvino"])
def test_an_export_of_batch_4_answers_as_its_exporter(fetched, runtime):
    reference = json.loads((REFERENCE / "yolov8n-batch4.json").read_text())["pictures"]
    request = ModelRequest("m", fetched("random/yolov8n-batch4.onnx"), runtime=runtime, precision="f32", confidence=0.1)
    model = load(replace(request, iou=0.7, max_detections=100, scaling="exact"), "latency")
    assert model.session.plan.ladder == (1,)
    for name, facts in reference.items():
        wanted = facts["runs"]["square-iou0.7"]
        found = answers(model, cv2.imread(str(fetched(f"media/{name}"))))
        shown = len(wanted["xyxy"])
        lost = 0
        for box, confidence, label in zip(wanted["xyxy"], wanted["confidence"], wanted["class_id"], strict=True):
            near = (np.abs(found.xyxy - box).max(1) < 0.5) & (np.abs(found.confidence - confidence) < 0.005)
            lost += not (near & (found.class_id == label)).any()
        assert shown >= 30
        assert lost <= 1, name  # one decision of suppression hangs on rounding
    model.session.close()
