"""Vidette's threads that a test has left behind. Servers that live for the whole session have theirs before it."""

import threading
from collections.abc import Callable

import pytest


@pytest.fixture
def left_behind() -> Callable[[], list[str]]:
    """Names of threads that were not there when the test began."""
    before = set(threading.enumerate())
    return lambda: [
        thread.name for thread in threading.enumerate() if thread.name.startswith("vidette:") and thread not in before
    ]
