"""A server that asks another one: its clients get the other's answers, with the thresholds that they gave."""

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.cli.console import Console
from tests.serve.clients.agreement import lasting
from tests.serve.conftest import Running, Serve
from tests.serve.tasks import overlapping, picture
from tests.serve.waiting import wait_for
from vidette.cli.serve import _model
from vidette.job import Job, ModelRequest
from vidette.remote.endpoint import Endpoint
from vidette.serve.server import Server
from vidette.server_settings import ServerConfig

KEY = "s3cret-of-the-edge"
PICTURE = picture()
TEXT = base64.b64encode(PICTURE)
TASKS = ["det/1", "pose/1", "seg/1", "cls/1", "multi/1", "sem/1"]


def before(far: Running, models: list[str], **options: Any) -> Running:
    """A server whose models are those of `far`, which it may have to wait for no longer than a test does."""
    requests = [
        ModelRequest(id, Path(id), endpoint=Endpoint.parse(f"{far.url}/{id}", options={"quality": 100} | options))
        for id in models
    ]
    return Running(Server(ServerConfig.model_validate({}), requests, Job([], [])))


@pytest.fixture(scope="module")
def near(tasks: Running) -> Iterator[Running]:
    running = before(tasks, TASKS)
    yield running
    running.stop()


def v1(running: Running, model: str, **fields: Any) -> httpx.Response:
    body = {"model_id": model, "image": {"type": "base64", "value": TEXT.decode()}} | fields
    return httpx.post(f"{running.url}/infer/object_detection", json=body, timeout=60)


def close(ours: Any, theirs: Any) -> None:
    """Equal but for what another JPEG does to the last digits."""
    if isinstance(theirs, dict):
        assert ours.keys() == theirs.keys()
        for name in theirs:
            close(ours[name], theirs[name])
    elif isinstance(theirs, list):
        assert len(ours) == len(theirs)
        for mine, other in zip(ours, theirs, strict=True):
            close(mine, other)
    else:
        assert ours == (pytest.approx(theirs, abs=2e-3) if isinstance(theirs, float) else theirs)


@pytest.mark.parametrize("model", [id for id in TASKS if id not in ("seg/1", "sem/1")])
def test_answers_are_those_of_the_other_server(tasks: Running, near: Running, model: str) -> None:
    for fields in ({}, {"confidence": 0.04}, {"confidence": 0.85}, {"class_filter": ["dog"]}):
        asked = [v1(running, model, **fields) for running in (near, tasks)]
        assert [answer.status_code for answer in asked] == [200, 200], asked[0].text
        close(*(lasting(answer.json()) for answer in asked))
    hosted = [httpx.post(f"{running.url}/{model}?confidence=20", content=TEXT).json() for running in (near, tasks)]
    close(*map(lasting, hosted))
    form: Any = {"files": {"file": PICTURE}, "data": {"model": model, "conf": "0.3"}}
    hub = [httpx.post(running.url, **form).json()["images"][0]["results"] for running in (near, tasks)]
    close(*hub)


def test_masks_and_maps(tasks: Running, near: Running) -> None:
    ours, theirs = (v1(running, "seg/1").json()["predictions"] for running in (near, tasks))
    assert [row["class"] for row in ours] == [row["class"] for row in theirs] == ["cat", "dog"]
    assert all(len(row["points"]) >= 3 for row in ours)
    maps = [v1(running, "sem/1").json()["predictions"]["class_map"] for running in (near, tasks)]
    assert {key: name for key, name in maps[0].items() if name != "sky"} == {"0": "background", "1": "road"}
    assert maps[1] == maps[0]


