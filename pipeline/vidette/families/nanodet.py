"""NanoDet: per place a score per class and a distribution for each side of the box.

https://github.com/RangiLyu/nanodet: releases 0.x write a table of scores and one of distributions for each of the
strides 8, 16, 32 (nanodet/model/head/gfl_head.py; points in the middle of cells); NanoDet-Plus writes all into one
table (B, places, C + 4 * 8) over the strides 8, 16, 32, 64 (nanodet_plus_head.py; points at the corner of cells).
Scores have been through a sigmoid; boxes are cut at the input before suppression at 0.6. Input BGR, ImageNet's mean and
deviation, stretched (`keep_ratio: False`; older configurations letterbox: `input: {resize: letterbox}` in a sidecar).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from vidette.errors import ModelError
from vidette.families import reading
from vidette.families.base import Recognised, Thresholds
from vidette.kernels import distances, heads
from vidette.pixels.letterbox import Letterbox
from vidette.pixels.preprocess import Preprocess
from vidette.predictions.detections import Detections
from vidette.signature import Signature

BINS = (8, 11, 17)  # reg_max + 1 of the published configurations: 7, 10, and 16 as GFL has it
CORNER, MIDDLE = 0.0, 0.5


def covering(width: int, height: int, stride: int) -> int:
    """Cells of a grid that covers all of the input."""
    return -(-width // stride) * -(-height // stride)


@dataclass(frozen=True, slots=True)
class Tables:
    """Decodes a table of scores and one of distributions per stride, in any order.

    `scores` and `spreads` are the places of the outputs; which stride one belongs to its rows tell.
    """

    labels: tuple[str, ...]
    scores: tuple[int, ...]
    spreads: tuple[int, ...]
    strides: tuple[int, ...]
    clip: bool

    def __call__(self, outputs: Sequence[npt.NDArray[Any]], letterbox: Letterbox, limits: Thresholds) -> Detections:
        """See `Decoder`."""
        width, height = letterbox.input_width, letterbox.input_height
        by_rows = [{len(outputs[i]): outputs[i] for i in kind} for kind in (self.scores, self.spreads)]
        found, state = [], heads.OK
        for stride in self.strides:
            scores, spread = (tables.get(covering(width, height, stride)) for tables in by_rows)
            if scores is None or spread is None or scores.ndim != 2 or spread.ndim != 2:
                raise reading.misshapen(outputs, f"two tables of {covering(width, height, stride)} rows, among others")
            classes = len(self.labels) or scores.shape[1]
            if scores.shape[1] != classes or spread.shape[1] % 4 or not spread.shape[1]:
                raise reading.misshapen(outputs, f"tables of {classes} and 4 * bins columns")
            candidates, broken = distances.distances(
                heads.readable(scores),
                heads.readable(spread),
                0,
                np.array([stride], np.int64),
                MIDDLE,
                self.clip,
                width,
                height,
                limits.class_mask(classes),
                limits.confidence,
            )
            found.append(candidates)
            state = max(state, broken)
        return reading.detections(np.concatenate(found, axis=1), state, letterbox, limits, self.labels)

    @classmethod
    def of(
        cls, signature: Signature, preprocess: Preprocess, strides: tuple[int, ...], *, clip: bool
    ) -> "tuple[Tables, str] | None":
        """The decoder and why, when the outputs are such tables for these strides. Raises ModelError for labels."""
        outputs = signature.outputs
        if len(outputs) != 2 * len(strides) or any(len(output.shape) != 3 for output in outputs):
            return None
        scores = _scores(signature)
        if scores is None:
            return None
        spreads = tuple(i for i in range(len(outputs)) if i not in scores)
        columns = [{outputs[i].shape[2] for i in kind} - {None} for kind in (scores, spreads)]
        if any(len(sizes) > 1 for sizes in columns) or any(size % 4 or not size for size in columns[1] if size):
            return None
        if preprocess.width and preprocess.height:
            cells = sorted(covering(preprocess.width, preprocess.height, stride) for stride in strides)
            for kind in (scores, spreads):
                rows = [outputs[i].shape[1] for i in kind]
                if any(rows) and sorted(size or 0 for size in rows) != cells:
                    return None
        labels = reading.labels(signature, next(iter(columns[0]), None))
        names = ", ".join(str(stride) for stride in strides)
        why = f"{len(scores)} tables of scores and {len(spreads)} of distances, for the strides {names}"
        return cls(labels, scores, spreads, strides, clip), why


def _scores(signature: Signature) -> tuple[int, ...] | None:
    """Which outputs are scores: those out of a sigmoid; else those whose columns are no four distributions."""
    outputs = signature.outputs
    half = len(outputs) // 2
    sigmoid = tuple(i for i, output in enumerate(outputs) if output.op == "Sigmoid")
    if len(sigmoid) == half:
        return sigmoid
    sizes = [output.shape[2] for output in outputs]
    for bins in BINS:
        others = tuple(i for i, size in enumerate(sizes) if size != 4 * bins)
        if len(others) == half and None not in sizes:
            return others
    return None


@dataclass(frozen=True, slots=True)
class Table:
    """Decodes one table (places, C + 4 * bins) over all strides."""

    labels: tuple[str, ...]
    strides: tuple[int, ...]

    def __call__(self, outputs: Sequence[npt.NDArray[Any]], letterbox: Letterbox, limits: Thresholds) -> Detections:
        """See `Decoder`."""
        width, height = letterbox.input_width, letterbox.input_height
        classes = len(self.labels)
        rows = sum(covering(width, height, stride) for stride in self.strides)
        if outputs[0].ndim != 2 or len(outputs[0]) != rows or outputs[0].shape[1] - classes not in _FOUR:
            raise reading.misshapen(outputs, f"({rows}, {classes} + 4 * bins) for an input of {width}x{height}")
        head = heads.readable(outputs[0])
        candidates, state = distances.distances(
            head,
            head,
            classes,
            np.array(self.strides, np.int64),
            CORNER if self.strides == reading.STRIDES_P6 else MIDDLE,
            True,
            width,
            height,
            limits.class_mask(classes),
            limits.confidence,
        )
        return reading.detections(candidates, state, letterbox, limits, self.labels)


_FOUR = tuple(4 * bins for bins in BINS)


class NanoDet:
    """By shape: three pairs of tables; or one table with a row for each cell of four grids. Else by the sidecar.

    One table over three strides could be YOLOX's with other classes: then the sidecar must say `family: nanodet`.
    """

    name = "nanodet"

    def recognise(self, signature: Signature) -> Recognised | None:
        """See `Family`."""
        preprocess = reading.picture_input(signature)
        if preprocess is None:
            return None
        defaults = Thresholds(confidence=0.35, iou=0.6)
        preprocess = replace(reading.normalised(preprocess, *reading.IMAGENET), resize="stretch")
        preprocess = replace(preprocess, colour="bgr", mean=preprocess.mean[::-1], scale=preprocess.scale[::-1])
        if claim := Tables.of(signature, preprocess, reading.STRIDES, clip=True):
            tables, why = claim
            return Recognised(self.name, "detection", tables.labels, preprocess, tables, why, defaults)
        output = signature.outputs[0]
        forced = reading.forced(signature, self.name)
        if len(signature.outputs) != 1 or len(output.shape) != 3 or output.shape[2] is None:
            return None
        rows, columns = output.shape[1], output.shape[2]
        strides = self._strides(preprocess, rows)
        if strides is None and forced and not rows:
            strides = reading.STRIDES_P6
        if strides is None or (strides == reading.STRIDES and not forced):
            return None
        labels = self._labels(signature, columns, forced)
        if labels is None:
            return None
        preprocess = replace(preprocess, stride=strides[-1])
        why = f"{rows or 'its'} rows are the cells of {len(strides)} grids over the input, each {columns} wide"
        return Recognised(self.name, "detection", labels, preprocess, Table(labels, strides), why, defaults)

    @staticmethod
    def _strides(preprocess: Preprocess, rows: int | None) -> tuple[int, ...] | None:
        if not (preprocess.width and preprocess.height and rows):
            return None
        for strides in (reading.STRIDES_P6, reading.STRIDES):
            if rows == sum(covering(preprocess.width, preprocess.height, stride) for stride in strides):
                return strides
        return None

    @staticmethod
    def _labels(signature: Signature, columns: int, forced: bool) -> tuple[str, ...] | None:
        """One per column before the distributions; how wide those are the number of names tells, else reg_max 7."""
        names = len(reading.labels(signature, None))
        if names and columns - names in _FOUR:
            return reading.labels(signature, names)
        if names and forced:
            raise ModelError(
                f"{names} labels do not fit {columns} columns: scores and 4 * {', '.join(map(str, BINS))} numbers of "
                "distances; correct the labels"
            )
        if names or columns <= _FOUR[0]:
            return None
        return reading.labels(signature, columns - _FOUR[0])
