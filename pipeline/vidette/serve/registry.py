"""The models of a server: known by id, loaded on demand in a thread of their own, swapped and evicted."""

import asyncio
import difflib
import logging
import os
import resource
import threading
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from vidette.engine import DRAIN_S
from vidette.entry import Desk
from vidette.errors import VidetteError
from vidette.job import ModelRequest
from vidette.lane import Lane
from vidette.models import Described, Model, describe, load
from vidette.serve.errors import RequestError, busy

log = logging.getLogger("vidette.serve")

_LOOK_S = 1.0
"""A file is asked so often whether it is a new version."""
_NICE = 10
"""Loading gives way to answering."""


class Held:
    """A model that the server knows. `lane` is there when it is loaded; `streams` are cameras that watch with it."""

    def __init__(self, request: ModelRequest, streams: Sequence[str] = ()) -> None:
        self.request = request
        self.streams = list(streams)
        self.lane: Lane | None = None
        self.desk: Desk | None = None
        self.described: Described | None = None
        self.error: str | None = None  # why the last loading failed
        self.pinned = False
        self.bytes = 0
        self.used = time.monotonic()
        self.busy = 0  # requests that hold it
        self.load_s = 0.0
        self.loading: asyncio.Future[None] | None = None
        self.aliases: list[str] = []  # names that it was asked for by
        self.version = 0.0  # mtime of the file that is loaded
        self._looked = 0.0

    @property
    def id(self) -> str:
        """As configured."""
        return self.request.id

    @property
    def model(self) -> Model:
        """The open model; only while it is loaded."""
        assert self.lane is not None
        return self.lane.model

    def outdated(self) -> bool:
        """Whether the file has become another one since it was loaded."""
        now = time.monotonic()
        if self.lane is None or now - self._looked < _LOOK_S:
            return False
        self._looked = now
        try:
            return os.stat(self.request.path).st_mtime != self.version
        except OSError:
            return False  # being replaced, or gone: the loaded one goes on


