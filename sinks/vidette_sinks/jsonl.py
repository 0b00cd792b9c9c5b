"""JSON Lines: one record per frame and line."""

from collections.abc import Sequence
from typing import ClassVar

from pydantic import BaseModel, ConfigDict, Field

from vidette.payloads import payload
from vidette.payloads.record import record_json
from vidette.result import Result
from vidette.sink import Delivery, RunFacts
from vidette_sinks._files import LineFile, refuse_inputs
from vidette_sinks._settings import DEFAULT_FORMAT, Append, Format, appends, parsed


class JsonlSettings(BaseModel):
    """A file of JSON records, one per frame, also for frames without objects; several streams share it."""

    model_config = ConfigDict(extra="forbid")

    path: str = Field(min_length=1, description="The file; its folder must exist.")
    append: Append = None
    format: Format = DEFAULT_FORMAT


class JsonlSink:
    """Writes each record with one system call: whoever follows the file sees whole lines, also after a crash."""

    Settings = JsonlSettings
    suffixes: ClassVar[tuple[str, ...]] = (".jsonl", ".ndjson")
    schemes: ClassVar[tuple[str, ...]] = ()
    needs_picture: ClassVar[bool] = False
    delivery: ClassVar[Delivery] = "every"

    def __init__(self, settings: JsonlSettings) -> None:
        self.name = settings.path
        self._settings = settings
        self._payload = payload(settings.format)
        self._file: LineFile

    @classmethod
    def from_target(cls, target: str) -> JsonlSettings:
        """Settings for a path."""
        return parsed(JsonlSettings, target, path=target)

    def paths(self) -> Sequence[str]:
        """The one file."""
        return [self._settings.path]

    def open(self, run: RunFacts) -> None:
        """Make the file, or go on in it. Raises SinkError."""
        refuse_inputs(self.paths(), run)
        self._file = LineFile.open(self._settings.path, appends(self._settings.append, run))

    def write(self, result: Result) -> None:
        """Append one line. Raises SinkError."""
        self.write_many([result])

    def write_many(self, results: Sequence[Result]) -> None:
        """Append a line for each. Raises SinkError, and then none of them is in the file."""
        self._file.write(b"".join(record_json(result, self._payload) + b"\n" for result in results))

    def close(self) -> None:
        """Close the file."""
        self._file.close()
