"""Answers of a server become predictions: JSON of Roboflow's and Ultralytics' APIs, in place of tensors.

A server names its classes and keypoints only as they come: what has been named once stays known.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from vidette.errors import DecodeError, ModelError
from vidette.families.base import Recognised, Task, Thresholds
from vidette.families.remote_rows import LARGEST, Row, corners_of, from_roboflow, from_ultralytics, masks_of, picture_of
from vidette.pixels.letterbox import Letterbox
from vidette.pixels.preprocess import Preprocess
from vidette.predictions import Predictions
from vidette.predictions.classification import Classification
from vidette.predictions.detections import Detections
from vidette.predictions.semantic import SemanticMap
from vidette.predictions.skeletons import Skeleton, by_count
from vidette.remote.probing import Found

_FAR = 1e7  # pixels
_MOST = 65536  # classes and keypoints that are believed: their numbers become sizes of arrays


def remote(found: Found) -> Recognised:
    """What the server said as a family's claim. Raises ModelError for what its API cannot carry."""
    if found.endpoint.dialect == "hub" and found.task == "semantic":
        raise ModelError(
            f"{found.endpoint}: this API tells only how much of a picture each class covers; ask the same server in "
            "Roboflow's: `options: {dialect: roboflow-v1}`"
        )
    classifies = found.task == "classification"
    return Recognised(
        "remote",
        found.task,
        (),
        Preprocess(
            layout="nhwc", dtype="uint8", colour="bgr", scale=(1, 1, 1), pad=0, width=found.width, height=found.height,
            resize="around" if classifies else "within", size=LARGEST, stride=1,
        ),
        Answers(found.task),
        f"{found.endpoint.dialect}: {found.why}",
        Thresholds(confidence=0.0) if classifies else Thresholds(),
    )  # fmt: skip


class Known:
    """What answers have told so far, for all callers together: names of classes and keypoints, and which `channels`
    objects have, because some servers do not say what the model's task is."""

    def __init__(self, *channels: str) -> None:
        self.labels: tuple[str, ...] = ()
        self.points: tuple[str, ...] = ()
        self.channels = set(channels)
        self._lock = threading.Lock()

    def label(self, name: str, number: Any = None) -> int:
        """The number of a class; older hosted answers give names only. Raises ValueError, TypeError."""
        with self._lock:
            if number is None:
                number = self.labels.index(name) if name in self.labels else len(self.labels)
            self.labels = _named(self.labels, int(number), name)
            return int(number)

    def point(self, number: Any, name: str) -> int:
        """The number of a keypoint. Raises ValueError, TypeError."""
        with self._lock:
            self.points = _named(self.points, int(number), name)
            return int(number)

    @property
    def skeleton(self) -> Skeleton:
        """The keypoints; with bones where their names are those of a skeleton that is known."""
        usual = by_count(len(self.points))
        return usual if usual.points == self.points else Skeleton(f"points-{len(self.points)}", self.points)


def _named(names: tuple[str, ...], number: int, name: str) -> tuple[str, ...]:
    if number < len(names) and names[number] == name:
        return names
    if not 0 <= number < _MOST:
        raise ValueError(f"number {number}")
    grown = [*names, *(str(i) for i in range(len(names), number + 1))]
    grown[number] = name
    return tuple(grown)


