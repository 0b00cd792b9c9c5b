"""Opening and closing models beside those that answer, each in a thread of its own, one after the other."""

import asyncio
import os
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from vidette.budget import resident
from vidette.engine import DRAIN_S, plan_line
from vidette.errors import ModelError, UnfinishedError
from vidette.giving_way import RESTING_S, giving_way, in_turns, unlocked
from vidette.job import ModelRequest
from vidette.lane import Lane
from vidette.models import Described, Model, describe, load
from vidette.runtimes.base import PlanMode

_USUAL = ((640, 480), (1280, 720))
"""Sizes of the pictures that most clients send."""

Version = tuple[int, int, int]
"""What tells one content of a file from another: time of change, size, inode."""


def version_of(path: Path) -> Version | None:
    """The version of a file; None when it is not there."""
    with suppress(OSError):
        found = os.stat(path)
        return found.st_mtime_ns, found.st_size, found.st_ino
    return None


@dataclass(frozen=True, slots=True)
class Opened:
    """A model that answers. `bytes` is what the process grew by, at least the size of the file; `plan` what really
    runs, and why."""

    lane: Lane
    described: Described
    version: Version | None
    bytes: int
    seconds: float
    plan: str


class Loader:
    """Opens lanes and closes those that it has opened; loading is one at a time, so that it takes one core at most."""

    def __init__(self) -> None:
        self._opener = ThreadPoolExecutor(1, "vidette:loader")
        self._closer = ThreadPoolExecutor(1, "vidette:closer")
        self._waiting = 0  # for a model to be loaded, the one that is being loaded among them
        self._open: set[Lane] = set()
        self._freed = 0  # bytes, by closing
        self._stopped = threading.Event()

    async def open(self, request: ModelRequest, answering: Callable[[], bool] | None = None) -> Opened:
        """Load and warm a model, beside others where `answering`, asked in another thread, says whether they have work
        under way. Raises VidetteError, and what a third party's runtime raises."""
        loop = asyncio.get_running_loop()
        self._waiting += 1
        try:
            opened = await loop.run_in_executor(self._opener, self._load, request, answering, time.monotonic())
        finally:
            self._waiting -= 1
        self._open.add(opened.lane)
        return opened

    async def close(self, lane: Lane) -> None:
        """End a lane that nobody uses any more."""
        self._open.discard(lane)
        await asyncio.get_running_loop().run_in_executor(self._closer, self._close_one, lane)

    def shutdown(self) -> None:
        """End loading, and all lanes that are open; blocks."""
        self._stopped.set()
        for pool in (self._opener, self._closer):
            pool.shutdown(wait=False, cancel_futures=True)
        _close(self._open)
        self._open.clear()

    def _load(self, request: ModelRequest, answering: Callable[[], bool] | None, asked: float) -> Opened:
        """`asked` is when somebody began to wait for it (monotonic): it rests no longer than so that he is answered
        within his deadline, and shares that time with those that wait behind it."""
        left = max(0.0, asked + RESTING_S - time.monotonic())
        with giving_way(answering, resting=lambda: left / max(1, self._waiting), stopped=self._stopped):
            return _open(request, lambda: self._freed)

    def _close_one(self, lane: Lane) -> None:
        before = resident()
        _close([lane])
        self._freed += max(0, before - resident())


def _open(request: ModelRequest, freed: Callable[[], int] = lambda: 0) -> Opened:
    """`freed` says how many bytes were let go so far, as others are closed meanwhile."""
    begin, version, before = time.monotonic(), version_of(request.path), resident() + freed()
    # of a server's model: clients wait for it as files do, and are no camera whose next picture is newer
    auto: PlanMode = "adaptive" if request.endpoint is None else "throughput"
    mode = auto if request.plan == "auto" else request.plan
    with in_turns():
        described = describe(request.source)
    lane = Lane(load(request, mode, described))
    if request.endpoint is None:
        _prepare(lane.model)
    lane.start()
    size = max(resident() + freed() - before, lane.model.bytes)
    reason = "as asked" if request.plan != "auto" else "auto: for clients"
    return Opened(lane, described, version, size, time.monotonic() - begin, plan_line(lane, reason))


def _prepare(model: Model) -> None:
    """Compile what pictures of the usual shapes will need; the first client would wait for it.

    A device beside the processor is also run once at each: it does much with its first run, a processor nothing
    (measured), and others are answering there.
    """
    for shape in dict.fromkeys(model.letterbox(*size).shape for size in _USUAL):
        try:
            buffer = model.session.buffer(shape)
            if model.session.plan.device != "cpu":
                with unlocked():
                    model.session.run(buffer, 1)
        except UnfinishedError:
            raise
        except ModelError:  # of this shape: told to who sends such a picture
            continue


def _close(lanes: Iterable[Lane]) -> None:
    lanes = list(lanes)
    for lane in lanes:
        lane.stop()
    deadline = time.monotonic() + DRAIN_S
    for lane in lanes:
        lane.join(deadline)
