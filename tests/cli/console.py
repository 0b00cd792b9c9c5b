"""The command line as a user calls it: in this process where it is enough, in one of its own where signals count."""

import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pytest

from vidette.cli import main


@dataclass
class Outcome:
    """What a command left: exit code and what it said."""

    code: int
    out: str
    err: str


class Console:
    """`console("run", "a.mp4", ...)` calls `vidette run a.mp4 ...` in the current folder."""

    def __init__(self, capfd: pytest.CaptureFixture[str]) -> None:
        self._capfd = capfd

    def __call__(self, *words: str | Path) -> Outcome:
        root = logging.getLogger()
        before, root.handlers = root.handlers, []  # pytest's own would keep the messages from stderr
        self._capfd.readouterr()
        try:
            code = main([str(word) for word in words])
        except SystemExit as leaving:  # argparse
            code = int(leaving.code or 0)
        finally:
            root.handlers = before
        return Outcome(code, *self._capfd.readouterr())


def start(*words: str | Path, cwd: Path, stderr: int | IO[Any] = subprocess.PIPE) -> subprocess.Popen[str]:
    """`vidette WORDS` in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "vidette", *map(str, words)],
        cwd=cwd, stdout=subprocess.PIPE, stderr=stderr, text=True, env=os.environ | {"PYTHONPATH": _PATH},
    )  # fmt: skip


_PATH = os.pathsep.join(str(Path(__file__).parents[2] / part) for part in ("pipeline", "sinks"))


def until(condition: Callable[[], bool], seconds: float = 60) -> None:
    """Wait for `condition`; fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.01)
