"""Turns of decoding threads, where a model's run is shorter than handing frames over.

Two threads that want the interpreter every few microseconds spend more on handing it to and fro than on their work. So
where runs and decoding are that short, one thread of a lane at a time is at work: it decodes for a spell, runs what
waits by itself, and lets the next one go on. It fills its ring before it runs, since doing the same thing several times
over is cheaper than doing one after the other (benchmarks/engine.py).
"""

from typing import Protocol

_SPELL_S = 0.1
"""How long a turn is. The next thread finds its caches empty, often on another core: a change costs 1 ms of CPU."""

_OVERDUE_S = 0.025
"""Whoever brings no frame for so long waits for its source or a sink: others go on without it."""


class Worker(Protocol):
    """A stream's way into the lane."""

    def wake(self) -> None:
        """Called with the lane's lock held: look again whether to wait."""
        ...


class Spells:
    """Whose turn it is; guarded by the lane's lock. All times are monotonic seconds.

    holder   who decodes and runs now, and says with each frame that it is at work; None where frames are handed over
    """

    def __init__(self) -> None:
        self.holder: Worker | None = None
        self._began = 0.0
        self._seen = 0.0
        self._line: dict[Worker, None] = {}  # in order

    def ask(self, worker: Worker, now: float) -> None:
        """Begin, or stand in line."""
        if self.holder is None:
            self._begin(worker, now)
        else:
            self._line[worker] = None

    def waits(self, worker: Worker) -> bool:
        """Whether it stands in line."""
        return worker in self._line

    def over(self, now: float) -> bool:
        """Told by the holder that it is at work: whether its turn has lasted long enough."""
        self._seen = now
        return now - self._began > _SPELL_S

    def hand_on(self, now: float) -> None:
        """The holder goes to the end of the line."""
        assert self.holder is not None
        self._line[self.holder] = None
        self._next(now)

    def leave(self, worker: Worker, now: float) -> None:
        """It wants no turn any more."""
        self._line.pop(worker, None)
        if self.holder is worker:
            self._next(now)

    def end(self) -> None:
        """There are no turns any more."""
        waiting = [self.holder, *self._line]
        self.holder = None
        self._line.clear()
        for worker in filter(None, waiting):
            worker.wake()

    def look(self, now: float, running: bool) -> float | None:
        """Seconds after which somebody should look again whether the holder is at work; None while there is none.

        One that is overdue, and not because of a run, loses its turn.
        """
        if self.holder is not None and not running and now - self._seen > _OVERDUE_S:
            self._next(now)
        return None if self.holder is None else _OVERDUE_S

    def _next(self, now: float) -> None:
        before, self.holder = self.holder, None
        if before is not None:
            before.wake()
        if self._line:
            first = next(iter(self._line))
            del self._line[first]
            self._begin(first, now)

    def _begin(self, worker: Worker, now: float) -> None:
        self.holder, self._began, self._seen = worker, now, now
        worker.wake()
