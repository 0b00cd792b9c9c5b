"""The annotated pictures of one stream as H.264: what video files and RTSP pushes share."""

from fractions import Fraction

import av
import cv2

from vidette.drawing import annotate
from vidette.errors import SinkError
from vidette.frame import Bgr
from vidette.result import Result

TICKS = 90_000
"""Per second: the clock of MPEG transport and RTP; 24, 25, 30, 50 and 60 fps are whole numbers of it."""

_JUMP = TICKS  # backwards by more than this is a new beginning, by less it is disorder


# What cv2.COLOR_BGR2YUV_I420 makes, in the code points of ITU-T H.273 that libavcodec uses.
_BT601 = 6
_LIMITED = 1


class Timeline:
    """Turns the media times of a stream into times for a muxer: from 0, strictly increasing, distances kept.

    Frames without a time follow their predecessor at the last distance seen, `fps` to begin with. After a new opening
    of the source (its times may start anywhere) and after a jump backwards, time goes on at that distance too.
    """

    def __init__(self, fps: float) -> None:
        self._step = round(TICKS / fps)
        self._last: int | None = None
        self._epoch = -1
        self._offset: int | None = None

    def ticks(self, epoch: int, pts_s: float | None) -> int:
        """The time of the next frame in 1/90000 s."""
        following = 0 if self._last is None else self._last + self._step
        if pts_s is None:
            now = following
        else:
            media = round(pts_s * TICKS)
            if self._offset is None or epoch != self._epoch or media + self._offset < (self._last or 0) - _JUMP:
                self._offset = following - media
            now = media + self._offset
            if self._last is not None:
                if now > self._last:
                    self._step = min(now - self._last, _JUMP)
                else:
                    now = self._last + 1
        self._epoch = epoch
        self._last = now
        return now


class AnnotatedVideo:
    """Draws and encodes for a container that is open for writing; used by one thread.

    All pictures get the size of the first one: later ones of another size are scaled to it, since most players and
    servers cannot change it in mid-stream. Odd widths and heights grow by one repeated column or row, because 4:2:0
    has no half chroma samples. Without B-frames and look-ahead each picture leaves the encoder at once.
    """

    def __init__(self, container: av.container.OutputContainer, first: Bgr, crf: int, fps: float) -> None:
        self._height, self._width = first.shape[:2]
        self._timeline = Timeline(fps)
        options = {"preset": "ultrafast", "tune": "zerolatency", "crf": str(crf), "x264-params": f"fps={fps:g}"}
        self._stream = container.add_stream("libx264", options=options)
        self._stream.time_base = Fraction(1, TICKS)
        context = self._stream.codec_context
        context.time_base = Fraction(1, TICKS)
        # The file promises no rate (ffmpeg would drop or double the pictures of a Matroska file that comes at another);
        # x264 alone is told one, or it took the clock for it and named a level that few players know.
        context.framerate = Fraction(0)
        context.width = self._width + self._width % 2
        context.height = self._height + self._height % 2
        context.pix_fmt = "yuv420p"
        context.colorspace = _BT601  # players take BT.709 for granted where the picture is large and this is missing
        context.color_range = _LIMITED
        context.gop_size = 60
        context.thread_count = 1  # the engine's threads fill the cores already, and 720p takes 2.3 ms

    def encode(self, result: Result, bgr: Bgr) -> list[av.Packet]:
        """Draw and encode one picture: packets of Annex B. Raises what PyAV raises."""
        scene = annotate(bgr, result.predictions)
        if scene.shape[:2] != (self._height, self._width):
            scene = cv2.resize(scene, (self._width, self._height), interpolation=cv2.INTER_AREA)
        if self._width % 2 or self._height % 2:
            scene = cv2.copyMakeBorder(scene, 0, self._height % 2, 0, self._width % 2, cv2.BORDER_REPLICATE)
        # a third of the price of PyAV's reformat
        frame = av.VideoFrame.from_ndarray(cv2.cvtColor(scene, cv2.COLOR_BGR2YUV_I420), format="yuv420p")
        frame.pts = self._timeline.ticks(result.epoch, result.pts_s)
        frame.time_base = Fraction(1, TICKS)
        packets: list[av.Packet] = self._stream.encode(frame)
        return packets

    def finish(self) -> list[av.Packet]:
        """What the encoder still holds."""
        packets: list[av.Packet] = self._stream.encode(None)
        return packets


def picture_of(result: Result) -> Bgr:
    """The upright picture of a result that must have one."""
    if result.picture is None:
        raise SinkError(f"the result of frame {result.seq} of stream {result.stream} came without its picture")
    return result.picture.bgr()
