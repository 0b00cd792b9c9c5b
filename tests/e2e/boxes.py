"""Comparing two answers for one picture: who is whose counterpart, and how alike."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Boxes = npt.NDArray[np.float32]


class Found(NamedTuple):
    """Objects of one picture: (N, 4) left top right bottom, (N,), (N,)."""

    xyxy: Boxes
    confidence: Boxes
    class_id: npt.NDArray[np.int32]


def iou_table(a: Boxes, b: Boxes) -> Boxes:
    """(len(a), len(b)) intersection over union."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(2)
    area_a, area_b = ((boxes[:, 2:] - boxes[:, :2]).prod(1) for boxes in (a, b))
    table: Boxes = shared / (area_a[:, None] + area_b[None] - shared)
    return table


def pairs(a: Found, b: Found) -> list[tuple[int, int, float]]:
    """(index in a, index in b, IoU) of objects of one class, the most alike first, each object once."""
    table = iou_table(a.xyxy, b.xyxy) * (a.class_id[:, None] == b.class_id[None])
    found = []
    while table.size and (best := table.max()) > 0:
        i, j = np.unravel_index(table.argmax(), table.shape)
        found.append((int(i), int(j), float(best)))
        table[i], table[:, j] = 0, 0
    return found
