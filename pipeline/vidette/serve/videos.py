"""A client's video: every frame through the model, answers in order while it decodes."""

import asyncio
import os
import tempfile
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from vidette.errors import SourceError
from vidette.exit import Failure
from vidette.families.base import Thresholds
from vidette.frame import Frame, Picture
from vidette.result import Result
from vidette.serve.answering import predict
from vidette.serve.errors import RequestError
from vidette.serve.registry import Held
from vidette.sources import open_source
from vidette.sources.base import Source, SourceOptions, Unreadable

SUFFIXES = (".asf", ".avi", ".gif", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".ts", ".webm", ".wmv")
_ROOM_S = 0.02
"""A frame that finds no room on the desk asks again after so long."""
_AHEAD = 8
"""Frames under way at once: enough to fill callers, few enough to hold the decoder back."""


def is_video(data: bytes, filename: str) -> bool:
    """Whether bytes begin as a video does: by content, for `.gif` and the rarer containers by name."""
    if data[4:8] == b"ftyp":
        return data[8:12] not in (b"heic", b"heix", b"mif1", b"avif", b"avis", b"heim", b"hevc", b"hevx")
    if data[:4] == b"RIFF":
        return data[8:12] == b"AVI "
    begins = data.startswith((b"\x1aE\xdf\xa3", b"0&\xb2u\x8ef\xcf\x11", b"\x00\x00\x01\xba", b"\x00\x00\x01\xb3"))
    transport = data[:1] == b"G" and data[188:189] == b"G"
    named = filename.lower().endswith(SUFFIXES) and not data.startswith((b"\xff\xd8\xff", b"\x89PNG", b"BM"))
    return begins or transport or named


async def outcomes(
    data: bytes, held: Held, chosen: Thresholds, most: int, deadline: float, size: int | None = None
) -> AsyncIterator[Result | Failure]:
    """One outcome for each frame, in order, at most `most`. `deadline` (seconds) is that of each frame.

    Raises RequestError 400 when it cannot be read at all, before the first outcome; 413 after the last when there are
    more than `most`.
    """
    loop = asyncio.get_running_loop()
    clip = _Clip()
    waiting: deque[asyncio.Task[list[Result | Failure]]] = deque()
    try:
        await clip.open(data)
        count, more = 0, False
        while (frame := await clip.next()) is not None:
            if isinstance(frame, Unreadable):
                continue
            if count == most:
                more = True
                break
            count += 1
            waiting.append(loop.create_task(_one(frame.picture, held, chosen, deadline, size)))
            if len(waiting) >= _AHEAD:
                yield (await waiting.popleft())[0]
        while waiting:
            yield (await waiting.popleft())[0]
        if more:
            raise RequestError(413, f"only the first {most} frames are answered; send the rest as another video")
    except SourceError as error:
        raise RequestError(400, f"Could not read the video: {str(error).replace(clip.path, 'the file')}") from None
    finally:
        for task in waiting:
            task.cancel()
        clip.end()


async def _one(
    picture: Picture, held: Held, chosen: Thresholds, deadline: float, size: int | None
) -> list[Result | Failure]:
    """One frame; it waits for room on a full desk, because the frames before it are answered already."""
    end = time.monotonic() + deadline
    while True:
        try:
            return await predict(held, [picture], chosen, end, size=size)
        except RequestError as error:
            if error.status != 503 or time.monotonic() > end:
                raise
        await asyncio.sleep(_ROOM_S)


class _Clip:
    """A video in a file of its own. One thread stores it, decodes it and takes it away again, the last without being
    waited for: whoever is cancelled can wait for nothing any more."""

    def __init__(self) -> None:
        self.path = ""
        self._pool = ThreadPoolExecutor(1, "vidette:video")
        self._stop = threading.Event()
        self._source: Source | None = None
        self._frames: Iterator[Frame | Unreadable] = iter(())

    async def open(self, data: bytes) -> None:
        """Raises SourceError."""
        await asyncio.get_running_loop().run_in_executor(self._pool, self._open, data)

    async def next(self) -> Frame | Unreadable | None:
        """The next frame; None at the end. Raises SourceError."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, next, self._frames, None)

    def end(self) -> None:
        """Stop decoding, and leave nothing behind."""
        self._stop.set()
        self._pool.submit(self._end)
        self._pool.shutdown(wait=False)

    def _open(self, data: bytes) -> None:
        with tempfile.NamedTemporaryFile(prefix="vidette-", suffix=".video", delete=False) as file:
            self.path = file.name
            file.write(data)
        self._source = open_source(self.path, SourceOptions("http", 0, 1, "lossless", self._stop))
        self._frames = iter(self._source.frames())

    def _end(self) -> None:
        with suppress(OSError):
            os.unlink(self.path)
        if self._source is not None:
            with suppress(AttributeError):  # a plain iterator has nothing to close
                self._frames.close()  # type: ignore[attr-defined]
            self._source.close()
