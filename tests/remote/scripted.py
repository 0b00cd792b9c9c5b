"""A server that says what a test tells it to, and remembers what it was asked."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


@dataclass
class Asked:
    """One request. `body` is parsed where it is JSON."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any


Answer = tuple[int, Any] | tuple[int, Any, dict[str, str]]
"""Status, what becomes JSON (bytes are sent as they are), headers."""


class Scripted(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, reply: Callable[[Asked], Answer]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.reply = reply
        self.asked: list[Asked] = []
        self.connections = 0
        self.released = threading.Event()
        """What a reply that hangs may wait for: it is set in the end."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    @property
    def pictures(self) -> list[Asked]:
        """The requests for predictions."""
        return [each for each in self.asked if each.method == "POST" and each.path != "/model/add"]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Scripted

    def setup(self) -> None:
        super().setup()
        self.server.connections += 1

    def handle_one(self) -> None:
        content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        is_json = self.headers.get("Content-Type") == "application/json"
        headers = {name.lower(): value for name, value in self.headers.items()}
        asked = Asked(self.command, parts.path, query, headers, json.loads(content) if is_json else content)
        self.server.asked.append(asked)
        status, body, *further = self.server.reply(asked)
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in (further[0] if further else {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = handle_one

    def log_message(self, *_: object) -> None:
        pass

    def handle(self) -> None:
        with suppress(ConnectionError):  # the client has gone
            super().handle()


@contextmanager
def scripted(reply: Callable[[Asked], Answer]) -> Iterator[Scripted]:
    server = Scripted(reply)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.released.set()
        server.shutdown()
        server.server_close()
        thread.join()


def registry(model: str = "coco/3", task: str = "object-detection", side: int | None = None) -> dict[str, Any]:
    """The registry with one model."""
    entry = {"model_id": model, "task_type": task, "batch_size": None, "input_width": side, "input_height": side}
    return {"models": [entry]}


def found(count: int = 1) -> dict[str, Any]:
    """An answer with so many helmets."""
    row = {"x": 50.0, "y": 40.0, "width": 20.0, "height": 10.0, "confidence": 0.9, "class": "helmet", "class_id": 1}
    return {"time": 0.1, "image": {"width": 320, "height": 192}, "predictions": [row] * count}


def inference_server(asked: Asked) -> Answer:
    """Dialect roboflow-v1."""
    if asked.path == "/model/registry":
        return 200, registry()
    images = asked.body["image"]
    return 200, [found() for _ in images] if isinstance(images, list) else found()
