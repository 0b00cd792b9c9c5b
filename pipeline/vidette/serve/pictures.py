"""Bytes of a client -> a picture, in threads of their own, refused when it is none or too large."""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor

from vidette.budget import cores
from vidette.frame import Picture
from vidette.serve.errors import RequestError
from vidette.sources.base import Unreadable
from vidette.sources.images import unpack


class PictureReader:
    """Decodes pictures; `pixels` is the largest that is unpacked; `exact` decodes large JPEGs in full."""

    def __init__(self, pixels: int, exact: bool) -> None:
        self._pixels = pixels
        self._exact = exact
        self._pool = ThreadPoolExecutor(cores(), "vidette:picture")

    async def read(self, data: bytes, enough: int | None = None, *, upright: bool = True) -> tuple[Picture, float]:
        """The picture, and the seconds that decoding took. Raises RequestError 400.

        `enough` is the longer side that is needed of it (sources/images.py), None for all pixels.
        """
        side = None if self._exact else enough
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._read, data, side, upright)

    def close(self) -> None:
        """Let the threads end."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _read(self, data: bytes, enough: int | None, upright: bool) -> tuple[Picture, float]:
        begin = time.monotonic()
        found = unpack(data, "the picture", self._pixels, upright=upright, enough=enough)
        if isinstance(found, Unreadable):
            raise RequestError(400, f"Could not load input image. Cause: {found.message.removeprefix('the picture: ')}")
        return found, time.monotonic() - begin
