"""What yields frames: a file, a folder, a camera, a test picture."""

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, Protocol

from vidette.frame import Frame, Picture

Mode = Literal["live", "lossless"]


@dataclass(frozen=True, slots=True)
class SourceOptions:
    """What the engine tells every source.

    threads    decoder threads it may use
    mode       `live`: real time, low delay, files are played at their own pace; `lossless`: as fast as it goes
    stop       set when the run ends: a source must return from `frames` within half a second of it
    """

    stream: str
    epoch: int
    threads: int
    mode: Mode
    stop: threading.Event


@dataclass(frozen=True, slots=True)
class SourceFacts:
    """What is known before the first frame; zero or None where it is not.

    Width and height are as stored: a rotation, known only with the first frame, may swap them.
    """

    width: int = 0
    height: int = 0
    fps: float | None = None
    frames: int | None = None  # an estimate, for progress


@dataclass(frozen=True, slots=True)
class Unreadable:
    """In place of a frame: something was there but could not be decoded. Counted under `code`, the source goes on."""

    code: str
    message: str


class Source(Protocol):
    """An open source, used by one thread. `frames` ends at the end of the media or raises SourceError."""

    facts: SourceFacts

    def frames(self) -> Iterator[Frame | Unreadable]:
        """Frames in display order, `seq` from 0 without gaps."""
        ...

    def close(self) -> None:
        """Release everything; called from the same thread."""
        ...


class SourceType(Protocol):
    """How URLs of one kind are opened; one file, one table line in `sources/__init__.py`."""

    def default_mode(self, url: str) -> Mode:
        """`live` for what runs whether somebody looks or not, `lossless` for what waits."""
        ...

    def open(self, url: str, options: SourceOptions) -> Source:
        """Raises SourceError with a stable code when it cannot be opened."""
        ...


class FrameMaker:
    """Numbers the frames of one opening of a source and stamps their times."""

    __slots__ = ("epoch", "seq", "stream")

    def __init__(self, options: SourceOptions) -> None:
        self.stream = options.stream
        self.epoch = options.epoch
        self.seq = 0

    def make(self, picture: Picture, pts_s: float | None, name: str | None = None) -> Frame:
        """The next frame."""
        frame = Frame(self.stream, self.epoch, self.seq, pts_s, time.time(), time.monotonic(), picture, name)
        self.seq += 1
        return frame