class Registry:
    """All methods run in the event loop; only `_open` and `_close` run in the loader's thread.

    requests   the models by id, in the order of the configuration
    lanes      lanes that an engine has open already, by model id: they are the cameras' and never unloaded
    aliases    further names, name -> id
    budget     bytes of loaded models beyond which idle ones are unloaded, the longest unused first; None: no bound
    """

    def __init__(
        self,
        requests: Sequence[ModelRequest],
        lanes: Mapping[str, Lane],
        streams: Mapping[str, Sequence[str]],
        aliases: Mapping[str, str],
        *,
        pinned: Sequence[str] = (),
        budget: float | None = None,
        waiting: int = 64,
    ) -> None:
        self.held = {request.id: Held(request, streams.get(request.id, ())) for request in requests}
        self._aliases = dict(aliases)
        self._budget = budget
        self._waiting = waiting
        self._loader = ThreadPoolExecutor(1, "vidette:loader", _give_way)
        self._tasks: set[asyncio.Task[None]] = set()
        for id in pinned:
            self.held[id].pinned = True
        for id, lane in lanes.items():
            if id in self.held:
                held = self.held[id]
                held.lane, held.desk = lane, lane.open_desk(waiting)
                held.version = _version(held.request.path)

    def find(self, name: str) -> Held:
        """The model of that id or alias. Raises RequestError 404 naming the nearest."""
        held = self.held.get(name) or self.held.get(self._aliases.get(name, ""))
        if held is None:
            near = difflib.get_close_matches(name, [*self.held, *self._aliases], 1)
            known = ", ".join(list(self.held)[:8]) or "none"
            hint = f"did you mean {near[0]!r}?" if near else f"models here: {known}"
            raise RequestError(404, f"there is no model {name[:200]!r}; {hint}")
        if name != held.id and name not in held.aliases:
            held.aliases.append(name)
        return held

    def describe(self, held: Held) -> Described:
        """What the model's file is, without loading it. Raises RequestError 500 when it cannot be read."""
        if held.described is None:
            try:
                held.described = describe(held.request.path)
            except VidetteError as error:
                raise RequestError(500, f"model {held.id} cannot be read: {error}") from None
        return held.described

    def loaded(self) -> list[Held]:
        """The models that answer at once."""
        return [held for held in self.held.values() if held.lane is not None]

    @asynccontextmanager
    async def use(self, name: str, patience: float) -> AsyncIterator[Held]:
        """The loaded model of that name, kept from being unloaded meanwhile.

        Loads it when need be; raises RequestError: 404 unknown, 503 when loading takes longer than `patience` seconds,
        500 when it cannot be loaded.
        """
        held = self.find(name)
        held.busy += 1
        try:
            if held.lane is None:
                await self.load(held, patience)
            elif held.outdated() and held.loading is None and not held.streams:
                self._begin(held)
            held.used = time.monotonic()
            yield held
        finally:
            held.busy -= 1

    async def load(self, held: Held, patience: float | None = None) -> None:
        """Load a model unless it is; loading goes on when the caller's patience ends. Raises RequestError."""
        if held.lane is not None:
            return
        loading = held.loading or self._begin(held)
        try:
            await asyncio.wait_for(asyncio.shield(loading), patience)
        except TimeoutError:
            raise busy(f"model {held.id} is still loading; try again", 2) from None
        if held.lane is None:
            raise RequestError(500, f"model {held.id} cannot be loaded: {held.error}")

    async def unload(self, held: Held) -> None:
        """Let a model go; requests that wait for it are answered first. Raises RequestError 409 when cameras use it."""
        if held.streams:
            raise RequestError(409, f"model {held.id} is used by stream {held.streams[0]}: it stays")
        if held.loading is not None:
            await held.loading
        if held.lane is not None:
            lane, desk = held.lane, held.desk
            held.lane = held.desk = None
            held.bytes = 0
            await self._retire(lane, desk)

    def close(self) -> None:
        """Stop all lanes that are not an engine's."""
        for held in self.loaded():
            if not held.streams and held.lane is not None:
                _close(held.lane)
        self._loader.shutdown(wait=False, cancel_futures=True)

    def _begin(self, held: Held) -> "asyncio.Future[None]":
        loop = asyncio.get_running_loop()
        held.loading = loop.create_future()
        task = loop.create_task(self._load(held, held.loading))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return held.loading

    async def _load(self, held: Held, done: "asyncio.Future[None]") -> None:
        loop = asyncio.get_running_loop()
        before = time.monotonic()
        try:
            version = _version(held.request.path)
            lane, size = await loop.run_in_executor(self._loader, _open, held.request)
            old = held.lane, held.desk
            held.lane, held.desk = lane, lane.open_desk(self._waiting)
            held.error, held.version, held.bytes = None, version, size
            held.load_s = time.monotonic() - before
            if old[0] is not None:
                await self._retire(*old)
            await self._make_room(held)
        except VidetteError as error:
            held.error = str(error)
            held.version = _version(held.request.path)  # do not try the same broken file again with every request
            log.error("model %s: %s", held.id, error)
        except Exception as error:  # noqa: BLE001 - a third party's runtime raises what it likes; waiters must be told
            held.error = f"{type(error).__name__}: {error}"
            log.error("model %s: %s", held.id, held.error)
        finally:
            held.loading = None
            done.set_result(None)

    async def _make_room(self, keep: Held) -> None:
        if self._budget is None:
            return
        idle = [h for h in self.loaded() if not (h is keep or h.busy or h.pinned or h.streams)]
        idle.sort(key=lambda held: held.used)
        while idle and sum(held.bytes for held in self.loaded()) > self._budget:
            held = idle.pop(0)
            log.warning("model %s: unloaded to make room for %s", held.id, keep.id)
            await self.unload(held)

    async def _retire(self, lane: Lane | None, desk: Desk | None) -> None:
        assert lane is not None
        while desk is not None and (desk.waiting or lane.active):
            await asyncio.sleep(0.01)
        await asyncio.get_running_loop().run_in_executor(self._loader, _close, lane)


def _version(path: Path) -> float:
    with suppress(OSError):
        return os.stat(path).st_mtime
    return 0.0


def _give_way() -> None:
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)


def _open(request: ModelRequest) -> tuple[Lane, int]:
    """Load and warm; also how many bytes the process grew by, at least the size of the file."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    mode = "adaptive" if request.plan == "auto" else request.plan
    lane = Lane(load(request, mode, describe(request.path)))
    lane.start()
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    return lane, max(grown, os.path.getsize(request.path))


def _close(lane: Lane) -> None:
    lane.stop()
    lane.join(time.monotonic() + DRAIN_S)
