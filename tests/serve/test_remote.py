"""Two Videttes: an edge whose streams have a server's model, and the server."""

import threading
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import vidette
from tests.cli.console import Console, start, until
from tests.conftest import Collecting
from tests.serve.conftest import Running, Serve
from vidette.engine import Engine
from vidette.job import Job, ModelRequest, SinkRequest, StreamRequest
from vidette.predictions.classification import Classification
from vidette.predictions.detections import Detections
from vidette.predictions.semantic import SemanticMap
from vidette.remote.endpoint import Endpoint
from vidette.result import Result
from vidette.serve.server import Server
from vidette.server_settings import ServerConfig

KEY = "s3cret-of-the-edge"
DIALECTS = ("roboflow-v1", "roboflow-v0", "hub")


def url(running: Running, model: str, dialect: str) -> str:
    return f"{running.url}/?model={model}" if dialect == "hub" else f"{running.url}/{model}"


def ask(running: Running, source: Any, dialect: str, model: str = "tiny/1", **fields: Any) -> list[Result]:
    options = {"dialect": dialect, "quality": 100}
    return list(vidette.run(source, model=url(running, model, dialect), options=options, mode="lossless", **fields))


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A folder of pictures of coloured squares, as large as the cells of the tiny detector."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(12):
        colours = np.vstack([np.eye(3), np.zeros(3)]) * 255  # one class in each cell, or none
        squares = colours[np.random.default_rng(number).integers(0, 4, (6, 10))]
        pixels = np.kron(squares, np.ones((32, 32, 1))).astype(np.uint8)
        cv2.imwrite(str(folder / f"{number:02}.png"), pixels)
    return folder


def in_order(found: Detections) -> np.ndarray[Any, Any]:
    """(N, 6) class, box and confidence, by place: equal scores have no order."""
    rows = np.column_stack([found.class_id, found.xyxy, found.confidence])
    return rows[np.lexsort(rows[:, :5].T)]


@pytest.mark.parametrize("dialect", ["auto", *DIALECTS])
def test_the_same_objects_as_from_the_model_itself(serve: Serve, detector: Path, pictures: Path, dialect: str) -> None:
    here = list(vidette.run(pictures, model=detector, runtime="onnx", confidence=0.5))
    there = ask(serve(), pictures, dialect, confidence=0.5)
    assert [result.name for result in there] == [f"{number:02}.png" for number in range(12)]
    assert [result.seq for result in there] == [result.seq for result in here]
    assert sum(len(result.predictions) for result in here) > 100
    for ours, theirs in zip(here, there, strict=True):
        assert isinstance(ours.predictions, Detections)
        assert isinstance(theirs.predictions, Detections)
        np.testing.assert_allclose(in_order(theirs.predictions), in_order(ours.predictions), atol=0.05)
    labels = {there[-1].predictions.label(i) for i in range(len(there[-1].predictions))}
    assert labels <= {"red", "green", "blue"}


def test_classes_are_chosen_by_name_whatever_the_dialect(serve: Serve, pictures: Path) -> None:
    running = serve()
    for dialect in DIALECTS:
        found = [result.predictions for result in ask(running, pictures, dialect, classes=["blue"])]
        assert {each.label(i) for each in found for i in range(len(each))} == {"blue"}


def test_large_pictures_in_tiles(serve: Serve, detector: Path, pictures: Path) -> None:
    fields: dict[str, Any] = {"tiles": "160x96", "tile_overlap": 0.0, "tile_whole": False, "confidence": 0.5}
    here = list(vidette.run(pictures, model=detector, runtime="onnx", **fields))
    there = ask(serve(), pictures, "roboflow-v1", **fields)
    assert [len(result.predictions) for result in there] == [len(result.predictions) for result in here]


def same(ours: Any, theirs: Any) -> None:
    if isinstance(ours, Classification):
        count = len(ours)
        assert theirs.class_id[:count].tolist() == ours.class_id[: len(theirs.class_id)].tolist()
        np.testing.assert_allclose(theirs.confidence, ours.confidence[: len(theirs)], atol=1e-4)
        return
    if isinstance(ours, SemanticMap):
        assert sorted(theirs.class_id.tolist()) == sorted(ours.class_id.tolist())
        np.testing.assert_array_equal(theirs.dense(640, 320), ours.dense(640, 320))
        return
    assert len(theirs) == len(ours) > 0
    np.testing.assert_allclose(theirs.xyxy, ours.xyxy, atol=1e-3)
    np.testing.assert_allclose(theirs.confidence, ours.confidence, atol=1e-5)
    if ours.keypoints is not None:
        np.testing.assert_allclose(theirs.keypoints, ours.keypoints, atol=1e-3)
    if ours.corners is not None:
        np.testing.assert_allclose(theirs.xywhr, ours.xywhr, atol=1e-3)
    if ours.masks is not None:
        for index in range(len(ours)):
            mine, got = (each.masks.dense(index, 640, 320) for each in (ours, theirs))
            assert (mine & got).sum() >= 0.8 * (mine | got).sum()  # it was drawn at half the size


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_task_comes_back(tasks: Running, dialect: str) -> None:
    for id, held in tasks.server.registry.held.items():
        if id == "tiny/1" or (dialect == "hub" and id in ("sem/1", "multi/1")):
            continue  # HUB's rows have no map, and do not say that several classes may hold
        source = "testsrc:?size=640x320&frames=3"
        ours = list(vidette.run(source, model=held.request.path, runtime="onnx"))
        theirs = ask(tasks, source, dialect, id)
        assert len(theirs) == 3, id
        same(ours[-1].predictions, theirs[-1].predictions)


