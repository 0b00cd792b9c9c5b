"""The raw head that Ultralytics' models share, as the maps that it is made of: what a graph that was cut short returns
(`shortening.py`)."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from vidette.families import reading
from vidette.families.base import Thresholds
from vidette.kernels import heads
from vidette.kernels.maps import bits, maps, values


@lru_cache(maxsize=16)
def _array(strides: tuple[int, ...]) -> npt.NDArray[np.int64]:
    return np.array(strides, np.int64)


@dataclass(frozen=True, slots=True)
class Maps:
    """Reads (h, w, 4 * bins) of boxes for each stride, then (h, w, C) of scores, then perhaps (h, w, K) of others.
    uint16 is bfloat16."""

    strides: tuple[int, ...]

    def candidates(self, outputs: Sequence[npt.NDArray[Any]], classes: int, limits: Thresholds) -> heads.Candidates:
        """As `heads.columns` gives them for the tensor that the graph would have made. Raises DecodeError `shape`."""
        levels = len(self.strides)
        boxes, scores = outputs[:levels], outputs[levels : 2 * levels]
        for box, score in zip(boxes, scores, strict=True):
            if box.ndim != 3 or box.shape[2] % 4 or score.shape != (*box.shape[:2], classes):
                raise reading.misshapen(outputs, f"maps (h, w, 4 * bins) and (h, w, {classes})")
        return maps(
            tuple(bits(box) for box in boxes),
            tuple(bits(score) for score in scores),
            _array(self.strides),
            limits.class_mask(classes),
            limits.confidence,
        )

    def others(self, outputs: Sequence[npt.NDArray[Any]]) -> "Others":
        """The other numbers of every place."""
        levels = len(self.strides)
        return Others([each.reshape(-1, each.shape[2]) for each in outputs[2 * levels : 3 * levels]])


class Others:
    """(N, K) numbers that lie in several maps; only rows that are asked for are gathered."""

    def __init__(self, parts: Sequence[npt.NDArray[Any]]) -> None:
        self._parts = parts
        self._ends = np.cumsum([len(part) for part in parts])

    def __getitem__(self, places: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        """(n, K) of these places."""
        rows = np.empty((len(places), self._parts[0].shape[1]), np.float32)
        of = np.searchsorted(self._ends, places, side="right")
        for level, part in enumerate(self._parts):
            here = np.flatnonzero(of == level)
            rows[here] = values(part[places[here] - (self._ends[level] - len(part))])
        return rows
