"""Ways into a lane: the frames of a stream, and single pictures of those who wait for an answer."""

import threading
import time
from collections.abc import Callable
from typing import Protocol

from vidette.batching import Batcher, Feed
from vidette.exit import Exit, Failure
from vidette.families.base import Thresholds
from vidette.frame import Frame
from vidette.models import Model
from vidette.mosaic import Mosaic
from vidette.pixels.letterbox import Letterbox
from vidette.result import Result
from vidette.runtimes.base import Plan
from vidette.spells import Spells

_RING_BYTES, _RINGS_BYTES = 12e6, 256e6
"""Memory of decoded frames that wait in the rings: of one stream, of all together."""

_LIGHT_S = 0.00025
"""What takes a stream longer from frame to frame is worth a core of its own."""
_EXCESS_S = 0.002
"""A stream that has taken so much longer, all in all, takes no turns for the next `_REST` frames."""
_REST = 1000


class Item:
    """A frame on its way through the lane, or one tile of it (batching.Waiting).

    `reply` gets the outcome instead of the stream's exit, in a caller's thread. `cancelled` may be set by whoever waits
    no more: what has not been taken into a batch is then left out.
    """

    __slots__ = (
        *("cancelled", "decode_s", "entry", "frame", "letterbox", "letterboxes", "limits", "mosaic", "order"),
        *("queued_at", "reply", "scale_s", "shape", "tile"),
    )

    def __init__(
        self,
        entry: "Entry | Desk",
        frame: Frame,
        letterboxes: tuple[Letterbox, ...],
        decode_s: float,
        limits: Thresholds,
        reply: Callable[[Result | Failure], None] | None = None,
    ) -> None:
        self.entry = entry
        self.frame = frame
        self.letterboxes = letterboxes
        self.letterbox = letterboxes[0]
        self.shape = self.letterbox.shape
        self.decode_s = decode_s
        self.limits = limits
        self.reply = reply
        self.cancelled = False
        self.mosaic: Mosaic | None = None
        self.tile = 0
        self.queued_at = 0.0
        self.scale_s = 0.0
        self.order = 0

    def tiles(self) -> "list[Item]":
        """The parts that the model sees of it, each an item of its own."""
        mosaic = Mosaic(len(self.letterboxes))
        parts = []
        for tile, letterbox in enumerate(self.letterboxes):
            part = Item(self.entry, self.frame, (letterbox,), self.decode_s, self.limits, self.reply)
            part.mosaic, part.tile = mosaic, tile
            part.order, part.queued_at = self.order, self.queued_at
            parts.append(part)
        return parts

    def complete(self, outcome: Result | Failure) -> None:
        """Hand the outcome on. The failures of one frame's tiles are one failure."""
        if isinstance(outcome, Failure) and self.mosaic is not None and not self.mosaic.fail():
            return
        if self.reply is not None:
            self.reply(outcome)
            return
        way_out = self.entry.exit
        assert way_out is not None
        way_out.complete(
            self.order, outcome, self.frame.picture if way_out.keeps_pictures else None, self.frame.arrived
        )


class Host(Protocol):
    """What the ways in need of their lane."""

    lock: threading.Lock
    model: Model
    plan: Plan
    batcher: Batcher[Item]
    stopping: bool
    low_water: int
    spells: Spells

    @property
    def waiting(self) -> int:
        """With the lock held: what waits for a batch."""
        ...

    @property
    def active(self) -> int:
        """Threads that have a batch in hand."""
        ...

    def add(self, feed: Feed[Item], item: Item) -> Item | None:
        """With the lock held: queue an item and wake who is to run it; returns the one it displaced."""
        ...

    @property
    def short(self) -> bool:
        """Whether a run is shorter than handing frames over, and all who bring some can wait for their turn. Without
        the lock it is a hint."""
        ...

    def ask(self, entry: "Entry") -> None:
        """With the lock held: a stream would run its frames itself, now or when it is its turn."""
        ...

    def leave(self, entry: "Entry") -> None:
        """With the lock held: a stream hands its frames over again."""
        ...

    def work_off(self, entry: "Entry") -> bool:
        """Run what waits, in the thread of the stream whose turn it is. Whether there was something."""
        ...