def test_each_client_has_its_own_thresholds(serve: Serve, tmp_path: Path) -> None:
    """Also where pictures of both are sent in one request: two boxes, of 0.9 and 0.8, that share 0.6."""
    far = serve({"a/1": overlapping(tmp_path / "a.onnx")})
    running = before(far, ["a/1"])
    held = running.server.registry.find("a/1")
    images = [{"type": "base64", "value": TEXT.decode()}] * 3
    for fields, count in (
        ({"iou_threshold": 0.7}, 2), ({"iou_threshold": 0.5}, 1), ({"iou_threshold": 0.7, "confidence": 0.85}, 1),
        ({"iou_threshold": 0.7, "max_detections": 1}, 1), ({"confidence": 0.95}, 0),
        ({"class_filter": ["dog"]}, 0), ({"class_filter": ["cat"], "iou_threshold": 0.7}, 2),
    ):  # fmt: skip
        answers = v1(running, "a/1", image=images, **fields).json()
        assert [len(answer["predictions"]) for answer in answers] == [count] * 3, fields
    buffer: Any = held.model.session.buffer((64, 64))
    jpeg = picture(".jpg")
    for index, iou in enumerate((0.7, 0.5, 0.7)):
        buffer.slots[index] = jpeg
        held.model.ask(buffer, index, held.model.limits.__class__(iou=iou))
    (answers,) = held.model.session.run(buffer, 3)
    assert [len(answer["predictions"]) for answer in answers] == [2, 1, 2]
    running.stop()


def test_what_the_other_server_is_to_blame_for(serve: Serve) -> None:
    far = serve(keys=[{"name": "edge", "key": KEY}])
    running = before(far, ["tiny/1"], timeout="1s")
    assert httpx.get(f"{running.url}/readiness").json() == {"status": "ready", "failed": ["tiny/1"]}
    for answer in (httpx.post(f"{running.url}/tiny/1", content=TEXT), httpx.get(f"{running.url}/vidette/tiny")):
        assert answer.status_code == 502
        message = answer.json()["message"]
        assert message.startswith("model tiny/1 cannot be ")
        assert "the server wants a key" in message
        assert far.url not in message
    running.stop()


def test_a_server_that_goes_and_comes_back(detector: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vidette.serve.registry._ASKED_AGAIN_S", 0.0)
    config = ServerConfig.model_validate({"keys": [{"name": "edge", "key": KEY}]})
    requests = [ModelRequest("tiny/1", detector, runtime="onnx")]
    far = Running(Server(config, requests, Job([], [])))
    url = f"{far.url}/tiny/1?api_key={KEY}"
    at = Endpoint.parse(url, options={"timeout": "500ms"})
    edge = Running(Server(ServerConfig.model_validate({}), [ModelRequest("m", Path("m"), endpoint=at)], Job([], [])))
    assert httpx.post(f"{edge.url}/m/1", content=TEXT).status_code == 200
    project = httpx.get(f"{edge.url}/vidette/m").json()["project"]
    assert project["type"] == "object-detection"
    far.stop()
    answer = httpx.post(f"{edge.url}/m/1", content=TEXT, timeout=60)
    assert answer.status_code == 502
    assert KEY not in answer.text
    assert httpx.post(f"{edge.url}/model/remove", json={"model_id": "m"}).status_code == 200
    assert httpx.post(f"{edge.url}/m/1", content=TEXT, timeout=60).status_code == 502  # cannot be loaded either
    back = Running(Server(config, requests, Job([], [])), port=far.port)
    wait_for(lambda: httpx.post(f"{edge.url}/m/1", content=TEXT, timeout=60).status_code == 200)
    edge.stop()
    back.stop()


@pytest.mark.parametrize(
    ("text", "id", "model"),
    [
        ("https://host:9001/coco/3", "coco/3", "coco/3"),
        ("mine=https://host/coco/3", "mine", "coco/3"),
        ("https://host/?model=own/model", "own/model", "own/model"),
        ("mine=https://host/?model=own&api_key=K", "mine", "own"),
    ],
)
def test_models_of_the_command_line(text: str, id: str, model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIDETTE_API_KEY", KEY)
    request = _model(text)
    assert request.endpoint is not None
    assert (request.id, request.endpoint.model) == (id, model)
    assert request.endpoint.secret == ("K" if "api_key" in text else KEY)


def test_a_site_whose_server_has_no_such_model_is_told(
    tasks: Running, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    site = tmp_path / "edge.yaml"
    site.write_text(f"models:\n  m: {{path: '{tasks.url}/det/7'}}\nserver: {{port: 0}}\n")
    said = Console(capfd)("check", site)
    assert "edge.yaml:2: models.m.path: " in said.err
    assert "det/7" in said.err
