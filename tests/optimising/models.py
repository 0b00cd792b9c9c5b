"""The tiny detector behind two convolutions that change nothing."""

from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

from tests.tiny import make_detector
from vidette.optimising.graph import renamed


def convolved(path: Path, **options: object) -> Path:
    model = onnx.load(str(make_detector(path, **options)))  # type: ignore[arg-type]
    renamed(model.graph, "images", "conv2")
    same = np.eye(3, dtype=np.float32)[:, :, None, None]
    model.graph.initializer.extend(numpy_helper.from_array(same, name) for name in ("same1", "same2"))
    nodes = [
        helper.make_node("Conv", ["images", "same1"], ["conv1"], name="conv1"),
        helper.make_node("Relu", ["conv1"], ["active"], name="active"),
        helper.make_node("Conv", ["active", "same2"], ["conv2"], name="conv2"),
    ]
    for position, node in enumerate(nodes):
        model.graph.node.insert(position, node)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
    return path
