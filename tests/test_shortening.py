"""Graphs that end at their last convolutions: the same objects, and only where that is proved."""

from dataclasses import replace

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from tests.conftest import Collecting, make_job
from tests.heads import make_head
from vidette import onnxcut
from vidette.errors import DecodeError
from vidette.families.base import Thresholds
from vidette.families.maps import Maps
from vidette.frame import Picture
from vidette.job import ModelRequest
from vidette.models import Model, describe, load
from vidette.pixels.letterbox import fit
from vidette.runtimes import openvino
from vidette.runtimes.base import ModelFile, Wish, writer
from vidette.runtimes.cpu import OnnxCpu
from vidette.runtimes.openvino import OpenVino, default_precision
from vidette.runtimes.simulated import Simulated
from vidette.shortening import shortened

RUNTIMES = (OnnxCpu(), OpenVino())
WISH = Wish(precision="f32")


def described(path, **changes):
    found = describe(path)
    preprocess = found.recognised.preprocess
    return ModelFile("m", path, found.signature, preprocess, found.recognised.dynamic, **changes), found.recognised


def picture(width, height, seed=0):
    return Picture(np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8))


def answers(runtime, file, recognised, width, height, limits, wish=WISH):
    """What the decoder makes of a run of the graph that `file` names."""
    plan = runtime.plan(file, wish)
    session = runtime.open(file, plan)
    try:
        shape = file.preprocess.height or height, file.preprocess.width or width
        box = fit(width, height, shape[1], shape[0], "letterbox")
        buffer = session.buffer(shape)
        count = len(buffer.slots)
        for slot in range(count):
            writer(session, file.preprocess).write(picture(width, height, slot), box, buffer, slot)
        outputs = session.run(buffer, count)
        return [recognised.decoder([output[slot] for output in outputs], box, limits) for slot in range(count)]
    finally:
        session.stop()
        session.close()


def same(found, expected):
    assert len(found) == len(expected) > 0
    np.testing.assert_allclose(found.xyxy, expected.xyxy, atol=0.01)
    np.testing.assert_allclose(found.confidence, expected.confidence, atol=1e-5)
    np.testing.assert_array_equal(found.class_id, expected.class_id)
    if expected.masks is not None:
        for index in range(len(expected)):
            one, other = found.masks.crop(index), expected.masks.crop(index)
            assert one.shape == other.shape
            assert (one != other).mean() < 0.01


@pytest.mark.parametrize("runtime", RUNTIMES, ids=lambda runtime: runtime.name)
@pytest.mark.parametrize(
    "kind",
    [{}, {"size": (64, 96)}, {"joined": True}, {"size": (96, 64), "batch": 2}, {"bins": 1}, {"others": 6},
     {"others": 6, "joined": True, "size": (64, 64)}, {"asks": True}, {"classes": 1, "bins": 8}],
    ids=str,
)  # fmt: skip
def test_a_shortened_graph_has_the_objects_of_the_whole_one(tmp_path, runtime, kind):
    file, recognised = described(make_head(tmp_path / "m.onnx", **kind))
    short, reader = shortened(runtime, file, recognised)
    assert short.cut is not None
    assert [output.name for output in short.signature.outputs][-1] != "output0"
    limits = Thresholds(confidence=0.3, iou=0.6)
    found = answers(runtime, short, reader, 96, 64, limits)
    for one, other in zip(found, answers(runtime, file, recognised, 96, 64, limits), strict=True):
        same(one, other)


