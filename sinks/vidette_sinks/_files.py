"""Files that consist of whole lines, also after a full disk or a killed process."""

import errno
import fcntl
import os
import stat
from collections.abc import Iterable
from pathlib import Path

from vidette.errors import SinkError
from vidette.sink import RunFacts

_ADVICE = {
    errno.ENOSPC: "free some space; what comes after that is written again",
    errno.EDQUOT: "the quota is used up; what comes after it has grown is written again",
    errno.ENOENT: "make the folder first",
    errno.ENOTDIR: "a part of its path is a file",
    errno.EISDIR: "name a file in that folder",
    errno.EACCES: "give write permission or choose another folder",
    errno.EPERM: "give write permission or choose another folder",
    errno.EROFS: "choose a folder that can be written",
    errno.EFBIG: "the file has reached the largest size allowed here",
}


def file_error(path: str, error: OSError) -> SinkError:
    """What went wrong with which file, and what to do about it."""
    advice = _ADVICE.get(error.errno or 0)
    return SinkError(f"cannot write {path}: {os.strerror(error.errno or 0)}{': ' + advice if advice else ''}")


def refuse_inputs(paths: Iterable[str], run: RunFacts) -> None:
    """Raise SinkError where an output would overwrite a video that is being read."""
    for path in paths:
        for stream in run.streams:
            if os.path.exists(path) and os.path.exists(stream.url) and os.path.samefile(path, stream.url):
                raise SinkError(f"cannot write {path}: stream {stream.id} is read from it; choose another name")


def check_folder(path: str) -> None:
    """Raise SinkError unless a file of that name can be made, without making it."""
    folder = Path(path).parent
    if not folder.is_dir():
        raise file_error(path, OSError(errno.ENOTDIR if folder.exists() else errno.ENOENT, ""))
    if Path(path).is_dir():
        raise file_error(path, OSError(errno.EISDIR, ""))
    if not os.access(path if os.path.exists(path) else folder, os.W_OK):
        raise file_error(path, OSError(errno.EACCES, ""))


class LineFile:
    """A file descriptor to which whole lines are appended, each call with one unbuffered `write`.

    A process that is killed between two calls leaves whole lines. Where the disk fills up in the middle of a call, the
    part that was written is cut off again, so that the next line, if there is room for one, starts a line.
    """

    def __init__(self, path: str, descriptor: int) -> None:
        self.path = path
        self._descriptor = descriptor

    @classmethod
    def open(cls, path: str, append: bool) -> "LineFile":
        """Open for appending; what is already in it goes unless `append`. Raises SinkError.

        Several processes may append to one file, but none empties it under another's feet.
        """
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise file_error(path, error) from error
        file = cls(path, descriptor)
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            try:
                fcntl.flock(descriptor, (fcntl.LOCK_SH if append else fcntl.LOCK_EX) | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
                raise SinkError(f"cannot write {path}: another process is writing it; choose another name") from None
            except OSError:
                pass  # a file system without locks
            if not append:
                os.ftruncate(descriptor, 0)
        if append and file.size and os.pread(file._descriptor, 1, file.size - 1) != b"\n":
            file.write(b"\n")  # a power cut tore the last line: readers skip that one, and only that one
        return file

    @property
    def size(self) -> int:
        """Bytes in the file now; 0 for a pipe or device."""
        status = os.fstat(self._descriptor)
        return status.st_size if stat.S_ISREG(status.st_mode) else 0

    def write(self, lines: bytes) -> None:
        """Append lines, each with its line end. Raises SinkError, and then nothing of them is in the file."""
        left = memoryview(lines)
        try:
            while left:
                left = left[os.write(self._descriptor, left) :]
        except BrokenPipeError:
            raise SinkError(f"{self.path}: the reader has closed the pipe; nobody takes results any more") from None
        except OSError as error:
            self._cut(len(lines) - len(left))
            raise file_error(self.path, error) from error

    def _cut(self, written: int) -> None:
        # with O_APPEND the position is the end of our own last write: do not cut off what another process added since
        if written and (size := self.size) and os.lseek(self._descriptor, 0, os.SEEK_CUR) == size:
            os.ftruncate(self._descriptor, size - written)

    def close(self) -> None:
        """Close the descriptor. Raises SinkError where the file system says only now that it lost something."""
        try:
            os.close(self._descriptor)
        except OSError as error:
            raise file_error(self.path, error) from error
