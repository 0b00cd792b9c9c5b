"""Streams that are stopped and started again: epochs in order, one thread at a time, every frame in one column."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tests.conftest import Collecting, make_job
from tests.serve.waiting import wait_for
from vidette import models, stream
from vidette.engine import Engine
from vidette.errors import SourceError
from vidette.job import Job
from vidette.runtimes.simulated import Simulated
from vidette.stream import Stream

SIZE = "size=320x192"


@contextmanager
def running(job: Job) -> Iterator[tuple[Engine, dict[str, Stream]]]:
    engine = Engine(job)
    engine.start()
    try:
        yield engine, {each.request.id: each for each in engine.streams}
    finally:
        engine.request_stop()
        engine.stop()


def halt(one: Stream) -> None:
    one.stop()
    wait_for(lambda: one.done)


def columns(one: Stream) -> tuple[int, int]:
    """Frames decoded, and frames that have come to an end."""
    told = one.ledger.report()
    return told["decoded"], told["results"] + sum(told["dropped"].values()) + sum(told["failed"].values())


class Hanging:
    """A source that brings so many frames and then hangs until it is released, whatever `stop` says."""

    def __init__(self, source: Any, frames: int) -> None:
        self.facts = source.facts
        self.hangs, self.release = threading.Event(), threading.Event()
        self._source, self._frames = source, frames

    def frames(self) -> Iterator[Any]:
        for number, frame in enumerate(self._source.frames()):
            if number == self._frames:
                self.hangs.set()
                assert self.release.wait(60)
            yield frame

    def close(self) -> None:
        self._source.close()


@pytest.fixture
def hanging(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., list[Hanging]]]:
    """From now on sources hang after so many frames."""
    made: list[Hanging] = []

    def install(frames: int = 5) -> list[Hanging]:
        plain = stream.open_source

        def opened(url: str, options: Any) -> Hanging:
            made.append(Hanging(plain(url, options), frames))
            return made[-1]

        monkeypatch.setattr(stream, "open_source", opened)
        return made

    yield install
    for each in made:
        each.release.set()


def numbers(sink: Collecting, id: str) -> list[tuple[int, int]]:
    return [(result.epoch, result.seq) for result in sink.of(id)]


def consecutive(found: Sequence[tuple[int, int]], epochs: int) -> bool:
    """Each epoch's frames from 0 on without gaps, the epochs one after the other."""
    counts = [sum(epoch == number for epoch, _ in found) for number in range(epochs)]
    return list(found) == [(epoch, seq) for epoch, count in enumerate(counts) for seq in range(count)]


def test_each_start_is_an_epoch_and_its_results_follow_those_of_the_last(detector: Path) -> None:
    sink = Collecting()
    job = make_job(detector, {"a": f"testsrc:?{SIZE}", "b": f"testsrc:?{SIZE}"}, [sink], runtime="onnx")
    with running(job) as (_, streams):
        for epoch in range(8):
            wait_for(lambda epoch=epoch: streams["a"].epoch == epoch and any(r.epoch == epoch for r in sink.of("a")))
            assert streams["a"].state == "running"
            halt(streams["a"])
            assert streams["a"].state == "stopped"
            decoded, ended = columns(streams["a"])
            assert decoded == ended
            streams["a"].start()
        assert (sink.closed, streams["b"].epoch, streams["b"].state) == (0, 0, "running")
    assert consecutive(numbers(sink, "a"), 9)
    assert consecutive(numbers(sink, "b"), 1)
    for one in streams.values():
        decoded, ended = columns(one)
        assert decoded == ended
    assert sink.closed == 1
    assert len(sink.results) == sum(one.ledger.results for one in streams.values())


def test_live_streams_come_back_too(detector: Path) -> None:
    sink = Collecting()
    with running(make_job(detector, {"a": f"testsrc:?{SIZE}&rate=200"}, [sink], mode="live")) as (_, streams):
        for epoch in range(3):
            wait_for(lambda epoch=epoch: any(r.epoch == epoch for r in sink.results))
            halt(streams["a"])
            streams["a"].start()
    decoded, ended = columns(streams["a"])
    assert decoded == ended
    assert numbers(sink, "a") == sorted(set(numbers(sink, "a")))


