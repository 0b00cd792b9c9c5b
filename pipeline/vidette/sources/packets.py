"""Reading live packets with an eye on the clock."""

import threading
import time
from collections.abc import Iterator

import av
from av.error import FFmpegError
from av.packet import Packet
from av.video.stream import VideoStream

from vidette.errors import SourceError

STALL_S = 10.0
"""Silence for so long is a failure."""


def live_packets(
    container: av.container.InputContainer,
    stream: VideoStream,
    stop: threading.Event,
    name: str,
    stall_s: float = STALL_S,
) -> "Iterator[Packet[VideoStream]]":
    """Packets of a container that was opened with a read timeout, until the end or `stop`.

    On RTSP and V4L2 a read timeout loses nothing, reading is simply taken up again; elsewhere it is final, so the
    timeout must be the stall limit. FFmpeg names it differently from case to case: the clock tells it from a failure.
    Raises SourceError `stalled`.
    """
    last = time.monotonic()
    while not stop.is_set():
        began = time.monotonic()
        try:
            for packet in container.demux(stream):
                yield packet
                began = last = time.monotonic()  # the time spent with the caller is not silence
            return
        except FFmpegError:
            now = time.monotonic()
            if now - began < 0.9 * container.read_timeout:
                raise
            if now - last > 0.9 * stall_s:
                raise SourceError("stalled", f"{name}: no data for {stall_s:g} s") from None
