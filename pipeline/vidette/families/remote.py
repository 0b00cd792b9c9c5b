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
from vidette.pixels.letterbox import Letterbox
from vidette.pixels.preprocess import Preprocess
from vidette.predictions import Predictions
from vidette.predictions.classification import Classification
from vidette.predictions.detections import Detections
from vidette.predictions.masks import Masks
from vidette.predictions.semantic import SemanticMap
from vidette.predictions.skeletons import Skeleton, by_count
from vidette.remote.probing import Found

LARGEST = 65535
"""Sides of a JPEG picture are at most so many pixels."""
_FAR = 1e7  # pixels
_MOST = 65536  # classes and keypoints that are believed: their numbers become sizes of arrays

U8 = npt.NDArray[np.uint8]
F64 = npt.NDArray[np.float64]


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
        found = [_ultralytics(row) if ultralytics else _roboflow(row) for row in rows]
        return self._detections(found, letterbox, limits)

    def _wanted(self, name: str, number: int, limits: Thresholds) -> bool:
        if self.classes is not None and name not in self.classes and str(number) not in self.classes:
            return False
        return limits.classes is None or number in limits.classes

    def _detections(self, rows: "list[_Row]", letterbox: Letterbox, limits: Thresholds) -> Detections:
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
            corners=_corners(chosen) if "oriented" in known.channels else None,
            masks=_masks(chosen, limits) if "segmentation" in known.channels else None,
        )
        if found.keypoints is not None:
            found = replace(found, skeleton=known.skeleton)
        found = found.transformed(letterbox.back)
        width, height = letterbox.width, letterbox.height
        return replace(found, xyxy=found.xyxy.clip(0, np.array([width, height] * 2, np.float32)))

    def _keypoints(self, rows: "list[_Row]") -> npt.NDArray[np.float32] | None:
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
        pairs = [(self.known.label(str(name), number), float(score)) for name, number, score in told]
        labels = self.known.labels
        scores = np.zeros(len(labels), np.float32)
        for number, score in pairs:
            scores[number] = score
        best = [
            number
            for number, score in sorted(pairs, key=lambda pair: -pair[1])
            if score > limits.confidence and self._wanted(labels[number], number, limits)
        ]
        return Classification(scores, labels, np.array(best[: limits.top_k], np.int32), several)

    def _semantic(self, fields: dict[str, Any], letterbox: Letterbox, limits: Thresholds) -> SemanticMap:
        classes = _picture(fields["segmentation_mask"])
        for number, name in fields["class_map"].items():
            self.known.label(str(name), int(number))
        labels = self.known.labels
        sure = fields.get("confidence_mask")
        scores = None if sure is None else _picture(sure).astype(np.float32) / np.float32(255)
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


@dataclass(slots=True)
class _Row:
    """One object in pixels of the picture that was sent. `points` are (number, name, x, y, confidence)."""

    name: str
    number: int | None
    confidence: float
    box: tuple[float, float, float, float]
    corners: F64 | None = None
    polygon: F64 | None = None
    rle: dict[str, Any] | None = None
    points: list[tuple[int, str, float, float, float]] = field(default_factory=list)

    @property
    def channel(self) -> str:
        """The task whose objects look like this; empty for plain boxes."""
        if self.corners is not None:
            return "oriented"
        return "keypoints" if self.points else "segmentation" if self.polygon is not None or self.rle else ""


def _roboflow(row: dict[str, Any]) -> _Row:
    x, y, width, height = (float(row[name]) for name in ("x", "y", "width", "height"))
    box = x - width / 2, y - height / 2, x + width / 2, y + height / 2
    found = _Row(str(row["class"]), row.get("class_id"), float(row["confidence"]), box)
    found.rle = row.get("rle")
    if "points" in row:
        outline = np.array([(point["x"], point["y"]) for point in row["points"]], np.float64).reshape(-1, 2)
        # Vidette answers for oriented boxes with their four corners, and says `mask_format` where it has masks.
        if "mask_format" not in row and len(outline) == 4:
            found.corners = outline
        else:
            found.polygon = outline
    for index, point in enumerate(row.get("keypoints") or ()):
        number = point.get("class_id", index)
        name = point.get("class", point.get("class_name", number))
        found.points.append((number, str(name), float(point["x"]), float(point["y"]), float(point["confidence"])))
    return found


def _ultralytics(row: dict[str, Any]) -> _Row:
    given = row["box"]
    corners = None
    if "x3" in given:
        corners = np.array([(given[f"x{i}"], given[f"y{i}"]) for i in (3, 2, 1, 4)], np.float64)
        box = *corners.min(axis=0).tolist(), *corners.max(axis=0).tolist()
    else:
        box = tuple(float(given[name]) for name in ("x1", "y1", "x2", "y2"))
    found = _Row(str(row["name"]), int(row["class"]), float(row["confidence"]), box, corners)
    if (segments := row.get("segments")) is not None:
        found.polygon = np.array([segments["x"], segments["y"]], np.float64).reshape(2, -1).T
    if (points := row.get("keypoints")) is not None:
        seen = points.get("visible") or [1.0] * len(points["x"])
        for number, (x, y, visible) in enumerate(zip(points["x"], points["y"], seen, strict=True)):
            left, down, sure = (float("nan") if value is None else float(value) for value in (x, y, visible))
            found.points.append((number, str(number), left, down, sure))
    return found


