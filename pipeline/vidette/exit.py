"""Where a stream's results leave: frame order is restored and every frame's end is counted."""

import threading
import time
from collections.abc import Callable, Sequence
from copy import copy

from vidette.frame import Picture
from vidette.ledger import StreamLedger
from vidette.outlet import Outlet
from vidette.result import Result


class Failure:
    """In place of a result: this frame failed, under a stable reason code."""

    __slots__ = ("code", "message")

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        self.message = message


class Exit:
    """The end of one stream. Callers finish out of order; `complete` releases in the order frames were taken."""

    def __init__(
        self, ledger: StreamLedger, outlets: Sequence[Outlet], waits: bool, on_failure: Callable[[str], None]
    ) -> None:
        self.ledger = ledger
        self._waits = waits  # whether the stream waits for room in its outlets
        self.keeps_pictures = any(outlet.needs_picture for outlet in outlets)
        self._plain = [outlet for outlet in outlets if not outlet.needs_picture]
        self._drawing = [outlet for outlet in outlets if outlet.needs_picture]
        self._on_failure = on_failure
        self._lock = threading.Lock()
        self._next = 0
        self.last = 0.0
        """When the latest frame left (monotonic)."""
        self._held: dict[int, tuple[Result | Failure, Picture | None, float]] = {}

    @property
    def released(self) -> int:
        """Taken frames that have left."""
        return self._next

    def complete(self, order: int, outcome: Result | Failure, picture: Picture | None, arrived: float) -> None:
        """Frame number `order` of this stream has its outcome."""
        with self._lock:
            if order != self._next:
                self._held[order] = (outcome, picture, arrived)
                return
            self._release(outcome, picture, arrived)
            self._next += 1
            while self._held and (held := self._held.pop(self._next, None)) is not None:
                self._release(*held)
                self._next += 1

    def _release(self, outcome: Result | Failure, picture: Picture | None, arrived: float) -> None:
        self.last = time.monotonic()
        if isinstance(outcome, Failure):
            if not self.ledger.failed:
                self._on_failure(outcome.message)
            self.ledger.failed[outcome.code] += 1
            return
        found = outcome.predictions
        self.ledger.add_result(outcome.stages, outcome.batch, len(found), found.cut, self.last - arrived)
        for outlet in self._plain:
            outlet.put(outcome, self._waits)
        if self._drawing:
            pictured = copy(outcome) if self._plain else outcome
            pictured.picture = picture
            for outlet in self._drawing:
                outlet.put(pictured, self._waits)
