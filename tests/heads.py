"""Detectors with the head of Ultralytics' models, small and with random weights: three maps of a picture's means, and
what their exporters write behind them."""

from pathlib import Path
from typing import Literal

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

STRIDES = (8, 16, 32)

Harm = Literal["middle", "stride", "bins", "corners", "scores", "others"]


def make_head(
    path: Path,
    *,
    size: tuple[int, int] | None = None,
    batch: int | None = None,
    classes: int = 5,
    others: int = 0,
    bins: int = 16,
    joined: bool = False,
    asks: bool = False,
    harm: Harm | None = None,
) -> Path:
    """Write a model to `path`; with `others` it has as many mask coefficients and prototypes.

    size    (height, width) that the file fixes, None for any
    joined  boxes and scores of a level are one tensor for a while, as in v8
    asks    how many cells there are is asked of what the convolutions are computed from, as in exports of any size
    harm    what differs from Ultralytics' arithmetic: places are the corners of cells (`middle`), a level has another
            stride, the distribution other values (`bins`), boxes stay corners (`corners`), scores have another slope,
            the other numbers are not copied
    """
    rng = np.random.default_rng(3)
    weights: dict[str, np.ndarray] = {
        "half": np.float32(0 if harm == "middle" else 0.5), "two": np.float32(2), "one": np.float32(1),
        "slope": np.float32(2 if harm == "scores" else 1), "gain": np.float32(3 if harm == "others" else 1),
        "x_axis": np.int64(3), "y_axis": np.int64(2), "first": np.array([0]), "second": np.array([1]),
        "half_way": np.array([2]), "end": np.array([4]), "channel": np.array([1]),
        "flat": np.array([0, 0, -1]), "sides": np.array([0, 4, bins, -1]), "four": np.array([0, 4, -1]),
        "split": np.array([4 * bins, classes]), "single": np.array([1, 1]),
        "numbers": np.arange(bins, dtype=np.float32)[None, :, None, None] * (1.5 if harm == "bins" else 1),
    }  # fmt: skip
    nodes = []

    def node(op: str, *inputs: str, out: str, **attributes: object) -> str:
        nodes.append(helper.make_node(op, list(inputs), [out], **attributes))
        return out

    def convolution(name: str, source: str, channels: int) -> str:
        weights[f"{name}_w"] = rng.normal(0, 6, (channels, 3, 1, 1)).astype(np.float32)
        weights[f"{name}_b"] = rng.normal(-1, 1, channels).astype(np.float32)
        return node("Conv", source, f"{name}_w", f"{name}_b", out=name)

    parts: dict[str, list[str]] = {name: [] for name in ("box", "score", "other", "joined", "x", "y", "stride")}
    for level, stride in enumerate(STRIDES):
        means = node("AveragePool", "images", out=f"p{level}", kernel_shape=[stride] * 2, strides=[stride] * 2)
        maps = {"box": convolution(f"box{level}", means, 4 * bins), "score": convolution(f"s{level}", means, classes)}
        if others:
            maps["other"] = convolution(f"o{level}", means, others)
        if joined:
            both = node("Concat", maps.pop("box"), maps.pop("score"), out=f"both{level}", axis=1)
            maps["joined"] = both
        for name, each in maps.items():
            parts[name].append(node("Reshape", each, "flat", out=f"{each}_flat"))
        if asks:
            sides = node("Slice", node("Shape", means, out=f"shape{level}"), "half_way", "end", out=f"sides{level}")
            ones = node(
                "Expand", "one", node("Concat", "single", sides, out=f"cells{level}", axis=0), out=f"ones{level}"
            )
        else:
            plane = node("Slice", f"box{level}", "first", "second", "channel", out=f"plane{level}")
            ones = node("Add", node("Sub", plane, plane, out=f"zeros{level}"), "one", out=f"ones{level}")
        for axis in "xy":
            count = node("CumSum", ones, f"{axis}_axis", out=f"{axis}count{level}")
            middle = node("Sub", count, "one", out=f"{axis}corner{level}")
            middle = node("Add", middle, "half", out=f"{axis}middle{level}")
            parts[axis].append(node("Reshape", middle, "flat", out=f"{axis}{level}"))
        weights[f"stride{level}"] = np.float32(20 if harm == "stride" and level == 1 else stride)
        scale = node("Mul", ones, f"stride{level}", out=f"scale{level}")
        parts["stride"].append(node("Reshape", scale, "flat", out=f"stride_flat{level}"))
    whole = {name: node("Concat", *each, out=f"all_{name}", axis=2) for name, each in parts.items() if each}
    if joined:
        nodes.append(helper.make_node("Split", [whole["joined"], "split"], ["all_box", "all_score"], axis=1))
    distances = "all_box"
    if bins > 1:
        turned = node("Transpose", node("Reshape", distances, "sides", out="by_side"), out="bins", perm=[0, 2, 1, 3])
        mean = node("Conv", node("Softmax", turned, out="shares", axis=1), "numbers", out="mean")
        distances = node("Reshape", mean, "four", out="distances")
    centre = node("Concat", "all_x", "all_y", out="middles", axis=1)
    low = node("Sub", centre, node("Slice", distances, "first", "half_way", "channel", out="lt"), out="low")
    high = node("Add", centre, node("Slice", distances, "half_way", "end", "channel", out="rb"), out="high")
    middle = node("Div", node("Add", low, high, out="sum"), "two", out="box_middle")
    extent = node("Sub", high, low, out="extent")
    pair = (low, high) if harm == "corners" else (middle, extent)
    boxes = node("Mul", node("Concat", *pair, out="cells", axis=1), "all_stride", out="boxes")
    rows = [boxes, node("Sigmoid", node("Mul", "all_score", "slope", out="steep"), out="scores")]
    if others:
        rows.append("all_other" if harm != "others" else node("Mul", "all_other", "gain", out="louder"))
    node("Concat", *rows, out="output0", axis=1)
    first: int | str = batch or "batch"
    height, width = size or ("height", "width")
    outputs = [helper.make_tensor_value_info("output0", TensorProto.FLOAT, [first, 4 + classes + others, None])]
    if others:
        pooled = node("AveragePool", "images", out="quarter", kernel_shape=[4, 4], strides=[4, 4])
        prototypes = convolution("output1", pooled, others)
        outputs.append(helper.make_tensor_value_info(prototypes, TensorProto.FLOAT, [first, others, None, None]))
    graph = helper.make_graph(
        nodes, "head", [helper.make_tensor_value_info("images", TensorProto.FLOAT, [first, 3, height, width])], outputs,
        [numpy_helper.from_array(np.asarray(value), name) for name, value in weights.items()],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    names = {number: f"class {number}" for number in range(classes)}
    task = "segment" if others else "detect"
    helper.set_model_props(model, {"task": task, "names": str(names), "stride": "32", "imgsz": "[96, 96]"})
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
    return path
