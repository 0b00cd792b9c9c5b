import threading
from collections.abc import Callable
from typing import Any

import pytest

from vidette.sources import open_source
from vidette.sources.base import Source, SourceOptions


@pytest.fixture
def options() -> Callable[..., SourceOptions]:
    def make(**changes: Any) -> SourceOptions:
        defaults = {"stream": "s", "epoch": 0, "threads": 1, "mode": "lossless", "stop": threading.Event()}
        return SourceOptions(**(defaults | changes))

    return make


@pytest.fixture
def opened(options: Callable[..., SourceOptions]):
    sources: list[Source] = []

    def open_(url: Any, **changes: Any) -> Source:
        sources.append(open_source(str(url), options(**changes)))
        return sources[-1]

    yield open_
    for source in sources:
        source.close()
