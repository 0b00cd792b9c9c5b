"""Cameras and clients in one process: the same batches, and nothing that clients do costs a camera a frame."""

import base64
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import Collecting, make_job
from tests.media import write_clip
from tests.serve.conftest import Running, Serve, encoded
from tests.serve.waiting import wait_for

FRAMES = 300
TEXT = base64.b64encode(encoded()).decode()


@pytest.fixture
def sink() -> Collecting:
    return Collecting()


def beside_a_stream(serve: Serve, detector: Path, video: Path, sink: Collecting, **config: Any) -> Running:
    """A file at the pace of a camera would only make the test slow: lossless, so that every frame is counted."""
    job = make_job(detector, {"cam": str(video)}, [sink], runtime="onnx")
    return serve(models={"m": detector}, job=job, **config)


def counted(running: Running) -> dict[str, Any]:
    """The stream's numbers when all of it has come out."""
    engine = running.server.engine
    assert engine is not None
    wait_for(lambda: all(stream.done for stream in engine.streams), 60)
    (told,) = engine.report()["streams"]
    return told


def test_clients_and_a_stream_share_a_model(serve: Serve, detector: Path, tmp_path: Path, sink: Collecting) -> None:
    write_clip(video := tmp_path / "a.mp4", FRAMES)
    running = beside_a_stream(serve, detector, video, sink)
    lane = running.server.registry.find("m").lane
    assert running.server.engine is not None
    assert lane is running.server.engine.lanes["m"]
    statuses: list[int] = []
    done = threading.Event()

    def client() -> None:
        with httpx.Client(timeout=60) as session:
            while not done.is_set():
                body = {"model_id": "m", "image": {"type": "base64", "value": TEXT}}
                statuses.append(session.post(f"{running.url}/infer/object_detection", json=body).status_code)

    threads = [threading.Thread(target=client) for _ in range(4)]
    for thread in threads:
        thread.start()
    told = counted(running)
    done.set()
    for thread in threads:
        thread.join()
    assert (told["decoded"], told["results"], told["dropped"], told["failed"]) == (FRAMES, FRAMES, {}, {})
    wait_for(lambda: len(sink.results) == FRAMES)
    assert [result.seq for result in sink.of("cam")] == list(range(FRAMES))
    assert statuses
    assert set(statuses) == {200}


def test_the_ledger_is_right_after_a_drain(serve: Serve, detector: Path, tmp_path: Path, sink: Collecting) -> None:
    """A signal in the middle: the client's picture is answered, the stream ends with every frame in one column."""
    job = make_job(detector, {"cam": "testsrc:"}, [sink], mode="live", runtime="onnx")
    running = serve(models={"m": detector}, job=job)
    held = running.server.registry.find("m")
    wait_for(lambda: len(sink.results) > 5)
    lane: Any = held.lane
    release, plain = threading.Event(), lane.model.session.run

    def slow(*args: Any, **kwargs: Any) -> Any:
        release.wait(60)
        return plain(*args, **kwargs)

    lane.model.session.run = slow
    answers: list[httpx.Response] = []
    body = {"model_id": "m", "image": {"type": "base64", "value": TEXT}}
    ask = threading.Thread(
        target=lambda: answers.append(httpx.post(f"{running.url}/infer/object_detection", json=body, timeout=60))
    )
    ask.start()
    wait_for(lambda: held.busy == 1)
    with httpx.Client() as kept:
        assert kept.get(f"{running.url}/info").status_code == 200
        running.drain()
        wait_for(lambda: running.server.draining)
        refused = kept.post(f"{running.url}/infer/object_detection", json=body)
        assert refused.status_code == 503
        assert refused.headers["connection"] == "close"
        assert "shutting down" in refused.json()["message"]
        assert httpx.get(f"{running.url}/healthz").status_code == 200
        assert httpx.get(f"{running.url}/readiness").status_code == 503
    release.set()
    ask.join()
    running.stop()
    assert answers[0].status_code == 200
    assert answers[0].headers["connection"] == "close"
    assert running.server.engine is not None
    report = running.server.engine.report()
    (told,) = report["streams"]
    ends = told["results"] + sum(told["dropped"].values()) + sum(told["failed"].values())
    assert (told["in_flight"], ends) == (0, told["decoded"])
    assert told["failed"] == {}
    assert len(sink.results) == told["results"] == report["sinks"][0]["written"]
    assert sink.closed == 1


