"""Long work in the event loop, piece by piece: between two pieces all others get their turn.

A thread would not help: base64 and JSON hold the interpreter's lock for as long as one call takes.
"""

import asyncio
from collections.abc import Generator
from typing import TypeVar

T = TypeVar("T")

PIECE = 1 << 18
"""Bytes of a piece: half a millisecond of base64."""


async def in_turns(work: Generator[None, None, T]) -> T:
    """What `work` returns; it yields between its pieces. Work of one piece is done at once."""
    while True:
        try:
            next(work)
        except StopIteration as done:
            found: T = done.value
            return found
        await asyncio.sleep(0)
