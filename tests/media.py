"""Video clips with known content, made on the spot.

Every frame is `vidette.sources.synthetic.TestPicture`, whose number `read_number` reads back from the pixels. The
functions return what they wrote as [(pts_s, number), ...] in display order.
"""

from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path

import av

from vidette.sources.base import Frame, Unreadable
from vidette.sources.synthetic import TestPicture, read_number

Written = list[tuple[float, int]]

_MILLISECOND = Fraction(1, 1000)


def write_clip(
    path: Path,
    frames: int = 20,
    *,
    size: tuple[int, int] = (160, 120),
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    rate: int = 25,
    times_ms: Sequence[int] | None = None,
    first: int = 0,
    rotation: int = 0,
    options: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
    full_range: bool = False,
    colorspace: int | None = None,
) -> Written:
    """Encode frames `first`, `first` + 1, ...; the container follows the ending of `path`.

    times_ms   when each frame is shown (variable frame rate); 1/rate apart when left out
    rotation   degrees counter-clockwise that make the stored picture upright
    options    of the encoder; None makes x264 fast and puts in 2 B-frames and a key frame each 8
    """
    if options is None and codec == "libx264":
        options = {"preset": "ultrafast", "bf": "2", "g": "8", "crf": "20"}
    width, height = size
    picture = TestPicture(width, height)
    times = times_ms if times_ms is not None else [None] * frames
    with av.open(str(path), "w", options=container_options or {}) as container:
        stream = container.add_stream(codec, rate=rate, options=options or {})
        stream.width, stream.height, stream.pix_fmt = width, height, pix_fmt
        if times_ms is not None:
            stream.codec_context.time_base = _MILLISECOND
        if full_range:
            stream.codec_context.color_range = 2
        if colorspace is not None:
            stream.codec_context.colorspace = colorspace
        if rotation:
            stream.set_display_rotation(rotation)
        written = []
        for index, time_ms in enumerate(times):
            frame = picture.draw(first + index).reformat(format=pix_fmt)
            frame.pts, frame.time_base = (index, Fraction(1, rate)) if time_ms is None else (time_ms, _MILLISECOND)
            written.append((frame.pts * float(frame.time_base), first + index))
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return written


def write_sound(path: Path, seconds: float = 0.2, cover: Path | None = None) -> None:
    """A file with sound and no moving picture; `cover` is a JPEG to attach as in music files."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=16000, layout="mono")
        picture = None
        if cover is not None:
            with av.open(str(cover)) as source:
                picture = container.add_stream_from_template(source.streams.video[0])
                picture.disposition = av.stream.Disposition.attached_pic
                packet = next(source.demux(video=0))
                packet.stream = picture
                container.mux(packet)
        for index in range(round(seconds * 16000 / 1024)):
            frame = av.AudioFrame(format="fltp", layout="mono", samples=1024)
            frame.planes[0].update(bytes(4096))
            frame.pts, frame.rate = index * 1024, 16000
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def delivered(items: Iterable[Frame | Unreadable]) -> list[tuple[float | None, int]]:
    """(pts_s, number read from the pixels) of frames; fails on an `Unreadable` and on gaps in `seq`."""
    found = []
    for seq, item in enumerate(items):
        assert isinstance(item, Frame), item
        assert item.seq == seq
        found.append((item.pts_s, read_number(item.picture.bgr())))
    return found
