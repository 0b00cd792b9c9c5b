"""Models that answer with what a test has chosen: their outputs are constants, which the input cannot change."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

TYPES = {"float32": TensorProto.FLOAT, "uint8": TensorProto.UINT8}


def make_constant(path: Path, inputs, outputs, last=None, factor=None) -> Path:
    """Write a model to `path`.

    inputs   name -> (dtype, shape)
    outputs  name -> array, with the batch; or a list of parts that are joined along axis 1
    last     name, or (name, number of part) -> the operator that its numbers go through at the end
    factor   the input that all float outputs are multiplied by the mean of
    """
    last = last or {}
    nodes, constants = [], []

    def add(op, inputs, output, **attributes):
        nodes.append(helper.make_node(op, inputs, [output], **attributes))
        return output

    def constant(value, name):
        constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    picture = next(iter(inputs))
    add("Cast", [picture], "floats", to=TensorProto.FLOAT)
    add("ReduceMean", ["floats"], "mean", keepdims=0)
    nothing = add("Mul", ["mean", constant(np.float32(0), "zero")], "nothing")
    if factor:
        add("ReduceMean", [factor], "factor", keepdims=0)

    def through(array, name, op):
        value = add("Add", [constant(np.asarray(array, np.float32), f"{name}.value"), nothing], f"{name}.floats")
        if factor:
            value = add("Mul", [value, "factor"], f"{name}.scaled")
        return add(op, [value], f"{name}.last", **({"axis": 1} if op == "Softmax" else {})) if op else value

    infos = []
    for name, value in outputs.items():
        if isinstance(value, list):
            parts = [through(part, f"{name}.{i}", last.get((name, i))) for i, part in enumerate(value)]
            value = np.concatenate(value, axis=1)
            joined = add("Concat", parts, f"{name}.joined", axis=1)
        else:
            joined = through(value, name, last.get(name))
        kind = helper.np_dtype_to_tensor_dtype(value.dtype)
        if kind != TensorProto.FLOAT:
            joined = add("Cast", [joined], f"{name}.cast", to=kind)
        add("Identity", [joined], name)
        infos.append(helper.make_tensor_value_info(name, kind, value.shape))
    given = [helper.make_tensor_value_info(name, TYPES[dtype], shape) for name, (dtype, shape) in inputs.items()]
    graph = helper.make_graph(nodes, "constant", given, infos, constants)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), str(path))
    return path
