"""What an ONNX file says of itself, read from its bytes.

A session of ONNX Runtime would hold the weights in memory once more, and importing the `onnx` package costs a quarter
of a second, only to learn names and shapes. An ONNX file is a protobuf message: length-prefixed fields, of which the
few that matter are read and the weights are skipped without being touched (the file is memory-mapped).

Layout: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto (the field numbers below) and
https://protobuf.dev/programming-guides/encoding/ (varints, tags, wire types).
"""

import mmap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

from vidette.errors import ModelError
from vidette.sidecar import load_sidecar
from vidette.signature import Signature, Tensor

_Data: TypeAlias = bytes | mmap.mmap
_Field: TypeAlias = tuple[int, int, int, int]  # number, start and end of the value, start of the whole field
_Span: TypeAlias = tuple[int, int]

# TensorProto.DataType -> numpy's name of it
_DTYPES = {
    1: "float32", 2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 6: "int32", 7: "int64", 8: "string", 9: "bool",
    10: "float16", 11: "float64", 12: "uint32", 13: "uint64", 14: "complex64", 15: "complex128", 16: "bfloat16",
}  # fmt: skip


class _MalformedError(Exception):
    """Not a protobuf message, or `needs` bytes of one that is cut short."""

    def __init__(self, needs: int = 0) -> None:
        super().__init__()
        self.needs = needs


def export_lines(weights: str) -> str:
    """The two lines, joined by a semicolon, with which Ultralytics makes an ONNX file of its weights."""
    return f'from ultralytics import YOLO; YOLO("{weights}").export(format="onnx", dynamic=True)'


def read_signature(path: Path) -> Signature:
    """Names, shapes, types, metadata and operators of the model at `path`, and its sidecar; weights are not read.

    Raises ModelError when the file is missing, is something else than an ONNX file, or is damaged.
    """
    _refuse_other_kinds(path)
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        try:
            signature = _signature(path, data)
        except _MalformedError as error:
            raise _damaged(path, len(data), error.needs) from None
    if not signature.inputs or not signature.outputs:
        raise ModelError(f"{path}: an ONNX file without inputs or outputs, nothing to run: export it again")
    return signature


def open_shapes(data: bytes, axes: Mapping[int, str]) -> bytes:
    """The same model with the given axes of its inputs (axis -> symbol) and all sizes of its outputs left open.

    For files whose declaration is narrower than their graph. Inferred shapes in between (`value_info`) are dropped,
    because they repeat the declaration. Raises ModelError when `data` is not an ONNX model.
    """
    try:
        return b"".join(
            _delimited(7, _open_graph(data, (start, end), axes)) if number == 7 else data[whole:end]  # ModelProto.graph
            for number, start, end, whole in _fields(data, (0, len(data)))
        )
    except _MalformedError as error:
        raise _damaged(Path("the model"), len(data), error.needs) from None


def _signature(path: Path, data: _Data) -> Signature:
    graph: _Span | None = None
    metadata: dict[str, str] = {}
    opset = 0
    for number, start, end, _ in _fields(data, (0, len(data))):
        if number == 7:
            graph = start, end
        elif number == 8:  # opset_import: OperatorSetIdProto{domain = 1, version = 2}
            fields = _message(data, (start, end))
            if _text(data, fields.get(1)) in ("", "ai.onnx"):
                opset = _number(data, fields.get(2))
        elif number == 14:  # metadata_props: StringStringEntryProto{key = 1, value = 2}
            fields = _message(data, (start, end))
            metadata[_text(data, fields.get(1))] = _text(data, fields.get(2))
    if graph is None:
        raise _MalformedError
    inputs: list[Tensor] = []
    outputs: list[Tensor] = []
    weights: set[str] = set()
    ops: set[str] = set()
    sources: dict[str, tuple[str, str]] = {}  # tensor -> the operator it comes out of, that one's first input
    for number, start, end, _ in _fields(data, graph):
        if number == 1:  # node
            op, first, results = _node(data, (start, end))
            ops.add(op)
            sources.update((result, (op, first)) for result in results)
        elif number == 5:  # initializer: TensorProto{name = 8, external_data = 13}
            fields = _message(data, (start, end))
            weights.add(_text(data, fields.get(8)))
            if 13 in fields:
                _check_external(path, data, (start, end))
        elif number == 15:  # sparse_initializer: SparseTensorProto.values = 1
            weights.add(_text(data, _message(data, _message(data, (start, end)).get(1)).get(8)))
        elif number in (11, 12):  # input, output
            name, element, dims = _value(data, (start, end))
            (inputs if number == 11 else outputs).append(Tensor(name, dims, _DTYPES.get(element, f"type {element}")))
    # Files of IR version 3 and before list their weights as inputs too.
    return Signature(
        inputs=tuple(tensor for tensor in inputs if tensor.name not in weights),
        outputs=tuple(replace(output, op=_last(output.name, sources)) for output in outputs),
        metadata=metadata,
        sidecar=load_sidecar(path),
        ops=frozenset(ops),
        opset=opset,
    )


