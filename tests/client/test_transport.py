"""Refusals, retries, connections, deadlines, secrets; blocking and on an event loop alike."""

import asyncio
import math
import pickle
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.client.recording import Recorder, Reply
from vidette.client import (
    HTTPCallErrorError,
    HTTPClientError,
    HTTPServerConnectionError,
    InferenceConfiguration,
    InferenceHTTPClient,
    pictures,
    wire,
)

KEY = "rf_aVeryS3cret/Key+"
Call = Callable[[InferenceHTTPClient, Any], Any]


def _blocking(client: InferenceHTTPClient, picture: Any) -> Any:
    return client.infer(picture, "det/1")


def _awaited(client: InferenceHTTPClient, picture: Any) -> Any:
    async def call() -> Any:
        async with client:
            return await client.infer_async(picture, "det/1")

    return asyncio.run(call())


@pytest.fixture(params=[_blocking, _awaited], ids=["blocking", "awaited"])
def infer(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Call:
    """`infer` in one of its two forms; pauses between attempts take no time."""
    monkeypatch.setattr(wire.random, "random", lambda: 0.0)
    chosen: Call = request.param
    return chosen


@pytest.fixture(params=["v0", "v1"])
def client(request: pytest.FixtureRequest, recorder: Recorder) -> InferenceHTTPClient:
    client = InferenceHTTPClient(recorder.url, KEY)
    return client.select_api_v0() if request.param == "v0" else client


def posts(recorder: Recorder) -> int:
    return sum(request.method == "POST" for request in recorder.seen)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 422, 429, 500, 502, 503, 504])
def test_refusals(infer: Call, client: InferenceHTTPClient, recorder: Recorder, folder: Path, status: int) -> None:
    recorder.replies = [Reply.json(status, {"message": f"what went wrong with {KEY}"})] * 3
    with pytest.raises(HTTPCallErrorError) as caught:
        infer(client, str(folder / "pictures" / "a.jpg"))
    assert caught.value.status_code == status
    assert caught.value.api_message == "what went wrong with ***"
    assert str(status) in caught.value.description
    assert posts(recorder) == (3 if status in (429, 503, 504) else 1)
    told = "".join(traceback.format_exception(caught.value)) + repr(caught.value)
    assert KEY not in told
    assert "rf_aVeryS3cret%2FKey%2B" not in told


def test_what_is_refused_for_a_moment_is_asked_again(
    infer: Call, client: InferenceHTTPClient, recorder: Recorder, folder: Path
) -> None:
    recorder.replies = [Reply.json(503, {"message": "loading"}), Reply.json(429, {})]
    assert infer(client, str(folder / "pictures" / "a.jpg"))["inference_id"] == "i"
    assert posts(recorder) == 3


def test_a_connection_that_breaks_is_opened_again(infer: Call, recorder: Recorder, folder: Path) -> None:
    client = InferenceHTTPClient(recorder.url, KEY).select_api_v0()
    recorder.hang_up = 2
    assert infer(client, str(folder / "pictures" / "a.jpg"))["inference_id"] == "i"
    recorder.hang_up = 3
    with pytest.raises(HTTPServerConnectionError) as caught:
        infer(client, str(folder / "pictures" / "a.jpg"))
    assert KEY not in "".join(traceback.format_exception(caught.value))


def test_nobody_listens(infer: Call, folder: Path) -> None:
    client = InferenceHTTPClient("http://user:hidden@127.0.0.1:1", KEY)
    with pytest.raises(HTTPServerConnectionError, match=r"http://127\.0\.0\.1:1/model/registry") as caught:
        infer(client, str(folder / "pictures" / "a.jpg"))
    assert "hidden" not in "".join(traceback.format_exception(caught.value)) + repr(client)


@pytest.mark.parametrize("url", ["localhost:9001", "http://[", "http://local host:x"])
def test_an_address_that_is_none(infer: Call, url: str, folder: Path) -> None:
    with pytest.raises(HTTPClientError):
        infer(InferenceHTTPClient(url, KEY), str(folder / "pictures" / "a.jpg"))


