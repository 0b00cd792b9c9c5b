"""The nodes of an ONNX graph, read from its bytes, and declarations of tensors to write.

Field numbers: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from vidette.protobuf import Data, Span, delimited, fields_of, text, varint


@dataclass(frozen=True, slots=True)
class Node:
    """One operator: its type, and the names of the tensors that it takes and gives."""

    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


def read_node(data: Data, span: Span) -> Node:
    """NodeProto{input = 1, output = 2, op_type = 4}."""
    op = ""
    inputs: list[str] = []
    outputs: list[str] = []
    for number, start, end, _ in fields_of(data, span):
        if number == 1:
            inputs.append(text(data, (start, end)))
        elif number == 2:
            outputs.append(text(data, (start, end)))
        elif number == 4:
            op = text(data, (start, end))
    return Node(op, tuple(inputs), tuple(outputs))


def declared(name: str, element: int, dims: Sequence[int | str | None]) -> bytes:
    """ValueInfoProto of a tensor; a text is a symbol, None a size that nothing is said of."""
    shape = b"".join(
        delimited(1, delimited(2, size.encode()) if isinstance(size, str) else b"\x08" + varint(size) if size else b"")
        for size in dims
    )
    tensor = b"\x08" + varint(element) + delimited(2, shape)
    return delimited(1, name.encode()) + delimited(2, delimited(1, tensor))
