"""A picture that the model sees in several tiles: what came of each, until the last one is in."""

import threading
from dataclasses import replace

import numpy as np

from vidette.families.base import Thresholds
from vidette.kernels.merging import merge
from vidette.predictions.detections import Detections
from vidette.result import StageTimes

INSIDE = 0.7
"""An object of one tile goes when so much of it lies in a better one of another tile."""


class Mosaic:
    """Collects the tiles of one frame; its callers may be different threads."""

    def __init__(self, tiles: int) -> None:
        self._parts: list[Detections | None] = [None] * tiles
        self._missing = tiles
        self._failed = False
        self._stages = StageTimes()
        self._lock = threading.Lock()

    def add(
        self, index: int, found: Detections, stages: StageTimes, limits: Thresholds
    ) -> tuple[Detections, StageTimes] | None:
        """Note what tile `index` holds; with the last one comes the whole: objects merged, stage times added up."""
        with self._lock:
            self._parts[index] = found
            self._missing -= 1
            total = self._stages
            total.decode = stages.decode
            total.queue = max(total.queue, stages.queue)
            total.scale += stages.scale
            total.run += stages.run
            total.postprocess += stages.postprocess
            if self._missing or self._failed:
                return None
        return merged([part for part in self._parts if part is not None], limits), total

    def fail(self) -> bool:
        """Note that a tile failed, and with it the frame; True the first time."""
        with self._lock:
            first = not self._failed
            self._failed = True
            return first


def merged(parts: list[Detections], limits: Thresholds) -> Detections:
    """The objects of overlapping parts of one picture, each once, best first."""
    objects = Detections.joined(parts)
    part = np.repeat(np.arange(len(parts), dtype=np.int32), [len(each) for each in parts])
    boxes = objects.xywhr
    oriented = np.empty((5, 0)) if boxes is None else np.ascontiguousarray(boxes.T, np.float64)
    kept = merge(
        objects.xyxy, oriented, objects.confidence, objects.class_id, part,
        limits.iou, INSIDE, limits.agnostic, limits.max_detections,
    )  # fmt: skip
    return replace(objects.take(kept), cut=objects.cut)
