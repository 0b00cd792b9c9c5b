"""Pictures as a model takes them: one to prove by, and those of a clip to calibrate and to compare by."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from vidette.errors import ConfigError, SourceError
from vidette.frame import Picture
from vidette.models import Model
from vidette.pixels.letterbox import Letterbox
from vidette.pixels.preprocess import slot_dtype, slot_shape
from vidette.pixels.slot import ArrayBuffer, SlotWriter
from vidette.predictions import Predictions
from vidette.sources import default_mode, open_source
from vidette.sources.base import SourceOptions, Unreadable

HELD_BACK = 4
"""Frames that are compared for each one that is calibrated with."""


@dataclass(frozen=True, slots=True)
class Example:
    """A picture in a model's input: (1, ...) of the model's dtype."""

    slots: npt.NDArray[Any]
    letterbox: Letterbox


class Examples:
    """Writes pictures for one model, as a run would: `exact` as OpenCV programs do, so that bytes stay bytes."""

    def __init__(self, model: Model, *, exact: bool = False) -> None:
        self._model = model
        self._writer = SlotWriter(model.preprocess, "exact" if exact else "fast")

    def of(self, picture: Picture) -> Example:
        """The picture in memory of its own."""
        box = self._model.letterbox(picture.width, picture.height)
        buffer = ArrayBuffer(
            np.zeros(slot_shape(self._model.preprocess, 1, box.shape), slot_dtype(self._model.preprocess))
        )
        self._writer.write(picture, box, buffer, 0)
        return Example(buffer.slots, box)


def run(model: Model, example: Example) -> list[npt.NDArray[Any]]:
    """All raw outputs for one picture, copied, without the batch dimension."""
    buffer = model.session.buffer(example.letterbox.shape)
    buffer.slots[0] = example.slots[0]
    return [np.array(output[0]) for output in model.session.run(buffer, 1)]


def decode(model: Model, example: Example) -> Predictions:
    """What the model finds. Raises DecodeError."""
    return model.decoder(run(model, example), example.letterbox, model.limits)


def first_picture(url: str) -> Picture:
    """The first frame of a source. Raises SourceError."""
    for picture in _pictures(url):
        return picture
    raise SourceError("no-frames", f"{url}: no frame could be read")


def spread(url: str, examples: Examples, calibrate: int) -> tuple[list[Example], list[Example]]:
    """Frames from all over a clip: (to calibrate with, held back to compare by), taking turns in time.

    The clip is read once, whatever its length; when there are twice as many as wanted, every second one goes. Raises
    SourceError, and ConfigError for a clip that is too short to hold anything back.
    """
    most = 2 * calibrate * (1 + HELD_BACK)
    kept: list[Example] = []
    step = 1
    for number, picture in enumerate(_pictures(url)):
        if number % step == 0:
            kept.append(examples.of(picture))
            if len(kept) == most:
                kept, step = kept[::2], step * 2
    if len(kept) < 1 + HELD_BACK:
        raise ConfigError(
            f"--calibrate {url}: {len(kept)} frames are too few to calibrate by some and compare by others"
        )
    return kept[:: 1 + HELD_BACK], [each for number, each in enumerate(kept) if number % (1 + HELD_BACK)]


def _pictures(url: str) -> Iterator[Picture]:
    stop = threading.Event()
    if default_mode(url) == "live":
        raise ConfigError(f"{url}: name a file or a picture, not a camera or stream")
    source = open_source(url, SourceOptions("clip", 0, 1, "lossless", stop))
    try:
        for frame in source.frames():
            if not isinstance(frame, Unreadable):
                yield frame.picture
    finally:
        stop.set()
        source.close()
