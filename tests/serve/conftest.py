"""A server that really listens, with the tiny detector."""

import asyncio
import base64
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np
import pytest

pytest.importorskip("fastapi")

from tests.serve import tasks as task_models
from vidette.job import Job, ModelRequest
from vidette.serve.server import Server
from vidette.server_settings import ServerConfig


class Running:
    """A server in a thread of this process, with its models loaded unless `ready` is not waited for."""

    def __init__(self, server: Server, *, ready: bool = True, port: int = 0) -> None:
        from vidette.serve.listening import Listener

        server.config = server.config.model_copy(update={"port": port})
        self.server = server
        self.listener = Listener(server)
        self.port, self.url = self.listener.port, self.listener.url
        self._loop = (self.listener.loop_factory or asyncio.new_event_loop)()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        deadline = time.monotonic() + 60
        while ready and not server.ready:
            assert self._thread.is_alive()
            assert time.monotonic() < deadline, "the server did not start"
            time.sleep(0.01)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self.listener.run())

    def drain(self) -> None:
        """As at the first SIGTERM."""
        self._loop.call_soon_threadsafe(self.listener.stop)

    def stop(self) -> None:
        if self._thread.is_alive():
            self.drain()
        self._thread.join(30)
        assert not self._thread.is_alive()


Serve = Callable[..., Running]


@pytest.fixture
def serve(detector: Path) -> Iterator[Serve]:
    """Start a server: `serve(models={"id": path}, **fields of the section server)`."""
    running: list[Running] = []

    def start(
        models: dict[str, Path] | None = None, job: Job | None = None, ready: bool = True, **config: Any
    ) -> Running:
        requests = [ModelRequest(id, path, runtime="onnx") for id, path in (models or {"tiny/1": detector}).items()]
        server = Server(ServerConfig.model_validate(config), requests, job or Job([], []))
        running.append(Running(server, ready=ready))
        return running[-1]

    yield start
    for each in running:
        each.stop()


def encoded(colour: str = "red", size: tuple[int, int] = (64, 96), suffix: str = ".png") -> bytes:
    """A picture of one colour: the tiny detector finds an object of that class in each cell of it."""
    pixels = np.zeros((*size, 3), np.uint8)
    pixels[:, :, {"blue": 0, "green": 1, "red": 2}[colour]] = 255
    return bytes(cv2.imencode(suffix, pixels)[1])


PICTURE = base64.b64encode(encoded())


def ask(running: Running, model: str = "tiny/1", **options: Any) -> httpx.Response:
    """What a server answers to a picture in which there is something."""
    return httpx.post(f"{running.url}/{model}", content=PICTURE, timeout=60, **options)


@pytest.fixture(scope="session")
def tasks(tmp_path_factory: pytest.TempPathFactory, detector: Path) -> Iterator[Running]:
    """A server with a model of each task (tasks.py) and the tiny detector, as its HUB model MODEL_ID too."""
    models = task_models.write_all(tmp_path_factory.mktemp("tasks")) | {"tiny/1": detector}
    requests = [ModelRequest(id, path, runtime="onnx") for id, path in models.items()]
    settings = {"fetch": {"hosts": ["127.0.0.1"]}, "hub_models": {"MODEL_ID": "det/1"}, "aliases": {"coco/3": "det/1"}}
    running = Running(Server(ServerConfig.model_validate(settings), requests, Job([], [])))
    yield running
    running.stop()


@pytest.fixture(scope="session")
def host() -> Iterator[str]:
    """Where a client's pictures are on the web: the URL of a server whose every path is a picture of 640x320, as JPEG,
    or as PNG where the path says so."""

    class Host(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            kind = "png" if self.path.endswith(".png") else "jpeg"
            data = task_models.picture(f".{kind}")
            self.send_response(200)
            self.send_header("Content-Type", f"image/{kind}")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(data)

        do_HEAD = do_GET

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Host)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
