"""Which nodes stay in float, by the structure of the graph."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from tests.optimising.models import convolved
from vidette.errors import ModelError
from vidette.optimising import graph
from vidette.optimising.quantising import head, quantise


def chain(*ops: str) -> onnx.ModelProto:
    """x -> ops one after the other -> y; nodes are called by their number, and one has no name."""
    nodes = []
    for number, op in enumerate(ops):
        inputs = [f"t{number}", *(["w"] if op in ("Conv", "Reshape") else [])]
        nodes.append(helper.make_node(op, inputs, [f"t{number + 1}"], name=str(number) if number else ""))
    value = helper.make_tensor_value_info
    made = helper.make_graph(
        nodes, "g", [value("t0", TensorProto.FLOAT, None)], [value(f"t{len(ops)}", TensorProto.FLOAT, None)]
    )
    return helper.make_model(made)


@pytest.mark.parametrize(
    ("ops", "left"),
    [
        (("Conv", "Relu", "Conv", "Sigmoid"), {"2", "3"}),
        (("Conv", "Relu", "Conv"), {"2"}),
        # the expectation over a distribution is a convolution, and no end of the walk
        (("Conv", "Relu", "Conv", "Reshape", "Softmax", "Conv", "Reshape"), {"2", "3", "4", "5", "6"}),
        (("Conv", "Conv", "Transpose", "Conv", "Concat"), {"1", "2", "3", "4"}),
        (("Relu", "Sigmoid"), {"Relu_0", "1"}),
    ],
)
def test_the_head_is_what_lies_behind_the_last_convolutions_and_they(ops, left):
    assert set(head(chain(*ops))) == left


def test_nothing_to_quantise(tmp_path):
    with pytest.raises(ModelError, match="nothing to quantise"):
        quantise(chain("Relu", "Conv"), [], tmp_path / "q.onnx")


def test_only_what_lies_before_the_head_is_quantised(tmp_path):
    path = convolved(tmp_path / "m.onnx")
    feeds = [{"images": np.random.default_rng(0).random((1, 3, 64, 64)).astype(np.float32)}]
    counts = quantise(graph.read(path), feeds, tmp_path / "q.onnx")
    model = onnx.load(str(tmp_path / "q.onnx"))
    made_by = graph.producers(model)
    nodes = {node.name: node for node in model.graph.node}
    assert counts[0] == 1
    assert made_by[nodes["conv1"].input[0]].op_type == "DequantizeLinear"
    assert nodes["conv2"].input[1] == "same2"
    last = made_by["output0"]
    assert last.op_type == "Reshape"
    assert made_by[last.input[0]].op_type == "Concat"
    assert {entry.key for entry in model.metadata_props} >= {"names", "task", "stride"}
