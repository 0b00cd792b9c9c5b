"""A folder of models: `a/b.onnx` in it is the model `a/b`, also when it comes later."""

import time
from collections.abc import Callable
from pathlib import Path

from vidette.config import ModelConfig
from vidette.errors import ConfigError
from vidette.job import ModelRequest

_LOOK_S = 1.0


class ModelsFolder:
    """Looks into a folder, at most once a second. Raises ConfigError when it is none."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        if not path.is_dir():
            raise ConfigError(f"{path}: there is no such folder; make it, or name models one by one")
        self._path = path
        self._clock = clock
        self._looked: float | None = None

    def look(self) -> list[ModelRequest] | None:
        """A model for each ONNX file; None when the last look was less than a second ago."""
        now = self._clock()
        if self._looked is not None and now - self._looked < _LOOK_S:
            return None
        self._looked = now
        return [
            ModelConfig.model_validate({"path": str(file)}).request(_id(file.relative_to(self._path)), Path())
            for file in sorted(self._path.rglob("*.onnx"))
            if file.is_file()
        ]


def _id(file: Path) -> str:
    return file.with_suffix("").as_posix()
