"""`camera:0`: a camera of this machine (Video4Linux)."""

from collections.abc import Iterator
from pathlib import Path

import av
from av.error import FFmpegError

from vidette.errors import SourceError
from vidette.frame import Frame
from vidette.sources.base import Mode, SourceOptions, Unreadable
from vidette.sources.decoding import configure, decode, facts_of, video_stream
from vidette.sources.packets import live_packets

_OPEN_S, _READ_S = 5.0, 0.3


class CameraSource:
    """`camera:N` is /dev/videoN, `camera:/dev/...` any device. Codes of SourceError: `missing`, `denied`, `busy`,
    `camera`, `stalled`.
    """

    def __init__(self, device: str, options: SourceOptions) -> None:
        self._device = device
        self._options = options
        try:
            self._container = av.open(device, format="video4linux2,v4l2", timeout=(_OPEN_S, _READ_S))
        except FFmpegError as error:
            raise _not_opened(device, error) from error
        self._stream = video_stream(self._container, device)
        configure(self._stream, options)
        self.facts = facts_of(self._container, self._stream)

    @staticmethod
    def default_mode(url: str) -> Mode:
        """The newest picture."""
        return "live"

    @classmethod
    def open(cls, url: str, options: SourceOptions) -> "CameraSource":
        """Raises SourceError with what can be done about it."""
        name = url.partition(":")[2].removeprefix("//") or "0"
        return cls(f"/dev/video{name}" if name.isdecimal() else name, options)

    def frames(self) -> Iterator[Frame | Unreadable]:
        """Frames until the camera goes away."""
        packets = live_packets(self._container, self._stream, self._options.stop, self._device)
        ended = yield from decode(packets, self._stream, self._options, None, self._device)
        if ended is not None:
            raise SourceError("camera", f"{self._device}: the camera went away ({ended.strerror})")

    def close(self) -> None:
        """Release the camera."""
        self._container.close()


def _not_opened(device: str, error: FFmpegError) -> SourceError:
    if isinstance(error, FileNotFoundError):
        found = " ".join(sorted(str(path) for path in Path("/dev").glob("video*")))
        return SourceError("missing", f"{device}: no such camera; there are: {found or 'none'}")
    if isinstance(error, PermissionError):
        return SourceError("denied", f"{device}: no permission; is this user in the group `video`?")
    if error.errno == 16:  # EBUSY
        return SourceError("busy", f"{device}: another program uses this camera")
    return SourceError("camera", f"{device}: not a camera that can be read ({error.strerror})")