def test_an_answer_that_never_comes(infer: Call, folder: Path) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent:
        client = InferenceHTTPClient(f"http://127.0.0.1:{silent.getsockname()[1]}", KEY, timeout=0.05)
        begun = time.monotonic()
        with pytest.raises(HTTPClientError, match=r"no answer within 0\.05 s"):
            infer(client, str(folder / "pictures" / "a.jpg"))
        assert time.monotonic() - begun < 30


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (Reply.json(400, {"message": "M"}), "M"),
        (Reply.json(400, {"detail": "D"}), "D"),
        (Reply.json(403, {"Message": "N"}), "N"),
        (Reply.json(422, {"detail": [{"msg": "x"}]}), '[{"msg": "x"}]'),
        (Reply.json(400, {"message": "M", "inner_error_message": "I"}), "M. More details: I"),
        (Reply.json(400, {"message": "M", "inner_error_message": None}), "M"),
        (Reply.json(400, ["x"]), '["x"]'),
        (Reply.json(400, {}), "Bad Request"),
        (Reply(400, b"", {"Content-Type": "application/json"}), "Bad Request"),
        (Reply(502, b"<h1>x</h1>", {"Content-Type": "text/html"}), "<h1>x</h1>"),
        (Reply(400, b"\xff", {}), "\N{REPLACEMENT CHARACTER}"),
    ],
)
def test_what_the_server_said(
    infer: Call, client: InferenceHTTPClient, recorder: Recorder, folder: Path, reply: Reply, message: str
) -> None:
    recorder.replies = [reply]
    with pytest.raises(HTTPCallErrorError) as caught:
        infer(client, str(folder / "pictures" / "a.jpg"))
    assert caught.value.api_message == message


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (Reply(200, b"<html>", {"Content-Type": "text/html"}), "instead of JSON"),
        (Reply.json(200, [{}, {}]), "2 results to 1 pictures"),
        (Reply.json(200, 3), "no JSON objects"),
        (Reply.json(200, {"visualization": "?", "predictions": []}), "decoded"),
    ],
)
def test_answers_of_no_use(
    infer: Call, client: InferenceHTTPClient, recorder: Recorder, folder: Path, reply: Reply, message: str
) -> None:
    recorder.replies = [reply]
    client.configure(InferenceConfiguration(output_visualisation_format="numpy"))  # type: ignore[arg-type]
    with pytest.raises(HTTPClientError, match=message):
        infer(client, str(folder / "pictures" / "a.jpg"))


def test_the_label_of_json_does_not_matter(
    infer: Call, client: InferenceHTTPClient, recorder: Recorder, folder: Path
) -> None:
    recorder.replies = [Reply(200, b'{"predictions": [], "time": 2}', {"Content-Type": "text/plain"})]
    assert infer(client, str(folder / "pictures" / "a.jpg")) == {"predictions": [], "time": 2}


def test_numbers_that_are_none_are_read(
    infer: Call, client: InferenceHTTPClient, recorder: Recorder, folder: Path
) -> None:
    recorder.replies = [Reply(200, b'{"predictions": [], "time": NaN}', {"Content-Type": "application/json"})]
    assert math.isnan(infer(client, str(folder / "pictures" / "a.jpg"))["time"])


@pytest.mark.parametrize(
    ("given", "beside"), [("file", False), ("bytes", False), ("large file", True), ("array", True)]
)
def test_what_takes_long_is_done_beside_the_event_loop(
    given: str, beside: bool, recorder: Recorder, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "large.jpg").write_bytes(bytes(1 << 21))
    picture = {
        "file": folder / "pictures" / "a.jpg",
        "bytes": b"picture",
        "large file": tmp_path / "large.jpg",
        "array": np.zeros((8, 8, 3), np.uint8),
    }[given]
    threads = []
    usual = pictures.to_base64
    monkeypatch.setattr(pictures, "to_base64", lambda data: threads.append(threading.current_thread()) or usual(data))
    _awaited(InferenceHTTPClient(recorder.url, KEY), picture)
    assert [thread is not threading.main_thread() for thread in threads] == [beside]


def test_a_refusal_stops_the_rest(infer: Call, recorder: Recorder, folder: Path) -> None:
    client = InferenceHTTPClient(recorder.url, KEY)
    recorder.replies = [Reply.json(400, {"message": "no"})]
    with pytest.raises(HTTPCallErrorError):
        infer(client, [str(folder / "pictures" / "a.jpg")] * 5)
    assert posts(recorder) == 1


def test_order_is_kept_when_several_go_at_a_time(infer: Call, recorder: Recorder, folder: Path) -> None:
    client = InferenceHTTPClient(recorder.url, KEY)
    client.configure(InferenceConfiguration(max_concurrent_requests=4, max_batch_size=3))
    a, b = (str(folder / "pictures" / name) for name in ("a.jpg", "b.png"))
    assert len(infer(client, [a, b] * 10)) == 20
    kinds = [request.body["image"] for request in recorder.seen if request.method == "POST"]
    assert sorted(len(kind) for kind in kinds) == [2, 3, 3, 3, 3, 3, 3]