def test_a_source_that_hangs_is_left_alone_and_what_it_still_brings_is_dropped(
    detector: Path, hanging: Callable[..., list[Hanging]]
) -> None:
    sink, sources = Collecting(), hanging(5)
    with running(make_job(detector, {"a": f"testsrc:?{SIZE}"}, [sink], runtime="onnx")) as (_, streams):
        one = streams["a"]
        wait_for(lambda: sources and sources[0].hangs.is_set() and len(sink.results) == 5)
        one.stop()
        one.discard()
        assert (one.state, one.decoding, one.done) == ("stopped", True, False)
        with pytest.raises(AssertionError):  # a second thread beside the one that hangs
            one.start()
        sources[0].release.set()
        wait_for(lambda: one.done)
        assert one.ledger.report()["dropped"] == {"stopped": 1}
        one.start()
        wait_for(lambda: any(result.epoch == 1 for result in sink.results))
        sources[1].release.set()
    decoded, ended = columns(one)
    assert decoded == ended
    assert consecutive(numbers(sink, "a"), 2)


def test_a_decoder_that_waits_for_room_is_let_go(detector: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The model hangs: nothing makes room in the ring, and the frames in the model stay in flight."""
    monkeypatch.setattr(models, "choose", lambda *_: Simulated(30.0, 0.0, (1,), ((7, 60),)))
    with running(make_job(detector, {"a": f"testsrc:?{SIZE}"}, [Collecting()])) as (_, streams):
        one = streams["a"]
        wait_for(lambda: one._entry._space._waiters)
        one.stop()
        one.discard()
        wait_for(lambda: not one.decoding)
        told = one.ledger.report()
        assert told["dropped"]["stopped"] > 0
        assert told["in_flight"] == told["decoded"] - told["dropped"]["stopped"] > 0
        one.start()
        wait_for(lambda: one._entry._space._waiters)
    decoded, ended = columns(one)
    assert decoded == ended


def test_a_failed_stream_that_is_started_again_has_its_failure_behind_it(detector: Path, tmp_path: Path) -> None:
    sink, folder = Collecting(), tmp_path / "later"
    with running(make_job(detector, {"a": str(folder / "a.png")}, [sink], runtime="onnx")) as (_, streams):
        one = streams["a"]
        wait_for(lambda: one.done)
        assert one.state == "failed"
        assert "a.png" in (one.error or "")
        folder.mkdir()
        cv2.imwrite(str(folder / "a.png"), np.full((192, 320, 3), 200, np.uint8))
        one.start()
        wait_for(lambda: one.done)
        assert (one.state, one.error, one.epoch) == ("ended", None, 1)
        assert "a.png" in (one.ledger.error or "")  # the last error stays known
    assert numbers(sink, "a") == [(1, 0)]


def test_a_stream_has_ended_when_its_last_frame_left_whenever_somebody_asks(detector: Path) -> None:
    sink = Collecting()
    with running(make_job(detector, {"a": f"testsrc:?{SIZE}&frames=3"}, [sink], runtime="onnx")) as (_, streams):
        one = streams["a"]
        wait_for(lambda: len(sink.results) == 3 and one.state == "ended")
        now = time.monotonic()
        wait_for(lambda: one.done)
        assert one.ledger.ended is not None
        assert one.ledger.ended <= now


def test_an_epoch_in_which_nothing_comes_has_failed_whatever_came_before(
    detector: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running(make_job(detector, {"a": f"testsrc:?{SIZE}&frames=3"}, [Collecting()])) as (_, streams):
        one = streams["a"]
        wait_for(lambda: one.done)
        plain = stream.open_source

        class Empty:
            def __init__(self, url: str, options: Any) -> None:
                self.facts = plain(url, options).facts

            def frames(self) -> Iterator[Any]:
                return iter(())

            def close(self) -> None:
                pass

        monkeypatch.setattr(stream, "open_source", Empty)
        one.start()
        wait_for(lambda: one.done)
        assert "no picture" in (one.error or "")


def test_a_failure_while_stopping_leaves_the_stream_stopped(
    detector: Path, hanging: Callable[..., list[Hanging]], monkeypatch: pytest.MonkeyPatch
) -> None:
    sources = hanging(2)
    with running(make_job(detector, {"a": f"testsrc:?{SIZE}"}, [Collecting()])) as (_, streams):
        one = streams["a"]
        wait_for(lambda: sources and sources[0].hangs.is_set())

        def broken() -> None:
            raise SourceError("stalled", "rtsp://camera: nothing came for 10 s")

        sources[0].close = broken  # type: ignore[method-assign]
        one.stop()
        sources[0].release.set()
        wait_for(lambda: one.done)
        assert (one.state, one.ledger.error) == ("stopped", "rtsp://camera: nothing came for 10 s")
