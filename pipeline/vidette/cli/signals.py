"""Ctrl-C and SIGTERM: the first asks to stop, the second means now. Leaving when a thread does not end."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def stop_on_signal(stop: Callable[[], None]) -> Iterator[list[int]]:
    """Call `stop` at the first SIGINT or SIGTERM; yields a list that then holds the exit code 130 or 143."""
    codes: list[int] = []

    def handle(number: int, frame: FrameType | None) -> None:
        if codes:
            os._exit(codes[0])
        codes.append(128 + number)
        stop()

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield codes
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def leave(code: int) -> None:
    """A thread that hangs in a camera or disk must not keep the process: leave without waiting for it."""
    if any(thread.name.startswith("vidette:") for thread in threading.enumerate()):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
