"""JSON records on standard output, for pipes."""

import sys
from collections.abc import Sequence
from typing import ClassVar

from pydantic import BaseModel, ConfigDict

from vidette.payloads import payload
from vidette.payloads.record import record_json
from vidette.result import Result
from vidette.sink import Delivery, RunFacts
from vidette_sinks._files import LineFile
from vidette_sinks._settings import DEFAULT_FORMAT, Format, parsed

_STDOUT = 1


class StdoutSettings(BaseModel):
    """JSON records on standard output, one line per frame; `--sink -` on the command line."""

    model_config = ConfigDict(extra="forbid")

    format: Format = DEFAULT_FORMAT


class StdoutSink:
    """Writes to the descriptor itself, past Python's buffer: a reader sees each line at once."""

    Settings = StdoutSettings
    suffixes: ClassVar[tuple[str, ...]] = ()
    schemes: ClassVar[tuple[str, ...]] = ()
    needs_picture: ClassVar[bool] = False
    delivery: ClassVar[Delivery] = "every"

    name = "standard output"

    def __init__(self, settings: StdoutSettings) -> None:
        self._payload = payload(settings.format)
        self._file = LineFile(self.name, _STDOUT)

    @classmethod
    def from_target(cls, target: str) -> StdoutSettings:
        """Settings for `-`."""
        return parsed(StdoutSettings, target)

    def paths(self) -> Sequence[str]:
        """Two sinks on standard output would mix their lines: they are refused like two on one file."""
        return ["/dev/stdout"]

    def open(self, run: RunFacts) -> None:
        """Let out what the program itself has printed before."""
        sys.stdout.flush()

    def write(self, result: Result) -> None:
        """Write one line. Raises SinkError, also when the reader has gone (`| head`)."""
        self._file.write(record_json(result, self._payload) + b"\n")

    def close(self) -> None:
        """Standard output stays open: it is not ours."""
