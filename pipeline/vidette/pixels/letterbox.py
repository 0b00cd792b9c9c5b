"""How a picture is placed into a model's input, and the way back."""

import math
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

Resize = Literal["letterbox", "topleft", "stretch"]
"""`letterbox`: one gain, centred on padding (Ultralytics); `topleft`: one gain, padding right and below (YOLOX);
`stretch`: each axis by its own gain, no padding (CenterFace, RT-DETR)."""


@dataclass(frozen=True, slots=True)
class Letterbox:
    """Where a source picture lies in a model input; all sizes in pixels, corners at pixel edges.

    The scaled picture covers columns left..left+scaled_width and rows top..top+scaled_height of an
    input_width x input_height input. `inverse` holds (1/gain_x, 1/gain_y, left, top) for kernels: the way back is
    `(x - left) / gain_x`, each axis by its own gain after rounding, as Ultralytics does since 8.4.
    """

    width: int
    height: int
    input_width: int
    input_height: int
    scaled_width: int
    scaled_height: int
    left: int
    top: int
    inverse: npt.NDArray[np.float64] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        inverse = np.array(
            [self.width / self.scaled_width, self.height / self.scaled_height, self.left, self.top], np.float64
        )
        object.__setattr__(self, "inverse", inverse)

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width) of the model input: pictures of one shape can share a batch."""
        return self.input_height, self.input_width

    def to_input(self, xy: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
        """Source pixels (..., 2) -> input pixels."""
        rx, ry, left, top = self.inverse
        placed: npt.NDArray[np.float64] = np.asarray(xy, np.float64) / (rx, ry) + (left, top)
        return placed

    def to_source(self, xy: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
        """Input pixels (..., 2) -> source pixels, not clipped."""
        rx, ry, left, top = self.inverse
        placed: npt.NDArray[np.float64] = (np.asarray(xy, np.float64) - (left, top)) * (rx, ry)
        return placed


def fit(width: int, height: int, input_width: int, input_height: int, resize: Resize) -> Letterbox:
    """Place a width x height picture into a fixed input; small pictures grow.

    Rounding as in Ultralytics' LetterBox: the odd pixel of padding goes right or below; YOLOX truncates sizes.
    """
    if resize == "stretch":
        return Letterbox(width, height, input_width, input_height, input_width, input_height, 0, 0)
    gain = min(input_height / height, input_width / width)
    if resize == "topleft":
        scaled = max(1, int(width * gain)), max(1, int(height * gain))
        return Letterbox(width, height, input_width, input_height, *scaled, 0, 0)
    scaled = max(1, round(width * gain)), max(1, round(height * gain))
    left = round((input_width - scaled[0]) / 2 - 0.1)
    top = round((input_height - scaled[1]) / 2 - 0.1)
    return Letterbox(width, height, input_width, input_height, *scaled, left, top)


def own_shape(width: int, height: int, size: int, stride: int) -> tuple[int, int]:
    """The picture's own shape for a dynamic model, (input_width, input_height).

    The longer side becomes `size`, each side is then padded to the next multiple of `stride`: 1280x720 at 640 gives
    640x384. What Ultralytics does for dynamic exports.
    """
    gain = min(size / height, size / width)
    return (
        max(stride, math.ceil(round(width * gain) / stride) * stride),
        max(stride, math.ceil(round(height * gain) / stride) * stride),
    )
