"""Small models for the runtimes' tests, and their float64 twins."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from vidette.onnxfile import read_signature
from vidette.pixels.preprocess import Preprocess
from vidette.runtimes.base import ModelFile, Wish

WEIGHT = np.random.default_rng(1).normal(size=(5, 3, 1, 1)).astype(np.float32)
OPSET = [helper.make_opsetid("", 17)]


def twin(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The 1x1 convolution and its ReLU in float64."""
    return np.maximum(np.einsum("oc,nchw->nohw", WEIGHT[:, :, 0, 0].astype(np.float64), values), 0)


def save(path: Path, nodes: list[Any], input_value: Any, outputs: list[Any], weights: list[Any]) -> Path:
    model = helper.make_model(helper.make_graph(nodes, "m", [input_value], outputs, weights), opset_imports=OPSET)
    model.ir_version = 8
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())
    return path


def model_file(path: Path, **preprocess: Any) -> ModelFile:
    """As a family would describe it: fixed sizes are those of the declaration."""
    signature = read_signature(path)
    shape = signature.inputs[0].shape
    nhwc = preprocess.get("layout") == "nhwc"
    height, width = shape[1:3] if nhwc else shape[2:]
    facts = {"dtype": signature.inputs[0].dtype, "batch": shape[0], "height": height, "width": width, **preprocess}
    return ModelFile(path.stem, path, signature, Preprocess(**facts), dynamic=preprocess.get("dynamic", False))


def conv(
    path: Path, shape: tuple[int | str, ...] = ("n", 3, "h", "w"), dtype: int = TensorProto.FLOAT, declared: Any = None
) -> Path:
    """Conv + ReLU of (n, 3, h, w), and the sum over the channels as a second output."""
    kind = helper.tensor_dtype_to_np_dtype(dtype)
    nodes = [
        helper.make_node("Conv", ["images", "weight"], ["c"]),
        helper.make_node("Relu", ["c"], ["boxes"]),
        helper.make_node("ReduceSum", ["boxes", "axis"], ["total"], keepdims=1),
    ]
    out = declared or [shape[0], 5, *shape[2:]]
    outputs = [
        helper.make_tensor_value_info("boxes", dtype, out),
        helper.make_tensor_value_info("total", dtype, [out[0], 1, *out[2:]]),
    ]
    weights = [numpy_helper.from_array(WEIGHT.astype(kind), "weight"), numpy_helper.from_array(np.array([1]), "axis")]
    return save(path, nodes, helper.make_tensor_value_info("images", dtype, list(shape)), outputs, weights)


def nhwc_uint8(path: Path) -> Path:
    """The same convolution behind a Cast and a Transpose of (n, h, w, 3) uint8."""
    nodes = [
        helper.make_node("Cast", ["images"], ["f"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["f"], ["t"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["t", "weight"], ["c"]),
        helper.make_node("Relu", ["c"], ["boxes"]),
    ]
    shape = ["n", "h", "w", 3]
    return save(
        path,
        nodes,
        helper.make_tensor_value_info("images", TensorProto.UINT8, shape),
        [helper.make_tensor_value_info("boxes", TensorProto.FLOAT, ["n", 5, "h", "w"])],
        [numpy_helper.from_array(WEIGHT, "weight")],
    )


def quantised(path: Path) -> Path:
    """uint8 activations, int8 weights per channel, in QDQ form; inputs of 0..1."""
    scale = np.abs(WEIGHT).max(axis=(1, 2, 3)) / 127
    weight = np.round(WEIGHT / scale[:, None, None, None]).astype(np.int8)
    initializers = {
        "xs": np.float32(1 / 255), "xz": np.uint8(0), "w": weight, "ws": scale, "wz": np.zeros(5, np.int8),
    }  # fmt: skip
    nodes = [
        helper.make_node("QuantizeLinear", ["images", "xs", "xz"], ["xq"]),
        helper.make_node("DequantizeLinear", ["xq", "xs", "xz"], ["xd"]),
        helper.make_node("DequantizeLinear", ["w", "ws", "wz"], ["wd"], axis=0),
        helper.make_node("Conv", ["xd", "wd"], ["c"]),
        helper.make_node("Relu", ["c"], ["boxes"]),
    ]
    return save(
        path,
        nodes,
        helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, 16, 24]),
        [helper.make_tensor_value_info("boxes", TensorProto.FLOAT, [1, 5, 16, 24])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in initializers.items()],
    )


def only_at_16(path: Path) -> Path:
    """Declares any height and width, but adds a constant of 16x16."""
    nodes = [helper.make_node("Add", ["images", "grid"], ["boxes"])]
    shape = ["n", 3, "h", "w"]
    return save(
        path,
        nodes,
        helper.make_tensor_value_info("images", TensorProto.FLOAT, shape),
        [helper.make_tensor_value_info("boxes", TensorProto.FLOAT, shape)],
        [numpy_helper.from_array(np.ones((1, 3, 16, 16), np.float32), "grid")],
    )


def slow(path: Path, convolutions: int = 64) -> Path:
    """Some hundred milliseconds at 512x512: long enough to be stopped."""
    weight = np.zeros((32, 32, 3, 3), np.float32)
    first = np.zeros((32, 3, 3, 3), np.float32)
    nodes = [helper.make_node("Conv", ["images", "first"], ["x0"], pads=[1, 1, 1, 1])]
    for index in range(convolutions):
        nodes.append(helper.make_node("Conv", [f"x{index}", "weight"], [f"x{index + 1}"], pads=[1, 1, 1, 1]))
    return save(
        path,
        nodes,
        helper.make_tensor_value_info("images", TensorProto.FLOAT, ["n", 3, "h", "w"]),
        [helper.make_tensor_value_info(f"x{convolutions}", TensorProto.FLOAT, ["n", 32, "h", "w"])],
        [numpy_helper.from_array(weight, "weight"), numpy_helper.from_array(first, "first")],
    )


def fill(buffer: Any, seed: int = 0, scale: float = 1 / 255) -> np.ndarray[Any, Any]:
    """Random pixels in all slots; the input values that they stand for, channels first, in float64.

    Slots of floats hold values, those of bytes levels, which the runtime or the graph scales.
    """
    slots = buffer.slots
    nhwc = slots.shape[3] == 3
    shape = np.transpose(slots, (0, 3, 1, 2)).shape if nhwc else slots.shape
    levels = np.random.default_rng(seed).integers(0, 256, shape)
    held = levels if slots.dtype == np.uint8 else levels * scale
    slots[:] = held.transpose(0, 2, 3, 1) if nhwc else held
    return levels * scale


F32 = Wish(precision="f32", cores=2)
