"""Video files of any container and codec that FFmpeg reads."""

import os
from collections.abc import Iterator

import av
from av.error import FFmpegError

from vidette.errors import SourceError
from vidette.frame import Frame
from vidette.sources.base import Mode, SourceOptions, Unreadable
from vidette.sources.decoding import configure, decode, facts_of, video_stream
from vidette.sources.pacing import Pacer
from vidette.sources.sniffing import describe, missing_bytes

_TEXT_FORMATS = {"tty", "ansi"}  # FFmpeg plays any text file as a terminal recording


class FileSource:
    """One video file. Every frame is delivered, those behind the last packet too.

    A file that was cut off gives the frames it has and then fails as `truncated`. In live mode it plays at its
    own pace. Codes of SourceError: `missing`, `directory`, `denied`, `empty`, `name`, `not-a-video`, `no-video`,
    `codec`, `truncated`, `undecodable`, `read`.
    """

    def __init__(self, path: str, options: SourceOptions) -> None:
        _check(path)
        self._path = path
        self._options = options
        self._missing = missing_bytes(path)
        self._container = self._open()
        try:
            self._stream = video_stream(self._container, path)
            configure(self._stream, options)
            self.facts = facts_of(self._container, self._stream)
        except BaseException:  # the descriptor must not outlive a constructor that failed
            self._container.close()
            raise

    @staticmethod
    def default_mode(url: str) -> Mode:
        """Files are read whole."""
        return "lossless"

    @classmethod
    def open(cls, url: str, options: SourceOptions) -> "FileSource":
        """`url` is a path, with or without `file:` before it."""
        return cls(path_of(url), options)

    def frames(self) -> Iterator[Frame | Unreadable]:
        """Frames in display order; the SourceError of a damaged file comes after the frames that could be read."""
        pacer = Pacer(self._options.stop) if self._options.mode == "live" else None
        decoder = decode(self._container.demux(self._stream), self._stream, self._options, pacer, self._path)
        ended = yield from decoder
        if self._options.stop.is_set():
            return
        if self._missing:
            raise SourceError("truncated", f"{self._path}: cut off, the last {self._missing} bytes are missing")
        if ended is not None:
            raise SourceError("read", f"{self._path}: reading stopped before the end ({ended.strerror})")

    def close(self) -> None:
        """Close the file."""
        self._container.close()

    def _open(self) -> av.container.InputContainer:
        try:
            # `file:` keeps FFmpeg from taking `cam:1.mp4` for a protocol.
            container = av.open(f"file:{self._path}", metadata_errors="replace")
        except UnicodeEncodeError as error:
            raise SourceError("name", f"{self._path!r}: the file's name is not valid UTF-8; rename it") from error
        except FFmpegError as error:
            if self._missing is None:
                text = "the recording was never finished, its index (moov) is missing; it cannot be played"
                raise SourceError("truncated", f"{self._path}: {text}") from error
            if self._missing:
                text = f"cut off, the last {self._missing} bytes are missing"
                raise SourceError("truncated", f"{self._path}: {text}") from error
            raise self._not_a_video() from error
        if container.format.name in _TEXT_FORMATS:
            container.close()
            raise self._not_a_video()
        return container

    def _not_a_video(self) -> SourceError:
        return SourceError("not-a-video", f"{self._path}: not a video; it looks like {describe(self._path)}")


def path_of(url: str) -> str:
    """The path that `file:///a/b`, `file:a/b` or a plain path means."""
    if url[:5].lower() != "file:":
        return url
    path = url[5:]
    return path[2:] if path.startswith("///") else path.removeprefix("//localhost")


def _check(path: str) -> None:
    """What the file system can say before FFmpeg is asked."""
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
    except FileNotFoundError as error:
        raise SourceError("missing", f"{path}: no such file") from error
    except IsADirectoryError as error:
        raise SourceError("directory", f"{path}: a folder, not a video file") from error
    except PermissionError as error:
        raise SourceError("denied", f"{path}: no permission to read it") from error
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the name
        raise SourceError("read", f"{path}: cannot be opened ({error})") from error
    if not size:
        raise SourceError("empty", f"{path}: the file is empty")