class Entry:
    """Where one stream puts its frames in; used by the stream's decoding thread.

    `streams` share the lane: a lossless ring holds this stream's part of two full batches, and beyond that what a few
    megabytes hold, so that a decoder that is woken has several frames to decode, and fills a batch in its turn.
    """

    def __init__(
        self, lane: "Host", feed: Feed[Item], way_out: Exit, streams: int, on_abort: Callable[[str], None]
    ) -> None:
        self.exit: Exit = way_out
        self.refusing: str | None = None
        """Why no frame is taken: the reason under which those that still come are dropped."""
        self._lane = lane
        self._feed = feed
        self._space = threading.Condition(lane.lock)
        self._streams = max(1, streams)
        self._on_abort = on_abort
        self._lossless = feed.ring.policy == "lossless"
        self._size = (0, 0)
        self._letterboxes: tuple[Letterbox, ...] = ()
        self._sleeps = False  # until there is room in the ring
        self.patient = False
        """Whether the source bears that nobody reads it for a while."""
        self._went: float | None = None  # for the next frame, in its turn
        self._excess_s = 0.0
        self._resting = 0  # frames until it asks for turns again

    def put(self, frame: Frame, decode_s: float) -> bool:
        """Queue a frame; a lossless ring that is full makes the caller wait. False when it was not taken.

        Where runs are short it may also run what waits, others' frames too, and wait for its next turn (spells.py).
        """
        size = frame.picture.width, frame.picture.height
        if size != self._size:
            self._letterboxes = self._lane.model.letterboxes(*size)
            self._size = size
            if self._lossless:
                self._feed.ring.capacity = self._capacity(*size)
        lane, feed = self._lane, self._feed
        if self._went is not None:
            self._judge(time.monotonic() - self._went)
            while feed.ring.full and lane.work_off(self):  # it was made smaller, or others stood in line before
                pass
        item = Item(self, frame, self._letterboxes, decode_s, lane.model.limits)
        with lane.lock:
            if self._lossless:
                while feed.ring.full and not lane.stopping:  # who refuses empties the ring
                    self._sleeps = True
                    self._space.wait()
                    self._sleeps = False
            if lane.stopping or self.refusing:
                return False
            displaced = lane.add(feed, item)
        if displaced is not None:
            self.exit.ledger.drop("overwritten")
        if self.patient and (lane.spells.holder is self or lane.short):
            self._take_turn()
        return True

    def _judge(self, away_s: float) -> None:
        """How long it was away for a frame: decoding, waiting for a disk, or for a sink."""
        self._went = None
        self._excess_s = max(-_EXCESS_S, self._excess_s + away_s - _LIGHT_S)
        if self._excess_s > _EXCESS_S:
            self._excess_s, self._resting = 0.0, _REST

    def _take_turn(self) -> None:
        """Go on while it is this stream's turn; at its end run what waits, and wait for the next one.

        Only while it brings frames quickly: who waits for a disk or a sink, or has large pictures, works beside others.
        """
        lane, spells = self._lane, self._lane.spells
        if spells.holder is not self:
            if self._resting:
                self._resting -= 1
                return
            with lane.lock:
                lane.ask(self)
                self._await_turn()
        now = time.monotonic()
        over = self._resting > 0 or not lane.short or spells.over(now)
        if over or self._feed.ring.full:
            lane.work_off(self)
            if over:
                with lane.lock:
                    if self._resting or not lane.short:
                        lane.leave(self)
                    elif spells.holder is self:
                        spells.hand_on(time.monotonic())
                        self._await_turn()
            now = time.monotonic()
        self._went = now if spells.holder is self else None

    def _await_turn(self) -> None:
        lane, spells = self._lane, self._lane.spells
        while spells.waits(self) or (spells.holder is self and lane.active):  # a caller's last run
            self._space.wait()

    def open(self) -> None:
        """The stream begins again: frames are taken, and leave behind those of before."""
        with self._lane.lock:
            self.refusing = None
            self._lane.batcher.reopen(self._feed)

    def close(self) -> None:
        """Nothing more comes; what waits still goes."""
        with self._lane.lock:
            self._lane.leave(self)
            self._lane.batcher.close(self._feed)

    def leave(self) -> None:
        """The stream is to end: it waits for no turn any more."""
        with self._lane.lock:
            self._lane.leave(self)
            self._space.notify_all()

    def wake(self) -> None:
        """Called by the lane, which holds the lock: it is this stream's turn, or nobody waits any more."""
        self._space.notify_all()

    def refuse(self, reason: str) -> None:
        """Take nothing more until `open`, and count what still waits as dropped."""
        with self._lane.lock:
            self.refusing = self.refusing or reason
            dropped = self._lane.batcher.discard(self._feed)
            self._lane.leave(self)
            self._space.notify_all()
        self.exit.ledger.drop(reason, len(dropped))

    def abort(self, message: str) -> None:
        """The model cannot serve this stream: end it, its neighbours go on."""
        if self.refusing is None:
            self.refusing = "model"
            self._on_abort(message)
            self.refuse("model")

    @property
    def done(self) -> bool:
        """Whether all that was put in has left or was discarded."""
        with self._lane.lock:  # between leaving the ring and being numbered a frame is in neither
            return not len(self._feed.ring) and self.exit.released == self._feed.next_order

    def woken(self) -> None:
        """Called by the lane, which holds the lock, after it took from the ring.

        While others keep the callers busy, a decoder sleeps until its ring is empty: each waking costs more than
        handing over a frame.
        """
        ring = self._feed.ring
        if self._sleeps and (
            not len(ring) or (2 * len(ring) <= ring.capacity and self._lane.waiting <= self._lane.low_water)
        ):
            self._space.notify()

    def _capacity(self, width: int, height: int) -> int:
        """Slots of a lossless ring for pictures of this size (1.5 bytes per pixel, as most decoders leave them)."""
        top = self._lane.plan.ladder[-1]
        batches = -(-2 * top * self._lane.plan.permits // self._streams)
        affordable = int(min(_RING_BYTES, _RINGS_BYTES / self._streams) / (1.5 * width * height))
        return max(2, min(batches, 64), min(affordable, max(8, top)))


class Desk:
    """Where single pictures come in, each with a reply of its own: requests of HTTP clients.

    `capacity` pictures may wait; a full desk refuses at once. They are one feed among the streams': clients and cameras
    take turns.
    """

    exit = None

    def __init__(self, lane: "Host", feed: Feed[Item], capacity: int) -> None:
        self._lane = lane
        self._feed = feed
        self.capacity = capacity

    def put(
        self,
        frame: Frame,
        decode_s: float,
        limits: Thresholds,
        reply: Callable[[Result | Failure], None],
        size: int | None = None,
    ) -> Item | None:
        """Queue a picture; None when there is no room. `reply` is called once, from a caller's thread, unless the item
        is cancelled first. `size` is the longer side of the input, where the model takes any."""
        picture = frame.picture
        lane = self._lane
        boxes = lane.model.letterboxes(picture.width, picture.height, size)
        item = Item(self, frame, boxes, decode_s, limits, reply)
        with lane.lock:
            if lane.stopping or len(self._feed.ring) >= self.capacity:
                return None
            lane.add(self._feed, item)
        return item

    @property
    def waiting(self) -> int:
        """Pictures that wait for a batch."""
        return len(self._feed.ring)

    def woken(self) -> None:
        """Nobody waits for room."""

    def wake(self) -> None:
        """Nobody waits for room."""

    def abort(self, message: str) -> None:
        """A shape that the model refuses concerns its own pictures only: they have their replies."""

    def close(self) -> list[Item]:
        """Take no more; returns what waited."""
        with self._lane.lock:
            self._lane.batcher.close(self._feed)
            return self._lane.batcher.discard(self._feed)
