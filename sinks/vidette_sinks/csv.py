"""CSV: one row per object or class, for spreadsheets and data frames."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from vidette.payloads.record import utc
from vidette.predictions import Predictions
from vidette.predictions.detections import Detections
from vidette.predictions.labels import class_name
from vidette.predictions.semantic import SemanticMap
from vidette.result import Result
from vidette.sink import Delivery, RunFacts
from vidette_sinks._files import LineFile, refuse_inputs
from vidette_sinks._settings import Append, appends, parsed

COLUMNS = (
    *("stream", "epoch", "seq", "pts_s", "time", "model", "class", "class_id", "confidence"),
    *("x1", "y1", "x2", "y2", "keypoints", "points", "share"),
)


class CsvSettings(BaseModel):
    """A file with a header and one row per object; of classifiers one row per class that counts, best first; of
    semantic maps one per class present, largest first.

    Frames without any have no row: use JSON Lines where every frame must be seen. All tasks have the same columns, and
    those that say nothing of a task are empty. Numbers have at most 4 decimals, places are in pixels of the source
    picture, and several numbers in one column are separated by spaces:

    x1 y1 x2 y2   the box; of an oriented one the upright box around it; empty for classifiers and semantic maps
    keypoints     x, y and confidence of each keypoint
    points        x and y of each corner of an oriented box, or of each point of a mask's polygons: ` ; ` stands
                  between those of one object, and holes run the other way around than outer outlines
    share         of semantic maps: the part of the picture that the class covers, 0 to 1

    A file from before there was a column keeps its own columns when it is appended to.
    """

    model_config = ConfigDict(extra="forbid")

    path: str = Field(min_length=1, description="The file; its folder must exist.")
    append: Append = None


class CsvSink:
    """Writes all rows of a frame with one system call, so that the file ends with a whole frame."""

    Settings = CsvSettings
    suffixes: ClassVar[tuple[str, ...]] = (".csv",)
    schemes: ClassVar[tuple[str, ...]] = ()
    needs_picture: ClassVar[bool] = False
    delivery: ClassVar[Delivery] = "every"

    def __init__(self, settings: CsvSettings) -> None:
        self.name = settings.path
        self._settings = settings
        self._count = len(COLUMNS)
        self._file: LineFile

    @classmethod
    def from_target(cls, target: str) -> CsvSettings:
        """Settings for a path."""
        return parsed(CsvSettings, target, path=target)

    def paths(self) -> Sequence[str]:
        """The one file."""
        return [self._settings.path]

    def open(self, run: RunFacts) -> None:
        """Make the file with its header, or go on in it. Raises SinkError."""
        refuse_inputs(self.paths(), run)
        self._file = LineFile.open(self._settings.path, appends(self._settings.append, run))
        if not self._file.size:
            self._file.write(_lines([COLUMNS]))
        elif (columns := _columns(self._settings.path)) and columns == COLUMNS[: len(columns)]:
            self._count = len(columns)

    def write(self, result: Result) -> None:
        """Append a row per object or class. Raises SinkError."""
        self.write_many([result])

    def write_many(self, results: Sequence[Result]) -> None:
        """Append the rows of all. Raises SinkError, and then none of them is in the file."""
        if lines := _lines(row[: self._count] for result in results for row in _rows(result)):
            self._file.write(lines)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _rows(result: Result) -> Iterator[Sequence[object]]:
    """A row per object or class."""
    found = result.predictions
    frame = (result.stream, result.epoch, result.seq, result.pts_s, utc(result.time), result.model)
    for class_id, confidence, places in zip(
        found.class_id.tolist(), _rounded(found.confidence), _places(found), strict=True
    ):
        yield (*frame, class_name(found.labels, class_id), class_id, confidence, *places)


def _columns(path: str) -> tuple[str, ...]:
    """The header of a file."""
    with open(path, encoding="utf-8", errors="replace", newline="") as file:
        return tuple(next(csv.reader([file.readline(4096)]), ()))


def _places(found: Predictions) -> Iterable[Sequence[object]]:
    """The columns from x1 on, for each object or class."""
    empty = [""] * len(found)
    match found:
        case Detections():
            keypoints = empty if found.keypoints is None else _texts(found.keypoints)
            points = empty
            if found.corners is not None:
                points = _texts(found.corners)
            elif found.masks is not None:
                outlines = found.masks.outlines()
                points = [" ; ".join(_text(polygon.points) for polygon in each) for each in outlines]
            boxes = _rounded(found.xyxy)
            return ((*box, *rest) for box, *rest in zip(boxes, keypoints, points, empty, strict=True))
        case SemanticMap():
            return ((*[""] * 6, share) for share in _rounded(found.shares))
        case _:
            return ([""] * 7 for _ in empty)


def _rounded(array: npt.NDArray[np.float32]) -> list[Any]:
    rounded: list[Any] = array.astype(float).round(4).tolist()
    return rounded


def _texts(array: npt.NDArray[np.float32]) -> list[str]:
    """(n, ...) numbers of each, separated by spaces."""
    return [_text(each) for each in array]


def _text(array: npt.NDArray[np.float32]) -> str:
    return " ".join(map(str, _rounded(array.reshape(-1))))


def _lines(rows: Iterable[Sequence[object]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()
