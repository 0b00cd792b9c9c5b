"""A stream whose model is a server: what is sent, and what happens when the server does not do as it should."""

import base64
import json
import logging
import re
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from pydantic import SecretStr

from tests.conftest import Collecting
from tests.remote.scripted import Answer, Asked, Scripted, found, inference_server, registry, scripted
from vidette.engine import Engine
from vidette.errors import ModelError
from vidette.job import Job, ModelRequest, SinkRequest, StreamRequest
from vidette.models import mistakes
from vidette.remote.endpoint import Endpoint

Runner = Callable[[Job], Engine]
FRAMES = "testsrc:?size=320x192&rate=50&frames={}"
KEY = "s3cret-of-the-server"


def request(url: str, key: str | None = None, options: dict[str, Any] | None = None, **fields: Any) -> ModelRequest:
    endpoint = Endpoint.parse(url, SecretStr(key) if key else None, options)
    return ModelRequest("m", Path(endpoint.stem), endpoint=endpoint, **fields)


def job(model: ModelRequest, sink: Collecting, url: str = FRAMES.format(20), mode: Any = "lossless") -> Job:
    return Job([model], [StreamRequest("s", url, "m", mode)], [SinkRequest(sink)])


def failing(count: int, answer: Answer) -> Callable[[Asked], Answer]:
    """An inference server whose first `count` predictions are something else."""
    left = iter(range(count))
    lock = threading.Lock()

    def reply(asked: Asked) -> Answer:
        with lock:
            if asked.path.startswith("/infer/") and next(left, None) is not None:
                return answer
        return inference_server(asked)

    return reply


def test_every_frame_once_and_in_order_over_kept_connections(run: Runner) -> None:
    sink = Collecting()
    with scripted(inference_server) as server:
        engine = run(job(request(f"{server.url}/coco/3"), sink, FRAMES.format(60)))
        assert server.connections <= 4 + 1  # one for the registry
        lists = [each.body["image"] for each in server.pictures if isinstance(each.body["image"], list)]
        assert lists
        assert max(map(len, lists)) <= 4
    assert [result.seq for result in sink.results] == list(range(60))
    assert engine.complete
    assert sink.results[0].predictions.xyxy.tolist() == [[40, 35, 60, 45]]
    assert sink.results[0].predictions.label(0) == "helmet"
    assert not any("vidette:remote" in thread.name for thread in threading.enumerate())


def test_thresholds_and_key_go_along(run: Runner) -> None:
    asked = {"confidence": 0.5, "iou": 0.6, "agnostic": True, "classes": ("helmet",), "max_detections": 7}
    with scripted(inference_server) as server:
        run(job(request(f"{server.url}/coco/3?api_key={KEY}", **asked), Collecting(), FRAMES.format(1)))
        assert server.asked[0].query == {"api_key": KEY}
        body = server.pictures[0].body
        del body["image"]
        assert server.pictures[0].path == "/infer/object_detection"
    assert body == {
        "model_id": "coco/3", "confidence": 0.5, "iou_threshold": 0.6, "class_agnostic_nms": True, "api_key": KEY,
        "class_filter": ["helmet"], "max_detections": 7,
    }  # fmt: skip


def test_the_hosted_api_gets_per_cent_where_a_part_could_be_mistaken_for_it(run: Runner) -> None:
    with scripted(lambda asked: (200, found())) as server:
        options = {"dialect": "roboflow-v0"}
        model = request(f"{server.url}/coco/3", KEY, options, iou=1.0, classes=("helmet", "vest"))
        run(job(model, Collecting(), FRAMES.format(2)))
        asked = server.pictures[-1]
    assert (asked.path, asked.query["api_key"]) == ("/coco/3", KEY)
    assert (asked.query["confidence"], asked.query["overlap"]) == ("0.25", "100")
    assert asked.query["classes"] == "helmet,vest"
    assert asked.headers["content-type"].startswith("multipart/form-data")


def test_hub_gets_its_form(run: Runner) -> None:
    row = {"name": "cat", "class": 2, "confidence": 0.5, "box": {"x1": 1, "y1": 2, "x2": 3, "y2": 4}}
    answer = {"images": [{"shape": [192, 320], "results": [row]}], "metadata": {"task": "detect"}}
    sink = Collecting()
    with scripted(lambda asked: (200, answer)) as server:
        run(job(request(f"{server.url}/predict?model=X", KEY, input=(640, 640)), sink, FRAMES.format(2)))
        asked = server.pictures[-1]
    assert (asked.path, asked.headers["x-api-key"], asked.headers["authorization"]) == (
        "/predict",
        KEY,
        f"Bearer {KEY}",
    )
    for field in (b'name="conf"\r\n\r\n0.25', b'name="model"\r\n\r\nX', b'name="imgsz"\r\n\r\n640', b'name="file"'):
        assert field in asked.body
    assert sink.results[0].predictions.xyxy.tolist() == [[1, 2, 3, 4]]


