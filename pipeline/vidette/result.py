"""The answer for one frame, as it leaves the pipeline."""

from dataclasses import dataclass
from typing import Any

from vidette.frame import Picture
from vidette.predictions import Predictions


@dataclass(slots=True)
class StageTimes:
    """Wall seconds that one frame spent in each stage."""

    decode: float = 0.0
    queue: float = 0.0
    scale: float = 0.0
    run: float = 0.0
    postprocess: float = 0.0


@dataclass(slots=True)
class Result:
    """Facts of a frame and what a model saw in it.

    stream, epoch, seq   name the frame for ever
    pts_s                media time in seconds, None where the source gives none
    time                 wall clock at decoding, seconds since 1970 (UTC)
    width, height        of the upright source picture, in pixels
    model                id of the model; `run` says what executed it: runtime, precision, input shape, threads
    batch                pictures that ran together with this one, itself included
    picture              the pixels, where the receiver asked for them
    name                 file name of the picture, where the stream is a folder or glob of pictures
    """

    stream: str
    epoch: int
    seq: int
    pts_s: float | None
    time: float
    width: int
    height: int
    model: str
    run: dict[str, Any]
    predictions: Predictions
    batch: int
    stages: StageTimes
    picture: Picture | None = None
    name: str | None = None