def test_connections_are_kept(recorder: Recorder, folder: Path) -> None:
    picture = str(folder / "pictures" / "a.jpg")
    with InferenceHTTPClient(recorder.url, KEY) as client:
        for _ in range(3):
            client.infer(picture, "det/1")
    assert len({request.connection for request in recorder.seen}) == 1
    recorder.seen.clear()

    async def three() -> None:
        async with client:
            for _ in range(3):
                await client.infer_async(picture, "det/1")

    asyncio.run(three())
    asyncio.run(three())  # connections of a loop that has ended are not used again
    assert len({request.connection for request in recorder.seen}) == 2
    client.infer(picture, "det/1")  # a closed client opens new ones
    client.close()


def test_a_loop_that_has_ended_takes_its_connections_along(recorder: Recorder, folder: Path) -> None:
    client = InferenceHTTPClient(recorder.url, KEY)
    for _ in range(2):
        asyncio.run(client.infer_async(str(folder / "pictures" / "a.jpg"), "det/1"))
    assert len({request.connection for request in recorder.seen}) == 2


def test_what_has_not_begun_is_not_sent_after_a_refusal(infer: Call, recorder: Recorder, folder: Path) -> None:
    client = InferenceHTTPClient(recorder.url, KEY).configure(InferenceConfiguration(max_concurrent_requests=2))
    recorder.replies = [Reply.json(400, {"message": "no"})]
    with pytest.raises(HTTPCallErrorError):
        infer(client, [str(folder / "pictures" / "a.jpg")] * 60)
    assert posts(recorder) < 60


def test_a_signed_address_is_not_shown(infer: Call, client: InferenceHTTPClient, recorder: Recorder) -> None:
    recorder.replies = [Reply(403, b"", {})]
    with pytest.raises(HTTPCallErrorError, match=r"403 Forbidden for http://127\.0\.0\.1:\d+/pic\.jpg'") as caught:
        infer(client, f"{recorder.url}/pic.jpg?sig=HIDDEN")
    assert "HIDDEN" not in str(caught.value)


def test_a_call_that_is_given_up(recorder: Recorder, folder: Path) -> None:
    """Cancelling an awaited call leaves the client usable."""
    client = InferenceHTTPClient(recorder.url, KEY)
    client.configure(InferenceConfiguration(max_concurrent_requests=2))

    async def given_up() -> Any:
        pictures = [str(folder / "pictures" / "a.jpg")] * 4
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await client.infer_async(pictures, "det/1")
        return await client.infer_async(pictures, "det/1")

    assert len(asyncio.run(given_up())) == 4


@pytest.mark.parametrize(
    ("outcome", "attempt", "least", "most"),
    [
        (wire.Answer(503, "", {}, b""), 1, 0.0, 1.0),
        (wire.Answer(503, "", {"retry-after": "2"}, b""), 2, 2.0, 2.0),
        (wire.Answer(429, "", {"retry-after": "3600"}, b""), 1, 5.0, 5.0),
        (wire.Answer(429, "", {"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}, b""), 1, 0.0, 1.0),
        (HTTPServerConnectionError("x"), 2, 0.0, 1.0),
        (HTTPServerConnectionError("x"), 3, None, None),
        (HTTPClientError("x"), 1, None, None),
        (wire.Answer(503, "", {}, b""), 3, None, None),
        (wire.Answer(200, "", {}, b""), 1, None, None),
        (wire.Answer(500, "", {}, b""), 1, None, None),
    ],
)
def test_pauses(outcome: Any, attempt: int, least: float | None, most: float | None) -> None:
    pause = wire.pause(outcome, attempt)
    assert (pause is None) == (least is None)
    assert pause is None or least is None or most is None or least <= pause <= most


def test_errors_can_be_pickled() -> None:
    error = pickle.loads(pickle.dumps(HTTPCallErrorError("d", 404, "m")))
    assert (error.description, error.status_code, error.api_message) == ("d", 404, "m")


def test_the_import_is_light() -> None:
    heavy = ("av", "cv2", "httpx", "numba", "numpy", "onnxruntime", "PIL", "pydantic")
    program = f"import sys; from vidette.client import *; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
