"""A model of each task whose answers a test can write down: its outputs are constants over an input of 320x320.

Pictures are 640x320, so they are halved and lie at y = 80..240 of the input: a point (x, y) of it is (2x, 2y - 160) of
the picture. Layouts are those of Ultralytics' exporter.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import onnx
from onnx import helper

from tests.families.constant import make_constant

SIDE = 320
SIZE = (640, 320)
"""Width and height of the pictures."""
NAMES = ("cat", "dog")
SCORES = (0.0, 0.05, 0.1, 0.123456, 0.2, 0.006544, 0.52)
"""Of seven classes c0..c6; they sum to 1."""
SEVERAL = (0.9, 0.3, 0.7)


def picture(suffix: str = ".png") -> bytes:
    """A picture of 640x320."""
    return bytes(cv2.imencode(suffix, np.full((SIZE[1], SIZE[0], 3), 200, np.uint8))[1])


CLIP_SIZE = (320, 192)
"""Width and height of the clip."""


def write_clip(path: Path, frames: int = 5) -> None:
    """A lossless clip whose cells of 32x32 are pure red, green, blue or black, others in each frame."""
    cells = np.random.default_rng(0).integers(0, 4, (frames, CLIP_SIZE[1] // 32, CLIP_SIZE[0] // 32))
    colours = np.array([(255, 0, 0), (0, 255, 0), (0, 0, 255), (0, 0, 0)], np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = *CLIP_SIZE, "bgr0"
        for number in range(frames):
            pixels = colours[cells[number]].repeat(32, axis=0).repeat(32, axis=1)
            frame = av.VideoFrame.from_ndarray(pixels, "rgb24").reformat(format="bgr0")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def _columns(*rows: list[float]) -> Any:
    return np.array(rows, np.float32).T[None]


def _write(path: Path, task: str, names: Any, outputs: dict[str, Any], last: Any = None, **metadata: str) -> Path:
    make_constant(path, {"images": ("float32", (1, 3, SIDE, SIDE))}, outputs, last=last)
    model = onnx.load(str(path))
    told = {"task": task, "names": str(dict(enumerate(names))), "stride": "32", "imgsz": "[320, 320]", **metadata}
    helper.set_model_props(model, told)
    onnx.save(model, str(path))
    return path


def detection(path: Path) -> Path:
    """A cat of 0.9 at (100, 120)..(300, 200), a dog of 0.6 at (400, 0)..(480, 80), one of 0.4 right of it."""
    head = _columns([100, 160, 100, 40, 0.9, 0.1], [220, 100, 40, 40, 0.1, 0.6], [280, 100, 40, 40, 0.1, 0.4])
    return _write(path, "detect", NAMES, {"output0": head})


def overlapping(path: Path) -> Path:
    """Two cats whose boxes of 100x40 input pixels lie 25 apart: they share 75 of 125."""
    return _write(
        path, "detect", NAMES, {"output0": _columns([100, 160, 100, 40, 0.9, 0], [125, 160, 100, 40, 0.8, 0])}
    )


def keypoints(path: Path) -> Path:
    """One person of 0.9 with points of confidence 0.9, 0.5 and 0.1, and a second one of 0.5."""
    points = [80, 150, 0.9, 100, 160, 0.5, 120, 170, 0.1]
    head = _columns([100, 160, 100, 40, 0.9, *points], [250, 160, 40, 40, 0.5, *points])
    return _write(path, "pose", ["person"], {"output0": head}, kpt_shape="[3, 3]")


def segmentation(path: Path) -> Path:
    """A cat whose mask is the left half of its box, (100, 120)..(200, 200), and a dog of one sample, 4x4 input pixels.

    Prototype 0 is positive left of x = 100 of the input, prototype 1 in the one sample at (240, 100)..(244, 104).
    """
    protos = np.full((1, 2, 80, 80), -1, np.float32)
    protos[0, 0, :, :25] = 1
    protos[0, 1, 25, 60] = 1
    head = _columns([100, 160, 100, 40, 0.9, 0.1, 9, 0], [242, 102, 20, 20, 0.1, 0.6, 0, 9])
    return _write(path, "segment", NAMES, {"output0": head, "output1": protos})


def oriented(path: Path) -> Path:
    """A cat's box of 100x40 input pixels, turned by 45 degrees about (320, 160) of the picture."""
    return _write(path, "obb", NAMES, {"output0": _columns([160, 160, 100, 40, 0.9, 0.1, np.pi / 4])})


def single(path: Path) -> Path:
    """Seven classes with SCORES."""
    scores = np.log(np.array([SCORES], np.float32) + np.float32(1e-9))
    return _write(path, "classify", [f"c{i}" for i in range(7)], {"output0": scores}, {"output0": "Softmax"})


def certain(path: Path) -> Path:
    """Seven classes; the first has 1, the others exactly 0."""
    logits = np.array([[1000, 0, 0, 0, 0, 0, 0]], np.float32)
    return _write(path, "classify", [f"c{i}" for i in range(7)], {"output0": logits})


def several(path: Path) -> Path:
    """Three classes that may hold at once, with SEVERAL."""
    odds = np.array([SEVERAL], np.float32)
    return _write(path, "classify", ["a", "b", "c"], {"output0": np.log(odds / (1 - odds))}, {"output0": "Sigmoid"})


def semantic(path: Path) -> Path:
    """Class 1 right of the picture's middle, class 0 left of it; class 2 is nowhere."""
    classes = np.zeros((1, SIDE, SIDE), np.uint8)
    classes[:, :, SIDE // 2 :] = 1
    return _write(path, "semantic", ["background", "road", "sky"], {"output0": classes})


def stripes(path: Path) -> Path:
    """Eight classes, one beside the other."""
    classes = np.arange(SIDE)[None, None, :].repeat(SIDE, axis=1) // (SIDE // 8)
    return _write(path, "semantic", [f"s{i}" for i in range(8)], {"output0": classes.astype(np.uint8)})


TASKS: dict[str, Callable[[Path], Path]] = {
    "det/1": detection, "pose/1": keypoints, "seg/1": segmentation, "obb/1": oriented, "cls/1": single,
    "multi/1": several, "sem/1": semantic,
}  # fmt: skip
"""Model id -> how it is written."""


def write_all(folder: Path) -> dict[str, Path]:
    """All of them: id -> file."""
    return {id: make(folder / f"{id.replace('/', '-')}.onnx") for id, make in TASKS.items()}
