"""A folded model answers to the picture's bytes what the original answers to its values."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from vidette.errors import ModelError
from vidette.optimising.folding import fold, folded
from vidette.pixels.preprocess import Preprocess, slot_shape

OPSET = [helper.make_opsetid("", 17)]


def model(layout: str, dtype: int, *, inner: bool = False, channels: int = 3) -> onnx.ModelProto:
    """The input itself, by way of an If that reads it from outside when `inner`."""
    shape = ["n", channels, "h", "w"] if layout == "nchw" else ["n", "h", "w", channels]
    nodes = [helper.make_node("Identity", ["x"], ["y"])]
    tensors = []
    if inner:
        branches = {
            name: helper.make_graph(
                [helper.make_node("Identity", ["x"], [f"{name}_y"])],
                name,
                [],
                [helper.make_tensor_value_info(f"{name}_y", dtype, shape)],
            )
            for name in ("then_branch", "else_branch")
        }
        nodes = [helper.make_node("If", ["yes"], ["y"], **branches)]
        tensors = [numpy_helper.from_array(np.array(True), "yes")]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", dtype, shape)],
        [helper.make_tensor_value_info("y", dtype, shape)],
        tensors,
    )
    made = helper.make_model(graph, opset_imports=OPSET, ir_version=9)
    helper.set_model_props(made, {"names": "{0: 'a'}", "stride": "32"})
    return made


@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
@pytest.mark.parametrize(("element", "dtype"), [(TensorProto.FLOAT, "float32"), (TensorProto.FLOAT16, "float16")])
@pytest.mark.parametrize(
    "numbers",
    [
        {},
        {"mean": (123.675, 116.28, 103.53), "scale": (1 / 58.395, 1 / 57.12, 1 / 57.375)},
        {"scale": (1.0, 1.0, 1.0)},
        {"mean": (104.0, 117.0, 123.0), "scale": (1.0, 1.0, 1.0)},
        {"colour": "grey", "mean": (127.5,), "scale": (1 / 127.5,)},
        {"colour": "grey", "mean": (0.0,), "scale": (1.0,)},
    ],
)
@pytest.mark.parametrize("inner", [False, True])
def test_equals_the_formula(layout, element, dtype, numbers, inner):
    preprocess = Preprocess(layout=layout, dtype=dtype, **numbers)
    result = fold(model(layout, element, inner=inner, channels=preprocess.channels), "x", preprocess)
    onnx.checker.check_model(result, full_check=True)
    assert {entry.key: entry.value for entry in result.metadata_props} == {"names": "{0: 'a'}", "stride": "32"}
    pixels = np.random.default_rng(0).integers(0, 256, (2, 5, 7, preprocess.channels)).astype(np.uint8)
    (found,) = onnxruntime.InferenceSession(result.SerializeToString(), providers=["CPUExecutionProvider"]).run(
        None, {"x": pixels}
    )
    wanted = (pixels.astype(np.float64) - preprocess.mean) * preprocess.scale
    wanted = wanted.transpose(0, 3, 1, 2) if layout == "nchw" else wanted
    assert found.dtype == np.dtype(dtype)
    np.testing.assert_allclose(found, wanted, rtol=1e-3 if dtype == "float16" else 1e-5, atol=1e-5)


def test_bytes_with_channels_first_are_only_turned():
    result = fold(model("nchw", TensorProto.UINT8), "x", Preprocess(dtype="uint8", scale=(1.0,) * 3))
    assert [node.op_type for node in result.graph.node] == ["Transpose", "Identity"]


def test_one_channel_stays_one():
    grey = folded(Preprocess(colour="grey", mean=(127.5,), scale=(1 / 127.5,)))
    assert grey.identity == "grey, pixel, letterbox on 114, nhwc uint8"
    assert (slot_shape(grey, 2, (5, 7)), grey.mean, grey.scale) == ((2, 5, 7, 1), (0.0,), (1.0,))


def test_the_original_is_left_alone():
    original = model("nchw", TensorProto.FLOAT)
    before = original.SerializeToString()
    fold(original, "x", Preprocess())
    assert original.SerializeToString() == before


def test_what_cannot_be_folded():
    with pytest.raises(ModelError, match="nothing to fold"):
        fold(model("nhwc", TensorProto.UINT8), "x", folded(Preprocess()))
    with pytest.raises(ModelError, match="int32"):
        fold(model("nhwc", TensorProto.INT32), "x", Preprocess(layout="nhwc", dtype="int32"))
