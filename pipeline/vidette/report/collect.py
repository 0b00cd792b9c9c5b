"""Gathers from the results what the page shows beside the ledger's numbers."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import cv2
import numpy as np
from pydantic import BaseModel, ConfigDict

from vidette.errors import ConfigError
from vidette.frame import Bgr
from vidette.geometry import Transform
from vidette.predictions import Predictions
from vidette.predictions.detections import Detections
from vidette.predictions.semantic import SemanticMap
from vidette.report.timeline import Timeline
from vidette.report.words import Kind
from vidette.result import Result
from vidette.sink import Delivery, RunFacts

CONFIDENCE_BINS = 20
_PICTURES = 8
_PICTURES_IN_ALL = 96
_PICTURE_SIDE = 480
_JPEG_QUALITY = 80


class ReportSettings(BaseModel):
    """It has none: `--report` says which files are written."""

    model_config = ConfigDict(extra="forbid")


@dataclass(slots=True)
class BestFrame:
    """A small annotated picture of a frame with many objects.

    position   on the stream's timeline
    pts_s      as in the result
    jpeg       at most 480 pixels on its longer side
    """

    objects: int
    position: float
    seq: int
    pts_s: float | None
    jpeg: bytes


class StreamSummary:
    """One stream: objects (or classes) over time, confidences, and the best frames.

    kind         of what the model says
    confidences  (20,) objects by confidence
    most         objects in one frame, by class
    frames_with  frames in which a class is, by class
    shares       of semantic maps: the sum of the parts of the pictures that a class covers, by class
    """

    def __init__(self, pictures: int) -> None:
        self.kind: Kind = Detections
        self.timeline = Timeline()
        self.labels: Sequence[str] = ()
        self.confidences = np.zeros(CONFIDENCE_BINS, np.int64)
        self.most: Counter[int] = Counter()
        self.frames_with: Counter[int] = Counter()
        self.shares: dict[int, float] = defaultdict(float)
        self.best: list[BestFrame] = []
        self._pictures = pictures

    @property
    def frames(self) -> int:
        """Results seen."""
        return sum(each.frames for each in self.timeline.bins)

    @property
    def objects(self) -> Counter[int]:
        """Objects per class number, over the whole run."""
        total: Counter[int] = Counter()
        for each in self.timeline.bins:
            total.update(each.objects)
        return total

    def add(self, result: Result) -> None:
        """Count one result; keeps a picture of it when it is among the best."""
        found = result.predictions
        self.kind = type(found)
        objects = Counter(found.class_id.tolist())
        position = self.timeline.add(result.epoch, result.pts_s, result.time, objects)
        if not objects:
            return
        self.labels = found.labels
        self.frames_with.update(objects.keys())
        for class_id, count in objects.items():
            self.most[class_id] = max(self.most[class_id], count)
        if isinstance(found, SemanticMap):
            for class_id, share in zip(found.class_id.tolist(), found.shares.tolist(), strict=True):
                self.shares[class_id] += share
        bins = np.clip((found.confidence * CONFIDENCE_BINS).astype(np.int64), 0, CONFIDENCE_BINS - 1)
        self.confidences += np.bincount(bins, minlength=CONFIDENCE_BINS)
        if result.picture is not None and (rival := self._beaten_by(len(found), position)) is not None:
            shown = BestFrame(len(found), position, result.seq, result.pts_s, thumbnail(result.picture.bgr(), found))
            self.best[rival : rival + 1] = [shown]

    def _beaten_by(self, objects: int, position: float) -> int | None:
        """The place in `best` for a frame with so many objects; None when it has none.

        Neighbours in time look alike: a frame competes with the one that is close to it, if there is one, and what is
        close grows with the run. Only more objects win, or as many as one of two that have become neighbours: so a
        long run soon draws nothing more.
        """
        if not self._pictures:
            return None
        near = max(1.0, self.timeline.end / (2 * self._pictures))
        for place, other in enumerate(self.best):
            if abs(other.position - position) < near:
                return place if objects > other.objects else None
        if len(self.best) < self._pictures:
            return len(self.best)
        worst = min(range(len(self.best)), key=lambda place: self.best[place].objects)
        if objects > self.best[worst].objects:
            return worst
        by_time = sorted(range(len(self.best)), key=lambda place: self.best[place].position)
        for pair in pairwise(by_time):
            if self.best[pair[1]].position - self.best[pair[0]].position < near:
                lesser = min(pair, key=lambda place: self.best[place].objects)
                if objects >= self.best[lesser].objects:
                    return lesser
        return None


class ReportCollector:
    """The sink behind `--report FILE.html`: `page.py` makes the page of it when the run has ended."""

    Settings: ClassVar[type[BaseModel]] = ReportSettings
    suffixes: ClassVar[tuple[str, ...]] = ()  # `--report` names it, not `--sink`
    schemes: ClassVar[tuple[str, ...]] = ()
    needs_picture: ClassVar[bool] = True
    delivery: ClassVar[Delivery] = "every"
    name = "report"

    def __init__(self, settings: ReportSettings | None = None) -> None:
        self.streams: dict[str, StreamSummary] = {}
        self._pictures = _PICTURES

    @classmethod
    def from_target(cls, target: str) -> ReportSettings:
        """Raises ConfigError: a report is no sink of the command line."""
        raise ConfigError(f"--sink {target}: write --report {target} for a report about the run")

    def paths(self) -> Sequence[str]:
        """None: the files are written when the run has ended."""
        return ()

    def open(self, run: RunFacts) -> None:
        """Share out the pictures: many streams get fewer each, so that the page stays a page."""
        self._pictures = min(_PICTURES, max(1, _PICTURES_IN_ALL // max(1, len(run.streams))))

    def write(self, result: Result) -> None:
        """Count one result."""
        summary = self.streams.get(result.stream)
        if summary is None:
            summary = self.streams[result.stream] = StreamSummary(self._pictures)
        summary.add(result)

    def close(self) -> None:
        """Nothing is open: the page is written when the ledger is closed."""


def thumbnail(bgr: Bgr, found: Predictions) -> bytes:
    """A JPEG of the picture, at most 480 pixels on its longer side, with what was found drawn at that size."""
    from vidette.drawing import annotate

    height, width = bgr.shape[:2]
    scale = min(1.0, _PICTURE_SIDE / max(height, width))
    if scale < 1:
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        bgr = cv2.resize(bgr, size, interpolation=cv2.INTER_AREA)
        found = found.transformed(Transform.scale(width, height, *size))
    _, jpeg = cv2.imencode(".jpg", annotate(bgr, found), [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    return bytes(jpeg)