@pytest.mark.parametrize(
    ("side", "fields", "size"),
    [(None, {}, (320, 192)), (160, {}, (160, 96)), (640, {}, (320, 192)), (None, {"input": (64, 64)}, (64, 38))],
)
def test_frames_are_sent_as_large_as_the_server_needs_them(
    run: Runner, side: int | None, fields: dict[str, Any], size: tuple[int, int]
) -> None:
    row = {"x": size[0] / 2, "y": size[1] / 2, "width": size[0], "height": size[1], "confidence": 0.9, "class": "all"}
    sink = Collecting()

    def reply(asked: Asked) -> Answer:
        return 200, registry(side=side) if asked.method == "GET" else {"predictions": [row]}

    with scripted(reply) as server:
        run(job(request(f"{server.url}/coco/3", max_batch=1, **fields), sink, FRAMES.format(1)))
        jpeg = base64.b64decode(server.pictures[0].body["image"]["value"])
    assert cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR).shape[1::-1] == size
    assert sink.results[0].predictions.xyxy.tolist() == [[0, 0, 320, 192]]


@pytest.mark.parametrize("status", [429, 503, 504])
def test_a_busy_server_is_asked_again_when_it_says(run: Runner, status: int) -> None:
    sink, times = Collecting(), list[float]()
    plain = failing(1, (status, {"message": "busy"}, {"Retry-After": "1"}))

    def reply(asked: Asked) -> Answer:
        if asked.path.startswith("/infer"):
            times.append(time.monotonic())
        return plain(asked)

    with scripted(reply) as server:
        engine = run(job(request(f"{server.url}/coco/3", options={"concurrency": 1}), sink))
    assert times[1] - times[0] >= 1.0
    assert len(sink.results) == 20
    assert engine.complete


def test_a_wait_that_is_too_long_is_not_waited_for(run: Runner) -> None:
    sink = Collecting()
    with scripted(failing(99, (429, {"message": "quota"}, {"Retry-After": "3600"}))) as server:
        options = {"timeout": "200ms", "concurrency": 2}
        engine = run(job(request(f"{server.url}/coco/3", options=options, max_batch=1), sink, FRAMES.format(4)))
        assert len(server.pictures) <= 2  # and nobody asks meanwhile
    assert engine.report()["streams"][0]["failed"] == {"remote": 4}


def test_an_answer_that_never_comes_costs_its_frames_alone(run: Runner) -> None:
    sink, hung = Collecting(), threading.Event()

    def reply(asked: Asked) -> Answer:
        if asked.path.startswith("/infer/") and not hung.is_set():
            hung.set()
            server.released.wait(30)
        return inference_server(asked)

    with scripted(reply) as server:
        engine = run(job(request(f"{server.url}/coco/3", options={"timeout": "500ms"}, max_batch=1), sink))
    report = engine.report()["streams"][0]
    assert (report["failed"], report["results"]) == ({"remote": 1}, 19)
    assert [result.seq for result in sink.results] == sorted(result.seq for result in sink.results)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((500, {"message": f"my key is {KEY}"}), "500 Internal Server Error: my key is \\*\\*\\*"),
        ((200, b"<html>"), "not JSON"),
        ((302, b"", {"Location": "/elsewhere"}), "another URL"),
        ((200, {"predictions": [{}]}), "not understood"),
        ((200, [found()] * 2), "no answer of roboflow-v1 to 1 picture"),
    ],
)
def test_a_wrong_answer_fails_its_frame_and_says_why_once(
    run: Runner, caplog: pytest.LogCaptureFixture, answer: Answer, said: str
) -> None:
    with scripted(failing(1, answer)) as server:
        options = {"concurrency": 1}
        engine = run(job(request(f"{server.url}/coco/3", KEY, options, max_batch=1), Collecting()))
    assert engine.report()["streams"][0]["failed"] == {"remote": 1}
    assert engine.report()["streams"][0]["results"] == 19
    assert any(re.search(said, record.getMessage()) for record in caplog.records), caplog.text
    assert KEY not in caplog.text


def test_a_picture_that_is_refused_does_not_cost_its_neighbours(run: Runner) -> None:
    def reply(asked: Asked) -> Answer:
        if asked.path.startswith("/infer/") and isinstance(asked.body["image"], list):
            return 413, {"message": "one at a time"}
        return inference_server(asked)

    sink = Collecting()
    with scripted(reply) as server:
        engine = run(job(request(f"{server.url}/coco/3"), sink))
    assert len(sink.results) == 20
    assert engine.complete


def test_live_streams_drop_what_a_slow_server_cannot_take(run: Runner) -> None:
    def reply(asked: Asked) -> Answer:
        if asked.path.startswith("/infer/"):
            time.sleep(0.1)
        return inference_server(asked)

    sink = Collecting()
    with scripted(reply) as server:
        model = request(f"{server.url}/coco/3", options={"concurrency": 2})
        engine = run(job(model, sink, "testsrc:?size=320x192&rate=100&frames=100", "live"))
    report = engine.report()["streams"][0]
    assert report["dropped"]["overwritten"] > 40
    assert report["failed"] == {}
    assert [result.seq for result in sink.results] == sorted(result.seq for result in sink.results)
    assert sink.results[-1].seq == 99