_LAYOUT_OPS = frozenset({"Cast", "Flatten", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze"})


def _node(data: _Data, span: _Span) -> tuple[str, str, list[str]]:
    """NodeProto{input = 1, output = 2, op_type = 4} -> operator, first input, outputs."""
    op = first = ""
    results: list[str] = []
    for number, start, end, _ in _fields(data, span):
        if number == 1 and not first:
            first = _text(data, (start, end))
        elif number == 2:
            results.append(_text(data, (start, end)))
        elif number == 4:
            op = _text(data, (start, end))
    return op, first, results


def _last(name: str, sources: Mapping[str, tuple[str, str]]) -> str:
    """The operator that a tensor comes out of, those that only lay its numbers out otherwise left out."""
    op = ""
    for _ in sources:  # a damaged file could go round in circles
        op, name = sources.get(name, ("", ""))
        if op not in _LAYOUT_OPS:
            break
    return op


def _check_external(path: Path, data: _Data, tensor: _Span) -> None:
    """Weights may lie in a second file, which people forget to copy."""
    for number, start, end, _ in _fields(data, tensor):
        entry = _message(data, (start, end)) if number == 13 else {}
        if _text(data, entry.get(1)) == "location":
            other = path.parent / _text(data, entry.get(2))
            if not other.is_file():
                raise ModelError(f"{path}: its weights lie in {other.name}, which is missing: copy it beside the model")


def _value(data: _Data, span: _Span | None) -> tuple[str, int, tuple[int | None, ...]]:
    """ValueInfoProto{name = 1, type = 2} -> name, element type, dims; None where a dim is symbolic or not positive."""
    value = _message(data, span)
    tensor = _message(data, _message(data, value.get(2)).get(1))  # TypeProto.tensor_type = 1{elem_type = 1, shape = 2}
    dims: list[int | None] = []
    if 2 in tensor:
        for number, start, end, _ in _fields(data, tensor[2]):
            if number == 1:  # TensorShapeProto.dim = 1{dim_value = 1, dim_param = 2}
                size = _number(data, _message(data, (start, end)).get(1))
                dims.append(size if 0 < size < 1 << 63 else None)  # some exporters write -1 for "any"
    return _text(data, value.get(1)), _number(data, tensor.get(1)), tuple(dims)


def _open_graph(data: bytes, graph: _Span, axes: Mapping[int, str]) -> bytes:
    fields = list(_fields(data, graph))
    weights = {_text(data, _message(data, (start, end)).get(8)) for number, start, end, _ in fields if number == 5}
    parts: list[bytes] = []
    for number, start, end, whole in fields:
        if number == 13:  # value_info
            continue
        name, element, dims = _value(data, (start, end)) if number in (11, 12) else ("", 0, ())
        opened: list[int | str | None]
        if number == 11 and name not in weights:
            opened = [axes.get(axis, size) for axis, size in enumerate(dims)]
        elif number == 12:
            opened = [f"{name}_{axis}" for axis in range(len(dims))]
        else:
            parts.append(data[whole:end])
            continue
        parts.append(_delimited(number, _encode_value(name, element, opened)))
    return b"".join(parts)


def _encode_value(name: str, element: int, dims: Sequence[int | str | None]) -> bytes:
    shape = b"".join(
        _delimited(
            1, _delimited(2, size.encode()) if isinstance(size, str) else b"\x08" + _varint(size) if size else b""
        )
        for size in dims
    )
    tensor = b"\x08" + _varint(element) + _delimited(2, shape)
    return _delimited(1, name.encode()) + _delimited(2, _delimited(1, tensor))


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def _delimited(number: int, payload: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(payload)) + payload


def _read_varint(data: _Data, at: int, end: int) -> tuple[int, int]:
    value = shift = 0
    while at < end and shift < 70:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7
    raise _MalformedError(needs=at + 1 if at >= end else 0)


def _fields(data: _Data, span: _Span) -> Iterator[_Field]:
    """The fields of one message; a varint's span is that of its bytes."""
    at, end = span
    while at < end:
        whole = at
        tag, at = _read_varint(data, at, end)
        number, wire = tag >> 3, tag & 7
        if wire == 0:
            start = at
            _, at = _read_varint(data, at, end)
        elif wire == 2:
            size, start = _read_varint(data, at, end)
            at = start + size
        elif wire in (1, 5):  # eight and four bytes
            start = at
            at += 8 if wire == 1 else 4
        else:
            raise _MalformedError
        if at > end:
            # Beyond the end of the file it is cut short, beyond the end of its own message it is nonsense.
            raise _MalformedError(needs=at if end == len(data) else 0)
        yield number, start, at, whole


def _message(data: _Data, span: _Span | None) -> dict[int, _Span]:
    """The last occurrence of each field; nothing where the message is absent."""
    return {number: (start, end) for number, start, end, _ in _fields(data, span)} if span else {}


def _text(data: _Data, span: _Span | None) -> str:
    return data[span[0] : span[1]].decode(errors="replace") if span else ""


def _number(data: _Data, span: _Span | None) -> int:
    return _read_varint(data, *span)[0] if span else 0


def _damaged(path: Path, size: int, needs: int) -> ModelError:
    if needs > size:
        return ModelError(f"{path}: cut short: {size} bytes of at least {needs}: download or export it again")
    return ModelError(f"{path}: not an ONNX model, or a damaged one: download or export it again")


_OTHER_SUFFIXES = {
    ".pt": "PyTorch weights",
    ".pth": "PyTorch weights",
    ".torchscript": "a TorchScript model",
    ".engine": "a TensorRT engine",
    ".plan": "a TensorRT engine",
    ".trt": "a TensorRT engine",
    ".tflite": "a TensorFlow Lite model",
    ".keras": "a Keras model",
    ".h5": "a Keras model",
    ".xml": "an OpenVINO model",
    ".bin": "weights of another format",
    ".mlpackage": "a Core ML model",
    ".mlmodel": "a Core ML model",
    ".safetensors": "bare weights (safetensors)",
}


def _kind(path: Path, head: bytes) -> str | None:
    """What a file that is not ONNX is, by its first bytes or its name; None where it may be ONNX."""
    suffix = _OTHER_SUFFIXES.get(path.suffix.lower())
    if head.startswith(b"PK\x03\x04"):  # torch.save and torch.jit.save write zip archives
        torch = b"/data.pkl" in head or b"/version" in head or b"/byteorder" in head
        return suffix or ("PyTorch weights" if torch else "a zip archive")
    if head[4:8] == b"TFL3":
        return "a TensorFlow Lite model"
    if head.startswith(b"\x89HDF\r\n"):
        return "a Keras model"
    if head.lstrip().startswith(b"<?xml") or head.startswith(b"<net"):
        return "an OpenVINO model"
    if head.startswith((b"ftrt", b"ptrt")):
        return "a TensorRT engine"
    if head.startswith(b"\x80\x02"):  # pickle protocol 2: torch.save before 1.6
        return "PyTorch weights"
    return suffix


def _refuse_other_kinds(path: Path) -> None:
    if path.is_dir():
        what = "an OpenVINO model" if any(path.glob("*.xml")) else "a folder"
        raise ModelError(f"{path}: {what}, not an ONNX file: name the .onnx file itself")
    try:
        with path.open("rb") as file:
            head = file.read(1024)
    except FileNotFoundError:
        raise ModelError(f"{path}: no such model file") from None
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror})") from None
    if not head:
        raise ModelError(f"{path}: empty (0 bytes): download or export it again")
    if head.startswith(b"version https://git-lfs"):
        raise ModelError(f"{path}: only a pointer of Git LFS: run `git lfs pull` to fetch the model itself")
    if head.lstrip()[:15].lower().startswith((b"<!doctype html", b"<html")):
        raise ModelError(f"{path}: a web page, not a model: the download link led to a page; download the file itself")
    kind = _kind(path, head)
    if kind:
        weights = path.name if path.suffix.lower() == ".pt" else f"{path.stem}.pt"
        raise ModelError(f"{path}: {kind}, but Vidette runs ONNX files; export one: {export_lines(weights)}")
    if all(byte in b"\t\n\r" or 32 <= byte < 127 for byte in head):
        raise ModelError(f"{path}: a text file, not an ONNX model: name the .onnx file")
