"""Single pictures with replies: in the same batches as the streams, refused when full, left out when nobody waits."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conftest import Collecting, make_job
from vidette.engine import Engine
from vidette.exit import Failure
from vidette.frame import Frame, Picture
from vidette.job import Job, ModelRequest
from vidette.lane import Lane
from vidette.models import load
from vidette.result import Result


@pytest.fixture
def lane(detector: Path) -> Iterator[Lane]:
    lane = Lane(load(ModelRequest("m", detector, runtime="onnx"), "throughput"))
    yield lane
    lane.stop()
    assert lane.join(5e9)


def picture(colour: int = 2) -> Frame:
    pixels = np.zeros((64, 64, 3), np.uint8)
    pixels[:, :, colour] = 255
    return Frame("desk", 0, 0, None, 0.0, 0.0, Picture(pixels))


class Replies:
    def __init__(self, count: int) -> None:
        self.got: list[Result | Failure] = []
        self._all = threading.Semaphore(0)
        self._count = count

    def __call__(self, outcome: Result | Failure) -> None:
        self.got.append(outcome)
        self._all.release()

    def wait(self) -> list[Result | Failure]:
        for _ in range(self._count):
            assert self._all.acquire(timeout=20)
        return self.got


def test_each_picture_has_its_own_thresholds_and_reply(lane: Lane) -> None:
    desk = lane.open_desk(8)
    red, blue = Replies(1), Replies(1)
    for reply, classes in ((red, (0,)), (blue, (2,))):
        assert desk.put(picture(), 0.0, replace(lane.model.limits, classes=classes), reply) is not None
    lane.start()
    counts = []
    for reply in (red, blue):
        (result,) = reply.wait()
        assert isinstance(result, Result)
        counts.append(len(result.predictions))
    assert counts == [100, 0]


def test_a_full_desk_refuses_and_cancelled_pictures_never_run(lane: Lane) -> None:
    desk = lane.open_desk(3)
    replies = Replies(2)
    items = [desk.put(picture(), 0.0, lane.model.limits, replies) for _ in range(5)]
    assert [item is None for item in items] == [False, False, False, True, True]
    assert items[1] is not None
    items[1].cancelled = True
    lane.start()
    assert len(replies.wait()) == 2
    assert desk.waiting == 0
    assert lane.batches == 2


def test_a_picture_that_fails_costs_its_neighbours_nothing(lane: Lane) -> None:
    desk = lane.open_desk(16)
    good, bad = Replies(8), Replies(1)
    broken = picture()
    broken.picture.pixels = "no pixels"  # type: ignore[assignment]
    for n in range(9):
        desk.put(broken if n == 4 else picture(), 0.0, lane.model.limits, bad if n == 4 else good)
    lane.start()
    assert all(isinstance(outcome, Result) for outcome in good.wait())
    (failure,) = bad.wait()
    assert isinstance(failure, Failure)
    assert failure.code == "pixels"


def test_what_waits_when_the_desk_closes_comes_back(lane: Lane) -> None:
    desk = lane.open_desk(4)
    for _ in range(2):
        desk.put(picture(), 0.0, lane.model.limits, lambda _: None)
    assert len(desk.close()) == 2
    lane.start()


def test_streams_and_pictures_share_the_lane(detector: Path, run: Callable[[Job], Engine]) -> None:
    sink, replies = Collecting(), Replies(20)
    engine = Engine(make_job(detector, {"a": "testsrc:?size=64x64&frames=50"}, [sink], runtime="onnx"))
    engine.start()
    lane: Any = engine.lanes["m"]
    desk = lane.open_desk(32)
    for _ in range(20):
        assert desk.put(picture(), 0.0, lane.model.limits, replies) is not None
    assert len(replies.wait()) == 20
    engine.wait()
    engine.stop()
    assert [result.seq for result in sink.results] == list(range(50))
    assert engine.complete


@pytest.mark.parametrize("runtime", ["onnx", "openvino"])
def test_a_picture_that_is_alone_gets_all_cores(detector: Path, runtime: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vidette.models.cores", lambda: 2)
    lane = Lane(load(ModelRequest("m", detector, runtime=runtime), "adaptive"))
    runs: list[bool] = []
    plain = lane.model.session.run

    def noted(buffer: Any, count: int, alone: bool = False) -> Any:
        runs.append(alone)
        return plain(buffer, count, alone)

    lane.model.session.run = noted  # type: ignore[method-assign]
    desk = lane.open_desk(8)
    together = Replies(4)
    for _ in range(4):
        desk.put(picture(), 0.0, lane.model.limits, together)
    lane.start()
    together.wait()
    assert runs[0] is False  # others were waiting
    runs.clear()
    for _ in range(3):
        one = Replies(1)
        desk.put(picture(), 0.0, lane.model.limits, one)
        assert isinstance(one.wait()[0], Result)
        while lane.active:  # its caller may still be on its way back
            threading.Event().wait(0.001)
    assert runs == [True] * 3
    lane.stop()
    assert lane.join(5e9)
