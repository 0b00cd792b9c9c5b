"""Vidette: cameras and files in, detections out, every frame accounted for.

>>> import vidette
>>> for result in vidette.run("people.mp4", model="yolo11n.onnx"):  # doctest: +SKIP
...     print(result.seq, [result.predictions.label(i) for i in range(len(result.predictions))])
"""

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

__all__ = [
    "ConfigError",
    "Detections",
    "ModelError",
    "Result",
    "Run",
    "SinkError",
    "SourceError",
    "VidetteError",
    "run",
]

_HOMES = {
    "run": "vidette.api",
    "Run": "vidette.api",
    "Result": "vidette.result",
    "Detections": "vidette.predictions.detections",
    **dict.fromkeys(("VidetteError", "ConfigError", "ModelError", "SinkError", "SourceError"), "vidette.errors"),
}

if TYPE_CHECKING:
    from vidette.api import Run, run
    from vidette.errors import ConfigError, ModelError, SinkError, SourceError, VidetteError
    from vidette.predictions.detections import Detections
    from vidette.result import Result


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: `vidette --help` needs none of them."""
    if name not in _HOMES:
        raise AttributeError(f"module 'vidette' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_HOMES[name]), name)
