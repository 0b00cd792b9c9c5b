"""int8 in QDQ form: bytes for activations, signed bytes per output channel for weights.

Boxes and scores meet in one tensor at the end of most detectors; with one scale for both, scores round to nothing and
nothing is found. So the head stays in float. It is found by the structure of the graph: walking back from the outputs,
every node up to and including the last convolutions. A convolution that reads what a Reshape, Transpose or Softmax
gives is arithmetic (the expectation over a box's distribution is written so) and does not end the walk.
"""

import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy.typing as npt

from vidette.errors import ModelError
from vidette.optimising.folding import PREFIX
from vidette.optimising.graph import Graph, import_onnx, producers, save

Feed = Mapping[str, npt.NDArray[Any]]
_SILENT, _WARNINGS = 4, 2  # of the library, which starts with the latter
_ARITHMETIC = frozenset({"Reshape", "Transpose", "Softmax"})


def head(model: Graph) -> list[str]:
    """Names of the nodes that stay in float; unnamed nodes are given a name in place."""
    for number, node in enumerate(model.graph.node):
        node.name = node.name or f"{node.op_type}_{number}"
    made_by = producers(model)
    found: dict[str, Any] = {}
    tensors = [output.name for output in model.graph.output]
    while tensors:
        node = made_by.get(tensors.pop())
        if node is None or node.name in found:
            continue
        found[node.name] = node
        source = made_by.get(node.input[0]) if node.op_type == "Conv" else None
        if node.op_type == "Conv" and (source is None or source.op_type not in _ARITHMETIC):
            continue
        tensors.extend(node.input)
    return list(found)


def _at_least_opset_13(model: Graph) -> Graph:
    """Scales per channel came with opset 13 of QuantizeLinear."""
    onnx = import_onnx()
    version = next(entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx"))
    return onnx.version_converter.convert_version(model, 13) if version < 13 else model


class _Reader:
    """What onnxruntime's calibration asks for pictures."""

    def __init__(self, feeds: Iterable[Feed]) -> None:
        self._feeds = iter(feeds)

    def get_next(self) -> Feed | None:
        """The next picture's inputs, None after the last."""
        return next(self._feeds, None)


def quantise(model: Graph, feeds: Iterable[Feed], path: Path) -> tuple[int, int]:
    """Write the model in int8 to `path`, ranges taken from `feeds` (input name -> array).

    Returns how many convolutions are quantised and how many nodes the head has. Raises ModelError when there is
    nothing to quantise, or a package is missing.
    """
    import_onnx()
    try:
        import onnxruntime
        from onnxruntime import quantization
    except ImportError as error:
        raise ModelError(f'quantising needs onnxruntime and onnx: pip install "vidette[optimise]" ({error})') from None
    model = _at_least_opset_13(model)
    left = head(model)
    convolutions = [node for node in model.graph.node if node.op_type == "Conv" and node.name not in left]
    if not convolutions:
        raise ModelError("no convolution lies before its head: there is nothing to quantise")
    save(model, path)
    added = [node.name for node in model.graph.node if node.name.startswith(PREFIX)]
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)  # it advises a preparation that wants another package and gains nothing here
    onnxruntime.set_default_logger_severity(_SILENT)  # its sessions warn of every weight that no node reads
    try:
        quantization.quantize_static(
            str(path),
            str(path),
            _Reader(feeds),
            quant_format=quantization.QuantFormat.QDQ,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
            per_channel=True,
            nodes_to_exclude=[*left, *added],
        )
    except Exception as error:  # the library's exceptions share no base of their own
        raise ModelError(f"onnxruntime cannot quantise it: {' '.join(str(error).split())[:200]}") from error
    finally:
        logging.disable(before)
        onnxruntime.set_default_logger_severity(_WARNINGS)
    return len(convolutions), len(left)
