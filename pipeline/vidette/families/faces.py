"""Faces found level by level: what YuNet, SCRFD and BlazeFace share after their kernels."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from vidette.families import reading
from vidette.families.base import Thresholds
from vidette.pixels.letterbox import Letterbox
from vidette.predictions.detections import Detections
from vidette.predictions.skeletons import Skeleton

Level = tuple[npt.NDArray[np.float32], npt.NDArray[np.float32], int]
"""Candidates (6, n), their landmarks (n, K, 2) in input pixels, the state."""


def faces(
    levels: Sequence[Level],
    letterbox: Letterbox,
    limits: Thresholds,
    names: Sequence[str],
    skeleton: Skeleton | None,
) -> Detections:
    """All levels suppressed together. Raises DecodeError."""
    candidates = np.concatenate([level[0] for level in levels], axis=1)
    points = np.concatenate([level[1] for level in levels])
    state = max(level[2] for level in levels)
    if limits.classes is not None and 0 not in limits.classes:
        candidates, points = candidates[:, :0].copy(), points[:0]
    marks = points if skeleton else None
    return reading.detections(candidates, state, letterbox, limits, names, marks, skeleton=skeleton)
