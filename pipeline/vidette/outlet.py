"""The queue before a sink, and the one thread that works it off.

`put` never blocks: a slow or hanging sink costs no frame. A lossless stream asks `wait_for_room` before it decodes on,
so that a slow disk holds the decoder back instead of filling memory; when a sink makes no progress for `stall_s` it is
declared stalled, holds nobody any more, and what it does not take is counted as lost.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable

from vidette.errors import SinkError
from vidette.job import SinkRequest
from vidette.ledger import SinkLedger
from vidette.result import Result
from vidette.sink import RunFacts, WritesMany

log = logging.getLogger("vidette.sink")

_OPEN_S = 15.0

HURRY_S = 1.5
"""What a sink still has for writing its queue and closing after an interruption."""

_LINGER_S = 0.05
"""A file may lag so much: its thread then wakes for several results at once, which halves what a record costs."""
_MOST = 64
"""Results that are written at once, by sinks that can."""
_CAPACITY = {False: 1024, True: 8}  # results; those with pictures pin 1.4 MB (720p) each


class Outlet:
    """One sink, its queue and its thread."""

    def __init__(self, request: SinkRequest) -> None:
        sink = request.sink
        self.request = request
        self.sink = sink
        self.ledger = SinkLedger(sink.name)
        self.needs_picture = sink.needs_picture
        self._capacity = request.capacity or _CAPACITY[sink.needs_picture]
        self._most = _MOST if isinstance(sink, WritesMany) else 1
        self._lingers = sink.delivery == "every" and not sink.needs_picture
        self._queue: deque[Result] = deque()
        self._lock = threading.Lock()
        self._work = threading.Condition(self._lock)
        self._room = threading.Condition(self._lock)
        self._progress = time.monotonic()
        self._idle = True
        self._closing = False
        self._stalled = False
        self._dead = False
        self._thread = threading.Thread(target=self._run, name=f"vidette:sink:{sink.name}", daemon=True)
        self._opened = threading.Event()
        self._facts = RunFacts()
        self._open_error: Exception | None = None

    def start(self, facts: RunFacts, stopped: Callable[[], bool]) -> None:
        """Open the sink in its own thread and wait for it. Raises SinkError when it cannot be opened in time."""
        self._facts = facts
        self._thread.start()
        deadline = time.monotonic() + _OPEN_S
        while not self._opened.wait(0.05):
            if stopped():
                raise SinkError(f"{self.sink.name}: stopped before it was open")
            if time.monotonic() > deadline:
                raise SinkError(f"{self.sink.name}: did not open within {_OPEN_S:.0f} s")
        if self._open_error is not None:
            raise self._open_error

    def put(self, result: Result, waits: bool) -> None:
        """Queue one result; never blocks. A full queue loses its oldest (`newest`) or this one (`every`).

        `waits` says that the stream asks `wait_for_room`: what it has under way is bounded and always taken, unless
        the sink has stalled.
        """
        with self._lock:
            self.ledger.handed += 1
            if self._dead or self._closing:
                self.ledger.lost["closed"] += 1
                return
            if len(self._queue) >= self._capacity and (self._stalled or not waits or self.sink.delivery == "newest"):
                if self.sink.delivery == "every":
                    self.ledger.lost["stalled" if self._stalled else "full"] += 1
                    return
                self._queue.popleft()
                self.ledger.lost["full"] += 1
            self._queue.append(result)
            if self._idle or (self._lingers and len(self._queue) == self._capacity // 4):
                self._idle = False
                self._work.notify()

    def wait_for_room(self, timeout: float) -> bool:
        """Whether a lossless stream may decode on; waits up to `timeout` for it.

        True at once for sinks that take only the newest, and for stalled or dead ones.
        """
        if len(self._queue) < self._capacity or self.sink.delivery == "newest":
            return True
        with self._lock:
            if self._dead or self._stalled:
                return True
            if len(self._queue) >= self._capacity:
                self._room.wait(timeout)
            if time.monotonic() - self._progress > self.request.stall_s and not self._stalled:
                self._stalled = True
                waited = f"{self.request.stall_s:.0f} s"
                self._report(f"{self.sink.name}: took nothing for {waited}; its results are lost until it does")
            return self._stalled or len(self._queue) < self._capacity

    def stop(self) -> None:
        """No more results come; the thread ends after what waits."""
        with self._lock:
            self._progress = max(self._progress, time.monotonic())
            self._closing = True
            self._work.notify()

    def join(self, deadline: float | None, hurry: Callable[[], bool] = lambda: False) -> bool:
        """Wait until all is written and the sink closed; gives up at `deadline` (monotonic) or when it stalls.

        Without a deadline it has as long as it makes progress, unless `hurry` says that the user has lost patience:
        then `HURRY_S`. What still waits is counted as lost. Returns whether the sink ended by itself.
        """
        while self._thread.is_alive():
            if deadline is None and hurry():
                deadline = time.monotonic() + HURRY_S
            self._thread.join(0.1 if deadline is None else max(0.0, min(0.1, deadline - time.monotonic())))
            now = time.monotonic()
            late = now >= deadline if deadline is not None else now - self._progress > self.request.stall_s
            if late and self._thread.is_alive():
                with self._lock:
                    self._dead = True
                    self.ledger.lost["hung"] += self.ledger.waiting
                    self._queue.clear()
                    self._report(f"{self.sink.name}: did not finish in time; its last results are lost")
                return False
        return True

    def _run(self) -> None:
        try:
            self.sink.open(self._facts)
        except Exception as error:  # noqa: BLE001 - a third party's sink: whatever it raises belongs to the run
            self._open_error = error if isinstance(error, SinkError) else SinkError(f"{self.sink.name}: {error!r}")
            self._dead = True
            self._opened.set()
            return
        self.ledger.sink = self.sink.name  # some know only now where they will write
        self._opened.set()
        while results := self._next():
            self._write(results)
        try:
            self.sink.close()
        except Exception as error:  # noqa: BLE001 - as above
            with self._lock:
                self._report(str(error) if isinstance(error, SinkError) else f"{self.sink.name}: {error!r}")

    def _next(self) -> list[Result]:
        """Wait for results and take them off the queue; none when there are no more."""
        with self._lock:
            if not self._queue and not self._closing:
                while not self._queue and not self._closing:
                    self._idle = True
                    self._work.wait()
                self._idle = False
                if self._lingers and not self._closing:
                    self._work.wait(_LINGER_S)
            if self._dead:
                return []
            return [self._queue.popleft() for _ in range(min(self._most, len(self._queue)))]

    def _write(self, results: list[Result]) -> None:
        failure = None
        try:
            if len(results) == 1:
                self.sink.write(results[0])
            else:
                assert isinstance(self.sink, WritesMany)
                self.sink.write_many(results)
        except Exception as error:  # noqa: BLE001 - a bug of one sink must not cost the others anything
            if len(results) > 1:  # those that can be written are
                for result in results:
                    self._write([result])
                return
            failure = str(error) if isinstance(error, SinkError) else f"{self.sink.name}: {error!r}"
        with self._lock:
            self._progress = time.monotonic()
            self._stalled = False
            if self._dead:
                return
            if failure is None:
                self.ledger.written += len(results)
            else:
                self.ledger.lost["failed"] += 1
                self._report(failure)
            if len(self._queue) <= self._capacity // 2:
                self._room.notify_all()

    def _report(self, text: str) -> None:
        if self.ledger.error is None:
            log.error("%s", text)
        self.ledger.error = text
