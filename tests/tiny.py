"""A detector that a test can reason about: one object per bright cell, exact in float32.

The input is cut into cells of `STRIDE` pixels. Each cell is a candidate: its box is the cell, the score of class c is
the mean of channel c there. The output is Ultralytics' detection head, (batch, 4 + channels, cells).
"""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

STRIDE = 32
LABELS = ("red", "green", "blue")
GREY_LABELS = ("bright",)


def make_detector(
    path: Path,
    *,
    size: tuple[int, int] | None = None,
    batch: int | None = None,
    works_only_at: tuple[int, int] | None = None,
    nan: bool = False,
    task: str = "detect",
    grey: bool = False,
) -> Path:
    """Write the model to `path`.

    size            (height, width) that the file fixes, None for any
    batch           the batch that the file fixes, None for any
    works_only_at   declares any size, but reshapes to this one inside
    nan             all scores are NaN
    grey            one channel
    """
    labels = GREY_LABELS if grey else LABELS
    channels, rows = len(labels), 4 + len(labels)
    height, width = size or ("height", "width")
    image = helper.make_tensor_value_info("images", TensorProto.FLOAT, [batch or "batch", channels, height, width])
    output = helper.make_tensor_value_info("output0", TensorProto.FLOAT, [batch or "batch", rows, None])
    constants = {
        "one": np.float32(1), "half": np.float32(0.5), "stride": np.float32(STRIDE),
        "first": np.array([0], np.int64), "last": np.array([1], np.int64), "channel": np.array([1], np.int64),
        "x_axis": np.int64(3), "y_axis": np.int64(2), "flat": np.array([0, rows, -1], np.int64),
        "nan": np.float32(np.nan if nan else 1),
    }  # fmt: skip
    nodes = [
        helper.make_node("AveragePool", ["images"], ["cells"], kernel_shape=[STRIDE] * 2, strides=[STRIDE] * 2),
        helper.make_node("Mul", ["cells", "nan"], ["scores"]),
        helper.make_node("Slice", ["cells", "first", "last", "channel"], ["plane"]),
        helper.make_node("Sub", ["plane", "plane"], ["zeros"]),
        helper.make_node("Add", ["zeros", "one"], ["ones"]),
        *[
            node
            for axis in "xy"
            for node in (
                helper.make_node("CumSum", ["ones", f"{axis}_axis"], [f"{axis}_count"]),
                helper.make_node("Sub", [f"{axis}_count", "half"], [f"{axis}_cell"]),
                helper.make_node("Mul", [f"{axis}_cell", "stride"], [f"{axis}_centre"]),
            )
        ],
        helper.make_node("Mul", ["ones", "stride"], ["extent"]),
        helper.make_node("Concat", ["x_centre", "y_centre", "extent", "extent", "scores"], ["grid"], axis=1),
        helper.make_node("Reshape", ["grid", "flat"], ["output0"]),
    ]
    if works_only_at is not None:
        cells = works_only_at[0] // STRIDE * (works_only_at[1] // STRIDE)
        constants["flat"] = np.array([0, rows, cells], np.int64)
    graph = helper.make_graph(
        nodes, "tiny", [image], [output],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    names = dict(enumerate(labels))
    helper.set_model_props(model, {"task": task, "names": str(names), "stride": str(STRIDE), "imgsz": "[320, 320]"})
    onnx.save(model, str(path))
    return path
