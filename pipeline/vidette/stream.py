"""One stream: its thread opens the source, decodes, and puts frames into the lane."""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence

from vidette.errors import SourceError
from vidette.exit import Exit
from vidette.frame import Frame
from vidette.job import StreamRequest
from vidette.lane import Lane
from vidette.ledger import StreamLedger
from vidette.outlet import Outlet
from vidette.ring import Policy
from vidette.sources import open_source
from vidette.sources.base import SourceFacts, SourceOptions, Unreadable
from vidette.urls import redact

log = logging.getLogger("vidette.stream")

_TOLD = 10
"""Unreadable items that are named in the log, per stream; all are counted."""


class Stream:
    """The life of one stream; everything it does is counted in its ledger."""

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
        self.decoding = True
        self._outlets = [outlet for outlet in outlets if outlet.sink.delivery == "every"]
        self._on_end = on_end
        self._stop = threading.Event()
        self._options = SourceOptions(request.id, 0, threads, request.mode, self._stop)
        way_out = Exit(self.ledger, outlets, request.mode == "lossless", self._first_failure)
        policy: Policy = "lossless" if request.mode == "lossless" else "newest"
        self._entry = lane.open(policy, way_out, self._abort, peers)
        self._thread = threading.Thread(target=self._run, name=f"vidette:decode:{request.id}", daemon=True)

    def start(self) -> None:
        """Start decoding."""
        self.ledger.started = time.monotonic()
        self._thread.start()

    def stop(self) -> None:
        """Decode no further; what is queued still goes."""
        self._stop.set()

    def discard(self) -> None:
        """Give up what is queued; counted as dropped(stopped)."""
        self._entry.discard("stopped")

    def join(self, deadline: float) -> bool:
        """Wait for the decoding thread until `deadline` (monotonic)."""
        self._thread.join(max(0.0, deadline - time.monotonic()))
        return not self._thread.is_alive()

    @property
    def done(self) -> bool:
        """Whether decoding has ended and everything decoded has left."""
        if self.decoding or not self._entry.done:
            return False
        if self.ledger.ended is None:
            self.ledger.ended = time.monotonic()
        return True

    def _run(self) -> None:
        try:
            source = open_source(self.request.url, self._options)
            try:
                self.facts = source.facts
                self.ledger.expected = source.facts.frames
                self._pump(source.frames())
            finally:
                source.close()
            if not (self.ledger.decoded or self.ledger.unreadable or self._stop.is_set()):
                url = redact(self.request.url)
                self._end_with(f"{url}: no picture in it could be decoded; a recording may lack its first key frame")
        except SourceError as error:
            self._end_with(str(error))
        except Exception as error:  # noqa: BLE001 - a third party's source must not take its neighbours down
            self._end_with(f"{self.request.id}: {redact(self.request.url)}: {error!r}")
        finally:
            self._entry.close()
            self.decoding = False
            self._on_end()

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
                    ledger.drop("model" if entry.aborted else "stopped")
                    return
                self._wait_for_sinks()
            if stop.is_set() or entry.aborted:
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
        if self.ledger.error is None:  # else the stream has ended with the same words
            log.warning("%s: %s", self.request.id, message)

    def _abort(self, message: str) -> None:
        self._stop.set()
        self._end_with(message)

    def _end_with(self, message: str) -> None:
        if self.ledger.error is None:
            log.error("%s: %s", self.request.id, message)
            self.ledger.error = message
