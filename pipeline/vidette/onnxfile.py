"""What an ONNX file says of itself, read from its bytes.

A session of ONNX Runtime would hold the weights in memory once more, and importing the `onnx` package costs a quarter
of a second, only to learn names and shapes. An ONNX file is a protobuf message: length-prefixed fields, of which the
few that matter are read and the weights are skipped without being touched (the file is memory-mapped).

Layout: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto (the field numbers below).
"""

import mmap
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from vidette.errors import ModelError
from vidette.onnxgraph import read_node
from vidette.protobuf import Data, MalformedError, Span, fields_of, message, number_of, text
from vidette.sidecar import load_sidecar
from vidette.signature import Signature, Tensor

# TensorProto.DataType -> numpy's name of it
_DTYPES = {
    1: "float32", 2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 6: "int32", 7: "int64", 8: "string", 9: "bool",
    10: "float16", 11: "float64", 12: "uint32", 13: "uint64", 14: "complex64", 15: "complex128", 16: "bfloat16",
}  # fmt: skip


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
        except MalformedError as error:
            raise damaged(path, len(data), error.needs) from None
    if not signature.inputs or not signature.outputs:
        raise ModelError(f"{path}: an ONNX file without inputs or outputs, nothing to run: export it again")
    return signature


def _signature(path: Path, data: Data) -> Signature:
    graph: Span | None = None
    metadata: dict[str, str] = {}
    opset = 0
    for number, start, end, _ in fields_of(data, (0, len(data))):
        if number == 7:
            graph = start, end
        elif number == 8:  # opset_import: OperatorSetIdProto{domain = 1, version = 2}
            fields = message(data, (start, end))
            if text(data, fields.get(1)) in ("", "ai.onnx"):
                opset = number_of(data, fields.get(2))
        elif number == 14:  # metadata_props: StringStringEntryProto{key = 1, value = 2}
            fields = message(data, (start, end))
            metadata[text(data, fields.get(1))] = text(data, fields.get(2))
    if graph is None:
        raise MalformedError
    inputs: list[Tensor] = []
    outputs: list[Tensor] = []
    weights: set[str] = set()
    ops: set[str] = set()
    sources: dict[str, tuple[str, str]] = {}  # tensor -> the operator it comes out of, that one's first input
    for number, start, end, _ in fields_of(data, graph):
        if number == 1:  # node
            node = read_node(data, (start, end))
            ops.add(node.op)
            sources.update((result, (node.op, (*node.inputs, "")[0])) for result in node.outputs)
        elif number == 5:  # initializer: TensorProto{name = 8, external_data = 13}
            fields = message(data, (start, end))
            weights.add(text(data, fields.get(8)))
            if 13 in fields:
                _check_external(path, data, (start, end))
        elif number == 15:  # sparse_initializer: SparseTensorProto.values = 1
            weights.add(text(data, message(data, message(data, (start, end)).get(1)).get(8)))
        elif number in (11, 12):  # input, output
            name, element, dims = value_info(data, (start, end))
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


def _last(name: str, sources: Mapping[str, tuple[str, str]]) -> str:
    """The operator that a tensor comes out of, those that only lay its numbers out otherwise left out."""
    op = ""
    for _ in sources:  # a damaged file could go round in circles
        op, name = sources.get(name, ("", ""))
        if op not in _LAYOUT_OPS:
            break
    return op


def _check_external(path: Path, data: Data, tensor: Span) -> None:
    """Weights may lie in a second file, which people forget to copy."""
    for number, start, end, _ in fields_of(data, tensor):
        entry = message(data, (start, end)) if number == 13 else {}
        if text(data, entry.get(1)) == "location":
            other = path.parent / text(data, entry.get(2))
            if not other.is_file():
                raise ModelError(f"{path}: its weights lie in {other.name}, which is missing: copy it beside the model")


def value_info(data: Data, span: Span | None) -> tuple[str, int, tuple[int | None, ...]]:
    """ValueInfoProto{name = 1, type = 2} -> name, element type, dims; None where a dim is symbolic or not positive."""
    value = message(data, span)
    tensor = message(data, message(data, value.get(2)).get(1))  # TypeProto.tensor_type = 1{elem_type = 1, shape = 2}
    dims: list[int | None] = []
    if 2 in tensor:
        for number, start, end, _ in fields_of(data, tensor[2]):
            if number == 1:  # TensorShapeProto.dim = 1{dim_value = 1, dim_param = 2}
                size = number_of(data, message(data, (start, end)).get(1))
                dims.append(size if 0 < size < 1 << 63 else None)  # some exporters write -1 for "any"
    return text(data, value.get(1)), number_of(data, tensor.get(1)), tuple(dims)


def damaged(path: Path, size: int, needs: int) -> ModelError:
    """The error for bytes that are no ONNX model, or `needs` bytes of one and have `size`."""
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