@dataclass(frozen=True, slots=True)
class Answers:
    """The decoder: `outputs` is one object, the answer to one picture, or the VidetteError that came in its place.

    `classes` are names or numbers to keep, because not every API can be asked for them.
    """

    task: Task
    classes: frozenset[str] | None = None
    known: Known = field(default_factory=Known)

    def only(self, classes: Sequence[str] | None) -> "Answers":
        """The same, for these classes."""
        return replace(self, classes=None if classes is None else frozenset(classes))

    def __call__(self, outputs: Sequence[Any], letterbox: Letterbox, limits: Thresholds) -> Predictions:
        """Decode one picture; see `Decoder`. Raises DecodeError `remote`."""
        if not outputs:  # a server declares none, so that the warming decodes none: there is nothing to compile
            return Detections.none(self.known.labels)
        answer = outputs[0]
        if isinstance(answer, Exception):
            raise DecodeError("remote", str(answer))
        try:
            return self._predictions(answer, letterbox, limits)
        except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
            # what a foreign server may leave out or mistype is no end of kinds; its text is not repeated
            raise DecodeError("remote", f"the server's answer is not understood ({type(error).__name__})") from None

    def _predictions(self, answer: Any, letterbox: Letterbox, limits: Thresholds) -> Predictions:
        ultralytics = "results" in answer
        rows = answer["results"] if ultralytics else answer["predictions"]
        if self.task == "classification":
            return self._classes(rows, limits)
        if self.task == "semantic":
            return self._semantic(rows if isinstance(rows, dict) else answer, letterbox, limits)
        found = [from_ultralytics(row) if ultralytics else from_roboflow(row) for row in rows]
        return self._detections(found, letterbox, limits)

    def _wanted(self, name: str, number: int, limits: Thresholds) -> bool:
        if self.classes is not None and name not in self.classes and str(number) not in self.classes:
            return False
        if limits.names is not None and name not in limits.names:
            return False
        return limits.classes is None or number in limits.classes

    def _detections(self, rows: list[Row], letterbox: Letterbox, limits: Thresholds) -> Detections:
        known = self.known
        numbers = [known.label(row.name, row.number) for row in rows]
        kept = [
            index
            for index, (row, number) in enumerate(zip(rows, numbers, strict=True))
            if row.confidence > limits.confidence and self._wanted(row.name, number, limits)
        ]
        kept.sort(key=lambda index: -rows[index].confidence)
        chosen = [rows[index] for index in kept[: limits.max_detections]]
        boxes = np.array([row.box for row in chosen], np.float64).reshape(-1, 4)
        if not (np.abs(boxes) < _FAR).all():
            raise ValueError("boxes")
        known.channels |= {row.channel for row in rows} - {""}
        found = Detections(
            boxes.astype(np.float32),
            np.array([row.confidence for row in chosen], np.float32),
            np.array([numbers[index] for index in kept[: limits.max_detections]], np.int32),
            known.labels,
            keypoints=self._keypoints(chosen),
            corners=corners_of(chosen) if "oriented" in known.channels else None,
            masks=masks_of(chosen, limits.outline) if "segmentation" in known.channels else None,
        )
        if found.keypoints is not None:
            found = replace(found, skeleton=known.skeleton)
        found = found.transformed(letterbox.back)
        width, height = letterbox.width, letterbox.height
        return replace(found, xyxy=found.xyxy.clip(0, np.array([width, height] * 2, np.float32)))

    def _keypoints(self, rows: list[Row]) -> npt.NDArray[np.float32] | None:
        """(N, K, 3), not a number where a point is left out."""
        if "keypoints" not in self.known.channels:
            return None
        placed = [
            [(self.known.point(number, name), x, y, seen) for number, name, x, y, seen in row.points] for row in rows
        ]
        points = np.full((len(rows), len(self.known.points), 3), np.nan, np.float32)
        for row, each in zip(points, placed, strict=True):
            for number, x, y, seen in each:
                row[number] = x, y, seen
        return points

    def _classes(self, rows: Any, limits: Thresholds) -> Classification:
        several = isinstance(rows, dict)
        told = [(name, row["class_id"], row["confidence"]) for name, row in rows.items()] if several else [
            (row.get("name", row.get("class")), row.get("class_id", row["class"]), row["confidence"]) for row in rows
        ]  # fmt: skip
        # No server says beforehand that several classes may hold: those that are likelier than not, as of a file.
        least = limits.confidence or (0.5 if several else 0.0)
        pairs = [(self.known.label(str(name), number), float(score)) for name, number, score in told]
        labels = self.known.labels
        scores = np.zeros(len(labels), np.float32)
        for number, score in pairs:
            scores[number] = score
        best = [
            number
            for number, score in sorted(pairs, key=lambda pair: -pair[1])
            if score > least and self._wanted(labels[number], number, limits)
        ]
        return Classification(scores, labels, np.array(best[: limits.top_k], np.int32), several)

    def _semantic(self, fields: dict[str, Any], letterbox: Letterbox, limits: Thresholds) -> SemanticMap:
        classes = picture_of(fields["segmentation_mask"])
        for number, name in fields["class_map"].items():
            self.known.label(str(name), int(number))
        labels = self.known.labels
        sure = fields.get("confidence_mask")
        scores = None if sure is None else picture_of(sure).astype(np.float32) / np.float32(255)
        if scores is not None and scores.shape != classes.shape:
            raise ValueError("confidence_mask")
        counts = np.bincount(classes.reshape(-1), minlength=256)
        present = [
            number
            for number in np.argsort(-counts, kind="stable").tolist()
            if counts[number] and number < len(labels) and self._wanted(labels[number], number, limits)
        ]
        height, width = classes.shape
        extent = letterbox.back.boxes(np.array([[0.0, 0, letterbox.input_width, letterbox.input_height]]))[0]
        shares = counts[present] / (width * height)
        return SemanticMap(
            classes, extent.astype(np.float64), labels, np.array(present, np.int32), shares.astype(np.float32), scores,
            limits.outline,
        )  # fmt: skip
