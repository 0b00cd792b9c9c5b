"""From packets to frames: what files, network streams and cameras share."""

from collections.abc import Generator, Iterable

import av
from av.error import FFmpegError
from av.packet import Packet
from av.stream import Disposition
from av.video.stream import VideoStream

from vidette.errors import SourceError
from vidette.frame import Frame, Picture
from vidette.sources.base import FrameMaker, SourceFacts, SourceOptions, Unreadable
from vidette.sources.pacing import Pacer

MAX_UNREADABLE = 100
"""So many undecodable packets in a row end a source: it will not recover."""


def video_stream(container: av.container.InputContainer, name: str) -> VideoStream:
    """The main moving picture of a container; cover art of music does not count.

    Raises SourceError `no-video`, or `codec` where this build has no decoder.
    """
    streams = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    if not streams:
        kinds = sorted({stream.type for stream in container.streams if stream.type != "video"})
        holds = f"it holds only {' and '.join(kinds)}" if kinds else "it holds none"
        raise SourceError("no-video", f"{name}: no video stream, {holds}")
    best = container.streams.best("video")
    stream: VideoStream = best if best in streams else streams[0]
    if stream.codec_context is None:
        raise SourceError("codec", f"{name}: no decoder for its codec here; convert it, for example to H.264")
    return stream


def configure(stream: VideoStream, options: SourceOptions) -> None:
    """Set the decoder's threads. Frame threads delay N-1 frames, so live streams use slices at most."""
    context = stream.codec_context
    context.thread_count = max(1, options.threads)
    context.thread_type = "NONE" if options.threads <= 1 else "SLICE" if options.mode == "live" else "FRAME"


def facts_of(container: av.container.InputContainer, stream: VideoStream) -> SourceFacts:
    """What the container declares; width and height are as stored, the frames' rotation may swap them."""
    rate = stream.average_rate or stream.guessed_rate
    frames = stream.frames
    if not frames and rate and container.duration:
        frames = round(container.duration / av.time_base * rate)
    context = stream.codec_context
    return SourceFacts(context.width, context.height, float(rate) if rate else None, frames or None)


def upright(rotation: int) -> int:
    """Any angle of a display matrix as the nearest of 0, 90, 180, 270 degrees counter-clockwise."""
    return round(rotation / 90) % 4 * 90


def decode(
    packets: Iterable["Packet[VideoStream]"],
    stream: VideoStream,
    options: SourceOptions,
    pacer: Pacer | None,
    name: str,
) -> Generator[Frame | Unreadable, None, FFmpegError | None]:
    """Decode to the end, the frames that the decoder still holds included.

    Returns the error that ended reading, None at a proper end of the media or when stopped.
    Raises SourceError `undecodable` after MAX_UNREADABLE packets in a row.
    """
    decode_packet = stream.codec_context.decode
    make = FrameMaker(options).make
    stopped = options.stop.is_set
    failures = 0
    ended: FFmpegError | None = None
    reader = iter(packets)
    while not stopped():
        try:
            packet = next(reader, None)
        except FFmpegError as error:
            ended, packet = error, None  # PyAV yields no flush packet after an error
        if packet is None and ended is None:
            break
        try:
            pictures = decode_packet(packet)
        except EOFError:
            pictures = []  # flushed before
        except FFmpegError as error:
            failures += 1
            if failures >= MAX_UNREADABLE:
                raise SourceError("undecodable", f"{name}: {failures} packets in a row could not be decoded") from error
            yield Unreadable("corrupt", f"{name}: a packet could not be decoded ({error.strerror})")
            pictures = []
        for picture in pictures:
            failures = 0
            rotation = picture.rotation
            pts_s = picture.time
            if pacer is not None and not pacer.wait(pts_s):
                return None
            yield make(Picture(picture, upright(rotation) if rotation else 0), pts_s)
        if ended is not None:
            break
    return ended
