"""The models of a server: known by id, loaded on demand, swapped for newer versions, unloaded when others need room."""

import asyncio
import difflib
import logging
import time
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from vidette.client.aliases import resolve
from vidette.entry import Desk
from vidette.errors import VidetteError
from vidette.job import ModelRequest
from vidette.lane import Lane, told
from vidette.models import Described, Model, describe
from vidette.remote.trouble import without_address
from vidette.runtimes.remote import RemoteSession
from vidette.serve.disk import Disk
from vidette.serve.errors import RequestError, busy
from vidette.serve.loading import Loader, Version, version_of
from vidette.serve.models_folder import ModelsFolder

log = logging.getLogger("vidette.serve")

_LOOK_S = 1.0
"""A file is asked so often whether it is a new version."""
_ASKED_AGAIN_S = 2.0
"""A server that did not have the model, or did not answer, is asked again after so long."""
_PATIENCE_S = 5.0
"""A client waits so long for the folder of models."""
_AGAIN_S = 60.0
"""A file that could not be loaded is tried again when it has changed, or after so long: memory may be free again."""


class Held:
    """One generation of a model. `lane` is there when it is loaded; `streams` are cameras that watch with it.

    Unloading, and a new version of the file, put another object into the registry. Requests keep the one that they have
    begun with, and its lane is closed when the last of them is answered.
    """

    def __init__(self, request: ModelRequest, streams: Sequence[str] = (), *, pinned: bool = False) -> None:
        self.request = request
        self.streams = list(streams)
        self.pinned = pinned
        self.lane: Lane | None = None
        self.desk: Desk | None = None
        self.described: Described | None = None
        self.error: str | None = None  # why the last loading failed
        self.bytes = 0
        self.used = time.monotonic()
        self.busy = 0  # requests that hold it
        self.coming = 0  # pictures that have a place, and are being unpacked
        self.load_s = 0.0
        self.loading: asyncio.Future[None] | None = None
        self.aliases: list[str] = []  # names that it was asked for by
        self.version: Version | None = None  # of the file that was tried last
        self._tried = self._looked = time.monotonic()
        self.looked_at = False  # somebody looks whether the file has a new version

    @property
    def id(self) -> str:
        """As configured."""
        return self.request.id

    @property
    def model(self) -> Model:
        """The open model; only while it is loaded."""
        assert self.lane is not None
        return self.lane.model

    def successor(self) -> "Held":
        """The next generation, not loaded yet."""
        fresh = Held(self.request, self.streams, pinned=self.pinned)
        fresh.aliases = self.aliases
        return fresh

    def tried(self, version: Version | None, error: str | None) -> None:
        """Note that this version of the file was loaded, or why not."""
        self.version, self._tried, self.error = version, time.monotonic(), error

    @property
    def failed_lately(self) -> bool:
        """Whether the last loading failed, not long ago."""
        again = _AGAIN_S if self.request.endpoint is None else _ASKED_AGAIN_S
        return self.error is not None and time.monotonic() - self._tried < again

    @property
    def unloadable(self) -> int:
        """The status for clients when it cannot be loaded: 502 blames the server that has it."""
        return 500 if self.request.endpoint is None else 502

    def due(self) -> bool:
        """Whether the file is to be looked at again, for a new version; whoever is told so looks."""
        now = time.monotonic()
        if (
            self.request.endpoint is not None
            or self.streams
            or self.loading is not None
            or self.looked_at
            or now - self._looked < _LOOK_S
        ):
            return False
        self._looked, self.looked_at = now, True
        return True


