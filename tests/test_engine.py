"""The whole path with a tiny model: every frame once and in order, failures that stay where they are, stops in time."""

import gc
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from tests.conftest import Collecting, make_job
from tests.media import write_clip
from tests.tiny import make_detector
from vidette import models
from vidette.engine import DRAIN_S, Engine, decoder_threads, plan_mode
from vidette.errors import ModelError, SinkError
from vidette.job import Job, ModelRequest, SinkRequest, StreamRequest
from vidette.result import Result
from vidette.ring import Ring
from vidette.runtimes.cpu import OnnxCpu
from vidette.runtimes.simulated import Simulated

Runner = Callable[[Job], Engine]
TESTSRC = "testsrc:?size=320x192&rate=30&frames={}"


def adds_up(engine: Engine) -> bool:
    """The ledger's rule, for every stream and sink."""
    return all(
        s["decoded"] == s["results"] + sum(s["dropped"].values()) + sum(s["failed"].values()) + s["in_flight"]
        for s in engine.report()["streams"]
    ) and all(k["handed"] == k["written"] + sum(k["lost"].values()) + k["waiting"] for k in engine.report()["sinks"])


@pytest.mark.parametrize("runtime", ["onnx", "openvino"])
def test_every_frame_comes_out_once_and_in_order(detector: Path, run: Runner, runtime: str) -> None:
    sink = Collecting()
    urls = {f"s{n}": TESTSRC.format(40 + n) for n in range(5)}
    engine = run(make_job(detector, urls, [sink], runtime=runtime, precision="f32"))
    for n in range(5):
        assert [result.seq for result in sink.of(f"s{n}")] == list(range(40 + n))
    assert engine.complete
    assert adds_up(engine)
    report = engine.report()
    assert [s["decoded"] for s in report["streams"]] == [40, 41, 42, 43, 44]
    assert report["models"][0]["runtime"] == runtime
    assert report["models"][0]["precision"] == "f32"
    assert sink.closed == 1
    assert sink.results[0].run["input"] == "320x192"


def _boxes(sink: Collecting, stream: str) -> list[Any]:
    found = [result.predictions for result in sink.of(stream)]
    return [(d.xyxy.tolist(), d.confidence.tolist(), d.class_id.tolist()) for d in found]


class _Batched(OnnxCpu):
    """ONNX Runtime planned as a GPU is: one device, a ladder of batches, several callers."""

    def plan(self, model: Any, wish: Any) -> Any:
        return replace(super().plan(model, wish), ladder=(1, 2, 4, 8), permits=1, callers=3)