@pytest.fixture
def sockets() -> Iterator[list[socket.socket]]:
    opened: list[socket.socket] = []
    yield opened
    for each in opened:
        each.close()


HEAD = b"POST /m/1 HTTP/1.1\r\nHost: x\r\n"
BAD_CLIENTS = {
    "says nothing": [b""],
    "half a header": [HEAD],
    "a header a second": [HEAD, b"X-A: 1\r\n", b"X-B: 2\r\n", b"X-C: 3\r\n", b"X-D: 4\r\n"] + [b"X-E: 5\r\n"] * 30,
    "half a body": [HEAD + b"Content-Length: 1000\r\n\r\nabc"],
    "half a chunk": [HEAD + b"Transfer-Encoding: chunked\r\n\r\nff\r\nabc"],
    "asks, and reads nothing": [b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n" * 2000],
    "is no HTTP": [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"],
}


def test_bad_connections_are_cut_and_cost_nothing(
    serve: Serve,
    detector: Path,
    tmp_path: Path,
    sink: Collecting,
    sockets: list[socket.socket],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Two hundred of all kinds at once, beside a stream and good clients."""
    write_clip(video := tmp_path / "a.mp4", FRAMES)
    running = beside_a_stream(serve, detector, video, sink, limits={"slow": "1s"})
    drip: list[tuple[socket.socket, list[bytes]]] = []
    for number in range(200):
        parts = list(BAD_CLIENTS.values())[number % len(BAD_CLIENTS)]
        bad = socket.socket()
        bad.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        bad.connect(("127.0.0.1", running.port))
        bad.setblocking(False)
        sockets.append(bad)
        drip.append((bad, list(parts)))
    done = threading.Event()

    def dribble() -> None:
        while not done.wait(0.2):
            for bad, parts in drip:
                if parts:
                    try:
                        sent = bad.send(parts[0])
                    except BlockingIOError:
                        continue
                    except OSError:
                        parts.clear()
                        continue
                    parts[0] = parts[0][sent:]
                    if not parts[0]:
                        parts.pop(0)

    dribbling = threading.Thread(target=dribble)
    dribbling.start()
    connections = running.listener._web.server_state.connections
    wait_for(lambda: len(connections) > 100)
    body = {"model_id": "m", "image": {"type": "base64", "value": TEXT}}
    for _ in range(10):
        assert httpx.post(f"{running.url}/infer/object_detection", json=body, timeout=60).status_code == 200
    told = counted(running)
    assert (told["results"], told["dropped"], told["failed"]) == (FRAMES, {}, {})
    wait_for(lambda: not connections, 60)
    done.set()
    dribbling.join()
    wait_for(lambda: running.server.under_way == 0)
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == []
    assert httpx.post(f"{running.url}/infer/object_detection", json=body, timeout=60).status_code == 200


def test_silent_connections_make_room(serve: Serve, sockets: list[socket.socket]) -> None:
    """More connections than there may be: those that have asked for nothing go, the longest silent first."""
    running = serve(limits={"connections": 10})
    for _ in range(30):
        sockets.append(socket.create_connection(("127.0.0.1", running.port)))
    connections = running.listener._web.server_state.connections
    wait_for(lambda: len(connections) == 10)
    sockets[0].settimeout(10)
    assert sockets[0].recv(1) == b""
    assert httpx.get(f"{running.url}/info").status_code == 200
