"""The batching promises on a simulated clock: counts decide, nothing sleeps."""

import heapq
from dataclasses import dataclass, field

import pytest

from vidette.batching import Batcher, Feed, Shape
from vidette.ring import Policy

LADDER = (1, 2, 4, 8)


@dataclass
class Item:
    stream: int
    number: int
    shape: Shape = (640, 640)
    queued_at: float = 0.0
    order: int = 0


@dataclass
class Device:
    """One run at a time, of stated latency a + b * bucket."""

    a: float
    b: float

    def latency(self, count: int) -> float:
        return self.a + self.b * next(size for size in LADDER if size >= count)


@dataclass
class Outcome:
    batches: list[list[Item]] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    busy: float = 0.0
    end: float = 0.0
    overwritten: dict[int, int] = field(default_factory=dict)

    @property
    def mean_batch(self) -> float:
        return sum(map(len, self.batches)) / len(self.batches)


def simulate(
    device: Device,
    arrivals: list[tuple[float, int]],
    *,
    max_delay: float = 0.0,
    capacity: int = 2,
    policy: Policy = "newest",
    shapes: dict[int, Shape] | None = None,
) -> Outcome:
    """Drive a Batcher with timed arrivals (time, stream) as lane.py does: go when the device is free."""
    batcher: Batcher[Item] = Batcher(LADDER[-1], max_delay)
    feeds: dict[int, Feed[Item]] = {s: batcher.open(capacity, policy) for s in sorted({s for _, s in arrivals})}
    outcome = Outcome(overwritten=dict.fromkeys(feeds, 0))
    events = [(at, index, "arrival", stream) for index, (at, stream) in enumerate(sorted(arrivals))]
    heapq.heapify(events)
    numbers = dict.fromkeys(feeds, 0)
    free, forming = True, []  # type: bool, list[Item]
    ticket = len(events)

    def push(at: float, kind: str) -> None:
        nonlocal ticket
        ticket += 1
        heapq.heappush(events, (at, ticket, kind, -1))

    while events:
        now, _, kind, stream = heapq.heappop(events)
        if kind == "arrival":
            item = Item(stream, numbers[stream], (shapes or {}).get(stream, (640, 640)))
            numbers[stream] += 1
            displaced = batcher.put(feeds[stream], item, now)
            outcome.overwritten[stream] += displaced is not None
        elif kind == "free":
            free = True
        if free:
            if not forming and batcher.waiting:
                forming = batcher.take(batcher.top)
            elif forming:
                forming += batcher.take(batcher.top - len(forming), forming[0].shape)
            if forming:
                hold = batcher.hold(forming, now)
                if hold > 0:
                    push(now + hold + 1e-9, "wake")
                    continue
                outcome.batches.append(forming)
                outcome.waits += [now - item.queued_at for item in forming]
                latency = device.latency(len(forming))
                outcome.busy += latency
                outcome.end = now + latency
                forming, free = [], False
                push(now + latency, "free")
    return outcome


def periodic(stream: int, fps: float, seconds: float, phase: float = 0.0) -> list[tuple[float, int]]:
    return [(phase + n / fps, stream) for n in range(int(seconds * fps))]


def test_under_load_the_device_is_busy_and_batches_are_full() -> None:
    device = Device(0.004, 0.002)  # full batches: 400 pictures a second
    arrivals = [a for s in range(16) for a in periodic(s, 40, 5, s / 640)]
    outcome = simulate(device, arrivals)
    assert outcome.busy / outcome.end >= 0.95
    assert outcome.mean_batch >= 0.97 * LADDER[-1]


def test_one_idle_stream_waits_for_nothing_even_with_a_delay_allowed() -> None:
    outcome = simulate(Device(0.004, 0.002), periodic(0, 30, 5), max_delay=0.010)
    assert max(outcome.waits) == 0.0
    assert outcome.mean_batch == 1


def test_without_a_delay_nobody_waits_while_the_device_is_free() -> None:
    arrivals = periodic(0, 10, 5) + periodic(1, 10, 5, 0.05)
    assert max(simulate(Device(0.004, 0.002), arrivals).waits) == 0.0


def test_a_delay_gathers_company_that_is_expected_in_time() -> None:
    arrivals = periodic(0, 10, 5) + periodic(1, 10, 5, 0.004)
    outcome = simulate(Device(0.004, 0.002), arrivals, max_delay=0.005)
    assert outcome.mean_batch > 1.8
    assert max(outcome.waits) <= 0.005 + 1e-6


def test_company_that_comes_too_late_is_not_waited_for() -> None:
    arrivals = periodic(0, 10, 5) + periodic(1, 10, 5, 0.05)
    outcome = simulate(Device(0.004, 0.002), arrivals, max_delay=0.005)
    assert sorted(outcome.waits)[int(0.99 * len(outcome.waits))] == 0.0


