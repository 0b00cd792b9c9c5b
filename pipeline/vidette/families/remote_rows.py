"""Objects in the rows of servers' answers: Roboflow's and Ultralytics', masks as polygons or run lengths.

Whatever is missing or mistyped raises KeyError, TypeError, ValueError, IndexError or AttributeError.
"""

import base64
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from vidette.predictions.masks import Masks, Outline

LARGEST = 65535
"""Sides of a JPEG picture are at most so many pixels."""

U8 = npt.NDArray[np.uint8]
F64 = npt.NDArray[np.float64]


@dataclass(slots=True)
class Row:
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


def from_roboflow(row: dict[str, Any]) -> Row:
    """A row of Roboflow's answers (payloads/roboflow.py)."""
    x, y, width, height = (float(row[name]) for name in ("x", "y", "width", "height"))
    box = x - width / 2, y - height / 2, x + width / 2, y + height / 2
    found = Row(str(row["class"]), row.get("class_id"), float(row["confidence"]), box)
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


def from_ultralytics(row: dict[str, Any]) -> Row:
    """A row of Ultralytics' answers (payloads/ultralytics.py)."""
    given = row["box"]
    corners = None
    if "x3" in given:
        corners = np.array([(given[f"x{i}"], given[f"y{i}"]) for i in (3, 2, 1, 4)], np.float64)
        box = *corners.min(axis=0).tolist(), *corners.max(axis=0).tolist()
    else:
        box = tuple(float(given[name]) for name in ("x1", "y1", "x2", "y2"))
    found = Row(str(row["name"]), int(row["class"]), float(row["confidence"]), box, corners)
    if (segments := row.get("segments")) is not None:
        found.polygon = np.array([segments["x"], segments["y"]], np.float64).reshape(2, -1).T
    if (points := row.get("keypoints")) is not None:
        seen = points.get("visible") or [1.0] * len(points["x"])
        for number, (x, y, visible) in enumerate(zip(points["x"], points["y"], seen, strict=True)):
            left, down, sure = (float("nan") if value is None else float(value) for value in (x, y, visible))
            found.points.append((number, str(number), left, down, sure))
    return found


def corners_of(rows: list[Row]) -> npt.NDArray[np.float32]:
    """(N, 4, 2); an upright box among oriented ones has its own corners."""
    corners = []
    for row in rows:
        left, top, right, bottom = row.box
        upright = np.array([(left, top), (right, top), (right, bottom), (left, bottom)])
        corners.append(upright if row.corners is None else row.corners)
    return np.array(corners, np.float32).reshape(-1, 4, 2)


def masks_of(rows: list[Row], outline: Outline) -> Masks:
    """One mask per row, as fine as the picture that was sent; empty for a row without one."""
    crops, extents = [], []
    for row in rows:
        if row.rle is not None:
            crop, extent = _unpacked(row.rle, row.box)
        else:
            crop, extent = filled(np.empty((0, 2)) if row.polygon is None else row.polygon)
        crops.append(crop)
        extents.append(extent)
    return Masks.of(crops, np.array(extents, np.float64).reshape(-1, 4), outline)


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


def picture_of(text: str) -> U8:
    """(height, width) of a PNG as base64."""
    pixels = cv2.imdecode(np.frombuffer(base64.b64decode(text), np.uint8), cv2.IMREAD_GRAYSCALE)
    if pixels is None:
        raise ValueError("mask")
    return np.asarray(pixels, np.uint8)
