"""Loading that takes only what answering leaves: long native calls run while no other thread wants the core, and rest
between them while somebody is being answered."""

import math
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import cache

_LOWERED_S = 1.5
"""So long loading takes only what others leave, all in all; a process, unless that is too little. On a machine that is
never idle it would not end otherwise."""
RESTING_S = 22.0
"""So long it rests, at its usual priority in the end: whoever asked for the model is answered within the deadline of
requests, half a minute."""
_SHARE = 0.12
"""What loading works of the time while others are answered: more ends sooner and costs them more."""
_REST_S = 0.5
"""The longest rest: somebody waits for the new model too."""
_LOOK_S = 0.02
_QUIET_S = 0.05
"""Nobody is answered any more after so long without; who asks again at once leaves shorter gaps."""
_NICE = 10  # of a process that could not be raised again

_this = threading.local()


class Way:
    """How one thread gives way: it lowers itself for a while, rests, and raises in the end whoever inherited that.

    beside   whether there are others at all
    at_end   what ends with it
    stopped  set when the process is to end
    """

    def __init__(
        self,
        lowered: float,
        resting: Callable[[], float],
        answering: Callable[[], bool] | None,
        stopped: threading.Event,
    ) -> None:
        self.at_end = ExitStack()
        self.beside = answering is not None
        self.stopped = stopped
        self._answering = answering
        self._answered = -math.inf
        self._me = threading.get_native_id()
        self._usual = (os.sched_getscheduler(self._me), os.sched_getparam(self._me)) if may_raise() else None
        self._before = _threads()
        self._begin = time.monotonic()
        self._resting = resting
        self._lowered = lowered
        self._left = lowered  # seconds that this thread may still be lowered,
        self._since = 0.0  # and since when it is
        self._timer: threading.Timer | None = None
        self._lock = threading.Lock()

    def starves(self, worked: float, since: float) -> bool:
        """Whether who has `worked` so many CPU seconds, lowered for `since` seconds, gets less than its share."""
        return since > self._lowered and worked < since * _SHARE * 0.8

    def needed(self) -> bool:
        """Whether somebody is to be given way to now."""
        now = time.monotonic()
        if self._answering is None or now >= self._begin + self._resting():
            return False
        if self._answering():
            self._answered = now
        return now - self._answered < _QUIET_S

    def rest(self, worked: float) -> None:
        """Leave the machine to others after `worked` seconds; ends at once where nobody is answered."""
        until = time.monotonic() + min(worked * (1 / _SHARE - 1), _REST_S)
        while (left := until - time.monotonic()) > 0 and self.needed():
            if self.stopped.wait(min(left, _LOOK_S)):
                return

    def lower(self) -> None:
        """Take only what others leave, until `raise_me`, or until that has been for long enough."""
        with self._lock:
            if self._usual is None or self._left <= 0:
                return
            self._timer = threading.Timer(self._left, self.end)
            self._timer.name = "vidette:giving-way"
            self._timer.start()  # first: it would inherit being lowered
            self._since = time.monotonic()
            os.sched_setscheduler(self._me, os.SCHED_IDLE, os.sched_param(0))

    def raise_me(self) -> None:
        """This thread is as usual."""
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
            timer.join()
            self._left -= time.monotonic() - self._since
        with self._lock:
            self._raise(self._me)

    def end(self) -> None:
        """Everybody is as usual from here on."""
        with self._lock:
            for thread in (_threads() - self._before) | {self._me}:
                self._raise(thread)

    def lower_process(self, pid: int) -> None:
        """The same for a process that has just begun: what it starts inherits that."""
        with suppress(OSError):
            if self._usual is None:  # it could not be raised again, and might never end
                os.setpriority(os.PRIO_PROCESS, pid, _NICE)
            else:
                os.sched_setscheduler(pid, os.SCHED_IDLE, os.sched_param(0))

    def raise_process(self, pid: int) -> None:
        """A process that was lowered is as usual."""
        for thread in _threads(pid):
            self._raise(thread)

    def _raise(self, thread: int) -> None:
        with suppress(OSError):  # it has ended meanwhile
            if self._usual is not None and os.sched_getscheduler(thread) == os.SCHED_IDLE:
                os.sched_setscheduler(thread, *self._usual)


@contextmanager
def giving_way(
    answering: Callable[[], bool] | None = None,
    lowered: float = _LOWERED_S,
    resting: Callable[[], float] = lambda: RESTING_S,
    stopped: threading.Event | None = None,
) -> Iterator[None]:
    """What this thread does in `unlocked` gives way to all other threads, for `lowered` seconds, and while `answering`
    says that they have work under way it rests most of the time, for `resting()` seconds; None: there are no others.
    `stopped` ends all rests.

    Threads that libraries start there inherit that and are raised at the end. They hold no lock of ours, but are what
    the new model will answer with. Where the system does not let a thread be raised again (no CAP_SYS_NICE, sched(7))
    nothing is lowered. Rests need no right.
    """
    way = _this.way = Way(lowered, resting, answering, stopped or threading.Event())
    try:
        with way.at_end:
            yield
    finally:
        _this.way = None
        way.end()


def current() -> Way | None:
    """How this thread gives way, if it does."""
    way: Way | None = getattr(_this, "way", None)
    return way


@contextmanager
def in_turns() -> Iterator[None]:
    """Around a piece of loading: others have their turn after it."""
    begin = time.monotonic()
    yield
    if (way := current()) is not None:
        way.rest(time.monotonic() - begin)


@contextmanager
def unlocked() -> Iterator[None]:
    """Around a long native call that lets go of the interpreter's lock.

    Nothing else may be lowered: a thread that has the lock and no core keeps everybody waiting who needs the lock
    (measured: up to 3 s on a busy machine). SCHED_IDLE is what helps; a nice of 10 changed nothing, because a thread
    that wakes up waits for the running one's slice all the same.
    """
    way = current()
    if way is None:
        yield
        return
    with in_turns():
        way.lower()
        try:
            yield
        finally:
            way.raise_me()


@cache
def may_raise() -> bool:
    """Whether a thread may get its priority back: asked with one that ends anyway."""
    found: list[bool] = []

    def ask() -> None:
        me = threading.get_native_id()
        with suppress(OSError):
            usual = os.sched_getscheduler(me), os.sched_getparam(me)
            os.sched_setscheduler(me, os.SCHED_IDLE, os.sched_param(0))
            os.sched_setscheduler(me, *usual)
            found.append(True)

    if hasattr(os, "SCHED_IDLE") and _threads():
        thread = threading.Thread(target=ask, name="vidette:giving-way")
        thread.start()
        thread.join()
    return bool(found)


def _threads(pid: int | str = "self") -> set[int]:
    """All threads of a process; none where /proc does not say."""
    with suppress(OSError):
        return set(map(int, os.listdir(f"/proc/{pid}/task")))
    return set()
