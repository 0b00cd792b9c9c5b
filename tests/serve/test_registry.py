"""Models on demand: loaded once, swapped, unloaded and evicted without failing a request."""

import os
import shutil
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import make_job
from tests.serve.conftest import PICTURE, Running, Serve, ask
from tests.serve.waiting import wait_for
from tests.tiny import make_detector
from vidette.errors import ConfigError
from vidette.job import ModelRequest
from vidette.serve import loading
from vidette.serve.errors import RequestError
from vidette.serve.models_folder import ModelsFolder
from vidette.serve.registry import Registry


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Loading waits until it is set."""
    released, plain = threading.Event(), loading.load

    def slow(*args: Any, **kwargs: Any) -> Any:
        released.wait(60)
        return plain(*args, **kwargs)

    monkeypatch.setattr(loading, "load", slow)
    return released


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Ids of the models that were loaded, as they are."""
    ids: list[str] = []
    plain = loading.load

    def counted(request: ModelRequest, *args: Any) -> Any:
        ids.append(request.id)
        return plain(request, *args)

    monkeypatch.setattr(loading, "load", counted)
    return ids


def test_a_model_is_loaded_when_it_is_asked_for(serve: Serve, opened: list[str], detector: Path) -> None:
    running = serve(models={"a/1": detector, "b/1": detector}, preload=["a/1"])
    assert opened == ["a/1"]
    assert ask(running, "b/1").status_code == 200
    assert ask(running, "b/1").status_code == 200
    assert opened == ["a/1", "b/1"]