def test_a_live_frame_is_not_asked_for_again(run: Runner) -> None:
    sink = Collecting()
    with scripted(failing(3, (503, {"message": "busy"}))) as server:
        model = request(f"{server.url}/coco/3", options={"concurrency": 1}, max_batch=1)
        engine = run(job(model, sink, "testsrc:?size=320x192&rate=50&frames=100", "live"))
        sent = [each.body["image"]["value"] for each in server.pictures]
    assert len(set(sent)) == len(sent)
    report = engine.report()["streams"][0]
    assert report["failed"]["remote"] >= 3
    assert report["results"] > 10
    assert report["dropped"]["overwritten"] > 0


@pytest.mark.parametrize("mode", ["lossless", "live"])
def test_a_stop_does_not_wait_for_a_server_that_hangs(mode: Any, caplog: pytest.LogCaptureFixture) -> None:
    asked_for = threading.Event()

    def reply(asked: Asked) -> Answer:
        if asked.path.startswith("/infer/"):
            asked_for.set()
            server.released.wait(30)
        return inference_server(asked)

    with scripted(reply) as server:
        engine = Engine(job(request(f"{server.url}/coco/3"), Collecting(), FRAMES.format(10_000), mode))
        engine.start()
        assert asked_for.wait(10)
        engine.request_stop()
        engine.wait()
        begin = time.monotonic()
        engine.stop()
        assert time.monotonic() - begin < 2.0 + 0.5  # half a second for a loaded machine
    report = engine.report()["streams"][0]
    assert report["in_flight"] == 0
    assert "did not stop in time" not in caplog.text


def load(model: ModelRequest) -> None:
    Engine(job(model, Collecting(), FRAMES.format(1))).start()


def refusing(status: int, message: str) -> Callable[[Asked], Answer]:
    return lambda asked: (status, {"message": message})


@pytest.mark.parametrize("dialect", ["auto", "roboflow-v1", "roboflow-v0", "hub"])
@pytest.mark.parametrize("key", [None, KEY])
def test_a_wrong_key_is_said_at_once(dialect: str, key: str | None) -> None:
    with scripted(refusing(401, f"{KEY} is not valid")) as server:
        url = f"{server.url}/coco/3" if dialect != "hub" else f"{server.url}/predict"
        model = request(url, key, {"dialect": dialect})
        said = "does not accept the api_key" if key else "wants a key"
        with pytest.raises(ModelError, match=said) as error:
            load(model)
        assert KEY not in str(error.value)
        assert mistakes(model) == [("path", str(error.value))]


@pytest.mark.parametrize("dialect", ["auto", "roboflow-v0", "hub"])
def test_an_unknown_model_is_said_at_once(dialect: str) -> None:
    def reply(asked: Asked) -> Answer:
        return (200, registry("other/1")) if asked.method == "GET" else (404, {"message": "did you mean 'other/1'?"})

    with scripted(reply) as server:
        url = f"{server.url}/coco/3" if dialect != "hub" else f"{server.url}/predict?model=coco/3"
        with pytest.raises(ModelError, match="404 Not Found: did you mean 'other/1'"):
            load(request(url, options={"dialect": dialect}))


def test_a_model_that_is_not_loaded_is_added(run: Runner) -> None:
    def reply(asked: Asked) -> Answer:
        return (200, registry("other/1")) if asked.method == "GET" else inference_server(asked)

    def adding(asked: Asked) -> Answer:
        if asked.path == "/model/add":
            assert asked.body == {"model_id": "coco/3", "api_key": KEY}
            return 200, registry()
        return reply(asked)

    sink = Collecting()
    with scripted(adding) as server:
        run(job(request(f"{server.url}/coco/3", KEY), sink))
    assert len(sink.results) == 20


def test_no_server_is_said_at_once() -> None:
    server = Scripted(inference_server)
    server.server_close()
    with pytest.raises(ModelError, match="is the server running there"):
        load(request(f"{server.url}/coco/3"))


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"runtime": "onnx"}, "runtime"), ({"device": "cuda"}, "device"), ({"precision": "f16"}, "precision"),
        ({"options": {"dialect": "roboflow-v0"}, "max_batch": 4}, "max_batch"),
        ({"options": {"dialect": "roboflow-v0"}, "agnostic": True}, "agnostic"),
    ],
)  # fmt: skip
def test_what_only_the_server_decides_is_refused(fields: dict[str, Any], field: str) -> None:
    with scripted(lambda asked: inference_server(asked) if asked.method == "GET" else (200, found())) as server:
        assert [name for name, _ in mistakes(request(f"{server.url}/coco/3", **fields))] == [field]


def test_the_key_is_nowhere(run: Runner, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.NOTSET)
    caplog.set_level(logging.DEBUG)
    sink = Collecting()
    with scripted(failing(1, (500, {"message": KEY}))) as server:
        model = request(f"{server.url}/coco/3?api_key={KEY}")
        engine = run(job(model, sink))
        texts = [caplog.text, json.dumps(engine.report()), repr(model), *engine.plan_lines()]
        texts += [json.dumps(result.run) for result in sink.results]
    assert len(sink.results) >= 16
    assert not any(KEY in text for text in texts)
