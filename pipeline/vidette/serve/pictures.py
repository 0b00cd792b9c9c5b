"""Bytes of a client -> a picture, in threads of their own, refused when it is none or too large."""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor

from vidette.budget import cores
from vidette.frame import Picture
from vidette.serve.errors import RequestError
from vidette.sources.base import Unreadable
from vidette.sources.images import decode_picture


class PictureReader:
    """Decodes pictures; `pixels` is the largest that is unpacked."""

    def __init__(self, pixels: int) -> None:
        self._pixels = pixels
        self._pool = ThreadPoolExecutor(cores(), "vidette:picture")

    async def read(self, data: bytes, name: str = "the picture") -> tuple[Picture, float]:
        """The upright picture, and the seconds that decoding took. Raises RequestError 400."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._read, data, name)

    def close(self) -> None:
        """Let the threads end."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _read(self, data: bytes, name: str) -> tuple[Picture, float]:
        begin = time.monotonic()
        bgr = decode_picture(data, name)
        if isinstance(bgr, Unreadable):
            raise RequestError(400, f"Could not load input image. Cause: {bgr.message}")
        return Picture(bgr), time.monotonic() - begin