class Registry:
    """All methods but `close` run in the event loop.

    requests   the models by id, in the order of the configuration
    lanes      lanes that an engine has open already, by model id: they are the cameras' and never unloaded
    aliases    further names, name -> id; names of public models and the ids that clients send for them are known
    budget     bytes of loaded models beyond which idle ones are unloaded, the longest unused first; None: no bound
    waiting    pictures that may wait for one model
    folder     where more models come from
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
        folder: ModelsFolder | None = None,
    ) -> None:
        self.held: dict[str, Held] = {}
        self._aliases = dict(aliases)
        self._pinned = {self._aliases.get(name, name) for name in pinned}
        self._budget = budget
        self._waiting = waiting
        self._folder = folder
        self._public: dict[str, str] = {}
        self._loader = Loader()
        self._disk = Disk()
        self._looking: asyncio.Future[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        for request in requests:
            self._add(request, streams.get(request.id, ()))
        for id, lane in lanes.items():
            if id in self.held:
                held = self.held[id]
                held.lane, held.desk, held.bytes = lane, lane.open_desk(waiting), lane.model.bytes

    async def search(self, name: str) -> Held:
        """`find`, after a look into the folder where the name is not known. Raises RequestError: 404, and 503 when the
        folder does not answer."""
        if self._known(name) is None:
            try:
                await asyncio.wait_for(self.look(), _PATIENCE_S)
            except TimeoutError:
                raise busy("the folder of models does not answer; try again", 2) from None
        return self.find(name)

    def find(self, name: str) -> Held:
        """The model of that id or alias. Raises RequestError 404 naming the nearest."""
        held = self._known(name)
        if held is None:
            near = difflib.get_close_matches(name[:200], [*self.held, *self._aliases], 1)
            known = ", ".join(list(self.held)[:8]) or "none"
            hint = f"did you mean {near[0]!r}?" if near else f"models here: {known}"
            raise RequestError(404, f"there is no model {name[:200]!r}; {hint}")
        if name != held.id and name not in held.aliases:
            held.aliases.append(name)
        return held

    async def look(self) -> None:
        """Take in what is new in the folder; all who ask meanwhile wait for the same look."""
        if self._folder is None:
            return
        if self._looking is None:
            self._looking = self._task(self._take_in(self._folder))
        await asyncio.shield(self._looking)

    async def describe(self, held: Held) -> Described:
        """What the model's file is, without loading it. Raises RequestError 500 when it cannot be read."""
        if held.described is None:
            try:
                held.described = await self._disk.ask(describe, held.request.source)
            except VidetteError as error:
                raise RequestError(held.unloadable, f"model {held.id} cannot be read: {_told(error, held)}") from None
        return held.described

    def loaded(self) -> list[Held]:
        """The models that answer at once."""
        return [held for held in self.held.values() if held.lane is not None]

    def silent(self) -> list[str]:
        """Ids of the loaded models whose server did not answer when it was asked last."""
        return [held.id for held in self.loaded() if isinstance(at := held.model.session, RemoteSession) and at.silent]

    @property
    def full(self) -> bool:
        """Whether the loaded models take more than the budget."""
        return self._budget is not None and sum(held.bytes for held in self.loaded()) > self._budget

    @asynccontextmanager
    async def use(self, name: str, patience: float) -> AsyncIterator[Held]:
        """The loaded model of that name, kept from being closed meanwhile.

        Loads it when need be; raises RequestError: 404 unknown, 503 when loading takes longer than `patience` seconds,
        500 when it cannot be loaded.
        """
        held = await self.search(name)
        held.busy += 1
        try:
            if held.lane is None:
                await self.load(held, patience)
            elif held.due():
                self._task(self._renew(held))
            held.used = time.monotonic()
            yield held
        finally:
            held.busy -= 1

    async def load(self, held: Held, patience: float | None = None) -> None:
        """Load a model unless it is; loading goes on when the caller's patience ends. Raises RequestError."""
        if held.lane is not None:
            return
        if held.loading is None and held.failed_lately:
            same = await self._disk.ask(version_of, held.request.path) == held.version
            if same and held.failed_lately and held.loading is None:
                raise RequestError(held.unloadable, f"model {held.id} cannot be loaded: {held.error}")
        loading = held.loading or self._begin(held, held)
        try:
            await asyncio.wait_for(asyncio.shield(loading), patience)
        except TimeoutError:
            raise busy(f"model {held.id} is still loading; try again", 2) from None
        if held.lane is None:
            raise RequestError(held.unloadable, f"model {held.id} cannot be loaded: {held.error}")

    async def unload(self, held: Held) -> None:
        """Let a model go, when the requests that use it are answered. Raises RequestError 409 when cameras use it."""
        if held.streams:
            raise RequestError(409, f"model {held.id} is used by stream {held.streams[0]}: it stays")
        while (loading := self.held[held.id].loading) is not None:
            await asyncio.shield(loading)
        held = self.held[held.id]
        if held.lane is not None:
            self.held[held.id] = held.successor()
            await asyncio.shield(self._task(self._retire(held)))

    def close(self) -> None:
        """Stop all lanes that are not an engine's; blocks."""
        self._disk.close()
        self._loader.shutdown()

    def _add(self, request: ModelRequest, streams: Sequence[str] = ()) -> None:
        self.held[request.id] = Held(request, streams, pinned=request.id in self._pinned)
        self._public[resolve(request.id)] = request.id
        project, version = hosted_name(request.id)
        self._public.setdefault(f"{project}/{version}", request.id)

    def _known(self, name: str) -> Held | None:
        id = name if name in self.held else self._aliases.get(name) or self._public.get(resolve(name))
        return self.held.get(id or "")

    async def _take_in(self, folder: ModelsFolder) -> None:
        try:
            for request in await self._disk.ask(folder.look) or ():
                if request.id not in self.held:
                    self._add(request)
        finally:
            self._looking = None

    async def _renew(self, held: Held) -> None:
        """Load the file's new version beside the old one, if it has one. A file that is gone, or is being replaced,
        leaves the loaded one."""
        try:
            found = await self._disk.ask(version_of, held.request.path)
        finally:
            held.looked_at = False
        if found not in (None, held.version) and held.loading is None and self.held.get(held.id) is held:
            self._begin(held, held.successor())

    def _task(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        """Something that goes on when the request that began it is cancelled."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _begin(self, current: Held, target: Held) -> "asyncio.Future[None]":
        current.loading = asyncio.get_running_loop().create_future()
        self._task(self._load(current, target, current.loading))
        return current.loading

    async def _load(self, current: Held, target: Held, done: "asyncio.Future[None]") -> None:
        """Open `target`, which is `current` itself when nothing is loaded yet."""
        version = None
        try:
            version = await self._disk.ask(version_of, current.request.path)
            opened = await self._loader.open(current.request, self._answering if self.loaded() else None)
            target.lane, target.desk = opened.lane, opened.lane.open_desk(self._waiting)
            target.described, target.bytes, target.load_s = opened.described, opened.bytes, opened.seconds
            target.tried(opened.version, None)
            if target is current:
                log.info("%s; loaded in %.1f s", opened.plan, opened.seconds)
            else:
                log.info("%s; a new version, loaded in %.1f s", opened.plan, opened.seconds)
                self.held[current.id] = target
                self._task(self._retire(current))
        except Exception as error:  # noqa: BLE001 - a third party's runtime raises what it likes; waiters must be told
            current.tried(version, _told(error, current))
            goes_on = "; the loaded version goes on" if current.lane is not None else ""
            why = " ".join(told(error).split()) if current.request.endpoint else current.error
            log.error("model %s cannot be loaded: %s%s", current.id, why, goes_on)
        finally:
            current.loading = None
            done.set_result(None)
        await self._make_room(target)

    def _answering(self) -> bool:
        """Whether a loaded model has work; asked by the loader's threads."""
        lanes = [(held.busy, held.lane) for held in list(self.held.values())]
        return any(lane is not None and (busy or lane.active) for busy, lane in lanes)

    async def _make_room(self, keep: Held) -> None:
        idle = [h for h in self.loaded() if not (h is keep or h.busy or h.pinned or h.streams or h.loading)]
        idle.sort(key=lambda held: held.used)
        while self.full and idle:
            held = idle.pop(0)
            if not held.busy and self.held[held.id] is held:
                log.info("model %s: unloaded to make room for %s", held.id, keep.id)
                await self.unload(held)

    async def _retire(self, held: Held) -> None:
        """Close a generation that is not in the registry any more when its last request has gone."""
        while held.busy:
            await asyncio.sleep(0.02)
        lane = held.lane
        if lane is not None:
            await self._loader.close(lane)


def hosted_name(id: str) -> tuple[str, int]:
    """Project and version by which Roboflow's clients, whose ids have these two parts, know a model: names without a
    number get 1, further slashes become dashes."""
    project, _, version = id.rpartition("/")
    return (project.replace("/", "-"), int(version)) if project and version.isdecimal() else (id.replace("/", "-"), 1)


def _told(error: Exception, held: Held) -> str:
    """One line, for clients: without the folders of this machine, and the addresses of others."""
    text, path, at = told(error), held.request.path, held.request.endpoint
    return " ".join((text.replace(str(path), path.name) if at is None else without_address(at, text)).split())
