"""What a family is: how to recognise a model file, and how to turn its outputs into detections."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from vidette.detections import Detections
from vidette.pixels.letterbox import Letterbox, Resize

Task = Literal["detection"]


@dataclass(frozen=True, slots=True)
class Tensor:
    """A declared input or output: None is a dimension the file leaves open. Declarations can lie."""

    name: str
    shape: tuple[int | None, ...]
    dtype: str  # numpy name: float32, float16, uint8, int32, int64 ...


@dataclass(frozen=True, slots=True)
class Signature:
    """What a model file says of itself, read without any runtime.

    `metadata` are the ONNX metadata properties as text, `sidecar` the YAML beside the file, `ops` the operator types
    of the graph.
    """

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    metadata: Mapping[str, str] = field(default_factory=dict)
    sidecar: Mapping[str, Any] = field(default_factory=dict)
    ops: frozenset[str] = frozenset()
    opset: int = 0


@dataclass(frozen=True, slots=True)
class Preprocess:
    """How pixels become input values: part of a model's identity. value = (pixel - mean) * scale, per channel.

    `size` is the longer side that a model with open height and width runs at, `stride` what its sides must divide by;
    `width`/`height` are fixed by the file, or None where it takes any. `batch` is the fixed batch, None where any.
    mean and scale are in the order of `colour`.
    """

    layout: Literal["nchw", "nhwc"] = "nchw"
    dtype: str = "float32"
    colour: Literal["rgb", "bgr"] = "rgb"
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    scale: tuple[float, float, float] = (1 / 255, 1 / 255, 1 / 255)
    pad: int = 114
    resize: Resize = "letterbox"
    width: int | None = None
    height: int | None = None
    batch: int | None = None
    size: int = 640
    stride: int = 32


@dataclass(frozen=True, slots=True)
class Thresholds:
    """What decides which candidates become objects.

    confidence      candidates score above it
    iou             overlap above which NMS drops the weaker of two boxes (ignored by end-to-end heads)
    agnostic        NMS across classes
    classes         class ids to keep, None for all
    max_detections  objects kept per picture, best first
    max_candidates  candidates that enter NMS, best first: bounds the worst case; what is cut is reported
    """

    confidence: float = 0.25
    iou: float = 0.45
    agnostic: bool = False
    classes: tuple[int, ...] | None = None
    max_detections: int = 300
    max_candidates: int = 3000

    def class_mask(self, count: int) -> npt.NDArray[np.bool_]:
        """(count,) bool: which classes may appear."""
        mask = np.full(count, self.classes is None)
        for index in self.classes or ():
            if index < count:
                mask[index] = True
        return mask


class Decoder(Protocol):
    """Turns what a model returned for one picture into detections."""

    def __call__(self, outputs: Sequence[npt.NDArray[Any]], letterbox: Letterbox, limits: Thresholds) -> Detections:
        """Decode one picture: `outputs` are this picture's rows of all outputs, without the batch dimension, in the
        order of the file, valid only during the call: what is returned must not share their memory.

        Boxes come back in source pixels, clipped to the picture, best first. Raises DecodeError: `nan` when a score
        is not a number, `shape` when a run returns something else than was declared.
        """
        ...


@dataclass(frozen=True, slots=True)
class Recognised:
    """A family's claim on a model file. `why` says in one line by which facts."""

    family: str
    task: Task
    labels: tuple[str, ...]
    preprocess: Preprocess
    decoder: Decoder
    why: str
    defaults: Thresholds = Thresholds()
    dynamic: bool = False  # the file declares fixed sizes, but works at any: its declaration is opened before loading


class Family(Protocol):
    """One file, one table line in `families/__init__.py`, one test."""

    name: str

    def recognise(self, signature: Signature) -> Recognised | None:
        """Claim a model or leave it to others. Raises ModelError when it is ours but contradicts itself."""
        ...
