"""Clips that benchmarks read: real people walking, at the sizes of today's cameras."""

from pathlib import Path

import _common


def people_clip(source: Path, frames: int, width: int = 1280, height: int = 720) -> Path:
    """The first frames of `source` as H.264 at 30 fps, a key frame every two seconds, 2 Mbit/s at 720p.

    Cut to the new aspect ratio around the middle. Made once and kept beside the fetched models.
    """
    target = _common.MODELS / "bench" / f"people-{height}p-{frames}.mp4"
    if target.exists():
        return target
    import av
    import cv2

    target.parent.mkdir(exist_ok=True)
    part = target.with_suffix(".part.mp4")
    with av.open(str(source)) as reader, av.open(str(part), "w") as writer:
        stream = writer.add_stream("libx264", rate=30, options={"g": "60", "preset": "medium"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.bit_rate = int(2e6 * width * height / (1280 * 720))
        for index, frame in enumerate(reader.decode(video=0)):
            if index == frames:
                break
            bgr = frame.to_ndarray(format="bgr24")
            margin = (bgr.shape[0] - bgr.shape[1] * height // width) // 2
            wide = cv2.resize(bgr[margin : bgr.shape[0] - margin], (width, height), interpolation=cv2.INTER_CUBIC)
            shown = av.VideoFrame.from_ndarray(wide, format="bgr24").reformat(format="yuv420p")
            shown.pts = None
            writer.mux(stream.encode(shown))
        writer.mux(stream.encode(None))
    part.rename(target)
    return target
