"""One stream: its thread opens the source, decodes, and puts frames into the lane."""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

from vidette.errors import SourceError
from vidette.exit import Exit
from vidette.frame import Frame
from vidette.job import StreamRequest
from vidette.lane import Lane
from vidette.ledger import StreamLedger
from vidette.outlet import Outlet
from vidette.ring import Policy
from vidette.sources import default_mode, open_source
from vidette.sources.base import SourceFacts, SourceOptions, Unreadable
from vidette.urls import redact

log = logging.getLogger("vidette.stream")

_TOLD = 10
"""Unreadable items that are named in the log, per stream; all are counted."""


State = Literal["running", "stopped", "ended", "failed"]


class Stream:
    """The life of one stream; everything it does is counted in its ledger.

    Each `start` opens the source anew and is an *epoch*, with a thread of its own; there are never two at once. The way
    into the lane, the way out to the sinks and the ledger stay, so that results leave in order over all epochs.

    epoch      the number of this epoch, from 0; records carry it
    decoding   whether the thread is at work, or hangs in its source
    error      why this epoch failed
    """

    def __init__(
        self,
        request: StreamRequest,
        lane: Lane,
        outlets: Sequence[Outlet],
        threads: int,
        peers: int,
        on_end: Callable[[], None],
    ) -> None:
        self.request = request
        self.ledger = StreamLedger(request.id, request.model)
        self.facts: SourceFacts | None = None
        self.epoch = -1
        self.decoding = False
        self.error: str | None = None
        self._outlets = [outlet for outlet in outlets if outlet.sink.delivery == "every"]
        self._on_end = on_end
        self._threads = threads
        self._stop = threading.Event()
        self._stopped = False  # because somebody asked
        self._exit = Exit(self.ledger, outlets, request.mode == "lossless", self._first_failure)
        policy: Policy = "lossless" if request.mode == "lossless" else "newest"
        self._entry = lane.open(policy, self._exit, self._abort, peers)
        self._thread: threading.Thread | None = None
        self._decoded_until = 0.0

    def start(self) -> None:
        """Open the source and decode, in a new epoch; not while `decoding`."""
        assert not self.decoding
        self.epoch += 1
        self.error = None
        self._stop, self._stopped = threading.Event(), False
        self.decoding = True
        self.ledger.begin()
        self._entry.open()
        options = SourceOptions(self.request.id, self.epoch, self._threads, self.request.mode, self._stop)
        name = f"vidette:decode:{self.request.id}"
        self._thread = threading.Thread(target=self._run, args=(options,), name=name, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Decode no further; what is queued still goes."""
        self._stopped = self._stopped or self.state == "running"
        self._stop.set()
        self._entry.leave()

    def discard(self) -> None:
        """Give up what is queued, and what a source that hangs may still bring; counted as dropped(stopped)."""
        self._entry.refuse("stopped")
        if not self.done and self.ledger.ended is None:
            self.ledger.ended = time.monotonic()

    def join(self, deadline: float) -> bool:
        """Wait for the decoding thread until `deadline` (monotonic)."""
        if self._thread is None:
            return True
        self._thread.join(max(0.0, deadline - time.monotonic()))
        return not self._thread.is_alive()

    @property
    def state(self) -> State:
        """`stopped` as soon as that was asked for: the last frames may still be under way, and a source may hang."""
        if self._stopped:
            return "stopped"
        if self.error is not None:
            return "failed"
        return "running" if self.decoding else "ended"

    def report(self) -> dict[str, Any]:
        """The ledger's; a stream that has ended is known to have."""
        _ = self.done
        return self.ledger.report()

    @property
    def done(self) -> bool:
        """Whether decoding has ended and everything decoded has left."""
        if self.decoding or not self._entry.done:
            return False
        if self.ledger.ended is None:
            self.ledger.ended = max(self._decoded_until, self._exit.last)
        return True

    def _run(self, options: SourceOptions) -> None:
        before = self._seen
        try:
            source = open_source(self.request.url, options)
            try:
                self._entry.patient = default_mode(self.request.url) == "lossless"
                self.facts = source.facts
                self.ledger.expected = source.facts.frames
                self._pump(source.frames())
            finally:
                source.close()
            if self._seen == before and not self._stop.is_set():
                url = redact(self.request.url)
                self._end_with(f"{url}: no picture in it could be decoded; a recording may lack its first key frame")
        except SourceError as error:
            self._end_with(str(error))
        except Exception as error:  # noqa: BLE001 - a third party's source must not take its neighbours down
            self._end_with(f"{self.request.id}: {redact(self.request.url)}: {error!r}")
        finally:
            self._entry.close()
            self._decoded_until = time.monotonic()
            self.decoding = False
            self._on_end()

    @property
    def _seen(self) -> int:
        """What the source has brought, over all epochs."""
        return self.ledger.decoded + self.ledger.unreadable.total()

    def _pump(self, frames: Iterator[Frame | Unreadable]) -> None:
        ledger, entry, stop = self.ledger, self._entry, self._stop
        interval = 1 / self.request.fps_limit if self.request.fps_limit else 0.0
        slot = None
        begin = time.monotonic()
        for frame in frames:
            decode_s = time.monotonic() - begin
            if isinstance(frame, Unreadable):
                self._count_unreadable(frame)
            elif interval and frame.pts_s is not None and slot == (slot := int(frame.pts_s / interval + 1e-6)):
                ledger.decoded += 1
                ledger.drop("fps_limit")
            else:
                ledger.decoded += 1
                if not entry.put(frame, decode_s):
                    ledger.drop(entry.refusing or "stopped")
                    return
                self._wait_for_sinks()
            if stop.is_set() or entry.refusing:
                return
            begin = time.monotonic()

    def _wait_for_sinks(self) -> None:
        """A lossless stream decodes no faster than its slowest file is written."""
        if self.request.mode == "lossless":
            for outlet in self._outlets:
                while not outlet.wait_for_room(0.2) and not self._stop.is_set():
                    pass

    def _count_unreadable(self, item: Unreadable) -> None:
        if self.ledger.unreadable.total() < _TOLD:
            log.warning("%s: %s", self.request.id, item.message)
        self.ledger.unreadable[item.code] += 1

    def _first_failure(self, message: str) -> None:
        if self.error is None:  # else the stream has ended with the same words
            log.warning("%s: %s", self.request.id, message)

    def _abort(self, message: str) -> None:
        self._stop.set()
        self._end_with(message)

    def _end_with(self, message: str) -> None:
        if self.error is None:
            log.error("%s: %s", self.request.id, message)
            self.error = self.ledger.error = message
