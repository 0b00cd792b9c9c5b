"""Semantic segmentation: a class for each pixel, as class numbers, one map per class, or one map of the foreground.

- Class numbers, integers (B, h, w), with or without a channel: Ultralytics (metadata `task: semantic`, letterboxed,
  0..1) and other graphs that end in ArgMax.
- One map per class, (B, C, h, w) or (B, h, w, C) as the input lies, as fine as the input or a whole number coarser:
  SegFormer (Hugging Face's names: stretched, ImageNet's mean), torchvision's (`out`), DeepLab, PP-LiteSeg ... The
  greatest number of a sample wins. Softmax makes its score, unless the graph ends in Softmax or Sigmoid.
- One map of the foreground, (B, 1, h, w) or (B, h, w, 1), or two of background and person: MediaPipe's selfie and meet
  (channels last: stretched, 0..1), MODNet and others (https://arxiv.org/abs/2011.11961; channels first: stretched,
  -1..1). What lies above `confidence` is foreground.

The grid stays as fine as the model made it; what lies over padding is cut off.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from vidette.errors import DecodeError, ModelError
from vidette.families import reading
from vidette.families.activation import Activation, check_scores, told_activation, told_output, words
from vidette.families.base import Decoder, Recognised, Thresholds
from vidette.kernels import heads, semantic
from vidette.pixels.letterbox import Letterbox
from vidette.pixels.preprocess import Preprocess
from vidette.predictions.semantic import Classes, SemanticMap
from vidette.sidecar import where
from vidette.signature import Signature, Tensor

PERSON = ("background", "person")
SCORES = frozenset({"Clip", "HardSigmoid", "Sigmoid", "Softmax"})
"""Operators whose results lie in 0..1, or are cut to it."""
COARSER = (1, 2, 4, 8, 16, 32)
MANY = 256  # classes that fit into a byte


@dataclass(frozen=True, slots=True)
class ClassNumbers:
    """Decodes one (h, w) map of whole numbers, also with a channel of one."""

    labels: tuple[str, ...]

    def __call__(self, outputs: Sequence[npt.NDArray[Any]], letterbox: Letterbox, limits: Thresholds) -> SemanticMap:
        """See `Decoder`. Raises DecodeError `range` for a class that the model does not have."""
        numbers = _flat(outputs, 0)
        classes, window, extent = _grid(numbers.shape, letterbox, MANY if numbers.dtype == np.uint8 else MANY + 1)
        counts, fits = semantic.tally(numbers, window, classes)
        known = len(self.labels) or len(counts)
        if not fits or counts[known:].any():
            raise DecodeError("range", f"the model returned class numbers beyond its {known} classes")
        return _found(classes, extent, counts, self.labels, limits)


@dataclass(frozen=True, slots=True)
class Maps:
    """Decodes one (C, h, w) output, or (h, w, C) with `last`; `output` is its place among all outputs."""

    labels: tuple[str, ...]
    activation: Activation
    last: bool
    output: int = 0

    def __call__(self, outputs: Sequence[npt.NDArray[Any]], letterbox: Letterbox, limits: Thresholds) -> SemanticMap:
        """See `Decoder`."""
        head = outputs[self.output]
        count = head.shape[-1 if self.last else 0]
        if head.ndim != 3 or not head.size or count != (len(self.labels) or count):
            raise reading.misshapen(outputs, f"{len(self.labels) or 'C'} maps")
        size = head.shape[:2] if self.last else head.shape[1:]
        classes, window, extent = _grid(size, letterbox, count)
        softmax = self.activation == "softmax"
        scores, counts, state = semantic.winners(heads.readable(head), self.last, softmax, window, classes)
        scores = _scores(scores, state, self.activation)
        return _found(classes, extent, counts, self.labels, limits, scores)


@dataclass(frozen=True, slots=True)
class Matte:
    """Decodes one (h, w) map of the foreground, also with a channel of one; `output` as above."""

    labels: tuple[str, ...]
    activation: Activation
    output: int = 0

    def __call__(self, outputs: Sequence[npt.NDArray[Any]], letterbox: Letterbox, limits: Thresholds) -> SemanticMap:
        """See `Decoder`. `confidence` divides foreground from background."""
        alpha = heads.readable(_flat(outputs, self.output))
        if self.activation == "sigmoid":
            alpha = heads.readable(1 / (1 + np.exp(-alpha.clip(-80, 80))))  # keeps NaN
        classes, window, extent = _grid(alpha.shape, letterbox, 2)
        scores, counts, state = semantic.matte(alpha, limits.confidence, window, classes)
        return _found(classes, extent, counts, self.labels, limits, _scores(scores, state, "none"))


def _flat(outputs: Sequence[npt.NDArray[Any]], index: int) -> npt.NDArray[Any]:
    """(h, w) read-only of an output with or without a channel of one. Raises DecodeError."""
    sizes = [size for size in outputs[index].shape if size != 1]
    values = outputs[index].reshape(sizes) if outputs[index].ndim == 3 else outputs[index]
    if values.ndim != 2 or not values.size:
        raise reading.misshapen(outputs, "one map")
    values = np.ascontiguousarray(values)[...]
    values.flags.writeable = False
    return values


def _grid(
    size: Sequence[int], letterbox: Letterbox, count: int
) -> tuple[Classes, npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Memory for the classes, the window of an (h, w) map that lies over the picture, its extent in the picture."""
    window = np.empty(4, np.int64)
    edges = np.empty((2, 2))
    placed = ((letterbox.top, letterbox.scaled_height), (letterbox.left, letterbox.scaled_width))
    for axis, (side, input_side, (start, scaled)) in enumerate(zip(size, letterbox.shape, placed, strict=True)):
        first = max(start, 0) * side // input_side
        end = -(-min(start + scaled, input_side) * side // input_side)
        window[axis], window[2 + axis] = first, end
        edges[:, 1 - axis] = first * input_side / side, end * input_side / side
    extent = letterbox.back.boxes(edges.reshape(1, 4))[0].astype(np.float64)
    top, left, bottom, right = window
    shape = int(bottom - top), int(right - left)
    classes: Classes = np.empty(shape, np.uint8) if count <= MANY else np.empty(shape, np.uint16)
    return classes, window, extent


def _scores(scores: npt.NDArray[np.float32], state: int, activation: Activation) -> npt.NDArray[np.float32]:
    """Scores in 0..1. Raises DecodeError."""
    if state != heads.OK:
        raise DecodeError("nan", f"the model returned maps that are not numbers: {reading.OVERFLOW}")
    if activation == "sigmoid":
        return 1 / (1 + np.exp(-scores.clip(-80, 80)))  # type: ignore[no-any-return]
    if activation == "none":
        check_scores(float(scores.min()), float(scores.max()))
        return scores.clip(0, 1)
    return scores


def _found(
    classes: Classes,
    extent: npt.NDArray[np.float64],
    counts: npt.NDArray[np.int64],
    labels: tuple[str, ...],
    limits: Thresholds,
    scores: npt.NDArray[np.float32] | None = None,
) -> SemanticMap:
    present = np.flatnonzero((counts > 0) & limits.class_mask(len(counts)))
    present = present[np.argsort(-counts[present], kind="stable")]
    shares = (counts[present] / classes.size).astype(np.float32)
    return SemanticMap(classes, extent, labels, present.astype(np.int32), shares, scores, limits.outline)


class Semantic:
    """By shape: whole numbers, or maps beside which something says that they are classes."""

    name = "semantic"

    def recognise(self, signature: Signature) -> Recognised | None:
        """See `Family`."""
        preprocess = reading.picture_input(signature)
        if preprocess is None or signature.metadata.get("task", "semantic") != "semantic":
            return None
        index = told_output(signature, ("out", "logits"))
        if index is None:
            return None
        output = signature.outputs[index]
        if output.dtype.startswith(("int", "uint")):
            return _class_numbers(self.name, signature, preprocess, output) if index == 0 else None
        if len(output.shape) != 4 or not output.dtype.startswith("float"):
            return None
        last = preprocess.layout == "nhwc"
        count = output.shape[3 if last else 1]
        sides = output.shape[1:3] if last else output.shape[2:]
        coarser = _coarser(sides, preprocess)
        sign = None if coarser is None else _sign(signature, output, count, coarser)
        if sign is None:
            return None
        two = count in (1, 2) and "names" not in signature.metadata
        labels = _person(signature) if two else reading.labels(signature, count)
        activation = _activation(signature, output, count)
        decoder: Decoder = Maps(labels, activation, last, index)
        if count == 1:
            decoder = Matte(labels, activation, index)
        preprocess, how = _preprocess(signature, preprocess, two)
        why = (
            f"output is maps of {count or 'C'} channels at 1/{coarser} of the input, {words(activation)}; {sign}: {how}"
        )
        defaults = Thresholds(confidence=0.5)
        return Recognised(self.name, "semantic", labels, preprocess, decoder, why, defaults)


def _class_numbers(family: str, signature: Signature, preprocess: Preprocess, output: Tensor) -> Recognised | None:
    shape = output.shape
    if len(shape) == 4 and 1 in (shape[1], shape[3]):
        shape = (shape[0], *shape[2:]) if shape[1] == 1 else shape[:3]
    if len(shape) != 3 or _coarser(shape[1:], preprocess) is None:
        return None
    labels = reading.labels(signature, None)
    preprocess, how = _preprocess(signature, preprocess, False)
    why = f"output is class numbers ({output.dtype}) over the input: {how}"
    return Recognised(family, "semantic", labels, preprocess, ClassNumbers(labels), why)


def _coarser(sides: Sequence[int | None], preprocess: Preprocess) -> int | None:
    """How many pixels of the input a sample has across; 1 where the file does not say, None where it cannot be."""
    pairs = [
        (ours, its) for ours, its in zip(sides, (preprocess.height, preprocess.width), strict=True) if ours and its
    ]
    factors = [factor for factor in COARSER if all(ours == -(-its // factor) for ours, its in pairs)]
    return factors[0] if factors else None


def _sign(signature: Signature, output: Tensor, count: int | None, coarser: int) -> str | None:
    """What says that maps are classes; None where they could be heat, depth or a picture."""
    names = signature.inputs[0].name, output.name
    if reading.forced(signature, Semantic.name) or "output" in signature.sidecar:
        return "the sidecar says so"
    if "task" in signature.metadata:
        return "metadata says task semantic"
    if names == ("pixel_values", "logits"):
        return "tensors are named as by Hugging Face"
    if count == 1:
        paddle_text = ".tmp_" in output.name  # a text detector's map looks the same
        return f"one map that ends in {output.op}" if output.op in SCORES and not paddle_text and coarser == 1 else None
    if "labels" in signature.sidecar or "names" in signature.metadata:
        return "its classes have names"
    if output.name == "out":
        return "the output is named as by torchvision"
    if coarser == 1 and count != 3 and (count or output.op == "Softmax"):
        return "as fine as the input"
    return None


def _preprocess(signature: Signature, preprocess: Preprocess, two: bool) -> tuple[Preprocess, str]:
    if "task" in signature.metadata:
        return reading.exported(signature, preprocess), "letterbox, 0..1 as Ultralytics"
    if not (preprocess.width and preprocess.height):
        preprocess = replace(preprocess, size=512)
    stretched = replace(preprocess, resize="stretch")
    if two and preprocess.layout == "nhwc":
        return stretched, "stretch, 0..1 as MediaPipe"
    if two or preprocess.layout == "nhwc":
        return reading.normalised(stretched, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)), "stretch, -1..1"
    return reading.normalised(stretched, *reading.IMAGENET), "stretch, ImageNet mean"


def _person(signature: Signature) -> tuple[str, ...]:
    told = tuple(signature.sidecar.get("labels", PERSON))
    if len(told) > 2:
        raise ModelError(
            f"{where(signature.sidecar, 'labels')}: {len(told)} names, but the model tells foreground and background"
        )
    return told if len(told) == 2 else (PERSON[0], *told)


def _activation(signature: Signature, output: Tensor, count: int | None) -> Activation:
    told = told_activation(signature, output)
    if told == "softmax" and count == 1:
        raise ModelError(f"{where(signature.sidecar, 'activation')}: softmax of one map is 1 everywhere: write sigmoid")
    return told or ("none" if output.op in SCORES else "sigmoid" if count == 1 else "softmax")
