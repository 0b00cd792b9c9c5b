"""Waiting for something that a server does by itself."""

import time
from collections.abc import Callable, Generator
from typing import TypeVar

T = TypeVar("T")


def wait_for(condition: Callable[[], object], seconds: float = 30.0) -> None:
    """Until it holds; fails after so many seconds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def at_once(work: Generator[None, None, T]) -> T:
    """What work returns that would be done in turns."""
    while True:
        try:
            next(work)
        except StopIteration as done:
            found: T = done.value
            return found
