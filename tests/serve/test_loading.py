"""Models are opened and closed beside those that answer: what gives way, who waits for whom, what is counted."""

import os
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

from tests.serve.conftest import Serve, ask
from vidette import giving_way
from vidette.giving_way import RESTING_S
from vidette.job import ModelRequest
from vidette.lane import Lane
from vidette.runtimes import onnx, openvino
from vidette.serve import loading


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
