"""An ONNX file with declarations that are wider than the file's own, written from its bytes.

For files whose declaration is narrower than their graph: sizes that were frozen by the exporter although every
operator takes any, and batches. Field numbers: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from vidette.onnxfile import damaged, value_info
from vidette.onnxgraph import declared, read_node
from vidette.protobuf import (
    Field,
    MalformedError,
    Span,
    delimited,
    fields_of,
    message,
    number_of,
    read_varint,
    text,
    varint,
)

_INT64 = 7  # TensorProto.DataType


def open_shapes(data: bytes, axes: Mapping[int, str]) -> bytes:
    """The same model with the given axes of its inputs (axis -> symbol) and all sizes of its outputs left open.

    Inferred shapes in between (`value_info`) are dropped, because they repeat the declaration. With axis 0 opened, a
    constant that a Reshape of the picture's data takes as its target and that begins with the declared batch leaves
    that open too; whether the graph then does the same with another batch must be tried (`rebatching.py`).

    Raises ModelError when `data` is not an ONNX model.
    """
    try:
        return b"".join(
            delimited(7, _graph(data, (start, end), axes)) if number == 7 else data[whole:end]  # ModelProto.graph
            for number, start, end, whole in fields_of(data, (0, len(data)))
        )
    except MalformedError as error:
        raise damaged(Path("the model"), len(data), error.needs) from None


def _graph(data: bytes, graph: Span, axes: Mapping[int, str]) -> bytes:
    fields = list(fields_of(data, graph))
    weights = {text(data, message(data, (start, end)).get(8)) for number, start, end, _ in fields if number == 5}
    inputs = [value_info(data, (start, end)) for number, start, end, _ in fields if number == 11]
    pictures = {name: dims for name, _, dims in inputs if name not in weights}
    batch = next(iter(pictures.values()), (None,))[:1] if 0 in axes else (None,)
    targets = _targets(data, fields, set(pictures)) if batch and batch[0] else set()
    parts: list[bytes] = []
    for number, start, end, whole in fields:
        if number == 13:  # value_info
            continue
        part = data[whole:end]
        if number == 11:
            name, element, dims = value_info(data, (start, end))
            if name in pictures:
                part = delimited(11, declared(name, element, [axes.get(axis, size) for axis, size in enumerate(dims)]))
        elif number == 12:
            name, element, dims = value_info(data, (start, end))
            part = delimited(12, declared(name, element, [f"{name}_{axis}" for axis in range(len(dims))]))
        elif number == 5 and text(data, message(data, (start, end)).get(8)) in targets:
            part = delimited(5, _opened(data, (start, end), batch[0]))
        elif number == 1 and targets:
            part = delimited(1, _constant(data, (start, end), targets, batch[0]))
        parts.append(part)
    return b"".join(parts)


def _targets(data: bytes, fields: Sequence[Field], pictures: set[str]) -> set[str]:
    """Tensors that are nothing else than the target of Reshapes of what was computed from the pictures."""
    computed = set(pictures)  # nodes stand in the order in which they run
    targets: set[str] = set()
    others: set[str] = set()
    for number, start, end, _ in fields:
        if number != 1:
            continue
        node = read_node(data, (start, end))
        if computed.intersection(node.inputs):
            computed.update(node.outputs)
        if node.op == "Reshape" and len(node.inputs) == 2 and node.inputs[0] in computed:
            targets.add(node.inputs[1])
            others.add(node.inputs[0])
        else:
            others.update(node.inputs)
    return targets - others


def _constant(data: bytes, span: Span, targets: set[str], batch: int | None) -> bytes:
    """A node, its value opened where it is a Constant that gives a target."""
    node = read_node(data, span)
    if node.op != "Constant" or not targets.intersection(node.outputs):
        return data[span[0] : span[1]]
    parts = []
    for number, start, end, whole in fields_of(data, span):
        part = data[whole:end]
        if number == 5:  # AttributeProto{t = 5}
            part = delimited(
                5,
                b"".join(
                    delimited(5, _opened(data, (inner, stop), batch)) if field == 5 else data[begin:stop]
                    for field, inner, stop, begin in fields_of(data, (start, end))
                ),
            )
        parts.append(part)
    return b"".join(parts)


def _opened(data: bytes, span: Span, batch: int | None) -> bytes:
    """A tensor of int64 sizes whose first is the batch, with that left open: inferred, or copied from the input where
    another is inferred already."""
    fields = message(data, span)
    sizes = _sizes(data, span) if number_of(data, fields.get(2)) == _INT64 else None
    if sizes is None or not len(sizes) or sizes[0] != batch:
        return data[span[0] : span[1]]
    sizes = sizes.copy()
    sizes[0] = 0 if -1 in sizes else -1
    # TensorProto{dims = 1, data_type = 2, name = 8, raw_data = 9}
    name = delimited(8, data[slice(*fields[8])]) if 8 in fields else b""
    return b"\x08" + varint(len(sizes)) + b"\x10" + varint(_INT64) + name + delimited(9, sizes.tobytes())


def _sizes(data: bytes, span: Span) -> npt.NDArray[np.int64]:
    """The values of an int64 tensor, from raw_data = 9 or int64_data = 7 (packed or one by one)."""
    values: list[int] = []
    for number, start, end, _ in fields_of(data, span):
        if number == 9:
            return np.frombuffer(data[start:end], "<i8")
        at = start
        while number == 7 and at < end:
            value, at = read_varint(data, at, end)
            values.append(value - (1 << 64) if value >> 63 else value)
    return np.array(values, np.int64)
