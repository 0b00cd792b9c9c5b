"""Models on demand: loaded once, swapped, unloaded and evicted without failing a request."""

import base64
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from tests.conftest import make_job
from tests.serve.conftest import Running, Serve, encoded
from tests.serve.waiting import wait_for
from tests.tiny import make_detector
from vidette import giving_way
from vidette.errors import ConfigError
from vidette.giving_way import RESTING_S
from vidette.job import ModelRequest
from vidette.lane import Lane
from vidette.runtimes import onnx, openvino
from vidette.serve import loading
from vidette.serve.errors import RequestError
from vidette.serve.models_folder import ModelsFolder
from vidette.serve.registry import Registry

PICTURE = base64.b64encode(encoded())


def ask(running: Running, model: str = "tiny/1", **options: Any) -> httpx.Response:
    return httpx.post(f"{running.url}/{model}", content=PICTURE, timeout=60, **options)


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


@pytest.mark.parametrize("runtime", ["onnx", "openvino"])
def test_the_native_part_of_loading_gives_way_and_the_loaded_model_does_not(
    detector: Path, monkeypatch: pytest.MonkeyPatch, runtime: str
) -> None:
    """Threads inherit the priority of the one that starts them: those of the new model must not stay behind."""
    if not giving_way.may_raise():
        pytest.skip("this system does not let a thread have its priority back")
    seen: dict[str, int] = {}

    def looking(name: str, call: Any) -> Any:
        def looked(*args: Any, **kwargs: Any) -> Any:
            seen[name] = os.sched_getscheduler(threading.get_native_id())
            return call(*args, **kwargs)

        return looked

    monkeypatch.setattr(loading, "load", looking("load", loading.load))
    if runtime == "onnx":
        module = onnx.import_onnxruntime()
        monkeypatch.setattr(module, "InferenceSession", looking("create", module.InferenceSession))
    else:
        plain = openvino._core()
        core = SimpleNamespace(
            get_property=plain.get_property,
            read_model=looking("read", plain.read_model),
            compile_model=looking("compile", plain.compile_model),
        )
        monkeypatch.setattr(openvino, "_core", lambda: core)
    with giving_way.giving_way():
        opened = loading._open(ModelRequest("tiny/1", detector, runtime=runtime))
    assert seen.pop("load") == os.SCHED_OTHER
    assert set(seen.values()) == {os.SCHED_IDLE}
    assert set(seen) == ({"create"} if runtime == "onnx" else {"read", "compile"})
    assert {os.sched_getscheduler(id) for id in giving_way._threads()} == {os.SCHED_OTHER}
    loading._close([opened.lane])


def test_loading_gives_way_to_models_that_answer_only(
    serve: Serve, detector: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nobody is answered, nobody waits for another process."""
    seen: dict[str, list[bool] | None] = {}
    plain = loading.Loader._load

    def looked(loader: loading.Loader, request: ModelRequest, answering: Any, asked: float) -> loading.Opened:
        seen[request.id] = None
        if answering is not None:
            found = seen[request.id] = [answering()]
            with monkeypatch.context() as patch:
                patch.setattr(Lane, "active", 1)
                found.append(answering())
        return plain(loader, request, answering, asked)

    monkeypatch.setattr(loading.Loader, "_load", looked)
    running = serve(models={"a/1": detector, "b/1": detector}, preload=[])
    for model in ("a/1", "b/1"):
        assert ask(running, model).status_code == 200
    assert seen == {"a/1": None, "b/1": [False, True]}


def test_a_model_is_unloaded_while_another_is_loaded(
    serve: Serve, detector: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, released, plain = threading.Event(), threading.Event(), loading._open

    def stuck(request: ModelRequest, *others: Any) -> loading.Opened:
        if request.id == "b/1":
            begun.set()
            released.wait(60)
        return plain(request, *others)

    monkeypatch.setattr(loading, "_open", stuck)
    running = serve(models={"a/1": detector, "b/1": detector}, preload=["a/1"])
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(ask, running, "b/1")
        assert begun.wait(60)
        try:
            assert httpx.post(f"{running.url}/model/remove", json={"model_id": "a/1"}).status_code == 200
            assert not released.is_set()
        finally:
            released.set()
        assert asked.result().status_code == 200


def test_rests_end_in_time_for_all_who_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    rests: list[Callable[[], float]] = []

    @contextmanager
    def giving(answering: Any, resting: Callable[[], float], stopped: Any) -> Iterator[None]:
        rests.append(resting)
        yield

    monkeypatch.setattr(loading, "giving_way", giving)
    monkeypatch.setattr(loading, "_open", lambda *_: None)
    loader, now = loading.Loader(), time.monotonic()
    request = ModelRequest("m", Path("m.onnx"))
    for asked in (now, now - RESTING_S / 2, now - 2 * RESTING_S):
        loader._load(request, lambda: True, asked)
    loader._waiting = 1
    assert [each() for each in rests] == pytest.approx([RESTING_S, RESTING_S / 2, 0], abs=1)
    loader._waiting = 4  # they came meanwhile
    assert rests[0]() == pytest.approx(RESTING_S / 4, abs=1)


def test_what_is_freed_meanwhile_is_not_taken_from_a_models_bytes(detector: Path) -> None:
    freed = iter([0, 1 << 30])
    opened = loading._open(ModelRequest("tiny/1", detector), lambda: next(freed))
    loading._close([opened.lane])
    assert opened.bytes >= 1 << 30


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