def test_the_queue_wait_is_bounded_by_the_delay_and_one_run() -> None:
    device, max_delay = Device(0.004, 0.002), 0.005
    arrivals = [a for s in range(8) for a in periodic(s, 30, 5, s * 0.0037)]
    outcome = simulate(device, arrivals, max_delay=max_delay)
    assert sorted(outcome.waits)[int(0.99 * len(outcome.waits))] <= max_delay + device.latency(LADDER[-1])


@pytest.mark.parametrize("device", [Device(0.008, 0.001), Device(0.002, 0.009)])
def test_slow_streams_lose_nothing_beside_a_fast_one(device: Device) -> None:
    arrivals = periodic(0, 60, 10) + [a for s in range(1, 8) for a in periodic(s, 5, 10, s * 0.023)]
    outcome = simulate(device, arrivals)
    assert {s: outcome.overwritten[s] for s in range(1, 8)} == dict.fromkeys(range(1, 8), 0)


def test_a_saturating_stream_cannot_push_others_out() -> None:
    arrivals = periodic(0, 2000, 2) + [a for s in range(1, 8) for a in periodic(s, 5, 2, s * 0.023)]
    outcome = simulate(Device(0.004, 0.002), arrivals)
    assert outcome.overwritten[0] > 0
    assert all(outcome.overwritten[s] == 0 for s in range(1, 8))


def test_batches_hold_one_shape_and_the_longest_waiting_shape_goes_first() -> None:
    shapes: dict[int, Shape] = {0: (384, 640), 1: (384, 640), 2: (640, 640), 3: (640, 640)}
    arrivals = [a for s in range(4) for a in periodic(s, 100, 2, s * 0.001)]
    outcome = simulate(Device(0.010, 0.002), arrivals, shapes=shapes)
    assert all(len({item.shape for item in batch}) == 1 for batch in outcome.batches)
    counts = {shape: sum(batch[0].shape == shape for batch in outcome.batches) for shape in set(shapes.values())}
    assert abs(counts[(384, 640)] - counts[(640, 640)]) <= 1


def test_orders_follow_each_stream_without_gaps() -> None:
    arrivals = [a for s in range(5) for a in periodic(s, 50, 2, s * 0.0013)]
    outcome = simulate(Device(0.010, 0.004), arrivals)
    for stream in range(5):
        taken = [item for batch in outcome.batches for item in batch if item.stream == stream]
        assert [item.order for item in taken] == list(range(len(taken)))
        assert [item.number for item in taken] == sorted(item.number for item in taken)


def test_discarding_keeps_the_line_consistent() -> None:
    batcher: Batcher[Item] = Batcher(4)
    a, b = batcher.open(4, "newest"), batcher.open(4, "newest")
    for number in range(3):
        batcher.put(a, Item(0, number), 0.0)
        batcher.put(b, Item(1, number), 0.0)
    assert len(batcher.discard(a)) == 3
    assert [item.stream for item in batcher.take(8)] == [1, 1, 1]
    assert batcher.waiting == 0
    assert batcher.take(8) == []


def test_a_feed_whose_front_changes_shape_stands_in_the_right_line() -> None:
    batcher: Batcher[Item] = Batcher(4)
    feed = batcher.open(2, "newest")
    batcher.put(feed, Item(0, 0, (1, 1)), 0.0)
    batcher.put(feed, Item(0, 1, (2, 2)), 0.1)
    batcher.put(feed, Item(0, 2, (2, 2)), 0.2)  # displaces the (1, 1) that stood in line
    taken: list[Item] = []
    for _ in range(3):
        taken += batcher.take(4)
    assert [item.number for item in taken] == [1, 2]
    assert batcher.waiting == 0


def test_a_stream_that_begins_again_is_waited_for_only_when_it_has_a_pace_again() -> None:
    batcher: Batcher[Item] = Batcher(8, max_delay=0.1)
    a = batcher.open(2, "newest")

    def wait_of_another(now: float) -> float:
        another = batcher.open(2, "newest")
        batcher.put(another, Item(1, 0), now)
        return batcher.hold(batcher.take(8), now)

    for at in (0.0, 0.05):
        batcher.put(a, Item(0, 0), at)
        batcher.take(8)
    assert wait_of_another(0.06) > 0  # `a` is expected at 0.1
    batcher.close(a)
    assert wait_of_another(0.07) == 0
    batcher.reopen(a)
    assert wait_of_another(0.08) == 0
    for at in (5.0, 5.05):
        batcher.put(a, Item(0, 0), at)
        batcher.take(8)
    assert wait_of_another(5.06) > 0
    batcher.reopen(a)
    assert batcher.feeds.count(a) == 1
