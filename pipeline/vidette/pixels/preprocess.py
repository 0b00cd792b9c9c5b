"""How pixels become input values: part of a model's identity."""

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from vidette.pixels.letterbox import Resize


@dataclass(frozen=True, slots=True)
class Extra:
    """A second input that is the same for every picture of a shape; `row` is what each picture of the batch gets.

    Numbers, `size`: (width, height) of the model input, or `mask`: a one for each of its pixels, (height, width);
    `grid` is the mask's own (height, width) where the file fixes it.
    """

    name: str
    dtype: str
    row: tuple[float, ...] | Literal["size", "mask"]
    grid: tuple[int | None, ...] = (None, None)

    def shape(self, batch: int, shape: tuple[int, int]) -> tuple[int, ...]:
        """Of the tensor for `batch` pictures of (height, width)."""
        if self.row == "mask":
            return (batch, *(fixed or side for fixed, side in zip(self.grid, shape, strict=True)))
        return batch, 2 if self.row == "size" else len(self.row)

    def values(self, batch: int, shape: tuple[int, int]) -> np.ndarray[Any, Any]:
        """The tensor for `batch` pictures of (height, width)."""
        row = 1.0 if self.row == "mask" else shape[::-1] if self.row == "size" else self.row
        return np.full(self.shape(batch, shape), row, self.dtype)


@dataclass(frozen=True, slots=True)
class Preprocess:
    """How pixels become input values: part of a model's identity. value = (pixel - mean) * scale, per channel.

    `size` is the longer side that a model with open height and width runs at, `stride` what its sides must divide by;
    `width`/`height` are fixed by the file, or None where it takes any. `batch` is the fixed batch, None where any.
    mean and scale are in the order of `colour`, one number each for `grey`, whose input has one channel: what OpenCV
    makes of a picture (ITU-R BT.601's 0.299 red + 0.587 green + 0.114 blue). `margin` is the part of a scaled picture's
    sides that the input shows, the middle, with `crop` and `stretch`: 0.875 for the classifiers that scale to 256 and
    cut out 224. `antialias` says whether every pixel counts when a picture shrinks, as with Pillow, or those around
    each new centre, as with OpenCV.
    """

    layout: Literal["nchw", "nhwc"] = "nchw"
    dtype: str = "float32"
    colour: Literal["rgb", "bgr", "grey"] = "rgb"
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    scale: tuple[float, ...] = (1 / 255, 1 / 255, 1 / 255)
    pad: int = 114
    resize: Resize = "letterbox"
    margin: float = 1.0
    antialias: bool = False
    width: int | None = None
    height: int | None = None
    batch: int | None = None
    size: int = 640
    stride: int = 32
    extras: tuple[Extra, ...] = ()

    @property
    def channels(self) -> int:
        """Of the input tensor."""
        return 1 if self.colour == "grey" else 3

    @property
    def levels(self) -> "Preprocess":
        """The same without its formula: pixels as they are, a byte each, channel by channel."""
        none, one = (0.0,) * self.channels, (1.0,) * self.channels
        return replace(self, layout="nchw", dtype="uint8", mean=none, scale=one)

    @property
    def formula(self) -> str:
        """How a pixel becomes a value, once where all channels share it: `(pixel - 127.5) / 127.5`."""
        channels = [
            (f"(pixel - {mean:g})" if mean else "pixel") + ("" if scale == 1 else f" / {1 / scale:g}")
            for mean, scale in zip(self.mean, self.scale, strict=True)
        ]
        return channels[0] if len(set(channels)) == 1 else ", ".join(channels)

    @property
    def identity(self) -> str:
        """All of it that decides about values, in short: `rgb, pixel / 255, letterbox on 114, nchw float32`.

        Two runs of one model whose results are to be compared must agree in it.
        """
        placed = self.resize + (f" on {self.pad}" if self.resize in ("letterbox", "topleft") else "")
        cut = "" if self.margin == 1 else f" by {self.margin:g}"
        smooth = ", antialiased" if self.antialias else ""
        return f"{self.colour}, {self.formula}, {placed}{cut}{smooth}, {self.layout} {self.dtype}"


def slot_shape(preprocess: Preprocess, batch: int, shape: tuple[int, int]) -> tuple[int, int, int, int]:
    """The input tensor's shape for `batch` pictures of (height, width)."""
    height, width = shape
    channels = preprocess.channels
    return (batch, channels, height, width) if preprocess.layout == "nchw" else (batch, height, width, channels)


def slot_dtype(preprocess: Preprocess) -> np.dtype[Any]:
    """The input tensor's numpy type."""
    return np.dtype(preprocess.dtype)
