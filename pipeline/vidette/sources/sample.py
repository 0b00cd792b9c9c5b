"""`sample:` a slow pan and zoom over a real photograph that is installed anyway."""

import math
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import av
import cv2
import numpy as np

from vidette.errors import SourceError
from vidette.frame import Bgr, Frame, Picture
from vidette.sources.base import FrameMaker, Mode, SourceFacts, SourceOptions, Unreadable
from vidette.sources.pacing import Pacer
from vidette.sources.parameters import number_parameter, parameters, size_parameter

_FACE = (265.0, 215.0)
"""Where the face is in the photograph, in its pixels; the view never leaves it."""

_ROUND_S = 10.0
"""One round of the camera's movement."""


class SampleSource:
    """`sample:?size=640x480&rate=30&frames=300`: matplotlib's portrait of Grace Hopper (public domain, US Navy).

    Codes of SourceError: `parameter`, `missing`.
    """

    def __init__(self, width: int, height: int, rate: float, frames: int, options: SourceOptions) -> None:
        self.facts = SourceFacts(width, height, rate, frames)
        self._photo = _photograph()
        self._options = options

    @staticmethod
    def default_mode(url: str) -> Mode:
        """As fast as it goes."""
        return "lossless"

    @classmethod
    def open(cls, url: str, options: SourceOptions) -> "SampleSource":
        """Raises SourceError that names the parameter, or says how to get the photograph."""
        given = parameters(url, size="640x480", rate="30", frames="300")
        width, height = size_parameter(url, given["size"])
        width, height = width & ~1, height & ~1  # whole chroma pixels
        rate = number_parameter(url, "rate", given["rate"], 0.01, 10_000)
        frames = int(number_parameter(url, "frames", given["frames"], 1, 1 << 40))
        return cls(width, height, rate, frames, options)

    def frames(self) -> Iterator[Frame | Unreadable]:
        """yuv420p frames; frame n is the same in every run."""
        rate, total = self.facts.fps or 30.0, self.facts.frames or 0
        make = FrameMaker(self._options).make
        pacer = Pacer(self._options.stop) if self._options.mode == "live" else None
        for number in range(total):
            if self._options.stop.is_set() or (pacer is not None and not pacer.wait(number / rate)):
                return
            i420 = cv2.cvtColor(self._view(number / rate), cv2.COLOR_BGR2YUV_I420)
            yield make(Picture(av.VideoFrame.from_ndarray(i420, format="yuv420p")), number / rate)

    def close(self) -> None:
        """Nothing is held."""

    def _view(self, at_s: float) -> Bgr:
        """What the camera sees: between 0.65 and 1 of the largest view, drifting by a twelfth of it."""
        width, height = self.facts.width, self.facts.height
        phase = 2 * math.pi * at_s / _ROUND_S
        photo_height, photo_width = self._photo.shape[:2]
        largest = min(photo_width / width, photo_height / height)
        scale = largest * (0.825 + 0.175 * math.cos(phase))  # photo pixels per pixel of the view
        half_x, half_y = scale * width / 2, scale * height / 2
        x = _FACE[0] + half_x / 6 * math.sin(phase)
        y = _FACE[1] + half_y / 6 * math.sin(2 * phase)
        left = min(max(x - half_x, 0), photo_width - 2 * half_x)
        top = min(max(y - half_y, 0), photo_height - 2 * half_y)
        back = np.array([[scale, 0, left], [0, scale, top]])
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        view: Bgr = cv2.warpAffine(self._photo, back, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE)
        return view


def _photograph() -> Bgr:
    spec = find_spec("matplotlib")  # found without importing it
    folders = spec.submodule_search_locations if spec else None
    for folder in folders or ():
        photo: Bgr | None = cv2.imread(str(Path(folder, "mpl-data", "sample_data", "grace_hopper.jpg")))
        if photo is not None:
            return photo
    raise SourceError(
        "missing", "sample: its photograph is part of matplotlib, which is missing: pip install matplotlib"
    )
