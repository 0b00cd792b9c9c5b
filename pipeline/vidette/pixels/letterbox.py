"""How a picture is placed into a model's input, and the way back."""

import math
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from vidette.geometry import Transform

Resize = Literal["letterbox", "topleft", "stretch", "crop", "within", "around"]
"""`letterbox`: one gain, centred on padding (Ultralytics); `topleft`: one gain, padding right and below (YOLOX);
`stretch`: each axis by its own gain, no padding (CenterFace, RT-DETR); `crop`: one gain, the middle of the picture
fills the input, what stands over is left out (classifiers). For pictures that are sent away, whose input is as large as
the picture: `within` shrinks them by one gain until they lie in the size, `around` until it just lies in them."""

Region = tuple[int, int, int, int]
"""left, top, width, height of a part of a picture, in its pixels."""


@dataclass(frozen=True, slots=True)
class Letterbox:
    """Where a source picture lies in a model input; all sizes in pixels, corners at pixel edges.

    The scaled region (all of the picture, unless it is one tile of it) covers columns left..left+scaled_width and rows
    top..top+scaled_height of an input_width x input_height input; with `crop` left or top are negative and it reaches
    beyond the input. `inverse` holds (1/gain_x, 1/gain_y, left, top) for kernels: the way back is
    `(x - left) / gain_x`, each axis by its own gain after rounding, as Ultralytics does since 8.4; a region's place in
    the picture is part of its left and top.
    """

    width: int
    height: int
    input_width: int
    input_height: int
    scaled_width: int
    scaled_height: int
    left: int
    top: int
    region: Region = (0, 0, 0, 0)
    inverse: npt.NDArray[np.float64] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        if not self.region[2]:
            object.__setattr__(self, "region", (0, 0, self.width, self.height))
        x, y, width, height = self.region
        back_x, back_y = width / self.scaled_width, height / self.scaled_height
        inverse = np.array([back_x, back_y, self.left - x / back_x, self.top - y / back_y], np.float64)
        object.__setattr__(self, "inverse", inverse)

    @property
    def whole(self) -> bool:
        """Whether the region is the whole picture."""
        return self.region == (0, 0, self.width, self.height)

    @property
    def back(self) -> Transform:
        """Pixels of the model input -> pixels of the source picture."""
        rx, ry, left, top = self.inverse
        return Transform(np.array([[rx, 0, -left * rx], [0, ry, -top * ry]]), self.width, self.height)

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


def fit(
    width: int,
    height: int,
    input_width: int,
    input_height: int,
    resize: Resize,
    region: Region | None = None,
    margin: float = 1.0,
) -> Letterbox:
    """Place a width x height picture, or a region of it, into a fixed input; small pictures grow.

    Rounding as in Ultralytics' LetterBox: the odd pixel of padding goes right or below; YOLOX truncates sizes. `crop`
    rounds as torchvision's Resize and CenterCrop do. `margin` as in `Preprocess`.
    """
    region = region or (0, 0, width, height)
    wide, high = region[2:]
    left = top = 0
    if resize in ("within", "around"):
        gains = input_width / wide, input_height / high
        gain = min(1.0, min(gains) if resize == "within" else max(gains))
        input_width, input_height = max(1, round(wide * gain)), max(1, round(high * gain))
        return Letterbox(width, height, input_width, input_height, input_width, input_height, 0, 0, region)
    if resize in ("stretch", "crop"):
        scaled = round(input_width / margin), round(input_height / margin)
        if resize == "crop":
            scaled = max(scaled[0], scaled[1] * wide // high), max(scaled[1], scaled[0] * high // wide)
        left, top = -round((scaled[0] - input_width) / 2), -round((scaled[1] - input_height) / 2)
    elif resize == "topleft":
        gain = min(input_height / high, input_width / wide)
        scaled = max(1, int(wide * gain)), max(1, int(high * gain))
    else:
        gain = min(input_height / high, input_width / wide)
        scaled = max(1, round(wide * gain)), max(1, round(high * gain))
        left = round((input_width - scaled[0]) / 2 - 0.1)
        top = round((input_height - scaled[1]) / 2 - 0.1)
    return Letterbox(width, height, input_width, input_height, *scaled, left, top, region)


def own_shape(width: int, height: int, size: int, stride: int) -> tuple[int, int]:
    """The picture's own shape for a dynamic model, (input_width, input_height).

    The longer side becomes `size`, each side is then padded to the next multiple of `stride`: 1280x720 at 640 gives
    640x384. What Ultralytics does for dynamic exports, but for pictures that would be one stride wide: there OpenVINO
    2026.4 computes in bfloat16 with memory that nobody wrote (NaN from yolo11n at 32x640 and 32x320).
    """
    gain = min(size / height, size / width)
    return (
        max(2 * stride if size >= 2 * stride else stride, math.ceil(round(width * gain) / stride) * stride),
        max(stride, math.ceil(round(height * gain) / stride) * stride),
    )
