"""Masks as sums of prototypes: what the families share whose rows carry coefficients for (B, K, h, w) prototypes."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from vidette.families import reading
from vidette.families.base import Thresholds
from vidette.families.maps import Others
from vidette.kernels import heads, masks
from vidette.pixels.letterbox import Letterbox
from vidette.pixels.preprocess import Preprocess
from vidette.predictions.detections import Detections
from vidette.predictions.masks import Masks
from vidette.signature import Signature, Tensor


def places(signature: Signature) -> tuple[list[int], list[int]]:
    """Where rows (three axes) and maps (four) stand among the outputs."""
    flat = [i for i, output in enumerate(signature.outputs) if len(output.shape) == 3]
    return flat, [i for i, output in enumerate(signature.outputs) if len(output.shape) == 4]


def lie_over(preprocess: Preprocess, prototypes: Tensor) -> bool:
    """Whether the (B, K, h, w) tensor is a coarser picture of the input, as far as the sizes are declared."""
    _, channels, down, across = prototypes.shape
    sizes = down, across, preprocess.width, preprocess.height
    if channels is None or None in sizes:
        return channels is not None
    down, across, width, height = (size or 0 for size in sizes)
    return width * down == height * across and across < width


def segmented(
    found: tuple[npt.NDArray[np.float32], npt.NDArray[np.int64], int],
    coefficients: npt.NDArray[Any] | Others,
    prototypes: npt.NDArray[Any],
    letterbox: Letterbox,
    limits: Thresholds,
    labels: Sequence[str],
    *,
    suppressed: bool = False,
) -> Detections:
    """Detections with masks; as in Ultralytics' `predict`, an object without a pixel in its box is none.

    `found` are candidates, the row of each and the state, as the kernels of heads return them; `coefficients` are
    (N, K), a row for each of the head's, `prototypes` (K, h, w) over the whole input. Raises DecodeError.
    """
    candidates, rows, state = found
    xyxy, confidence, class_id, chosen = reading.survivors(candidates, state, letterbox, limits, suppressed=suppressed)
    cut = reading.cut(candidates, limits)
    if not len(chosen):
        return Detections(xyxy, confidence, class_id, labels, cut=cut, masks=Masks.none(limits.outline))
    left, top = letterbox.left, letterbox.top
    bits, starts, sizes, extents, visible, state = masks.assemble(
        heads.readable(coefficients[rows[chosen]]),
        heads.readable(prototypes),
        xyxy,
        letterbox.inverse,
        np.array([left, top, left + letterbox.scaled_width, top + letterbox.scaled_height], np.int64),
        np.array([letterbox.input_width, letterbox.input_height], np.int64),
        letterbox.width,
        letterbox.height,
        limits.masks == "accurate",
    )
    if state != heads.OK:
        raise reading.not_numbers()
    made = Masks(bits, starts, sizes, extents, limits.outline)
    every = Detections(xyxy, confidence, class_id, labels, cut=cut, masks=made)
    return every if visible.all() else every.take(np.flatnonzero(visible))
