"""Files that are looked at beside the event loop: a drive in the network may take its time, or hang."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")

_THREADS = 4


class Disk:
    """A few threads for what reads files; more looks than these wait for one another."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(_THREADS, "vidette:disk")

    async def ask(self, look: Callable[..., T], *args: object) -> T:
        """What `look(*args)` returns, or raises."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, look, *args)

    def close(self) -> None:
        """Let the threads end."""
        self._pool.shutdown(wait=False, cancel_futures=True)
