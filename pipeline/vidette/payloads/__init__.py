"""Wire formats of predictions: the one place where arrays become dictionaries, for sinks and HTTP alike.

A payload is a function from the predictions of one picture to a list of dictionaries of plain JSON values, one per
object, in the order of the predictions. Third parties register theirs under the entry-point group `vidette.payloads`.
"""

from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points
from typing import Any, TypeAlias

from vidette.detections import Detections
from vidette.errors import ConfigError

Row: TypeAlias = dict[str, Any]
Payload: TypeAlias = Callable[[Detections], list[Row]]

GROUP = "vidette.payloads"
DEFAULT = "roboflow"
_BUILT_IN = {
    "roboflow": "vidette.payloads.roboflow:rows",
    "ultralytics": "vidette.payloads.ultralytics:rows",
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
