"""Dynamic batches across streams: what waits when the device becomes free goes, fairly, in one shape.

Pure decisions on rings and a clock that is passed in: no threads, no locks, no models. lane.py holds the lock and
the threads; tests drive the same object with a simulated clock.
"""

from collections import deque
from typing import Generic, Protocol, TypeVar

from vidette.ring import Policy, Ring

Shape = tuple[int, int]


class Waiting(Protocol):
    """What a feed queues: a picture of a known input shape, queued at a known time."""

    shape: Shape
    queued_at: float
    order: int


T = TypeVar("T", bound=Waiting)


class Feed(Generic[T]):
    """One stream's way into the batches: its ring, and how often it brings something."""

    __slots__ = ("_last", "interval", "next_order", "queued", "ring", "ticket")

    def __init__(self, capacity: int, policy: Policy) -> None:
        self.ring: Ring[T] = Ring(capacity, policy)
        self.queued = False  # whether it stands in the line of feeds that have something,
        self.ticket = 0  # and since when, compared with others
        self.next_order = 0  # taken items are numbered, so that the exit can restore their order
        self.interval: float | None = None  # seconds between arrivals, smoothed
        self._last: float | None = None

    def arrived(self, now: float) -> None:
        """Note an arrival."""
        if self._last is not None:
            gap = now - self._last
            self.interval = gap if self.interval is None else self.interval + 0.2 * (gap - self.interval)
        self._last = now

    def forget(self) -> None:
        """Expect nothing."""
        self.interval = self._last = None

    def next_due(self) -> float | None:
        """When the next item may be expected; None while that is unknown."""
        return None if self._last is None or self.interval is None else self._last + self.interval


class Batcher(Generic[T]):
    """Chooses what runs next.

    Fair: feeds with something waiting stand in line; each gives one item and goes to the back, so a fast stream never
    keeps a slow one waiting for more than one round. One shape per batch: the shape whose first feed has stood in line
    longest goes next, and others of that shape fill up. Work-conserving: nobody waits for company unless `max_delay`
    allows it, and then only while another stream is expected in time.
    """

    def __init__(self, top: int, max_delay: float = 0.0) -> None:
        self.top = top
        self.max_delay = max_delay
        self.feeds: list[Feed[T]] = []
        self.waiting = 0
        self._lines: dict[Shape, deque[Feed[T]]] = {}
        self._tickets = 0

    def open(self, capacity: int, policy: Policy) -> Feed[T]:
        """Add a stream."""
        feed: Feed[T] = Feed(capacity, policy)
        self.feeds.append(feed)
        return feed

    def close(self, feed: Feed[T]) -> None:
        """The stream brings nothing more, unless `reopen`; what it has waiting still goes."""
        if feed in self.feeds:
            self.feeds.remove(feed)

    def reopen(self, feed: Feed[T]) -> None:
        """The stream begins again: when it brought something before says nothing of when it will."""
        if feed not in self.feeds:
            self.feeds.append(feed)
        feed.forget()

    def put(self, feed: Feed[T], item: T, now: float) -> T | None:
        """Queue an item; returns the one it displaced, if any."""
        item.queued_at = now
        if self.max_delay:
            feed.arrived(now)
        displaced = feed.ring.put(item)
        if displaced is None:
            self.waiting += 1
        if not feed.queued:
            self._line_up(feed)
        return displaced

    def discard(self, feed: Feed[T]) -> list[T]:
        """Remove all that waits in one feed."""
        items = feed.ring.clear()
        self.waiting -= len(items)
        return items

    def take(self, limit: int, shape: Shape | None = None) -> list[T]:
        """Up to `limit` items of one shape (the given one, else the one whose turn it is), one per feed and round.

        May be empty although something waits, when a feed stood in the line of a shape that it no longer brings; it
        stands in the right one then.
        """
        if limit < 1 or not self.waiting:
            return []
        if shape is None:
            shape = self._next_shape()
        line = self._lines.get(shape)
        taken: list[T] = []
        while line and len(taken) < limit:
            feed = line.popleft()
            feed.queued = False
            ring = feed.ring
            while len(ring) and ring.peek().shape == shape and len(taken) < limit:  # none: discarded meanwhile
                item = ring.take()
                item.order = feed.next_order
                feed.next_order += 1
                self.waiting -= 1
                taken.append(item)
                if line:
                    break  # others have their turn
            if len(ring):
                self._line_up(feed)
        return taken

    def hold(self, batch: list[T], now: float) -> float:
        """Seconds that a batch should still wait for company although the device is free; 0 means go."""
        if len(batch) >= self.top or not self.max_delay:
            return 0.0
        deadline = batch[0].queued_at + self.max_delay
        if now >= deadline:
            return 0.0
        due = [
            at for feed in self.feeds if not len(feed.ring) and (at := feed.next_due()) is not None and at <= deadline
        ]
        return max(0.0, min(deadline, max(due)) - now) if due else 0.0

    def _line_up(self, feed: Feed[T]) -> None:
        shape = feed.ring.peek().shape
        line = self._lines.get(shape)
        if line is None:
            line = self._lines[shape] = deque()
        line.append(feed)
        feed.queued = True
        feed.ticket = self._tickets
        self._tickets += 1

    def _next_shape(self) -> Shape:
        # Not by the age of what waits: an overwritten ring is always young, and its shape would never have a turn.
        for shape in [shape for shape, line in self._lines.items() if not line]:
            del self._lines[shape]
        return min(self._lines, key=lambda shape: self._lines[shape][0].ticket)