def _corners(rows: list[_Row]) -> npt.NDArray[np.float32]:
    """(N, 4, 2); an upright box among oriented ones has its own corners."""
    corners = []
    for row in rows:
        left, top, right, bottom = row.box
        upright = np.array([(left, top), (right, top), (right, bottom), (left, bottom)])
        corners.append(upright if row.corners is None else row.corners)
    return np.array(corners, np.float32).reshape(-1, 4, 2)


def _masks(rows: list[_Row], limits: Thresholds) -> Masks:
    crops, extents = [], []
    for row in rows:
        if row.rle is not None:
            crop, extent = _unpacked(row.rle, row.box)
        else:
            crop, extent = filled(np.empty((0, 2)) if row.polygon is None else row.polygon)
        crops.append(crop)
        extents.append(extent)
    return Masks.of(crops, np.array(extents, np.float64).reshape(-1, 4), limits.outline)


def filled(polygon: F64) -> tuple[U8, F64]:
    """The pixels of a (n, 2) polygon, those whose centres lie inside by the even-odd rule: (height, width) 0 or 1 of
    the pixels that enclose it, and their left, top, right, bottom. Raises ValueError when it reaches too far."""
    if len(polygon) < 3 or not np.isfinite(polygon).all():
        return np.zeros((0, 0), np.uint8), np.zeros(4)
    left, top = np.floor(polygon.min(axis=0)).astype(np.int64).tolist()
    right, bottom = np.ceil(polygon.max(axis=0)).astype(np.int64).tolist()
    width, height = right - left, bottom - top
    if min(left, top) < -LARGEST or max(right, bottom) > 2 * LARGEST or width * height > LARGEST * 4096:
        raise ValueError("polygon")
    x, y = (polygon - (left, top)).T
    to_x, to_y = np.roll(x, -1), np.roll(y, -1)
    rows = np.arange(height)[:, None] + 0.5
    row, edge = np.nonzero((y <= rows) != (to_y <= rows))
    crossing = x[edge] + (row + 0.5 - y[edge]) / (to_y[edge] - y[edge]) * (to_x[edge] - x[edge])
    changes = np.zeros((height, width + 1), np.uint32)
    np.add.at(changes, (row, np.ceil(crossing - 0.5).astype(np.int64).clip(0, width)), 1)
    inside = np.cumsum(changes[:, :width], axis=1) & 1
    return inside.astype(np.uint8), np.array([left, top, right, bottom], np.float64)


def _unpacked(rle: dict[str, Any], box: tuple[float, float, float, float]) -> tuple[U8, F64]:
    """The part of COCO's compressed run lengths that is in a box; see kernels/rle.py for the format."""
    height, width = (int(side) for side in rle["size"])
    if not (0 < height <= LARGEST and 0 < width <= LARGEST and height * width <= LARGEST * 4096):
        raise ValueError("rle size")
    codes = np.frombuffer(rle["counts"].encode("ascii"), np.uint8).astype(np.int64) - 48
    last = np.flatnonzero(~codes & 32)
    lengths: list[int] = []
    start = 0
    for end in (last + 1).tolist():
        if end - start > 12:
            raise ValueError("rle counts")
        number = sum((int(code) & 31) << (5 * place) for place, code in enumerate(codes[start:end]))
        if codes[end - 1] & 16:
            number -= 1 << (5 * (end - start))
        lengths.append(number + lengths[-2] if len(lengths) > 2 else number)
        start = end
    runs = np.array(lengths, np.int64)
    if (runs < 0).any() or (runs > height * width).any() or runs.sum() != height * width:
        raise ValueError("rle counts")
    full = np.repeat(np.arange(len(runs)) % 2, runs).astype(np.uint8).reshape(width, height).T
    left, top = (max(0, int(np.floor(side))) for side in box[:2])
    right, bottom = min(width, int(np.ceil(box[2]))), min(height, int(np.ceil(box[3])))
    crop = np.ascontiguousarray(full[top : max(bottom, top), left : max(right, left)])
    return crop, np.array([left, top, left + crop.shape[1], top + crop.shape[0]], np.float64)


def _picture(text: str) -> U8:
    """(height, width) of a PNG as base64."""
    import base64

    import cv2

    pixels = cv2.imdecode(np.frombuffer(base64.b64decode(text), np.uint8), cv2.IMREAD_GRAYSCALE)
    if pixels is None:
        raise ValueError("mask")
    return np.asarray(pixels, np.uint8)