def test_batching_changes_nothing(detector: Path, run: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    urls = {f"s{n}": f"testsrc:?size={size}&frames=60" for n, size in enumerate(["320x192", "320x192", "256x256"])}
    alone = {}
    for id, url in urls.items():
        sink = Collecting()
        run(make_job(detector, {id: url}, [sink], runtime="onnx"))
        alone[id] = _boxes(sink, id)
    monkeypatch.setattr(models, "choose", lambda *_: _Batched())
    sink = Collecting()
    engine = run(make_job(detector, urls, [sink], runtime="onnx"))
    assert engine.report()["streams"][0]["mean_batch"] > 1.5
    for id in urls:
        assert [result.seq for result in sink.of(id)] == list(range(60))
        assert _boxes(sink, id) == alone[id]
        assert any(boxes for boxes, _, _ in alone[id])


def test_results_of_a_stream_stay_in_order_when_callers_overtake_each_other(
    detector: Path, run: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Uneven(OnnxCpu):
        def plan(self, model: Any, wish: Any) -> Any:
            return replace(super().plan(model, wish), callers=4, permits=4)

        def open(self, model: Any, plan: Any) -> Any:
            session = super().open(model, plan)
            once, first = session.run, threading.Event()
            later = threading.Event()

            def slow_first(buffer: Any, count: int) -> Any:
                outputs = once(buffer, count)
                if not first.is_set():
                    first.set()
                    later.wait(5)  # let others of the same stream finish first
                else:
                    later.set()
                return outputs

            session.run = slow_first
            return session

    monkeypatch.setattr(models, "choose", lambda *_: Uneven())
    sink = Collecting()
    run(make_job(detector, {"s": TESTSRC.format(50)}, [sink]))
    assert [result.seq for result in sink.results] == list(range(50))


class _Failing(Collecting):
    def write(self, result: Result) -> None:
        raise SinkError("the receiver is on fire")


class _Hanging(Collecting):
    def __init__(self) -> None:
        super().__init__("hanging")
        self.release = threading.Event()

    def write(self, result: Result) -> None:
        self.release.wait(60)


def test_a_failing_sink_costs_no_frame(detector: Path, run: Runner) -> None:
    good, bad = Collecting(), _Failing("bad")
    engine = run(make_job(detector, {"s": TESTSRC.format(30)}, [bad, good]))
    assert len(good.results) == 30
    assert not engine.complete
    ledger = engine.report()["sinks"][0]
    assert (ledger["lost"], ledger["error"]) == ({"failed": 30}, "the receiver is on fire")
    assert adds_up(engine)


@pytest.mark.parametrize("delivery", ["every", "newest"])
def test_a_hanging_sink_costs_no_frame(detector: Path, run: Runner, delivery: str) -> None:
    good, bad = Collecting(), _Hanging()
    bad.delivery = delivery
    bad.needs_picture = True
    engine = run(make_job(detector, {"s": TESTSRC.format(60)}, [SinkRequest(bad, stall_s=0.3), good]))
    bad.release.set()
    assert [result.seq for result in good.results] == list(range(60))
    ledger = engine.report()["sinks"][0]
    assert ledger["written"] == 0
    assert sum(ledger["lost"].values()) == 60
    assert not engine.complete
    assert adds_up(engine)


@pytest.mark.parametrize("needs_picture", [False, True])
def test_what_is_handed_to_a_slow_receiver_is_counted_once(detector: Path, run: Runner, needs_picture: bool) -> None:
    class Slow(Collecting):
        def write(self, result: Result) -> None:
            time.sleep(0.002)
            super().write(result)

    sink = Slow()
    sink.delivery = "newest"
    sink.needs_picture = needs_picture
    engine = run(make_job(detector, {"s": TESTSRC.format(300)}, [SinkRequest(sink, capacity=4)]))
    ledger = engine.report()["sinks"][0]
    assert ledger["written"] == len(sink.results)
    assert ledger["handed"] == ledger["written"] + ledger["lost"]["full"] == 300
    assert [r.seq for r in sink.results] == sorted(r.seq for r in sink.results)
    assert sink.results[-1].seq == 299


@pytest.mark.parametrize("where", ["decoder", "run", "buffer"])
def test_an_error_that_nobody_expected_hangs_nothing(
    detector: Path, run: Runner, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """Families and runtimes of third parties raise what they like."""
    calls = [0]

    def flaky(function: Any) -> Any:
        def call(*arguments: Any) -> Any:
            calls[0] += 1
            if calls[0] in (4, 5) or where == "buffer":
                raise ValueError("a bug of somebody else")
            return function(*arguments)

        return call

    class Buggy(OnnxCpu):
        def open(self, model: Any, plan: Any) -> Any:
            session = super().open(model, plan)
            if where != "decoder":
                setattr(session, where, flaky(getattr(session, where)))
            return session

    if where == "decoder":
        warm = models.Model.warm

        def with_bug(model: Any) -> None:
            warm(model)
            model.decoder = flaky(model.decoder)

        monkeypatch.setattr(models.Model, "warm", with_bug)
    monkeypatch.setattr(models, "choose", lambda *_: Buggy())
    sink = Collecting()
    engine = run(make_job(detector, {"s": TESTSRC.format(40)}, [sink]))
    report = engine.report()["streams"][0]
    if where == "buffer":
        assert "ValueError: a bug of somebody else" in report["error"]
    else:
        assert report["failed"] == {"postprocess" if where == "decoder" else "run": 2}
        assert len(sink.results) == 38
    assert adds_up(engine)
    assert not engine.complete


def test_a_frame_between_ring_and_batch_is_not_forgotten(
    detector: Path, run: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine looks whether all is done just when the last frame leaves the ring."""
    take = Ring.take

    def slowly(ring: Any) -> Any:
        item = take(ring)
        time.sleep(0.008)
        return item

    monkeypatch.setattr(Ring, "take", slowly)
    for _ in range(5):
        sink = Collecting()
        engine = run(make_job(detector, {"s": TESTSRC.format(6)}, [sink]))
        assert len(sink.results) == 6
        assert engine.complete


def test_a_stop_while_a_slow_sink_drains_ends_in_time(detector: Path) -> None:
    class Slow(Collecting):
        def write(self, result: Result) -> None:
            time.sleep(0.05)

    engine = Engine(make_job(detector, {"s": TESTSRC.format(300)}, [Slow()]))
    engine.start()
    engine.wait()
    threading.Timer(0.3, engine.request_stop).start()
    begin = time.monotonic()
    engine.stop()
    assert time.monotonic() - begin < 0.3 + 2.0 + 0.5
    assert adds_up(engine)


def test_the_process_is_left_as_it_was(detector: Path, run: Runner) -> None:
    before = cv2.getNumThreads(), sys.getswitchinterval(), gc.get_freeze_count()
    run(make_job(detector, {"s": TESTSRC.format(3)}, [Collecting()]))
    assert (cv2.getNumThreads(), sys.getswitchinterval(), gc.get_freeze_count()) == before


def test_under_load_batches_are_full_through_the_engine(
    detector: Path, run: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same promise as in tests/test_batching.py, on the real lane: counts decide."""
    device = Simulated(0.05, 0.0, (1, 2, 4, 8), ((7, 60),))
    monkeypatch.setattr(models, "choose", lambda *_: device)
    sink = Collecting()
    engine = run(make_job(detector, {f"s{n}": TESTSRC.format(24) for n in range(8)}, [sink]))
    assert engine.complete
    assert sum(r.count for r in device.runs) == 192
    assert sum(r.count for r in device.runs) / len(device.runs) > 6


@pytest.mark.parametrize("batched", [False, True])
def test_a_slow_file_holds_the_decoder_back_and_loses_nothing(
    detector: Path, run: Runner, monkeypatch: pytest.MonkeyPatch, batched: bool
) -> None:
    class Slow(Collecting):
        needs_picture = True

        def write(self, result: Result) -> None:
            time.sleep(0.002)
            super().write(result)

    if batched:  # more under way than the sink's queue holds
        monkeypatch.setattr(models, "choose", lambda *_: _Batched())
    sink = Slow()
    engine = run(make_job(detector, {"s": TESTSRC.format(120)}, [sink]))
    assert len(sink.results) == 120
    assert engine.complete


def test_a_sink_that_cannot_open_starts_nothing(detector: Path, left_behind: Callable[[], list[str]]) -> None:
    class Closed(Collecting):
        def open(self, run: Any) -> None:
            raise SinkError("no such folder")

    engine = Engine(make_job(detector, {"s": TESTSRC.format(5)}, [Closed()]))
    with pytest.raises(SinkError, match="no such folder"):
        engine.start()
    assert not left_behind()


def test_one_broken_source_leaves_its_neighbours_alone(detector: Path, run: Runner, tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("hello")
    sink = Collecting()
    engine = run(make_job(detector, {"bad": str(tmp_path / "text.mp4"), "good": TESTSRC.format(25)}, [sink]))
    assert len(sink.of("good")) == 25
    assert not engine.complete
    errors = {s["stream"]: s["error"] for s in engine.report()["streams"]}
    assert errors["good"] is None
    assert "text.mp4" in errors["bad"]


def test_a_short_stream_behind_a_long_one_has_its_own_wall_time(detector: Path, run: Runner) -> None:
    engine = run(make_job(detector, {"long": TESTSRC.format(1500), "short": TESTSRC.format(5)}, [Collecting()]))
    wall = {s["stream"]: s["wall_s"] for s in engine.report()["streams"]}
    assert wall["short"] < wall["long"]


def test_a_source_that_yields_nothing_is_no_success(detector: Path, run: Runner, tmp_path: Path) -> None:
    """H.264 without its key frame: every packet is taken, no picture comes."""
    clip, cut = tmp_path / "whole.mp4", tmp_path / "cut.mp4"
    write_clip(clip, 12, options={"preset": "ultrafast", "g": "100", "bf": "0"})
    with av.open(str(clip)) as reader, av.open(str(cut), "w") as writer:
        stream = writer.add_stream_from_template(reader.streams.video[0])
        for packet in reader.demux(video=0):
            if packet.dts is not None and not packet.is_keyframe:
                packet.stream = stream
                writer.mux(packet)
    engine = run(make_job(detector, {"s": str(cut)}, [Collecting()]))
    report = engine.report()["streams"][0]
    assert report["results"] == 0
    assert "cut.mp4" in report["error"]
    assert not engine.complete


def test_nan_outputs_fail_frame_by_frame_under_a_reason(run: Runner, tmp_path: Path) -> None:
    sink = Collecting()
    model = make_detector(tmp_path / "nan.onnx", nan=True)
    engine = run(make_job(model, {"s": TESTSRC.format(10)}, [sink], runtime="onnx"))
    report = engine.report()["streams"][0]
    assert report["failed"] == {"nan": 10}
    assert sink.results == []
    assert not engine.complete
    assert adds_up(engine)


@pytest.mark.parametrize("runtime", ["onnx", "openvino"])
def test_a_model_that_lies_about_its_sizes_ends_the_stream_with_a_remedy(
    run: Runner, tmp_path: Path, runtime: str
) -> None:
    model = make_detector(tmp_path / "liar.onnx", works_only_at=(320, 320))
    engine = run(make_job(model, {"s": TESTSRC.format(50)}, [Collecting()], runtime=runtime))
    report = engine.report()["streams"][0]
    assert "320x192" in report["error"]
    assert "input:" in report["error"]
    assert adds_up(engine)
    fixed = Collecting()
    assert run(make_job(model, {"s": TESTSRC.format(5)}, [fixed], runtime=runtime, input=(320, 320))).complete
    assert len(fixed.results) == 5


def test_one_item_that_cannot_run_fails_alone(detector: Path, run: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    """The device refuses every batch with picture 20 in it; its neighbours of the same batch come out."""

    class Picky(_Batched):
        def open(self, model: Any, plan: Any) -> Any:
            session = super().open(model, plan)
            once, seen = session.run, [False]

            def run(buffer: Any, count: int) -> Any:
                outputs = once(buffer, count)
                if seen[0] and any(abs(float(slot[0, 0, 0]) - poison) < 1e-6 for slot in buffer.slots[:count]):
                    raise ModelError("picture 20")
                seen[0] = True
                return outputs

            session.run = run
            return session

    sink = Collecting()
    run(make_job(detector, {"s": TESTSRC.format(40)}, [sink]))
    poison = _value_of_frame_twenty(detector)
    monkeypatch.setattr(models, "choose", lambda *_: Picky())
    sink = Collecting()
    engine = run(make_job(detector, {"s": TESTSRC.format(40)}, [sink]))
    failed = engine.report()["streams"][0]["failed"]
    assert list(failed) == ["run"]
    seqs = [result.seq for result in sink.results]
    assert 20 not in seqs
    assert seqs == sorted(seqs)
    assert len(seqs) + failed["run"] == 40
    assert adds_up(engine)


def _value_of_frame_twenty(detector: Path) -> float:
    """The first input value of frame 20; frames that share it count as poisoned too."""
    from vidette.pixels.letterbox import fit
    from vidette.pixels.preprocess import Preprocess
    from vidette.pixels.slot import ArrayBuffer, SlotWriter
    from vidette.sources import open_source
    from vidette.sources.base import SourceOptions

    source = open_source(TESTSRC.format(21), SourceOptions("s", 0, 1, "lossless", threading.Event()))
    frame = list(source.frames())[20]
    buffer = ArrayBuffer(np.zeros((1, 3, 192, 320), np.float32))
    SlotWriter(Preprocess()).write(frame.picture, fit(320, 192, 320, 192, "letterbox"), buffer, 0)  # type: ignore[union-attr]
    return float(buffer.slots[0, 0, 0, 0])


def test_live_drops_the_oldest_and_counts_it(detector: Path, monkeypatch: pytest.MonkeyPatch, run: Runner) -> None:
    slow = Simulated(0.05, 0.0, (1,), ((7, 60),))
    monkeypatch.setattr(models, "choose", lambda *_: slow)
    sink = Collecting()
    engine = run(make_job(detector, {"s": "testsrc:?size=320x192&rate=100&frames=100"}, [sink], mode="live"))
    report = engine.report()["streams"][0]
    assert report["dropped"]["overwritten"] > 50
    assert report["decoded"] == 100
    assert [r.seq for r in sink.results] == sorted(r.seq for r in sink.results)
    assert sink.results[-1].seq == 99
    assert adds_up(engine)
    assert engine.complete


def test_fps_limit_keeps_one_frame_per_slot_of_media_time(detector: Path, run: Runner) -> None:
    sink = Collecting()
    engine = run(make_job(detector, {"s": TESTSRC.format(60)}, [sink], fps_limit=5.0))
    assert [result.seq for result in sink.results] == list(range(0, 60, 6))
    assert engine.report()["streams"][0]["dropped"] == {"fps_limit": 50}
    assert engine.complete


def test_a_change_of_resolution_in_the_middle(detector: Path, run: Runner, tmp_path: Path) -> None:
    for number in range(12):
        width, height = (320, 192) if number < 6 else (200, 400)
        cv2.imwrite(str(tmp_path / f"{number:02}.png"), np.full((height, width, 3), 200, np.uint8))
    sink = Collecting()
    engine = run(make_job(detector, {"s": str(tmp_path)}, [sink]))
    assert [(r.seq, r.width, r.height) for r in sink.results] == [
        (n, *((320, 192) if n < 6 else (200, 400))) for n in range(12)
    ]
    assert {r.run["input"] for r in sink.results} == {"320x192", "160x320"}
    assert len(engine.report()["models"][0]["inputs"]) == 2


@pytest.mark.parametrize("what", ["sink", "model", "live"])
def test_a_stop_ends_everything_within_two_seconds(
    detector: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, what: str
) -> None:
    sinks: list[Any] = [Collecting()]
    if what == "sink":
        sinks.append(_Hanging())
    if what == "model":
        monkeypatch.setattr(models, "choose", lambda *_: Simulated(30.0, 0.0, (1,), ((7, 60),)))
    url = "testsrc:?size=320x192&rate=30" if what == "live" else "testsrc:?size=320x192"
    engine = Engine(make_job(detector, {"s": url}, sinks, mode="live" if what == "live" else "lossless"))
    engine.start()
    threading.Timer(0.3, engine.request_stop).start()
    engine.wait()
    begin = time.monotonic()
    engine.stop()
    assert time.monotonic() - begin < 2.0 + 0.5  # half a second for a loaded machine
    assert engine.report()["interrupted"]
    assert adds_up(engine)
    assert engine.report()["streams"][0]["in_flight"] == 0
    assert "did not stop in time" not in caplog.text
    for sink in sinks:
        if isinstance(sink, _Hanging):
            sink.release.set()


def test_stopping_before_anything_came_out(detector: Path, left_behind: Callable[[], list[str]]) -> None:
    engine = Engine(make_job(detector, {"s": "testsrc:?size=320x192"}, [Collecting()]))
    engine.start()
    engine.request_stop()
    engine.wait()
    engine.stop()
    assert adds_up(engine)
    assert not left_behind()


def _streams(mode: str, count: int) -> list[StreamRequest]:
    return [StreamRequest(str(n), "testsrc:", "m", mode) for n in range(count)]  # type: ignore[arg-type]


def test_the_plan_follows_the_load_and_says_why() -> None:
    request = ModelRequest("m", Path("m.onnx"))
    assert plan_mode(request, _streams("lossless", 1), 8) == ("throughput", "auto: files keep every core busy")
    assert plan_mode(request, _streams("live", 1), 8)[0] == "adaptive"
    assert plan_mode(request, _streams("live", 8), 8)[0] == "throughput"
    assert plan_mode(replace(request, plan="latency"), _streams("lossless", 1), 8) == ("latency", "as asked")


def test_decoder_threads_need_idle_cores() -> None:
    assert decoder_threads(1, 2) == 1
    assert decoder_threads(1, 16) == 4
    assert decoder_threads(64, 16) == 1


def test_the_drain_leaves_time_for_closing_files() -> None:
    assert DRAIN_S < 2
