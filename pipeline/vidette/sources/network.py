"""Streams and files behind a URL: rtsp, http, rtmp, tcp, udp, ..."""

import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import av
from av.error import FFmpegError

from vidette.errors import SourceError
from vidette.frame import Frame
from vidette.sources.base import Mode, SourceOptions, Unreadable
from vidette.sources.decoding import configure, decode, facts_of, video_stream
from vidette.sources.pacing import Pacer
from vidette.sources.packets import STALL_S, live_packets
from vidette.urls import redact

_OPEN_S = 5.0
_VIDEO_SUFFIXES = (".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".flv", ".gif")


class NetworkSource:
    """One connection to a server, opened once; it is not taken up again when it ends.

    RTSP runs over TCP. Its reads return every half second to look whether the run was stopped. For the other
    protocols FFmpeg cannot resume a read that timed out, so a server that is silent holds the stream until the stall
    limit of 10 s. Codes of SourceError: `missing`, `denied`, `refused`, `unreachable`, `timeout`, `protocol`,
    `not-a-video`, `no-video`, `codec`, `undecodable`, `stalled`, `read`.
    """

    def __init__(self, url: str, options: SourceOptions) -> None:
        self._name = redact(url)
        self._options = options
        resumable = urlsplit(url).scheme.lower() in ("rtsp", "rtsps")
        # A short probe shows the first picture at once; RTSP describes its streams before they flow.
        details = {"rtsp_transport": "tcp", "probesize": "32", "analyzeduration": "0"} if resumable else {}
        began = time.monotonic()
        try:
            self._container = av.open(url, options=details, timeout=(_OPEN_S, 0.5 if resumable else STALL_S))
        except FFmpegError as error:
            raise _not_opened(self._name, error, time.monotonic() - began) from None  # its text holds the password
        try:
            self._stream = video_stream(self._container, self._name)
            configure(self._stream, options)
            self.facts = facts_of(self._container, self._stream)
        except BaseException:  # the connection must not outlive a constructor that failed
            self._container.close()
            raise

    @staticmethod
    def default_mode(url: str) -> Mode:
        """A video file behind http is read whole; everything else is live."""
        parts = urlsplit(url)
        is_file = parts.scheme.lower() in ("http", "https") and parts.path.lower().endswith(_VIDEO_SUFFIXES)
        return "lossless" if is_file else "live"

    @classmethod
    def open(cls, url: str, options: SourceOptions) -> "NetworkSource":
        """Raises SourceError; messages show the URL without user and password."""
        return cls(url, options)

    def frames(self) -> Iterator[Frame | Unreadable]:
        """Frames until the server ends the stream."""
        container, stream, options = self._container, self._stream, self._options
        recorded = container.duration is not None  # media with an end: live mode plays it at its own pace
        pacer = Pacer(options.stop) if options.mode == "live" and recorded else None
        packets = live_packets(container, stream, options.stop, self._name)
        ended = yield from decode(packets, stream, options, pacer, self._name)
        if ended is not None and not options.stop.is_set():
            raise SourceError("read", f"{self._name}: the connection broke ({ended.strerror})")

    def close(self) -> None:
        """Close the connection."""
        self._container.close()


def _not_opened(name: str, error: FFmpegError, took_s: float) -> SourceError:
    """What went wrong. A timeout shows as any error at all, so the clock is asked first."""
    if took_s > 0.9 * _OPEN_S:
        return SourceError("timeout", f"{name}: no answer within {_OPEN_S:g} s")
    if isinstance(error, ConnectionRefusedError):
        return SourceError("refused", f"{name}: connection refused; does the server run, is the port right?")
    if isinstance(error, av.error.ProtocolNotFoundError):
        return SourceError("protocol", f"{name}: this build of FFmpeg (in the package `av`) lacks the protocol")
    if isinstance(error, (av.error.HTTPUnauthorizedError, av.error.HTTPForbiddenError, PermissionError)):
        return SourceError("denied", f"{name}: the server wants a (different) user name and password")
    if isinstance(error, (av.error.HTTPNotFoundError, FileNotFoundError)):
        return SourceError("missing", f"{name}: the server has nothing under this address")
    if isinstance(error, av.error.InvalidDataError):
        return SourceError("not-a-video", f"{name}: the server answers, but not with a video")
    return SourceError("unreachable", f"{name}: cannot be opened ({error.strerror}); are host and path right?")
