"""Ctrl-C and SIGTERM: the first asks to stop, the second means now."""

import os
import signal
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
