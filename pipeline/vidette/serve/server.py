"""One process: cameras of the site, models, and the HTTP server that asks them."""

import asyncio
import contextlib
import logging
import signal
import time
from collections.abc import Mapping, Sequence
from logging.handlers import WatchedFileHandler
from uuid import uuid4

from starlette.requests import Request

from vidette.engine import Engine
from vidette.errors import ConfigError
from vidette.job import Job, ModelRequest
from vidette.lane import Lane
from vidette.serve.errors import RequestError
from vidette.serve.fetching import Fetcher
from vidette.serve.keys import Caller, Keys, Scope
from vidette.serve.metrics import Metrics
from vidette.serve.pictures import PictureReader
from vidette.serve.rates import Rates
from vidette.serve.registry import Registry
from vidette.server_settings import ServerConfig

log = logging.getLogger("vidette.serve")

LOOPBACK = ("127.0.0.1", "::1", "localhost")


class Server:
    """What the routes share. `job` has the cameras; `models` all that clients may ask, those of the cameras too."""

    def __init__(self, config: ServerConfig, models: Sequence[ModelRequest], job: Job) -> None:
        refuse_open_door(config)
        self.config = config
        self.engine = Engine(job) if job.streams else None
        self.keys = Keys(config.keys)
        self.rates = Rates(config.rate)
        self.metrics = Metrics()
        self.fetcher = Fetcher(config.fetch)
        self.pictures = PictureReader(config.limits.pixels, config.exact)
        self.registry: Registry
        self.id = str(uuid4())
        self.started = time.monotonic()
        self.ready = False
        self.draining = False
        self._models = list(models)
        self._job = job

    async def start(self) -> None:
        """Start the cameras, load what is to be loaded. Raises VidetteError when a camera's model or sink fails."""
        lanes: Mapping[str, Lane] = {}
        streams: Mapping[str, list[str]] = {}
        if self.engine is not None:
            await asyncio.to_thread(self.engine.start)
            lanes = self.engine.lanes
            streams = _by_model(self._job)
        config = self.config
        self.registry = Registry(
            self._models, lanes, streams, config.aliases, pinned=config.pinned,
            budget=float(config.memory) if config.memory is not None else None, waiting=config.limits.waiting,
        )  # fmt: skip
        self.metrics.watch(self.registry, self.engine)
        names = self.registry.held if config.preload == "all" else config.preload
        for name in list(names):
            await self.registry.load(self.registry.find(name))
        self.ready = True

    async def stop(self) -> None:
        """End everything."""
        self.ready = False
        if self.engine is not None:
            self.engine.request_stop()
            await asyncio.to_thread(self.engine.stop)
        await self.fetcher.close()
        self.registry.close()
        self.pictures.close()

    def admit(self, request: Request, given: Sequence[str | None], scope: Scope) -> Caller:
        """Check the key and its rate; `given` are all forms in which a key may have come, in their precedence.

        Raises RequestError: 401, 403, 429, and 503 while the server drains.
        """
        if self.draining:
            raise RequestError(503, "the server is shutting down", {"Retry-After": "5", "Connection": "close"})
        caller = self.keys.check(given, scope)
        request.state.caller = caller.name
        if scope == "infer":
            client = request.client.host if request.client is not None else ""
            self.rates.count(caller.name if self.keys else client)
        return caller


def _by_model(job: Job) -> Mapping[str, list[str]]:
    found: dict[str, list[str]] = {}
    for stream in job.streams:
        found.setdefault(stream.model, []).append(stream.id)
    return found


def refuse_open_door(config: ServerConfig) -> None:
    """Raise ConfigError when everybody in the network could ask and nobody said so."""
    if config.host not in LOOPBACK and not config.keys and config.auth != "none":
        raise ConfigError(
            f"server: host {config.host} answers the whole network without keys: add `keys:`, or write `auth: none`"
        )


def serve(server: Server) -> int:
    """Answer until SIGINT or SIGTERM; drain; returns the exit code."""
    import uvicorn

    from vidette.serve.app import create_app

    config, limits = server.config, server.config.limits
    _open_access_log(config.access_log)
    codes: list[int] = []
    web = uvicorn.Server(
        uvicorn.Config(
            create_app(server),
            host=config.host,
            port=config.port,
            ssl_certfile=config.tls.certificate if config.tls else None,
            ssl_keyfile=config.tls.key if config.tls else None,
            limit_concurrency=limits.connections,
            timeout_keep_alive=int(limits.slow),
            timeout_graceful_shutdown=int(limits.deadline) + 1,
            log_config=None,
            access_log=False,
            server_header=False,
            lifespan="on",
        )
    )

    def stop(number: int) -> None:
        web.force_exit = bool(codes)
        codes.append(128 + number)
        server.draining = True
        web.should_exit = True

    async def main() -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop, number)
        await web.serve()

    # uvicorn would take the signals itself and end with their default action
    web.capture_signals = contextlib.nullcontext  # type: ignore[method-assign, assignment]
    uvicorn_loop = web.config.get_loop_factory()
    with asyncio.Runner(loop_factory=uvicorn_loop) as runner:
        runner.run(main())
    if not web.started and not codes:
        return 1
    return codes[0] if codes else 0


def _open_access_log(target: str | None) -> None:
    if target is None:
        return
    logger = logging.getLogger("vidette.access")
    try:
        handler = logging.StreamHandler() if target == "-" else WatchedFileHandler(target)
    except OSError as error:
        raise ConfigError(f"server.access_log: {target}: cannot be written: {error.strerror}") from None
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
