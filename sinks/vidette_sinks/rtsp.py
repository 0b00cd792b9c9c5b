"""RTSP: annotated streams pushed to a server that the user runs (MediaMTX, go2rtc, GStreamer)."""

import time
from collections.abc import Sequence
from typing import ClassVar
from urllib.parse import quote

import av
from pydantic import Field

from vidette.drawing import prepare
from vidette.errors import SinkError
from vidette.frame import Bgr
from vidette.result import Result
from vidette.sink import Delivery, RunFacts
from vidette_sinks._annotated import AnnotatedVideo, picture_of
from vidette_sinks._network import Backoff, ServerSettings, public
from vidette_sinks._rtsp_push import RtspError, RtspPush
from vidette_sinks._settings import parsed

_FAREWELL_S = 0.5
_PACKET_BYTES = 1400  # what servers may pass on over UDP without splitting it


class RtspSettings(ServerSettings):
    """Annotated video pushed to an RTSP server (ANNOUNCE and RECORD) as H.264 over TCP, one stream per path.

    `{stream}` in the URL becomes the stream's name; with several streams and without it, `/NAME` is put behind the URL.
    Pictures are sent as they come: files are pushed faster than they play, unless their stream's mode is `live`.
    """

    crf: int = Field(23, ge=0, le=51, description="Quality of H.264: 18 is nearly lossless, 28 is small.")
    fps: float = Field(25, gt=0, le=1000, description="Pictures per second where the source gives no times.")
    timeout_s: float = Field(
        2.0,
        gt=0,
        le=60,
        description="Seconds until a server that does not answer or read is given up; a stop waits as long.",
    )

    @classmethod
    def schemes(cls) -> tuple[str, ...]:
        """URL schemes that are taken."""
        return RtspSink.schemes


class RtspSink:
    """Connects with the first picture of each stream, and anew after failures, with pauses from 0.5 to 30 s.

    Pictures that come while there is no connection are lost and counted.
    """

    Settings = RtspSettings
    suffixes: ClassVar[tuple[str, ...]] = ()
    schemes: ClassVar[tuple[str, ...]] = ("rtsp",)
    needs_picture: ClassVar[bool] = True
    delivery: ClassVar[Delivery] = "newest"

    def __init__(self, settings: RtspSettings) -> None:
        self.name = public(settings.url)
        self._settings = settings
        self._several = False
        self._publishers: dict[str, _Publisher] = {}
        self._backoffs: dict[str, Backoff] = {}

    @classmethod
    def from_target(cls, target: str) -> RtspSettings:
        """Settings for a URL."""
        return parsed(RtspSettings, public(target), url=target)

    def paths(self) -> Sequence[str]:
        """No files."""
        return []

    def open(self, run: RunFacts) -> None:
        """Prepare; the size of the pictures must be known before a connection can be made."""
        prepare()
        self._several = len(run.streams) > 1

    def _url(self, stream: str) -> str:
        url = self._settings.url
        if self._several and "{stream}" not in url:
            url = f"{url.rstrip('/')}/{{stream}}"
        return url.replace("{stream}", quote(stream, safe=""))

    def write(self, result: Result) -> None:
        """Draw, encode and send one picture. Raises SinkError."""
        bgr = picture_of(result)
        url = self._url(result.stream)
        backoff = self._backoffs.setdefault(result.stream, Backoff())
        publisher = self._publishers.get(result.stream)
        if publisher is None:
            backoff.check(public(url))
            publisher = self._publishers[result.stream] = _Publisher(url, bgr, self._settings)
        try:
            publisher.write(result, bgr)
        except (OSError, RtspError, av.FFmpegError) as error:
            del self._publishers[result.stream]
            publisher.close(0.0)
            raise SinkError(f"{public(url)}: {self._reason(error)}") from error
        backoff.succeeded()

    def _reason(self, error: Exception) -> str:
        if isinstance(error, TimeoutError):
            return f"no progress within {self._settings.timeout_s:g} s"
        return getattr(error, "strerror", None) or str(error)

    def close(self) -> None:
        """Say goodbye to all servers, within half a second together."""
        deadline = time.monotonic() + _FAREWELL_S
        for publisher in self._publishers.values():
            publisher.close(max(deadline - time.monotonic(), 0.0))


class _Publisher:
    """Encoder, RTP packetiser (libavformat's, which writes each packet by itself) and connection of one stream."""

    def __init__(self, url: str, first: Bgr, settings: RtspSettings) -> None:
        self._url = url
        self._settings = settings
        self._packets = _Packets()
        options = {"packetsize": str(_PACKET_BYTES)}
        self._container = av.open(self._packets, "w", format="rtp", buffer_size=_PACKET_BYTES, options=options)
        self._video = AnnotatedVideo(self._container, first, settings.crf, settings.fps)
        self._push: RtspPush | None = None

    def write(self, result: Result, bgr: Bgr) -> None:
        encoded = self._video.encode(result, bgr)
        if self._push is None:
            settings = self._settings
            self._push = RtspPush(
                self._url, settings.user, settings.secret() or "", bytes(encoded[0]), settings.timeout_s
            )
        self._container.mux(encoded)
        self._push.send(self._packets.take())

    def close(self, timeout_s: float) -> None:
        self._container.close()
        if self._push is not None:
            self._push.close(timeout_s)


class _Packets:
    """The file that the packetiser writes to."""

    def __init__(self) -> None:
        self._packets: list[bytes] = []

    def write(self, packet: bytes) -> int:
        self._packets.append(bytes(packet))
        return len(packet)

    def take(self) -> list[bytes]:
        packets, self._packets = self._packets, []
        return packets
