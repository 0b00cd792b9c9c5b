"""What clients and the operator are told when the server that is asked on goes, hangs, and comes back."""

import base64
import logging
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.cli.console import Console
from tests.remote.scripted import Answer, Asked, Scripted, inference_server, scripted
from tests.serve.conftest import Running
from tests.serve.tasks import picture
from vidette.engine import plan_line
from vidette.errors import ConfigError
from vidette.job import Job, ModelRequest
from vidette.remote.endpoint import Endpoint
from vidette.remote.trouble import Trouble, without_address
from vidette.serve.itself import refuse_itself
from vidette.serve.server import Server
from vidette.server_settings import ServerConfig

TEXT = base64.b64encode(picture())


def request(url: str, **options: Any) -> ModelRequest:
    return ModelRequest("a/1", Path("a"), endpoint=Endpoint.parse(url, options=options))


@contextmanager
def before(far: Scripted, **options: Any) -> Iterator[Running]:
    """A server that asks `far`, and whose clients may wait longer than a test does."""
    config = ServerConfig.model_validate({"limits": {"deadline": "1h"}})
    running = Running(Server(config, [request(f"{far.url}/coco/3", timeout="1h", **options)], Job([], [])))
    try:
        yield running
    finally:
        running.stop()


def ask(running: Running) -> httpx.Response:
    return httpx.post(f"{running.url}/a/1", content=TEXT, timeout=30)


class Changing:
    """An inference server that can be told to answer predictions with something else."""

    def __init__(self) -> None:
        self.instead: Answer | None = None

    def __call__(self, asked: Asked) -> Answer:
        return self.instead if self.instead is not None and asked.path != "/model/registry" else inference_server(asked)


def close_port(far: Scripted) -> None:
    """Connections are refused from now on."""
    far.shutdown()
    far.server_close()


def test_a_refused_connection_is_told_at_once() -> None:
    def reply(asked: Asked) -> Answer:
        status, body, *_ = inference_server(asked)
        return status, body, {"Connection": "close"}  # else the server lives on in the connection that is kept

    with scripted(reply) as far, before(far, concurrency=1) as running, ThreadPoolExecutor(12) as clients:
        assert ask(running).status_code == 200
        close_port(far)
        answers = [ask(running)]
        session: Any = running.server.registry.find("a/1").model.session
        session._not_before = time.monotonic() + 3600  # as long as streams' frames might pause
        answers += clients.map(lambda _: ask(running), range(12))
    for answer in answers:
        assert answer.status_code == 502
        message = answer.json()["message"]
        assert message.startswith("model a/1: ")
        assert "frame" not in message
        assert "127.0.0.1" not in message
        assert str(far.server_port) not in message


def test_time_counts_from_the_arrival_while_nobody_answers() -> None:
    reply = Changing()
    with scripted(reply) as far, before(far) as running:
        assert ask(running).status_code == 200
        model = running.server.registry.find("a/1").model
        session: Any = model.session
        buffer = session.buffer((64, 64))
        buffer.slots[0] = picture(".jpg")
        model.ask(buffer, 0, model.limits, time.monotonic() - 7200)
        ((answer,),) = session.run(buffer, 1)
        assert answer["predictions"]  # a queue alone makes no picture late
        reply.instead = (500, {"message": "broken"})
        assert ask(running).status_code == 502
        asked = len(far.pictures)
        ((late,),) = session.run(buffer, 1)
        assert isinstance(late, Trouble)
        assert len(far.pictures) == asked


