"""ONNX graphs in memory, through the `onnx` package; only this room needs it."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from vidette.errors import ModelError

Graph = Any
"""`onnx.ModelProto`."""


def import_onnx() -> Any:
    """The package. Raises ModelError that says how to get it."""
    try:
        import onnx
    except ImportError:
        raise ModelError('optimising needs the package onnx: pip install "vidette[optimise]"') from None
    return onnx


def read(path: Path, opened: bytes | None = None) -> Graph:
    """The whole model with its weights; `opened` is its content with wider declarations.

    Weights that old files (IR version 3) list as inputs are inputs no more: they are constants. Raises ModelError.
    """
    onnx = import_onnx()
    try:
        model = onnx.load(str(path)) if opened is None else onnx.load_from_string(opened)
    except Exception as error:  # protobuf's and onnx's exceptions share no base of their own
        raise ModelError(f"{path}: the onnx package cannot read it: {error}") from error
    weights = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in weights]
    if len(inputs) < len(model.graph.input):
        del model.graph.input[:]
        model.graph.input.extend(inputs)
        model.ir_version = max(model.ir_version, 4)
    return model


def save(model: Graph, path: Path) -> None:
    """Check and write. Raises ModelError for a graph that contradicts itself, or that one file cannot hold."""
    onnx = import_onnx()
    try:
        onnx.checker.check_model(model)
        onnx.save(model, str(path))
    except Exception as error:  # as above
        raise ModelError(f"{path.name}: the optimised graph is not valid: {error}") from error


def declare(path: Path, like: Path) -> None:
    """Give the file the inputs and outputs that `like` declares: families know a model by them."""
    model, other = read(path), read(like)
    for ours, theirs in ((model.graph.input, other.graph.input), (model.graph.output, other.graph.output)):
        del ours[:]
        ours.extend(theirs)
    del model.graph.value_info[:]
    import_onnx().save(model, str(path))


def producers(model: Graph) -> Mapping[str, Any]:
    """Tensor -> the node that it comes out of."""
    return {name: node for node in model.graph.node for name in node.output}


def renamed(graph: Any, old: str, new: str) -> None:
    """Let all nodes, those of inner graphs too, read `new` instead of `old`."""
    for node in graph.node:
        for index, name in enumerate(node.input):
            if name == old:
                node.input[index] = new
        for inner in _inner(node):
            if old not in {value.name for value in inner.input}:  # hidden by an input of the same name
                renamed(inner, old, new)


def _inner(node: Any) -> Iterator[Any]:
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs
