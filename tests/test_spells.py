"""Turns of decoding threads: who has them, and that no stream costs another anything by having one."""

import itertools
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conftest import Collecting, make_job
from vidette import models, sources
from vidette.engine import Engine
from vidette.errors import ModelError
from vidette.exit import Exit
from vidette.frame import Frame, Picture
from vidette.job import Job, ModelRequest, SinkRequest
from vidette.lane import Lane
from vidette.ledger import StreamLedger
from vidette.models import load
from vidette.pixels.tiles import Tiles
from vidette.runtimes.simulated import Simulated, SimulatedSession
from vidette.sources.base import FrameMaker, Mode, SourceFacts, SourceOptions
from vidette.spells import Spells

PIXELS = np.zeros((64, 96, 3), np.uint8)


class Worker:
    def __init__(self) -> None:
        self.woken = 0

    def wake(self) -> None:
        self.woken += 1


@pytest.fixture
def three() -> tuple[Spells, Worker, Worker, Worker]:
    """The first has the turn since 0, the others stand in line."""
    spells = Spells()
    workers = Worker(), Worker(), Worker()
    for worker in workers:
        spells.ask(worker, 0.0)
    return spells, *workers


def test_turns_go_round(three: tuple[Spells, Worker, Worker, Worker]) -> None:
    spells, *workers = three
    for number in range(6):
        assert spells.holder is workers[number % 3]
        assert [spells.waits(worker) for worker in workers] == [worker is not spells.holder for worker in workers]
        spells.hand_on(float(number))
    assert [worker.woken >= 2 for worker in workers] == [True, True, True]


def test_one_alone_goes_on() -> None:
    spells, alone = Spells(), Worker()
    spells.ask(alone, 0.0)
    assert not spells.over(0.099)
    assert spells.over(0.101)
    spells.hand_on(0.101)
    assert spells.holder is alone
    assert not spells.over(0.2)


def test_who_is_overdue_loses_its_turn_unless_a_run_is_why(three: tuple[Spells, Worker, Worker, Worker]) -> None:
    spells, first, second, _ = three
    assert spells.look(0.02, running=False) is not None
    spells.over(0.02)  # it is at work
    assert spells.look(0.04, running=False) is not None
    assert spells.holder is first
    assert spells.look(1.0, running=True) is not None
    assert spells.holder is first
    before = first.woken, second.woken
    spells.look(1.0, running=False)
    assert spells.holder is second
    assert not spells.waits(first)
    assert (first.woken > before[0], second.woken > before[1]) == (True, True)
    assert spells.look(1.02, running=False) is not None  # its turn has just begun
    assert spells.holder is second


def test_nobody_has_to_look_where_nobody_has_a_turn(three: tuple[Spells, Worker, Worker, Worker]) -> None:
    spells, *workers = three
    for now in (1.0, 2.0):
        assert spells.look(now, running=False) is not None
    assert spells.look(3.0, running=False) is None
    assert spells.holder is None
    assert not any(spells.waits(worker) for worker in workers)


def test_leaving(three: tuple[Spells, Worker, Worker, Worker]) -> None:
    spells, first, second, third = three
    spells.leave(second, 1.0)
    spells.leave(second, 1.0)  # it has none to lose
    assert spells.holder is first
    spells.leave(first, 1.0)
    assert spells.holder is third
    spells.leave(third, 1.0)
    assert spells.holder is None


def test_the_end_wakes_everybody(three: tuple[Spells, Worker, Worker, Worker]) -> None:
    spells, *workers = three
    before = [worker.woken for worker in workers]
    spells.end()
    assert spells.holder is None
    assert not any(spells.waits(worker) for worker in workers)
    assert all(worker.woken > woken for worker, woken in zip(workers, before, strict=True))


class Light:
    """`light:NAME`: frames that cost nothing to decode; `scripts[NAME]` yields between them, and may wait."""

    scripts: dict[str, Callable[[], Iterator[None]]]
    pixels: Callable[[int], Any]

    def __init__(self, name: str, options: SourceOptions) -> None:
        self.facts = SourceFacts(96, 64, 30, None)
        self._script = self.scripts[name]
        self._options = options

    @staticmethod
    def default_mode(url: str) -> Mode:
        return "lossless"

    @classmethod
    def open(cls, url: str, options: SourceOptions) -> "Light":
        return cls(url.partition(":")[2], options)

    def frames(self) -> Iterator[Frame]:
        make = FrameMaker(self._options).make
        for number, _ in enumerate(self._script()):
            yield make(Picture(self.pixels(number)), number / 30)

    def close(self) -> None:
        pass


class Device(Simulated):
    """A device that is done at once; `who` are the threads that ran it, `fails` the numbers of runs that fail."""

    def __init__(self, ladder: tuple[int, ...] = (1,), seconds: float = 0.0) -> None:
        super().__init__(seconds, 0.0, ladder, ((7, 60),), sleep=(lambda s: time.sleep(s) if s else None))
        self.who: list[str] = []
        self.fails: set[int] = set()

    def open(self, model: Any, plan: Any) -> SimulatedSession:
        session = super().open(model, plan)
        run = session.run

        def noted(buffer: Any, count: int, alone: bool = False) -> Any:
            self.who.append(threading.current_thread().name)
            if len(self.who) in self.fails:
                raise ModelError("this run fails")
            return run(buffer, count, alone)

        session.run = noted  # type: ignore[method-assign]
        return session

    def share(self) -> float:
        """Of all runs, those by threads that decode."""
        return sum(name.startswith("vidette:decode:") for name in self.who) / len(self.who)


Start = Callable[..., tuple[Engine, Collecting, Device]]


@pytest.fixture
def start(detector: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Run a job of `light:` streams, one for each script."""
    monkeypatch.setitem(sources._TABLE, "light", f"{__name__}:Light")
    engines: list[Engine] = []

    def started(
        scripts: dict[str, Callable[[], Iterator[None]]],
        device: Device | None = None,
        sinks: Sequence[SinkRequest] = (),
        pixels: Callable[[int], Any] = lambda _: PIXELS,
        **options: Any,
    ) -> tuple[Engine, Collecting, Device]:
        device = device or Device()
        monkeypatch.setattr(models, "choose", lambda *_: device)
        monkeypatch.setattr(Light, "scripts", scripts, raising=False)
        monkeypatch.setattr(Light, "pixels", staticmethod(pixels), raising=False)
        sink = Collecting()
        job: Job = make_job(detector, {name: f"light:{name}" for name in scripts}, [sink, *sinks], **options)
        engine = Engine(job)
        engines.append(engine)
        engine.start()
        return engine, sink, device

    yield started
    for engine in engines:
        engine.stop()


def plain(count: int) -> Callable[[], Iterator[None]]:
    return lambda: iter([None] * count)


def endless() -> Iterator[None]:
    while True:
        yield


def finish(engine: Engine) -> None:
    engine.wait()
    engine.stop()


@pytest.mark.parametrize("ladder", [(1,), (1, 2, 4, 8)], ids=["single", "batches"])
@pytest.mark.parametrize("count", [1, 5])
def test_threads_that_decode_do_short_runs_and_every_frame_comes_out(
    start: Start, ladder: tuple[int, ...], count: int
) -> None:
    engine, sink, device = start({f"s{n}": plain(1000 + n) for n in range(count)}, Device(ladder))
    finish(engine)
    assert engine.complete
    for n in range(count):
        assert [result.seq for result in sink.of(f"s{n}")] == list(range(1000 + n))
    assert device.share() > 0.5


def test_long_runs_are_left_to_callers(start: Start) -> None:
    engine, _, device = start({"a": plain(60), "b": plain(60)}, Device(seconds=0.003))
    finish(engine)
    assert engine.complete
    assert device.share() == 0


def test_where_some_runs_are_long_callers_do_them_side_by_side(start: Start) -> None:
    small, large = (np.zeros((side, 96, 3), np.uint8) for side in (64, 96))
    device = Device()
    engine, _, _ = start({"a": plain(400), "b": plain(400)}, device, pixels=lambda number: (small, large)[number % 2])
    session = engine.lanes["m"].model.session
    run = session.run

    def uneven(buffer: Any, count: int, alone: bool = False) -> Any:
        time.sleep(0.004 if buffer.slots.shape[2] == buffer.slots.shape[3] else 0.0)
        return run(buffer, count, alone)

    session.run = uneven  # type: ignore[method-assign]
    finish(engine)
    assert engine.complete
    assert device.share() < 0.5


def test_a_stream_that_stands_in_line_is_stopped_at_once(start: Start) -> None:
    engine, sink, _ = start({f"s{n}": endless for n in range(24)})
    while len(sink.results) < 3000:
        time.sleep(0.01)
    lane = engine.lanes["m"]
    with lane.lock:
        last = list(lane.spells._line)[-1]
    begin = time.monotonic()
    stopped = next(stream for stream in engine.streams if stream._entry is last)
    stopped.stop()
    assert stopped.join(begin + 10)
    assert time.monotonic() - begin < 1  # a round takes 2.4 s


def test_who_decodes_long_takes_no_turns(start: Start) -> None:
    def slow() -> Iterator[None]:
        for _ in range(300):
            time.sleep(0.002)
            yield

    engine, sink, device = start({"a": slow})
    finish(engine)
    assert len(sink.results) == 300
    assert device.share() < 0.02


def test_who_waits_for_its_sink_takes_no_turns(detector: Path, start: Start) -> None:
    slow = Collecting("slow")
    slow.write = lambda result: time.sleep(0.003)  # type: ignore[method-assign]
    request = SinkRequest(slow, streams=frozenset({"slow"}), capacity=4)
    engine, sink, device = start({"slow": plain(400), "a": plain(4000)}, sinks=[request])
    finish(engine)
    assert engine.complete
    assert len(sink.results) == 4400
    assert device.who.count("vidette:decode:slow") < 100


@pytest.mark.parametrize("url", ["light", "rushing"])
def test_sources_that_do_not_wait_take_no_turns(start: Start, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setattr(Light, "default_mode", staticmethod(lambda _: "live" if url == "rushing" else "lossless"))
    engine, _, device = start({"a": plain(1000)})
    finish(engine)
    assert (device.share() > 0.5) == (url == "light")


def test_pictures_of_other_sizes_and_in_tiles(start: Start) -> None:
    sizes = [np.zeros((64 * side, 96 * side, 3), np.uint8) for side in (1, 8, 2, 16)]
    engine, sink, _ = start(
        {name: plain(800) for name in "ab"},
        Device((1, 2, 4)),
        pixels=lambda number: sizes[number // 100 % 4],
        tiles=Tiles(2, 1, True),
    )
    finish(engine)
    assert engine.complete
    assert [len(sink.of(name)) for name in "ab"] == [800, 800]


def test_no_turn_begins_after_the_end(detector: Path) -> None:
    lane = Lane(load(ModelRequest("m", detector, runtime="onnx"), "throughput"))
    entry = lane.open("lossless", Exit(StreamLedger("s", "m"), [], True, print), print, 1)
    lane.stop()
    lane._run_s = 0.0
    with lane.lock:
        lane.ask(entry)
    assert lane.spells.holder is None
    assert lane.join(time.monotonic() + 5)


@pytest.mark.parametrize("ladder", [(1,), (1, 2)], ids=["single", "batches"])
def test_what_a_turn_has_taken_when_all_is_stopped_is_counted(
    detector: Path, monkeypatch: pytest.MonkeyPatch, ladder: tuple[int, ...]
) -> None:
    monkeypatch.setattr(models, "choose", lambda *_: Device(ladder))
    lane = Lane(load(ModelRequest("m", detector), "throughput"))
    ledger = StreamLedger("s", "m")
    entry = lane.open("lossless", Exit(ledger, [], True, print), print, 1)
    for number in range(6):
        assert entry.put(Frame("s", 0, number, None, 0.0, 0.0, Picture(PIXELS)), 0.0)
    lane._run_s = 0.0
    with lane.lock:
        lane.ask(entry)
    run = lane.model.session.run
    monkeypatch.setattr(lane.model.session, "run", lambda *args, **how: (run(*args, **how), lane.stop())[0])
    assert lane.work_off(entry)
    assert (ledger.results, dict(ledger.failed)) == (ladder[-1], {"stopped": 6 - ladder[-1]})
    assert entry.done
    assert lane.join(time.monotonic() + 5)


def test_a_runtime_may_write_into_the_same_outputs_with_each_run(start: Start) -> None:
    go = threading.Event()

    def script() -> Iterator[None]:
        go.wait(20)
        yield from [None] * 600

    engine, sink, device = start({"a": script}, confidence=0.0001)
    session = engine.lanes["m"].model.session
    run, memory = session.run, np.zeros((1, 7, 60), np.float32)
    memory[0, :4] = 10
    numbers = itertools.count(1)

    def over_and_over(*args: Any, **how: Any) -> list[np.ndarray]:
        run(*args, **how)
        memory[0, 4] = next(numbers) / 1000
        return [memory]

    session.run = over_and_over  # type: ignore[method-assign]
    go.set()
    finish(engine)
    assert device.share() > 0.5
    assert len({float(result.predictions.confidence[0]) for result in sink.of("a")}) == 600


def test_live_streams_hand_over(start: Start) -> None:
    engine, _, device = start({"a": plain(3000)}, mode="live")
    finish(engine)
    assert device.share() == 0


def test_a_batch_that_waits_for_company_is_formed_by_callers(start: Start) -> None:
    engine, _, device = start({"a": plain(200)}, Device((1, 2, 4)), max_delay=0.001)
    finish(engine)
    assert device.share() == 0


def test_a_desk_takes_the_turns_away(start: Start) -> None:
    go = threading.Event()

    def in_two() -> Iterator[None]:
        yield from [None] * 1000
        go.wait(20)
        yield from [None] * 3000  # it rests for a while after such a wait

    engine, sink, device = start({"a": in_two})
    while len(sink.results) < 1000:
        time.sleep(0.01)
    before = len(device.who)
    engine.lanes["m"].open_desk(8)
    go.set()
    finish(engine)
    assert engine.complete
    assert not any(name.startswith("vidette:decode:") for name in device.who[before:])


def test_who_hangs_in_its_turn_holds_nobody_and_its_frames_come_out(start: Start) -> None:
    go = threading.Event()

    def hangs() -> Iterator[None]:
        yield from [None] * 1003  # some are in the ring when it hangs
        go.wait(30)
        yield from [None] * 10

    engine, sink, _ = start({"hangs": hangs, "a": plain(4000), "b": plain(4000)})
    end = time.monotonic() + 20
    while len(sink.results) < 9003 and time.monotonic() < end:
        time.sleep(0.01)
    assert [len(sink.of(name)) for name in ("hangs", "a", "b")] == [1003, 4000, 4000]
    go.set()
    finish(engine)
    assert engine.complete
    assert [result.seq for result in sink.of("hangs")] == list(range(1013))


def test_a_run_that_fails_in_a_turn_costs_its_own_frame(start: Start) -> None:
    device = Device()
    device.fails = {900, 1500}
    engine, sink, _ = start({"a": plain(1000), "b": plain(1000)}, device)
    finish(engine)
    failed = [stream["failed"] for stream in engine.report()["streams"]]
    assert sum(reasons.get("run", 0) for reasons in failed) == 2
    assert len(sink.results) == 1998


def test_a_stop_ends_turns(start: Start, left_behind: Callable[[], list[str]]) -> None:
    engine, sink, _ = start({f"s{n}": endless for n in range(6)})
    while len(sink.results) < 2000:
        time.sleep(0.01)
    begin = time.monotonic()
    engine.request_stop()
    finish(engine)
    assert time.monotonic() - begin < 5
    assert not left_behind()
    for stream in engine.report()["streams"]:
        assert stream["decoded"] == sum([stream["results"], *stream["dropped"].values(), *stream["failed"].values()])


def test_one_stream_is_stopped_and_the_others_go_on(start: Start) -> None:
    engine, sink, _ = start({"endless": endless, "a": plain(3000), "b": plain(3000)})
    while len(sink.results) < 1000:
        time.sleep(0.01)
    engine.streams[0].stop()
    finish(engine)
    assert engine.streams[0].ledger.decoded == len(sink.of("endless"))
    assert [len(sink.of(name)) for name in ("a", "b")] == [3000, 3000]


@pytest.mark.parametrize("seed", range(3))
def test_streams_that_stumble_now_and_then_all_come_to_their_end(start: Start, seed: int) -> None:
    chance = random.Random(seed)

    def stumbling(count: int, pauses: dict[int, float]) -> Callable[[], Iterator[None]]:
        def script() -> Iterator[None]:
            for number in range(count):
                if number in pauses:
                    time.sleep(pauses[number])
                yield

        return script

    counts = [chance.randrange(1, 500) for _ in range(12)]
    scripts = {
        f"s{n}": stumbling(count, {chance.randrange(count): chance.uniform(0, 0.1) for _ in range(6)})
        for n, count in enumerate(counts)
    }
    engine, sink, _ = start(scripts, Device((1, 2, 4) if seed else (1,)))
    finish(engine)
    assert engine.complete
    assert [len(sink.of(f"s{n}")) for n in range(12)] == counts