def test_failing_and_recovering_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    reply = Changing()
    with scripted(reply) as far, before(far) as running:
        assert ask(running).status_code == 200
        for _ in range(2):
            caplog.clear()
            assert "silent" not in httpx.get(f"{running.url}/readiness").json()
            reply.instead = (500, {"message": f"look at {far.url}/log"})
            for _ in range(3):
                answer = ask(running)
                assert answer.status_code == 502
                assert answer.json()["message"] == (
                    "model a/1: the server answered 500 Internal Server Error: look at its server/log"
                )
            ready = httpx.get(f"{running.url}/readiness")
            assert (ready.status_code, ready.json()["silent"]) == (200, ["a/1"])
            reply.instead = None
            for _ in range(3):
                assert ask(running).status_code == 200
            said = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
            failed = f"the server answered 500 Internal Server Error: look at {far.url}/log"
            assert said == [
                f"model a/1: {far.url}/coco/3: {failed}",
                f"model a/1: {far.url}/coco/3 answers again",
            ]


def test_a_model_that_cannot_be_loaded_is_told_without_its_address(caplog: pytest.LogCaptureFixture) -> None:
    with scripted(lambda asked: (500, {"message": "broken"})) as far:
        config = ServerConfig.model_validate({})
        running = Running(Server(config, [request(f"{far.url}/coco/3", dialect="roboflow-v1")], Job([], [])))
        message = ask(running).json()["message"]
        running.stop()
    assert message == "model a/1 cannot be loaded: the server answered 500 Internal Server Error: broken"
    assert f"model a/1 cannot be loaded: {far.url}/coco/3: the server answered 500" in caplog.text


@pytest.mark.parametrize(
    ("url", "text", "shown"),
    [
        ("http://10.0.0.7:9001/a/1", "http://10.0.0.7:9001/a/1: gone", "gone"),
        (
            "http://10.0.0.7:9001/a/1",
            "http://10.0.0.7:9001/model/registry is none",
            "its server/model/registry is none",
        ),
        ("http://10.0.0.7:9001/a/1", "10.0.0.70 is not 10.0.0.7", "10.0.0.70 is not its server"),
        ("https://gpu.lan/a/1", "certificate is not valid for 'gpu.lan'", "certificate is not valid for 'its server'"),
        ("http://server:9001/a/1", "the server at server:9001 said no", "the server at its server said no"),
        ("http://[::1]:9001/a/1", "no way to [::1]:9001", "no way to its server"),
    ],
)
def test_addresses_are_kept_from_clients(url: str, text: str, shown: str) -> None:
    assert without_address(Endpoint.parse(url), text) == shown


def test_the_plan_is_told_to_people() -> None:
    with scripted(inference_server) as far, before(far, quality=80, concurrency=2) as running:
        lane = running.server.registry.find("a/1").lane
        assert lane is not None
        assert plan_line(lane, "auto: for clients") == (
            f"model a/1: asks {far.url}/coco/3 (roboflow-v1), JPEG quality 80, 2 requests at once, "
            "up to 4 pictures in each (throughput plan auto: for clients)"
        )


def test_a_server_that_names_itself_is_refused(capfd: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    said = Console(capfd)("serve", "--model", f"a/1=http://localhost:{port}/a/1?api_key=s3cret", "--port", port)
    assert said.code != 0
    assert said.err.strip() == (
        f"vidette: model a/1: http://localhost:{port}/a/1 is this server; name another one, or a file"
    )


@pytest.mark.parametrize(
    ("url", "host", "port", "refused"),
    [
        ("http://127.0.0.1:9317/a/1", "127.0.0.1", 9317, True),
        ("http://127.0.0.1/a/1", "127.0.0.1", 80, True),
        ("http://127.0.0.1:9317/a/1", "0.0.0.0", 9317, True),
        ("http://0.0.0.0:9317/a/1", "127.0.0.1", 9317, True),
        ("http://127.0.0.1:9001/a/1", "127.0.0.1", 9317, False),
        ("http://127.0.0.2:9317/a/1", "127.0.0.1", 9317, False),
        ("http://192.0.2.1:9317/a/1", "0.0.0.0", 9317, False),
    ],
)
def test_which_addresses_are_its_own(url: str, host: str, port: int, refused: bool) -> None:
    if not refused:
        refuse_itself([request(url)], [(host, port)])
        return
    with pytest.raises(ConfigError, match="is this server"):
        refuse_itself([request(url)], [(host, port)])
