"""A server that writes down what it is asked and answers everything with something of the right shape."""

import base64
import json
import re
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import cv2
import numpy as np

TASKS = {
    "det/1": "object-detection",
    "coco/3": "object-detection",
    "pose/1": "keypoint-detection",
    "seg/1": "instance-segmentation",
    "cls/1": "classification",
    "multi/1": "classification",
    "sem/1": "semantic-segmentation",
    "act/1": "action-recognition",
}
MODELS = {
    "models": [
        {"model_id": name, "task_type": task, "batch_size": None, "input_height": 320, "input_width": 320, "new": 1}
        for name, task in TASKS.items()
    ]
}
DRAWN = bytes(cv2.imencode(".jpg", np.full((64, 96, 3), 200, np.uint8))[1])
_DEPTH = bytes(cv2.imencode(".png", np.full((2, 3), 65535, np.uint16))[1])


def detections(**more: Any) -> dict[str, Any]:
    row = {"x": 10.0, "y": 20.0, "width": 6.0, "height": 8.0, "confidence": 0.5, "class": "a", "class_id": 0}
    predictions = [{**row, "points": [{"x": 1.0, "y": 2.0}]}]
    return {"inference_id": "i", "time": 0.1, "image": {"width": 96, "height": 64}, "predictions": predictions, **more}


@dataclass
class Seen:
    """A request. `body` has `<jpeg>` where a picture was; `pictures` are their bytes."""

    method: str
    path: str
    query: list[list[str]]
    headers: dict[str, str]
    body: Any
    pictures: list[bytes] = field(default_factory=list)
    connection: int = 0

    def told(self) -> dict[str, Any]:
        """What two clients must have in common."""
        return {
            "method": self.method,
            "path": re.sub("/+", "/", self.path),
            "query": sorted(pair for pair in self.query if pair != ["api_key", "None"]),
            "authorization": self.headers.get("authorization"),
            "content-type": self.headers.get("content-type") if self.body is not None else None,
            "body": self.body,
        }


@dataclass
class Reply:
    """What is answered next, in place of something of the right shape."""

    status: int = 200
    content: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=lambda: {"Content-Type": "application/json"})

    @classmethod
    def json(cls, status: int, value: Any, **headers: str) -> "Reply":
        return cls(status, json.dumps(value).encode(), {"Content-Type": "application/json", **headers})


class Recorder:
    """Listens on loopback. `replies` go out first, one per request that is no look at the registry; a number of
    `hang_up` requests get no answer at all."""

    def __init__(self) -> None:
        self.seen: list[Seen] = []
        self.replies: list[Reply] = []
        self.hang_up = 0
        self.steps: dict[str, list[Seen]] = {}
        self._lock = threading.Lock()
        recorder = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                recorder.answer(self)

            do_POST = do_GET

            def log_message(self, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        content = handler.rfile.read(int(handler.headers.get("content-length", 0)))
        parts = urlsplit(handler.path)
        query = [[k, v.replace(self.url, "URL")] for k, v in parse_qsl(parts.query, keep_blank_values=True)]
        if parts.path == "/step":
            self.seen = self.steps.setdefault(dict(query)["name"], [])
            self.send(handler, Reply())
            return
        headers = {name.lower(): value for name, value in handler.headers.items()}
        seen = Seen(handler.command, parts.path, query, headers, None, connection=handler.client_address[1])
        with self._lock:
            seen.body = self._body(content, headers.get("content-type", ""), seen.pictures)
            self.seen.append(seen)
            if self.hang_up:
                self.hang_up -= 1
                handler.close_connection = True
                return
            reply = self.replies.pop(0) if self.replies and parts.path != "/model/registry" else None
        self.send(handler, reply or self._usual(seen, content))

    def send(self, handler: BaseHTTPRequestHandler, reply: Reply) -> None:
        handler.send_response(reply.status)
        for name, value in reply.headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(reply.content)))
        handler.end_headers()
        handler.wfile.write(reply.content)

    def _body(self, content: bytes, kind: str, pictures: list[bytes]) -> Any:
        if not content:
            return None
        if kind.startswith("multipart/"):
            return content
        try:
            return self._named(json.loads(content), pictures)
        except ValueError:
            return self._named(content.decode(), pictures)

    def _named(self, value: Any, pictures: list[bytes]) -> Any:
        if isinstance(value, dict):
            return {name: self._named(each, pictures) for name, each in value.items()}
        if isinstance(value, list):
            return [self._named(each, pictures) for each in value]
        if isinstance(value, str):
            data = base64.b64decode(value) if len(value) > 100 else b""
            kind = "jpeg" if data.startswith(b"\xff\xd8") else "png" if data.startswith(b"\x89PNG") else None
            if kind:
                pictures.append(data)
                return f"<{kind}>"
            return value.replace(self.url, "URL")
        return value

    def _usual(self, seen: Seen, content: bytes) -> Reply:
        path, body = re.sub("/+", "/", seen.path), seen.body
        if path == "/pic.jpg":
            return Reply(200, DRAWN, {"Content-Type": "image/jpeg"})
        if path == "/info":
            return Reply.json(200, {"name": "recorder", "version": "1", "uuid": "u", "more": 1})
        if path == "/model/clear":
            return Reply.json(200, {"models": []})
        if path.startswith("/model/"):
            return Reply.json(200, MODELS)
        if dict(map(tuple, seen.query)).get("format") == "image":  # type: ignore[arg-type]
            return Reply(200, DRAWN, {"Content-Type": "image/jpeg"})
        several = len(body["image"]) if isinstance(body, dict) and isinstance(body.get("image"), list) else None
        if path.endswith(("/embed_image", "/embed_text", "/embeddings")):
            rows = [[0.5, float(index)] for index in range(several or 1)]
            return Reply.json(200, {"embeddings": rows, "time": 0.1, "frame_id": None})
        if "workflows" in path:
            image = {"type": "base64", "value": base64.b64encode(DRAWN).decode()}
            return Reply.json(200, {"outputs": [{"n": 3, "deep": [{"image": image}]}], "profiler_trace": []})
        if "depth" in path:
            return Reply.json(200, {"normalized_depth": base64.b64encode(_DEPTH).decode()})
        one = detections(visualization=base64.b64encode(DRAWN).decode())
        return Reply.json(200, one if several is None else [one] * several)
