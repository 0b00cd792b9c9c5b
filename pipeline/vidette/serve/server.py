"""One process: cameras of the site, models, and what the routes share."""

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from starlette.requests import Request

from vidette.engine import Engine
from vidette.errors import ModelError
from vidette.job import Job, ModelRequest
from vidette.lane import Lane
from vidette.serve.errors import RequestError, busy
from vidette.serve.fetching import Fetcher
from vidette.serve.keys import Caller, Keys, Scope
from vidette.serve.metrics import Metrics
from vidette.serve.models_folder import ModelsFolder
from vidette.serve.other_pages import refuse_other_pages
from vidette.serve.pictures import PictureReader
from vidette.serve.rates import Rates
from vidette.serve.registry import Registry
from vidette.serve.streams import Streams
from vidette.server_settings import ServerConfig, refuse_open_door


class Server:
    """What the routes share. `job` has the cameras; `models` all that clients may ask, those of the cameras too.

    ready      whether all that is to be loaded was tried
    failed     ids of models that were to be loaded and could not
    draining   no new requests are taken
    under_way  requests that are being answered, and the bytes of their bodies that have come
    """

    def __init__(self, config: ServerConfig, models: Sequence[ModelRequest], job: Job) -> None:
        refuse_open_door(config)
        self.config = config
        self.engine = Engine(job) if job.streams else None
        self.streams = Streams(self.engine)
        self.keys = Keys(config.keys)
        self.rates = Rates(config.rate)
        self.metrics = Metrics()
        self.fetcher = Fetcher(config.fetch)
        self.pictures = PictureReader(config.limits.pixels, config.limits.pixels_in_all, config.exact)
        self.registry: Registry
        self.id = str(uuid4())
        self.started = time.monotonic()
        self.ready = False
        self.failed: list[str] = []
        self.draining = False
        self._seated = 0  # requests for predictions under way
        self.under_way = 0
        self.under_way_bytes = 0
        self._models = list(models)
        self._job = job
        self._folder = None if config.models_folder is None else ModelsFolder(Path(config.models_folder))

    async def start(self) -> None:
        """Start the cameras. Raises VidetteError when a camera's model or sink fails."""
        lanes: Mapping[str, Lane] = {}
        streams: dict[str, list[str]] = {}
        if self.engine is not None:
            await asyncio.to_thread(self.engine.start)
            lanes = self.engine.lanes
            for stream in self._job.streams:
                streams.setdefault(stream.model, []).append(stream.id)
        config = self.config
        self.registry = Registry(
            self._models, lanes, streams, config.aliases, pinned=config.pinned,
            budget=float(config.memory) if config.memory is not None else None, waiting=config.limits.waiting,
            folder=self._folder,
        )  # fmt: skip
        await self.registry.look()
        self.metrics.watch(self.registry, self.engine)

    async def preload(self) -> None:
        """Load what is to be loaded; one that cannot be does not keep the others. Raises ModelError when none can be.

        `all` ends where the memory is used up: the others are loaded on demand.
        """
        registry, wanted = self.registry, self.config.preload
        names = list(registry.held) if wanted == "all" else wanted
        for name in names:
            if wanted == "all" and registry.full:
                break
            held = await registry.search(name)
            try:
                await registry.load(held)
            except RequestError:
                self.failed.append(held.id)
        elsewhere = any(registry.held[id].request.endpoint is not None for id in self.failed)  # may come later
        if names and len(self.failed) == len(names) and not registry.loaded() and not elsewhere:
            raise ModelError("none of the models could be loaded")
        self.ready = True

    async def stop(self) -> None:
        """End everything."""
        self.ready = False
        if self.engine is not None:
            self.engine.request_stop()
            await asyncio.to_thread(self.engine.stop)
        await self.fetcher.close()
        await asyncio.to_thread(self.registry.close)
        self.pictures.close()

    @contextmanager
    def seat(self) -> Iterator[None]:
        """Room for one more request for predictions; asked before its body is read.

        Raises RequestError 503 when as many are under way as all loaded models have waiting places.
        """
        if self._seated >= self.config.limits.waiting * max(1, len(self.registry.loaded())):
            raise busy("as many requests are under way as this server takes; try again")
        self._seated += 1
        try:
            yield
        finally:
            self._seated -= 1

    def admit(self, request: Request, given: Sequence[str | None], scope: Scope) -> Caller:
        """Check the key and its rate, or whose page asks, where it is for more than predictions and there are no keys.
        `given` are all forms in which a key may have come, in their precedence.

        Raises RequestError: 401, 403, 429.
        """
        caller = self.keys.check(given, scope)
        request.state.caller = caller.name
        if scope == "infer":
            client = request.client.host if request.client is not None else ""
            self.rates.count(caller.name if self.keys else client)
        else:
            self.refuse_other_pages(request)
        return caller

    def refuse_other_pages(self, request: Request) -> None:
        """Raise RequestError 403 where nobody needs a key and the page of another site asks."""
        if not self.keys:
            refuse_other_pages(request, self.config)