@pytest.mark.skipif(default_precision() != "bf16", reason="this CPU computes in another precision")
@pytest.mark.parametrize("kind", [{}, {"size": (96, 64), "batch": 2}, {"others": 6}], ids=str)
def test_maps_that_are_computed_in_bfloat16_come_so_and_say_the_same(tmp_path, monkeypatch, kind):
    runtime, limits = OpenVino(), Thresholds(confidence=0.3, iou=0.6)
    short, reader = shortened(runtime, *described(make_head(tmp_path / "m.onnx", **kind)))
    session = runtime.open(short, runtime.plan(short, Wish()))
    outputs = session.run(session.buffer((64, 96) if not kind.get("size") else kind["size"]), 1)
    assert [each.dtype.name for each in outputs] == [each.dtype for each in session.returned]
    halves = [each.dtype == np.uint16 for each in outputs]
    assert sum(halves) == len(short.cut.maps) == len(outputs) - bool(kind.get("others"))
    session.close()
    found = answers(runtime, short, reader, 96, 64, limits, Wish())
    monkeypatch.setattr(openvino, "_halves", lambda model, plan: frozenset())
    for one, other in zip(found, answers(runtime, short, reader, 96, 64, limits, Wish()), strict=True):
        assert len(one) > 0
        np.testing.assert_array_equal(one.xyxy, other.xyxy)
        np.testing.assert_array_equal(one.confidence, other.confidence)


@pytest.mark.parametrize("options", [{}, {"INFERENCE_PRECISION_HINT": "f32"}], ids=str)
def test_maps_that_are_computed_in_float32_come_so(tmp_path, options):
    runtime = OpenVino()
    short, _ = shortened(runtime, *described(make_head(tmp_path / "m.onnx")))
    session = runtime.open(short, runtime.plan(short, Wish(options=options, precision="auto" if options else "f32")))
    assert {each.dtype.name for each in session.run(session.buffer((64, 96)), 1)} == {"float32"}
    assert session.plan.precision == "f32"


@pytest.mark.parametrize("runtime", RUNTIMES, ids=lambda runtime: runtime.name)
@pytest.mark.parametrize("harm", ["middle", "stride", "bins", "corners", "scores", "others"])
def test_arithmetic_that_differs_stays_in_the_graph(tmp_path, runtime, harm):
    file, recognised = described(make_head(tmp_path / "m.onnx", others=6 if harm == "others" else 0, harm=harm))
    assert shortened(runtime, file, recognised) == (file, recognised)


def test_channels_that_do_not_tell_boxes_from_scores_stay_in_the_graph(tmp_path):
    file, recognised = described(make_head(tmp_path / "m.onnx", classes=64))
    assert shortened(OnnxCpu(), file, recognised) == (file, recognised)


def test_a_runtime_that_gains_nothing_gets_the_whole_graph(tmp_path):
    file, recognised = described(make_head(tmp_path / "m.onnx"))
    assert shortened(Simulated(1, 0), file, recognised) == (file, recognised)


def test_weights_in_another_file_stay_where_they_are(tmp_path):
    make_head(tmp_path / "m.onnx")
    model = onnx.load(str(tmp_path / "m.onnx"))
    onnx.save(
        model, str(tmp_path / "m.onnx"), save_as_external_data=True, location="weights", size_threshold=0,
        convert_attribute=False,
    )  # fmt: skip
    file, recognised = described(tmp_path / "m.onnx")
    assert shortened(OnnxCpu(), file, recognised) == (file, recognised)


def test_weights_of_another_type_stay_in_the_graph(tmp_path):
    make_head(tmp_path / "m.onnx")
    model = onnx.load(str(tmp_path / "m.onnx"))
    for weight in model.graph.initializer:
        if weight.name == "box0_w":
            half = numpy_helper.to_array(weight).astype(np.float16)
            weight.CopyFrom(numpy_helper.from_array(half, "half_w"))
            model.graph.node.insert(0, helper.make_node("Cast", ["half_w"], ["box0_w"], to=onnx.TensorProto.FLOAT))
    onnx.save(model, str(tmp_path / "m.onnx"))
    file, recognised = described(tmp_path / "m.onnx")
    assert shortened(OnnxCpu(), file, recognised) == (file, recognised)


