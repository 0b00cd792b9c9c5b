"""Models with a second input that is the same for every picture: fed by every runtime, made once per buffer."""

from dataclasses import replace

import numpy as np
import pytest
from onnx import TensorProto, helper

from tests.runtimes import models
from vidette.families import reading
from vidette.onnxfile import read_signature
from vidette.pixels.preprocess import Extra
from vidette.runtimes import onnx
from vidette.runtimes.base import ModelFile, Wish
from vidette.runtimes.cpu import OnnxCpu
from vidette.runtimes.cuda import BoundSession, Cuda
from vidette.runtimes.openvino import OpenVino


def two_inputs(path, kind=TensorProto.INT64, mask=("n", "h", "w"), last=True):
    """Says what it was given: the sizes, the mask's shape and sum, the pictures' sums."""
    nodes = [
        helper.make_node("Cast", ["orig_target_sizes"], ["sizes"], to=TensorProto.FLOAT),
        helper.make_node("Shape", ["pixel_mask"], ["mask_shape"]),
        helper.make_node("Cast", ["pixel_mask"], ["mask_values"], to=TensorProto.FLOAT),
        helper.make_node("ReduceSum", ["mask_values"], ["mask_sum"], keepdims=0),
        helper.make_node("ReduceMax", ["images"], ["most"], axes=[1, 2, 3], keepdims=0),
    ]
    inputs = [
        helper.make_tensor_value_info("images", TensorProto.FLOAT, ["n", 3, "h", "w"]),
        helper.make_tensor_value_info("orig_target_sizes", kind, ["n", 2]),
        helper.make_tensor_value_info("pixel_mask", TensorProto.INT64, list(mask)),
    ]
    if last:
        inputs = inputs[::-1]
    outputs = [
        helper.make_tensor_value_info("sizes", TensorProto.FLOAT, ["n", 2]),
        helper.make_tensor_value_info("mask_shape", TensorProto.INT64, [3]),
        helper.make_tensor_value_info("mask_sum", TensorProto.FLOAT, []),
        helper.make_tensor_value_info("most", TensorProto.FLOAT, ["n"]),
    ]
    graph = helper.make_graph(nodes, "m", inputs, outputs)
    model = helper.make_model(graph, opset_imports=models.OPSET)
    model.ir_version = 8
    path.write_bytes(model.SerializeToString())
    signature = read_signature(path)
    preprocess = reading.picture_input(signature)
    assert preprocess is not None
    return ModelFile("m", path, signature, preprocess)


def bound(model):
    session = onnx.create(model, ["CPUExecutionProvider"], 1, {}, arena=True)
    return BoundSession(session, model, Cuda().plan(model, Wish(max_batch=2)), "cpu", 0)


RUNTIMES = {
    "onnx": lambda model: OnnxCpu().open(model, OnnxCpu().plan(model, Wish())),
    "openvino": lambda model: OpenVino().open(model, OpenVino().plan(model, Wish(precision="f32"))),
    "cuda": bound,
}


@pytest.fixture(params=RUNTIMES)
def opened(request):
    return RUNTIMES[request.param]


@pytest.mark.parametrize("kind", [TensorProto.INT64, TensorProto.INT32, TensorProto.FLOAT])
@pytest.mark.parametrize("last", [False, True])
def test_the_model_gets_the_width_and_the_height_of_its_input(opened, tmp_path, kind, last):
    session = opened(two_inputs(tmp_path / "m.onnx", kind, last=last))
    for shape in ((32, 64), (64, 32), (32, 64)):
        buffer = session.buffer(shape)
        buffer.slots[:] = np.arange(len(buffer.slots))[:, None, None, None]
        sizes, mask_shape, mask_sum, most = (np.array(output) for output in session.run(buffer, len(buffer.slots)))
        np.testing.assert_array_equal(sizes, [shape[::-1]] * len(buffer.slots))
        assert mask_shape.tolist() == [len(buffer.slots), *shape]
        assert mask_sum == np.prod(mask_shape)
        levels = np.arange(len(buffer.slots)) / (255 if buffer.slots.dtype == np.uint8 else 1)
        np.testing.assert_allclose(most.ravel(), levels, rtol=1e-6)


def test_a_mask_of_its_own_size(opened, tmp_path):
    session = opened(two_inputs(tmp_path / "m.onnx", mask=("n", 4, 6)))
    buffer = session.buffer((32, 64))
    assert np.array(session.run(buffer, 1)[1])[1:].tolist() == [4, 6]


def test_more_sizes_than_are_compiled(opened, tmp_path):
    session = opened(two_inputs(tmp_path / "m.onnx"))
    buffers = [session.buffer((32, 32 * wide)) for wide in range(1, 8)]
    for wide, buffer in enumerate(buffers, 1):
        sizes, mask_shape, *_ = (np.array(output) for output in session.run(buffer, 1))
        assert sizes[0].tolist() == [32 * wide, 32]
        assert mask_shape[1:].tolist() == [32, 32 * wide]


def test_a_fixed_batch(opened, tmp_path):
    model = two_inputs(tmp_path / "m.onnx")
    session = opened(replace(model, preprocess=replace(model.preprocess, batch=3)))
    assert np.array(session.run(session.buffer((32, 64)), 2)[0]).tolist() == [[64, 32]] * 3


def test_numbers_of_the_family():
    extra = Extra("scale", "float32", (1.0, 0.5))
    np.testing.assert_array_equal(extra.values(2, (32, 64)), np.array([[1, 0.5]] * 2, np.float32))
    assert extra.shape(2, (-1, -1)) == (2, 2)
