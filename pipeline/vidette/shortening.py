"""Graphs that end before they make boxes and scores of every place, where a kernel gives the same for candidates only.

That arithmetic takes 8 to 13 % of a run of yolo11n (`benchmarks/whole_job.py`), and a quarter of a millisecond of ours
to read what it has written. Exporters write it in different ways, so how it is written is not looked at: once when the
model is loaded that part of the graph runs on noise, and the kernel must come out alike.
"""

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from vidette import onnxcut
from vidette.families.base import Recognised, Shorter, Thresholds
from vidette.families.maps import Maps
from vidette.families.reading import STRIDES, STRIDES_P2, STRIDES_P6
from vidette.kernels import heads
from vidette.onnxcut import Cut
from vidette.protobuf import Data, MalformedError
from vidette.runtimes.base import ModelFile, Outputs, Runtime
from vidette.signature import Tensor

_log = logging.getLogger(__name__)

_ALIKE = 0.05, 1e-4
"""Pixels that a side, and by what a score, may be off: float32 leaves 0.0005 and 1e-7."""


@runtime_checkable
class Evaluates(Protocol):
    """A runtime that gains by it, and can try it."""

    def evaluate(self, graph: bytes, inputs: Mapping[str, npt.NDArray[Any]]) -> Outputs:
        """Run an ONNX graph once, in float32. Raises whatever the library does."""
        ...


def shortened(runtime: Runtime, file: ModelFile, recognised: Recognised) -> tuple[ModelFile, Recognised]:
    """The file cut short, with the decoder for its maps; both as they are where that is not proved to be the same."""
    shorter = recognised.shorter
    if shorter is None or not isinstance(runtime, Evaluates) or file.preprocess.dtype == "float16":
        return file, recognised
    try:
        with file.graph() as data:
            cut = _cut(data, file, shorter)
            strides = None if cut is None else _proved(runtime, data, file, cut, shorter)
    except (MalformedError, OSError, ValueError):  # gone, empty or damaged since it was read: whoever opens it says so
        return file, recognised
    if cut is None or strides is None:
        return file, recognised
    _log.debug("%s: ends before %s, made of maps with strides %s", file.id, cut.output, strides)
    maps = [Tensor(onnxcut.by_place(each.name), (None, None, None, each.channels), "float32") for each in cut.maps]
    left = [tensor for tensor in file.signature.outputs if tensor.name != cut.output]
    signature = replace(file.signature, outputs=(*maps, *left))
    return replace(file, signature=signature, cut=cut), replace(recognised, decoder=shorter.decoder(Maps(strides)))


def _cut(data: Data, file: ModelFile, shorter: Shorter) -> Cut | None:
    """With the maps of boxes first, then those of scores, then others, each as many; None where they cannot be told
    apart."""
    cut = onnxcut.find(data, file.signature.outputs[shorter.output].name)
    if cut is None:
        return None
    scores = [each for each in cut.maps if each.channels == shorter.classes]
    others = [each for each in cut.maps if each.channels == shorter.others]
    boxes = [each for each in cut.maps if each not in scores and each not in others]
    parts = [boxes, scores, others] if shorter.others else [boxes, scores]
    same = len({len(part) for part in parts}) == 1 and sum(map(len, parts)) == len(cut.maps)
    if not same or len({each.channels for each in boxes}) != 1 or boxes[0].channels % 4:
        return None
    return replace(cut, maps=tuple(each for part in parts for each in part))


def _proved(runtime: Evaluates, data: Data, file: ModelFile, cut: Cut, shorter: Shorter) -> tuple[int, ...] | None:
    """The strides with which maps of noise give what the rest of the graph makes of them; None when none do."""
    levels = len(cut.maps) // (3 if shorter.others else 2)
    graph = onnxcut.rest(data, cut)
    for strides in (STRIDES, STRIDES_P6, STRIDES_P2):
        if len(strides) != levels:
            continue
        maps = _noise(file, cut, strides)
        given = dict(zip([each.name for each in cut.maps], maps, strict=True))
        given |= {name: np.zeros_like(given[as_map][:, :1]) for name, as_map in cut.sizes}
        try:
            (expected,) = runtime.evaluate(graph, given)
        except Exception as error:  # noqa: BLE001 - a third party's runtime raises what it likes
            _log.debug("%s: the rest of the graph does not run by itself: %s", file.id, error)
            continue
        if _alike(expected, maps, Maps(strides), shorter):
            return strides
    return None


def _noise(file: ModelFile, cut: Cut, strides: tuple[int, ...]) -> list[npt.NDArray[np.float32]]:
    """Maps over the input that the file fixes, or over a small one that is not square."""
    preprocess, rng = file.preprocess, np.random.default_rng(0)
    height, width = preprocess.height or 2 * strides[-1], preprocess.width or 3 * strides[-1]
    maps = []
    for place, each in enumerate(cut.maps):
        stride = strides[place % len(strides)]
        shape = preprocess.batch or 1, each.channels, height // stride, width // stride
        maps.append(rng.random(shape, np.float32) * 8 - 4)
    return maps


def _alike(expected: npt.NDArray[Any], maps: list[npt.NDArray[np.float32]], decoder: Maps, shorter: Shorter) -> bool:
    """Whether the rows of every place are the same."""
    last = [np.moveaxis(each[-1], 0, -1) for each in maps]  # the last of a batch: a mix-up would show
    found, places, state = decoder.candidates(last, shorter.classes, Thresholds(confidence=0))
    rows = 4 + shorter.classes
    if expected.ndim != 3 or expected.shape[1:] != (rows + shorter.others, len(places)) or state != heads.OK:
        return False
    head = expected[-1]
    corners = np.concatenate([head[:2] - head[2:4] / 2, head[:2] + head[2:4] / 2])
    chosen = head[4 + found[5].astype(np.int64), places]  # of two that are equal but for rounding either may be chosen
    side, score = _ALIKE
    return (
        bool((np.abs(found[:4] - corners) <= side).all())
        and bool((np.abs(found[4] - head[4:rows].max(axis=0)) <= score).all())
        and bool((np.abs(found[4] - chosen) <= score).all())
        and (not shorter.others or np.array_equal(decoder.others(last)[places], head[rows:].T))
    )