@pytest.mark.parametrize("asks", [False, True])
@pytest.mark.parametrize("op", ["Conv", "Shape", "Reshape", "Softmax", "Transpose", "Concat", "Sigmoid"])
def test_damaged_nodes_are_left_to_whoever_opens_the_file(tmp_path, op, asks):
    path = make_head(tmp_path / "m.onnx", asks=asks)
    for inputs in ([], ["mean"], ["output0"], ["nowhere"]):
        model = onnx.load(str(path))
        for node in model.graph.node:
            if node.op_type == op:
                node.input[:] = inputs
        broken = tmp_path / "broken.onnx"
        onnx.save(model, str(broken))
        file, recognised = described(broken)
        short, _ = shortened(OnnxCpu(), file, recognised)
        touched = op in {node.op_type for node in model.graph.node}
        assert (short.cut is None) == touched


@pytest.mark.parametrize("content", [None, b"", b"not a model"])
def test_a_file_that_changes_meanwhile_is_left_to_whoever_opens_it(tmp_path, content):
    file, recognised = described(make_head(tmp_path / "m.onnx"))
    file.path.unlink()
    if content is not None:
        file.path.write_bytes(content)
    assert shortened(OnnxCpu(), file, recognised) == (file, recognised)


def test_an_output_of_the_pictures_themselves_has_no_cut(tmp_path):
    make_head(tmp_path / "m.onnx")
    data = (tmp_path / "m.onnx").read_bytes()
    assert onnxcut.find(data, "p0") is None
    cut = onnxcut.find(data, "scores")
    assert cut is not None
    assert [each.name for each in cut.maps] == ["s0", "s1", "s2"]


def test_both_parts_are_whole_models(tmp_path):
    make_head(tmp_path / "m.onnx", others=6)
    data = (tmp_path / "m.onnx").read_bytes()
    cut = onnxcut.find(data, "output0")
    assert cut is not None
    for part in (b"".join(onnxcut.shortened(data, cut)), onnxcut.rest(data, cut)):
        model = onnx.load_from_string(part)
        onnx.checker.check_model(model)
        used = {name for node in model.graph.node for name in node.input}
        assert {weight.name for weight in model.graph.initializer} <= used
    assert [o.name for o in onnx.load_from_string(b"".join(onnxcut.shortened(data, cut))).graph.output][-1] == "output1"


@pytest.mark.parametrize("runtime", ["onnx", "openvino"])
def test_a_job_runs_the_short_graph_and_says_the_same(tmp_path, runtime, run):
    path = make_head(tmp_path / "m.onnx")
    model = load(ModelRequest("m", path, device="cpu", runtime=runtime, precision="f32"), "throughput")
    assert isinstance(model, Model)
    assert model.decoder.maps == Maps((8, 16, 32))
    model.session.stop()
    model.session.close()
    sink = Collecting()
    run(make_job(path, {"s": "testsrc:?size=96x64&frames=3"}, [sink], runtime=runtime, precision="f32", confidence=0.3))
    assert len(sink.results) == 3
    assert all(len(result.predictions) for result in sink.results)


def test_maps_that_lie_about_their_shape_fail_the_frame(tmp_path):
    _, recognised = described(make_head(tmp_path / "m.onnx"))
    decoder = replace(recognised.decoder, maps=Maps((8, 16, 32)))
    box = fit(96, 64, 96, 64, "letterbox")
    maps = [np.zeros((8 >> level, 12 >> level, channels), np.float32) for channels in (64, 5) for level in range(3)]
    assert not len(decoder(maps, box, Thresholds(confidence=0.6)))
    boxes, scores = maps[:3], maps[3:]
    for wrong in (
        [*boxes, *scores[:2], scores[2][:, 1:]],
        [*boxes, *(each[..., :4] for each in scores)],
        [*(each[..., :3] for each in boxes), *scores],
    ):
        with pytest.raises(DecodeError, match="expected maps"):
            decoder(wrong, box, Thresholds())
    maps[4][0, 0] = np.nan
    with pytest.raises(DecodeError, match="not numbers"):
        decoder(maps, box, Thresholds())
