"""The boundary to whoever receives results.

A sink is a class registered under the entry-point group `vidette.sinks`. The engine makes one thread per sink and
calls everything below from that thread, in order: `open`, then `write` per result (stream by stream in frame order),
`close`. A sink may block: the queue before it is bounded, and the engine decides by `Delivery` what happens when it is
full. Raise `SinkError` for what the operator can mend; any other exception is reported as a bug of the sink.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from typing import Any, ClassVar, Literal, Protocol, runtime_checkable
from urllib.parse import urlsplit

from pydantic import BaseModel

from vidette.errors import ConfigError
from vidette.result import Result
from vidette.urls import redact

log = logging.getLogger("vidette.sink")

Delivery = Literal["every", "newest"]
"""`every`: a full queue holds the stream back (files); `newest`: the oldest waiting result is dropped and counted."""


@dataclass(slots=True, frozen=True)
class StreamFacts:
    """What is known of a stream before its first frame; zero or None where it is not. `live` streams never end."""

    id: str
    url: str
    live: bool = False
    width: int = 0
    height: int = 0
    fps: float | None = None
    frames: int | None = None


@dataclass(slots=True, frozen=True)
class RunFacts:
    """What a sink may want to know when it opens."""

    streams: Sequence[StreamFacts] = ()
    labels: Mapping[str, Sequence[str]] = field(default_factory=dict)


@runtime_checkable
class Sink(Protocol):
    """One receiver of results."""

    Settings: ClassVar[type[BaseModel]]
    """Fields of the sink in a site file; `type` is added by the configuration. The docstring and the fields'
    descriptions are the reference documentation."""

    suffixes: ClassVar[tuple[str, ...]]
    """File endings that mean this sink on the command line (`.jsonl`)."""

    schemes: ClassVar[tuple[str, ...]]
    """URL schemes that mean this sink on the command line (`mqtt`)."""

    @property
    def needs_picture(self) -> bool:
        """Whether `result.picture` must be there (it pins the decoder's memory until the sink is done).

        A class attribute will do.
        """
        ...

    @property
    def delivery(self) -> Delivery:
        """What happens when this sink is slower than the streams; a class attribute will do."""
        ...

    name: str
    """For reports: where results go, without secrets."""

    def __init__(self, settings: Any) -> None: ...

    @classmethod
    def from_target(cls, target: str) -> BaseModel:
        """Settings for what was written behind `--sink` (a path or URL). Raises ConfigError."""
        ...

    def paths(self) -> Sequence[str]:
        """Files that it will write: two sinks on one path are refused."""
        ...

    def open(self, run: RunFacts) -> None:
        """Make files and connections. Raises SinkError."""
        ...

    def write(self, result: Result) -> None:
        """Take one result. Raises SinkError."""
        ...

    def close(self) -> None:
        """Bring what was written to rest; called once, also after an error."""
        ...


@runtime_checkable
class WritesMany(Protocol):
    """A sink that takes many results at once, which costs it less than one by one."""

    def write_many(self, results: Sequence[Result]) -> None:
        """Take results, in order. Raises SinkError, and then none of them was taken."""
        ...


def sink_types() -> dict[str, type[Sink]]:
    """All registered sinks by name; one that cannot be imported is told and left out."""
    types: dict[str, type[Sink]] = {}
    for point in sorted(entry_points(group="vidette.sinks"), key=lambda point: point.name):
        try:
            types[point.name] = point.load()
        except ImportError as error:
            log.warning("sink %s (%s) cannot be loaded: %s", point.name, point.value, error)
    return types


def sink_type(name: str) -> type[Sink]:
    """One registered sink; only its own module is imported. Raises ConfigError."""
    points = {point.name: point for point in entry_points(group="vidette.sinks")}
    if name not in points:
        raise ConfigError(f"unknown sink type {redact(name)!r}; known: {', '.join(sorted(points))}")
    loaded: type[Sink] = points[name].load()
    return loaded


def sink_for_target(target: str) -> tuple[type[Sink], BaseModel]:
    """The sink that a path or URL on the command line means: by scheme, else by file ending; `-` is stdout."""
    if target == "-":
        cls = sink_type("stdout")
        return cls, cls.from_target(target)
    scheme = urlsplit(target).scheme.lower() if "://" in target else ""
    for cls in sink_types().values():
        if (scheme and scheme in cls.schemes) or (not scheme and target.lower().endswith(tuple(cls.suffixes) or "\0")):
            return cls, cls.from_target(target)
    known = sorted(f"{s}://" for c in sink_types().values() for s in c.schemes)
    known += sorted(s for c in sink_types().values() for s in c.suffixes)
    raise ConfigError(
        f"{redact(target)}: no sink takes this; known endings and schemes: {' '.join(known)}, and - for stdout"
    )
