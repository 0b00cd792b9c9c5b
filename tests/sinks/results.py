"""Results made by hand, for the sinks to write."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from vidette.errors import SinkError
from vidette.frame import Picture
from vidette.predictions.detections import Detections
from vidette.result import Result, StageTimes
from vidette.sink import RunFacts, Sink, StreamFacts

LABELS = ("person", "bus")


def detections(objects: int = 2, keypoints: int = 0) -> Detections:
    """Objects on a diagonal, best first."""
    corner = 10.125 + 20 * np.arange(objects, dtype=np.float32)
    points = np.stack([corner, corner + 1, np.full(objects, 0.5)], axis=1).astype(np.float32)
    return Detections(
        xyxy=np.stack([corner, corner, corner + 30.5, corner + 40.25], axis=1),
        confidence=np.linspace(0.9, 0.5, objects, dtype=np.float32),
        class_id=np.arange(objects, dtype=np.int32) % 2,
        labels=LABELS,
        keypoints=np.repeat(points[:, None], keypoints, axis=1) if keypoints else None,
    )


def result(seq: int = 0, picture: Picture | None = None, **changes: Any) -> Result:
    """The answer for frame `seq` of a 30 fps stream `cam`."""
    facts: dict[str, Any] = {
        "stream": "cam",
        "epoch": 0,
        "seq": seq,
        "pts_s": seq / 30,
        "time": 1_700_000_000 + seq / 30,
        "width": picture.width if picture else 320,
        "height": picture.height if picture else 240,
        "model": "m",
        "run": {"runtime": "onnx", "precision": "f32"},
        "predictions": detections(),
        "batch": 1,
        "stages": StageTimes(),
        "picture": picture,
    }
    return Result(**(facts | changes))


def grey(level: int, width: int = 320, height: int = 240) -> Picture:
    """A picture of one grey, by which a frame is known again after encoding."""
    return Picture(np.full((height, width, 3), level, np.uint8))


def run_of(streams: Sequence[str] = ("cam",), url: str = "testsrc:", *, live: bool = False) -> RunFacts:
    """A run of these streams."""
    return RunFacts(tuple(StreamFacts(name, url, live) for name in streams))


def write_until_error(sink: Sink, results: Iterable[Result]) -> tuple[int, SinkError]:
    """How many results the sink took before its first error, and that error."""
    for written, each in enumerate(results):
        try:
            sink.write(each)
        except SinkError as error:
            return written, error
    raise AssertionError("no error came")