def test_keys_of_every_dialect(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    running, console = serve(keys=[{"name": "edge", "key": KEY}]), Console(capfd)
    for dialect in DIALECTS:
        assert len(ask(running, "testsrc:?size=64x64&frames=5", dialect, api_key=KEY)) == 5
    out, report, address = tmp_path / "out.jsonl", tmp_path / "report.json", f"{running.url}/tiny/1"
    words = ("run", "testsrc:?size=64x64&frames=5", "--model", address, "--sink", out, "--report", report)
    monkeypatch.setenv("VIDETTE_API_KEY", KEY)
    ran = start(*words, cwd=tmp_path).communicate(timeout=60)
    assert len(out.read_text().splitlines()) == 5
    looked = console("models", address)
    assert looked.code == 0
    assert "roboflow-v1" in looked.out
    monkeypatch.setenv("VIDETTE_API_KEY", "wrong-" + KEY)
    failed = start(*words, cwd=tmp_path).communicate(timeout=60)
    assert "--model: " in failed[1]
    assert "does not accept the api_key" in failed[1]
    said = "".join([*ran, looked.out, looked.err, *failed])
    assert KEY not in said + out.read_text() + report.read_text()


def test_a_site_file_is_checked(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    running, console = serve(keys=[{"name": "edge", "key": KEY}]), Console(capfd)
    monkeypatch.setenv("SERVER_KEY", KEY)
    site = tmp_path / "edge.yaml"

    def checked(path: str) -> str:
        model = f"{{path: '{path}', api_key: '${{SERVER_KEY}}', options: {{quality: 80}}}}"
        site.write_text(f"models:\n  m: {model}\nstreams:\n  s: {{url: 'testsrc:'}}\n")
        return console("check", site).err

    assert checked(f"{running.url}/tiny/1") == ""
    said = checked(f"{running.url}/tiny/2")
    assert "edge.yaml:2: models.m.path: " in said
    assert "did you mean 'tiny/1'" in said
    assert "api_key is for models behind a URL" in checked("tiny.onnx")
    assert "user and password" in checked("http://me:you@host/coco/3")


class Gated(Collecting):
    """Holds the stream back after some results, until it is let go on."""

    def __init__(self) -> None:
        super().__init__()
        self.enough, self.on = threading.Event(), threading.Event()

    def write(self, result: Result) -> None:
        super().write(result)
        if len(self.results) == 10:
            self.enough.set()
            assert self.on.wait(30)


def restarted(detector: Path, port: int) -> Running:
    server = Server(ServerConfig.model_validate({}), [ModelRequest("tiny/1", detector, runtime="onnx")], Job([], []))
    return Running(server, port=port)


def engine_for(running: Running, source: str, mode: Any, sink: Collecting) -> Engine:
    model = ModelRequest("m", Path("tiny"), endpoint=Endpoint.parse(f"{running.url}/tiny/1"))
    return Engine(Job([model], [StreamRequest("s", source, "m", mode)], [SinkRequest(sink)]))


def test_a_file_waits_for_a_server_that_is_gone(detector: Path) -> None:
    first = restarted(detector, 0)
    sink = Gated()
    engine = engine_for(first, "testsrc:?size=320x192&frames=400", "lossless", sink)
    engine.start()
    assert sink.enough.wait(30)
    first.stop()
    sink.on.set()
    session: Any = engine.lanes["m"].model.session
    until(lambda: session._failures > 0)
    second = restarted(detector, first.port)
    engine.wait()
    engine.stop()
    second.stop()
    assert [result.seq for result in sink.results] == list(range(400))
    assert engine.complete


def test_a_camera_goes_on_when_the_server_is_back(detector: Path) -> None:
    first = restarted(detector, 0)
    sink = Collecting()
    engine = engine_for(first, "testsrc:?size=320x192&rate=50", "live", sink)
    engine.start()

    def ledger() -> dict[str, Any]:
        counted: dict[str, Any] = engine.report()["streams"][0]
        return counted

    until(lambda: ledger()["results"] > 10)
    first.stop()
    until(lambda: ledger()["failed"].get("remote", 0) > 0 and ledger()["dropped"].get("overwritten", 0) > 0)
    second = restarted(detector, first.port)
    before = ledger()["results"]
    until(lambda: ledger()["results"] > before + 10)
    engine.request_stop()
    engine.wait()
    engine.stop()
    second.stop()
    counted = ledger()
    assert set(counted["failed"]) <= {"remote", "stopped"}
    ended = counted["results"] + sum(counted["failed"].values()) + sum(counted["dropped"].values())
    assert counted["decoded"] == ended
    assert [result.seq for result in sink.results] == sorted(result.seq for result in sink.results)