def test_many_who_ask_at_once_load_once(serve: Serve, opened: list[str]) -> None:
    running = serve(preload=[])
    statuses: list[int] = []
    threads = [threading.Thread(target=lambda: statuses.append(ask(running).status_code)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [200] * 8
    assert opened == ["tiny/1"]


def test_patience_ends_before_loading_does(serve: Serve, gate: threading.Event) -> None:
    running = serve(preload=[], limits={"deadline": "200ms"})
    answer = ask(running)
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) >= 1
    assert "loading" in answer.json()["message"]
    gate.set()
    wait_for(lambda: running.server.registry.find("tiny/1").lane)
    assert ask(running).status_code == 200


def test_the_server_is_not_ready_while_it_loads(detector: Path, gate: threading.Event, serve: Serve) -> None:
    running = serve(models={"a/1": detector, "b/1": detector}, ready=False)
    wait_for(lambda: hasattr(running.server, "registry"))
    assert httpx.get(f"{running.url}/healthz").status_code == 200
    assert httpx.get(f"{running.url}/readiness").status_code == 503
    gate.set()
    wait_for(lambda: httpx.get(f"{running.url}/readiness").status_code == 200)
    assert httpx.get(f"{running.url}/readiness").json() == {"status": "ready"}


def test_a_broken_file_is_tried_again_when_it_changes(
    serve: Serve, detector: Path, tmp_path: Path, opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"no model")
    looks: list[Path] = []
    plain = loading.describe
    monkeypatch.setattr(loading, "describe", lambda path: looks.append(path) or plain(path))  # type: ignore[func-returns-value]
    running = serve(models={"a/1": detector, "bad/1": broken})
    assert httpx.get(f"{running.url}/readiness").json() == {"status": "ready", "failed": ["bad/1"]}
    assert looks.count(broken) == 1
    for _ in range(3):
        answer = ask(running, "bad/1")
        assert answer.status_code == 500
        assert "broken.onnx" in answer.json()["message"]
        assert str(tmp_path) not in answer.text
        assert "\n" not in answer.json()["message"]
    assert looks.count(broken) == 1
    shutil.copy(detector, broken)
    assert ask(running, "bad/1").status_code == 200
    assert httpx.get(f"{running.url}/readiness").json() == {"status": "ready"}


def test_unloading_waits_for_requests_under_way(serve: Serve) -> None:
    running = serve()
    held = running.server.registry.find("tiny/1")
    lane: Any = held.lane
    release, plain = threading.Event(), lane.model.session.run

    def slow(*args: Any, **kwargs: Any) -> Any:
        release.wait(60)
        return plain(*args, **kwargs)

    lane.model.session.run = slow
    statuses: list[int] = []
    threads = [threading.Thread(target=lambda: statuses.append(ask(running).status_code)) for _ in range(4)]
    for thread in threads:
        thread.start()
    wait_for(lambda: held.busy == 4)
    clear = threading.Thread(target=httpx.post, args=(f"{running.url}/model/clear",), kwargs={"timeout": 60})
    clear.start()
    wait_for(lambda: running.server.registry.find("tiny/1") is not held)
    assert httpx.get(f"{running.url}/model/registry").json()["models"] == []
    assert not lane.stopping
    release.set()
    for thread in [*threads, clear]:
        thread.join()
    assert statuses == [200] * 4
    assert lane.stopping
    assert ask(running).status_code == 200  # loads it again


def test_models_of_cameras_stay(serve: Serve, detector: Path) -> None:
    job = make_job(detector, {"cam": "testsrc:"}, mode="live", runtime="onnx")
    running = serve(models={"m": detector, "other/1": detector}, job=job)
    answer = httpx.post(f"{running.url}/model/remove", json={"model_id": "m"})
    assert answer.status_code == 409
    assert "cam" in answer.json()["message"]
    listed = httpx.post(f"{running.url}/model/clear", timeout=60).json()["models"]
    assert [model["model_id"] for model in listed] == ["m"]


def test_a_new_version_swaps_in_under_traffic(serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients hammer while the file is replaced three times: every answer is 200, and the old lanes are closed."""
    monkeypatch.setattr("vidette.serve.registry._LOOK_S", 0.0)
    file = make_detector(tmp_path / "m.onnx")
    running = serve(models={"tiny/1": file})
    registry = running.server.registry
    statuses: list[int] = []
    done = threading.Event()

    def hammer() -> None:
        with httpx.Client(timeout=60) as client:
            while not done.is_set():
                statuses.append(client.post(f"{running.url}/tiny/1", content=PICTURE).status_code)

    threads = [threading.Thread(target=hammer) for _ in range(3)]
    for thread in threads:
        thread.start()
    lanes: list[Any] = []
    for size in ((320, 320), (64, 96), (320, 320)):
        lanes.append(registry.find("tiny/1").lane)
        os.replace(make_detector(tmp_path / "new.tmp", size=size), file)
        wait_for(lambda: registry.find("tiny/1").lane is not lanes[-1])
        answered = len(statuses) + 5
        wait_for(lambda least=answered: len(statuses) > least)  # type: ignore[misc]
    done.set()
    for thread in threads:
        thread.join()
    assert set(statuses) == {200}
    wait_for(lambda: all(lane.stopping for lane in lanes))
    wait_for(lambda: not any(thread.is_alive() for lane in lanes for thread in lane._threads))
    assert registry.find("tiny/1").model.preprocess.width == 320


def test_a_new_version_that_is_broken_leaves_the_old_one(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("vidette.serve.registry._LOOK_S", 0.0)
    file = make_detector(tmp_path / "m.onnx")
    running = serve(models={"tiny/1": file})
    (tmp_path / "new").write_bytes(b"no model")
    os.replace(tmp_path / "new", file)
    for _ in range(5):
        assert ask(running).status_code == 200
    wait_for(lambda: "the loaded version goes on" in caplog.text)
    for _ in range(5):
        assert ask(running).status_code == 200
    assert caplog.text.count("the loaded version goes on") == 1


def test_idle_models_make_room_and_pinned_ones_stay(serve: Serve, detector: Path) -> None:
    models = {f"{name}/1": detector for name in "abc"}
    running = serve(models=models, preload=[], pinned=["a/1"], memory=1)

    def loaded() -> list[str]:
        return [held.id for held in running.server.registry.loaded()]

    for name in "ab":
        assert ask(running, f"{name}/1").status_code == 200
    assert loaded() == ["a/1", "b/1"]
    assert ask(running, "c/1").status_code == 200
    wait_for(lambda: loaded() == ["a/1", "c/1"])
    held = running.server.registry.find("c/1")
    held.busy += 1  # somebody uses it
    assert ask(running, "b/1").status_code == 200
    assert loaded() == ["a/1", "b/1", "c/1"]
    held.busy -= 1


def test_models_of_cameras_count(serve: Serve, detector: Path) -> None:
    job = make_job(detector, {"cam": "testsrc:"}, mode="live", runtime="onnx")
    running = serve(models={"m": detector, "a/1": detector, "b/1": detector}, job=job, memory=1)
    registry = running.server.registry
    assert registry.find("m").bytes >= detector.stat().st_size
    assert [held.id for held in registry.loaded()] == ["m"]  # it has used the memory up
    for name in "ab":
        assert ask(running, f"{name}/1").status_code == 200
        wait_for(lambda name=name: [held.id for held in registry.loaded()] == ["m", f"{name}/1"])  # type: ignore[misc]
    assert 'vidette_model_bytes{model="m"} 0.0' not in httpx.get(f"{running.url}/metrics").text


def test_preload_all_ends_where_memory_does(serve: Serve, detector: Path) -> None:
    running = serve(models={f"{name}/1": detector for name in "abc"}, memory=1)
    assert [held.id for held in running.server.registry.loaded()] == ["a/1"]
    assert ask(running, "c/1").status_code == 200


def test_names_of_public_models_mean_the_same_both_ways(detector: Path) -> None:
    requests = [ModelRequest("yolov8n-640", detector), ModelRequest("coco/25", detector)]
    registry = Registry(requests, {}, {}, {"mine": "coco/25"})
    assert registry.find("coco/3").id == "yolov8n-640"
    assert registry.find("yolo11n-640").id == registry.find("yolov11n-640").id == registry.find("mine").id == "coco/25"
    assert registry.find("coco/3").aliases == ["coco/3"]
    with pytest.raises(RequestError, match="did you mean 'coco/25'"):
        registry.find("coco/26")
    registry.close()


def test_names_of_one_part_are_asked_for_as_version_1(detector: Path) -> None:
    requests = [ModelRequest(id, detector) for id in ("door", "a/b", "own", "own/1")]
    registry = Registry(requests, {}, {}, {})
    assert {name: registry.find(name).id for name in ("door/1", "a-b/1", "own/1", "own")} == {
        "door/1": "door", "a-b/1": "a/b", "own/1": "own/1", "own": "own",
    }  # fmt: skip
    with pytest.raises(RequestError):
        registry.find("door/2")
    registry.close()


def test_files_that_come_later_are_models(serve: Serve, detector: Path, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    shutil.copy(detector, tmp_path / "a" / "1.onnx")
    running = serve(models={"tiny/1": detector}, models_folder=str(tmp_path))
    assert ask(running, "a/1").status_code == 200
    assert ask(running, "a/2").status_code == 404
    shutil.copy(detector, tmp_path / "a" / "2.onnx")
    wait_for(lambda: ask(running, "a/2").status_code == 200)


def test_a_folder_is_looked_at_once_a_second(detector: Path, tmp_path: Path) -> None:
    now = 0.0
    folder = ModelsFolder(tmp_path, lambda: now)
    assert folder.look() == []
    shutil.copy(detector, tmp_path / "x.onnx")
    assert folder.look() is None
    now = 1.0
    assert [request.id for request in folder.look() or ()] == ["x"]
    with pytest.raises(ConfigError, match="no such folder"):
        ModelsFolder(tmp_path / "missing")


class Stuck:
    """Stands in for a look at files on a drive that does not answer until `released` is set."""

    def __init__(self, plain: Any) -> None:
        self.plain, self.begun, self.released, self.calls = plain, threading.Event(), threading.Event(), 0

    def __call__(self, *args: Any) -> Any:
        self.calls += 1
        self.begun.set()
        assert self.released.wait(60)
        return self.plain(*args)


def asked_beside(running: Running, stuck: Stuck, path: str, **options: Any) -> httpx.Response:
    """The answer to a request that needs the drive; meanwhile others are answered."""
    answers: list[httpx.Response] = []
    request = threading.Thread(
        target=lambda: answers.append(httpx.request(url=f"{running.url}{path}", timeout=60, **options))
    )
    request.start()
    assert stuck.begun.wait(30)
    assert httpx.get(f"{running.url}/healthz").status_code == 200
    assert httpx.get(f"{running.url}/model/registry").status_code == 200
    for _ in range(3):
        assert ask(running).status_code == 200
    assert not answers
    stuck.released.set()
    request.join()
    return answers[0]


def stuck_folder(running: Running, monkeypatch: pytest.MonkeyPatch) -> Stuck:
    """Its folder of models does not answer until it is released."""
    folder: Any = running.server.registry._folder
    stuck = Stuck(folder.look)
    monkeypatch.setattr(folder, "look", stuck)
    return stuck


def test_a_slow_folder_holds_only_those_who_ask_for_unknown_models(
    serve: Serve, detector: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = serve(models={"tiny/1": detector}, models_folder=str(tmp_path))
    stuck = stuck_folder(running, monkeypatch)
    monkeypatch.setattr("vidette.serve.models_folder._LOOK_S", 0.0)
    (tmp_path / "new").mkdir()
    shutil.copy(detector, tmp_path / "new" / "1.onnx")
    assert asked_beside(running, stuck, "/new/1", method="POST", content=PICTURE).status_code == 200
    assert ask(running, "new/2").status_code == 404


def test_a_folder_that_does_not_answer_is_told(
    serve: Serve, detector: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = serve(models={"tiny/1": detector}, models_folder=str(tmp_path))
    stuck = stuck_folder(running, monkeypatch)
    monkeypatch.setattr("vidette.serve.registry._PATIENCE_S", 0.05)
    for _ in range(9):  # more than there are threads: they wait for the same look
        answer = ask(running, "new/1")
        assert answer.status_code == 503
        assert answer.headers["retry-after"]
        assert "folder" in answer.json()["message"]
    assert stuck.calls == 1
    stuck.released.set()
    wait_for(lambda: ask(running, "new/1").status_code == 404)


def test_a_model_that_is_slow_to_read_holds_nobody(
    serve: Serve, detector: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = serve(models={"tiny/1": detector, "b/1": detector}, preload=["tiny/1"])
    stuck = Stuck(loading.describe)
    monkeypatch.setattr("vidette.serve.registry.describe", stuck)
    told = asked_beside(running, stuck, "/vidette/b", method="GET").json()
    assert told["project"]["type"] == "object-detection"


def test_a_file_that_is_slow_to_ask_holds_nobody(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even those who ask for its model: whether it is a new version is found out beside them."""
    monkeypatch.setattr("vidette.serve.registry._LOOK_S", 0.0)
    running = serve()
    stuck = Stuck(loading.version_of)
    monkeypatch.setattr("vidette.serve.registry.version_of", stuck)
    for _ in range(9):
        assert ask(running).status_code == 200
    wait_for(stuck.begun.is_set)
    assert stuck.calls == 1
    stuck.released.set()


def test_an_alias_of_a_model_that_is_not_there_yet(serve: Serve) -> None:
    running = serve(aliases={"soon/1": "later/1"})
    assert ask(running, "soon/1").status_code == 404
    projects = httpx.get(f"{running.url}/vidette").json()["workspace"]["projects"]
    assert [project["name"] for project in projects] == ["tiny"]
