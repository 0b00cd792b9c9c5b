"""What an ONNX file says of itself, read from its bytes.

A session of ONNX Runtime would hold the weights in memory once more, and importing the `onnx` package costs a quarter
of a second, only to learn names and shapes. An ONNX file is a protobuf message: length-prefixed fields, of which the
few that matter are read and the weights are skipped without being touched (the file is memory-mapped).

Layout: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto (field numbers below) and
https://protobuf.dev/programming-guides/encoding/ (varints, tags, wire types).
"""

import mmap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

from vidette.errors import ModelError
from vidette.families.base import Signature, Tensor
from vidette.sidecar import load_sidecar

_Data: TypeAlias = bytes | mmap.mmap
_Span: TypeAlias = tuple[int, int]  # where a length-delimited field lies: start, end

# TensorProto.DataType -> numpy's name of it
_DTYPES = {
    1: "float32", 2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 6: "int32", 7: "int64", 8: "string", 9: "bool",
    10: "float16", 11: "float64", 12: "uint32", 13: "uint64", 14: "complex64", 15: "complex128", 16: "bfloat16",
}  # fmt: skip

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


class _Malformed(Exception):
    """The bytes are not a protobuf message; `needs` is where a field that was cut off would have ended."""

    def __init__(self, needs: int | None = None) -> None:
        super().__init__()
        self.needs = needs


def export_lines(weights: str) -> str:
    """The two lines, joined by a semicolon, with which Ultralytics makes an ONNX file of its weights."""
    return f'from ultralytics import YOLO; YOLO("{weights}").export(format="onnx", dynamic=True)'


def read_signature(path: Path) -> Signature:
    """Names, shapes, types, metadata and operators of the model at `path`, with its sidecar; weights are not read.

    Raises ModelError when the file is missing, is something else than an ONNX file, or is damaged.
    """
    _refuse_other_kinds(path)
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        try:
            signature = _signature(path, data)
        except _Malformed as error:
            raise ModelError(_damaged(path, len(data), error.needs)) from None
    if not signature.inputs or not signature.outputs:
        raise ModelError(f"{path}: an ONNX file without inputs or outputs: nothing to run; export it again")
    return signature


def open_shapes(data: bytes, axes: Mapping[int, str]) -> bytes:
    """The same model with the given axes of its inputs (axis -> symbol) and all sizes of its outputs left open.

    For files whose declaration is narrower than their graph. Inferred shapes in between (`value_info`) are dropped
    because they repeat the declaration. Raises ModelError when `data` is not an ONNX model.
    """
    try:
        parts: list[bytes] = []
        for number, start, end, whole in _spans(data, (0, len(data))):
            if number == 7:  # ModelProto.graph
                parts.append(_delimited(7, _open_graph(data, (start, end), axes)))
            else:
                parts.append(data[whole : end])
        return b"".join(parts)
    except _Malformed as error:
        raise ModelError(_damaged(Path("model"), len(data), error.needs)) from None


def _signature(path: Path, data: _Data) -> Signature:
    graph: _Span | None = None
    metadata: dict[str, str] = {}
    opset = 0
    for number, start, end, _ in _spans(data, (0, len(data))):
        if number == 7:  # graph
            graph = start, end
        elif number == 8:  # opset_import: OperatorSetIdProto{domain = 1, version = 2}
            fields = _message(data, (start, end))
            if _text(data, fields.get(1)) in ("", "ai.onnx"):
                opset = _number(data, fields.get(2))
        elif number == 14:  # metadata_props: StringStringEntryProto{key = 1, value = 2}
            fields = _message(data, (start, end))
            metadata[_text(data, fields.get(1))] = _text(data, fields.get(2))
    if graph is None:
        raise _Malformed
    inputs: list[Tensor] = []
    outputs: list[Tensor] = []
    weights: set[str] = set()
    ops: set[str] = set()
    for number, start, end, _ in _spans(data, graph):
        if number == 1:  # NodeProto.op_type = 4
            ops.add(_text(data, _message(data, (start, end)).get(4)))
        elif number == 5:  # initializer: TensorProto{name = 8, external_data = 13}
            fields = _message(data, (start, end))
            weights.add(_text(data, fields.get(8)))
            if 13 in fields:
                _check_external(path, data, (start, end))
        elif number == 15:  # sparse_initializer: SparseTensorProto.values = 1
            weights.add(_text(data, _message(data, _message(data, (start, end)).get(1)).get(8)))
        elif number == 11:
            inputs.append(_tensor(data, (start, end)))
        elif number == 12:
            outputs.append(_tensor(data, (start, end)))
    # Files of IR version 3 and before list their weights as inputs too.
    return Signature(
        inputs=tuple(tensor for tensor in inputs if tensor.name not in weights),
        outputs=tuple(outputs),
        metadata=metadata,
        sidecar=load_sidecar(path),
        ops=frozenset(ops),
        opset=opset,
    )
