"""Wire formats of predictions: the one place where arrays become dictionaries, for sinks and HTTP alike.

A payload is a function from the predictions of one picture to the fields of an answer, a dictionary of plain JSON
values in which `predictions` is always there: for objects a list with one dictionary each, in the order of the
predictions. Third parties register theirs under the entry-point group `vidette.payloads`.
"""

from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points
from typing import Any, TypeAlias

from vidette.errors import ConfigError
from vidette.predictions import Predictions

Fields: TypeAlias = dict[str, Any]
Payload: TypeAlias = Callable[[Predictions], Fields]

GROUP = "vidette.payloads"
DEFAULT = "roboflow"
_BUILT_IN = {
    "roboflow": "vidette.payloads.roboflow:answer",
    "ultralytics": "vidette.payloads.ultralytics:answer",
}


def _points() -> dict[str, EntryPoint]:
    points = {point.name: point for point in entry_points(group=GROUP)}
    return points | {name: EntryPoint(name, value, GROUP) for name, value in _BUILT_IN.items()}


def payload_names() -> list[str]:
    """The formats that `payload` knows, in alphabetical order."""
    return sorted(_points())


def payload(name: str) -> Payload:
    """The format of that name. Raises ConfigError."""
    points = _points()
    if name not in points:
        raise ConfigError(f"unknown payload format {name!r}; known: {', '.join(sorted(points))}")
    loaded: Payload = points[name].load()
    return loaded
