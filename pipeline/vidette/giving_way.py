"""Loading that takes only what answering leaves: its long native calls run while no other thread wants the core."""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache

_AT_MOST_S = 10.0
"""So long loading gives way. On a machine that is never idle it would not end otherwise."""

_this = threading.local()


class _Way:
    """What one thread does to give way: lower itself for a while, and raise in the end whoever inherited that."""

    def __init__(self, at_most: float) -> None:
        self._me = threading.get_native_id()
        self._usual = os.sched_getscheduler(self._me), os.sched_getparam(self._me)
        self._before = _threads()
        self._until = time.monotonic() + at_most
        self._lock = threading.Lock()

    def lower(self) -> None:
        with self._lock:
            if time.monotonic() < self._until:
                os.sched_setscheduler(self._me, os.SCHED_IDLE, os.sched_param(0))

    def raise_me(self) -> None:
        with self._lock:
            self._raise(self._me)

    def end(self) -> None:
        """Everybody is as usual from here on."""
        with self._lock:
            self._until = 0.0
            for thread in (_threads() - self._before) | {self._me}:
                self._raise(thread)

    def _raise(self, thread: int) -> None:
        with suppress(OSError):  # it has ended meanwhile
            if os.sched_getscheduler(thread) == os.SCHED_IDLE:
                os.sched_setscheduler(thread, *self._usual)


@contextmanager
def giving_way(at_most: float = _AT_MOST_S) -> Iterator[None]:
    """What this thread does in `unlocked` gives way to all other threads, for `at_most` seconds.

    Threads that libraries start there inherit that and are raised at the end. They hold no lock of ours, but are what
    the new model will answer with. Where the system does not let a thread be raised again (no CAP_SYS_NICE, sched(7))
    nothing is lowered.
    """
    if not _may_raise():
        yield
        return
    way = _this.way = _Way(at_most)
    timer = threading.Timer(at_most, way.end)
    timer.name = "vidette:giving-way"
    timer.start()
    try:
        yield
    finally:
        _this.way = None
        timer.cancel()
        timer.join()
        way.end()


@contextmanager
def unlocked() -> Iterator[None]:
    """Around a long native call that lets go of the interpreter's lock.

    Nothing else may be lowered: a thread that has the lock and no core keeps everybody waiting who needs the lock
    (measured: up to 3 s on a busy machine). SCHED_IDLE is what helps; a nice of 10 changed nothing, because a thread
    that wakes up waits for the running one's slice all the same.
    """
    way: _Way | None = getattr(_this, "way", None)
    if way is None:
        yield
        return
    way.lower()
    try:
        yield
    finally:
        way.raise_me()


@cache
def _may_raise() -> bool:
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


def _threads() -> set[int]:
    """All threads of this process; none where /proc does not say."""
    with suppress(OSError):
        return set(map(int, os.listdir("/proc/self/task")))
    return set()
