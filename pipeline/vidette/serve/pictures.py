"""Bytes of a client -> a picture, in threads of their own, refused when it is none or too large."""

import asyncio
import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor

from vidette.budget import cores
from vidette.frame import Picture
from vidette.serve.errors import RequestError, busy
from vidette.sources.base import Unreadable
from vidette.sources.images import unpack


class PictureReader:
    """Decodes pictures; `pixels` is the largest that is unpacked, `in_all` what all of them may have that are in use;
    `exact` decodes large JPEGs in full."""

    def __init__(self, pixels: int, in_all: int, exact: bool) -> None:
        self._pixels = pixels
        self._in_all = max(in_all, pixels)
        self._exact = exact
        self._in_use = 0
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(cores(), "vidette:picture")

    async def read(self, data: bytes, enough: int | None = None, *, upright: bool = True) -> tuple[Picture, float]:
        """The picture, and the seconds that decoding took. Raises RequestError 400, 503 when too much is unpacked.

        `enough` is the longer side that is needed of it (sources/images.py), None for all pixels.
        """
        side = None if self._exact else enough
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._read, data, side, upright)

    def fits(self, pictures: int, pixels: int) -> bool:
        """Whether one request may hold so many pixels in more than one picture: else it would be refused for ever."""
        return pictures < 2 or pixels <= self._in_all // 2

    def close(self) -> None:
        """Let the threads end."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _read(self, data: bytes, enough: int | None, upright: bool) -> tuple[Picture, float]:
        begin = time.monotonic()
        taken = 0

        def admit(pixels: int) -> None:
            nonlocal taken
            with self._lock:
                if self._in_use and self._in_use + pixels > self._in_all:
                    raise busy("too many large pictures at once; try again")
                self._in_use += pixels
            taken = pixels

        try:
            found = unpack(data, "the picture", self._pixels, upright=upright, enough=enough, admit=admit)
        except BaseException:  # whatever ends it, its pixels are not in use
            self._release(taken)
            raise
        if isinstance(found, Unreadable):
            self._release(taken)
            raise RequestError(400, f"Could not load input image. Cause: {found.message.removeprefix('the picture: ')}")
        weakref.finalize(found, self._release, taken)
        return found, time.monotonic() - begin

    def _release(self, pixels: int) -> None:
        with self._lock:
            self._in_use -= pixels
