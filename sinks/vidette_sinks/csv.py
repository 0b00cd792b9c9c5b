"""CSV: one row per object, for spreadsheets and data frames."""

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from vidette.payloads.record import utc
from vidette.predictions.detections import Detections
from vidette.predictions.labels import class_name
from vidette.result import Result
from vidette.sink import Delivery, RunFacts
from vidette_sinks._files import LineFile, refuse_inputs
from vidette_sinks._settings import parsed

COLUMNS = (
    *("stream", "epoch", "seq", "pts_s", "time", "model", "class", "class_id", "confidence"),
    *("x1", "y1", "x2", "y2", "keypoints"),
)


class CsvSettings(BaseModel):
    """A file with a header and one row per object.

    Frames without objects have no row: use JSON Lines where every frame must be seen. Boxes are given by their corners
    in pixels of the source picture; numbers have at most 4 decimals. `keypoints` holds x, y and confidence of each
    landmark, all separated by spaces, and is empty for models without them.
    """

    model_config = ConfigDict(extra="forbid")

    path: str = Field(min_length=1, description="The file; its folder must exist.")
    append: bool = Field(False, description="Keep what is in the file already and write behind it.")


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
        self._file: LineFile

    @classmethod
    def from_target(cls, target: str) -> CsvSettings:
        """Settings for a path."""
        return parsed(CsvSettings, target, path=target)

    def paths(self) -> Sequence[str]:
        """The one file."""
        return [self._settings.path]

    def open(self, run: RunFacts) -> None:
        """Make or empty the file and write the header. Raises SinkError."""
        refuse_inputs(self.paths(), run)
        self._file = LineFile.open(self._settings.path, self._settings.append)
        if not self._file.size:
            self._file.write(_lines([COLUMNS]))

    def write(self, result: Result) -> None:
        """Append a row per object. Raises SinkError."""
        found = result.predictions
        if not len(found):
            return
        frame = (result.stream, result.epoch, result.seq, result.pts_s, utc(result.time), result.model)
        points = [""] * len(found)
        boxes: list[list[Any]] = [[""] * 4] * len(found)
        if isinstance(found, Detections):
            boxes = found.xyxy.astype(float).round(4).tolist()
        if isinstance(found, Detections) and found.keypoints is not None:
            flat = found.keypoints.reshape(len(found), -1).astype(float).round(4).tolist()
            points = [" ".join(map(str, numbers)) for numbers in flat]
        confidences = found.confidence.astype(float).round(4).tolist()
        self._file.write(
            _lines(
                (*frame, class_name(found.labels, class_id), class_id, confidence, *box, landmarks)
                for class_id, confidence, box, landmarks in zip(
                    found.class_id.tolist(), confidences, boxes, points, strict=True
                )
            )
        )

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _lines(rows: Iterable[Sequence[object]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()
