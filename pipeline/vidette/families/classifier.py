"""Classifiers: one number per class for the whole picture, (B, C).

The numbers are scores already where the graph ends in Softmax or Sigmoid; else they are taken for logits and softmax is
applied here. A graph that ends in Sigmoid rates each class by itself: several may hold at once. The sidecar can say
otherwise: `activation: none|softmax|sigmoid`, `multi_label: true`, `output: NAME` where there are several.

Preprocessing is that of who exported the file, as far as it tells:

- Ultralytics (metadata `task: classify`): shorter side to the input, middle, 0..1
  (https://docs.ultralytics.com/tasks/classify/); YOLOv5 (`names`, `stride`, no task): the same with ImageNet's mean and
  deviation.
- PaddleClas (metadata `character`): shorter side to 256, middle 224, ImageNet's mean and deviation
  (https://github.com/PaddlePaddle/PaddleClas, PULC).
- Hugging Face (`pixel_values` in, `logits` out): stretched, -1..1, as its ViT image processor does.
- open_nsfw by its published tensor names: stretched to 256, middle 224, BGR minus the means of its Caffe original.
- Keras and others with channels last: stretched, -1..1. All others: as torchvision's and timm's evaluation does,
  256 and 224, ImageNet's mean and deviation.

All of these tools antialias when they scale down, as Pillow does, and so does Vidette here.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from vidette.errors import DecodeError, ModelError
from vidette.families import reading
from vidette.families.activation import Activation, check_scores, ending, told_activation, told_output, words
from vidette.families.base import Recognised, Thresholds
from vidette.pixels.letterbox import Letterbox
from vidette.pixels.preprocess import Preprocess
from vidette.predictions.classification import Classification
from vidette.sidecar import where
from vidette.signature import Signature, Tensor

IMAGENET_CLASSES = (1000, 1001, 21841, 21843)
OPEN_NSFW = ("input_0", "4195")
SIZE = 224  # of classifiers that take any
MIDDLE = 224 / 256


@dataclass(frozen=True, slots=True)
class Scores:
    """Decodes one (C,) output; `output` is its place among all outputs. No labels: as many classes as come."""

    labels: tuple[str, ...]
    activation: Activation = "none"
    multi_label: bool = False
    output: int = 0

    def __call__(self, outputs: Sequence[npt.NDArray[Any]], letterbox: Letterbox, limits: Thresholds) -> Classification:
        """See `Decoder`. Raises DecodeError `range` too: numbers that are told to be scores, but are not in 0..1."""
        numbers = outputs[self.output].astype(np.float64).reshape(-1)
        if not len(numbers) or (self.labels and len(numbers) != len(self.labels)):
            raise reading.misshapen(outputs, f"({len(self.labels) or 'C'},)")
        if not np.isfinite(numbers).all():
            raise DecodeError("nan", f"the model returned scores that are not numbers: {reading.OVERFLOW}")
        scores = activated(numbers, self.activation).astype(np.float32)
        chosen = np.flatnonzero(limits.class_mask(len(scores)) & (scores > np.float32(limits.confidence)))
        best = chosen[np.argsort(-scores[chosen], kind="stable")][: limits.top_k]
        return Classification(scores, self.labels, best.astype(np.int32), self.multi_label)


def activated(numbers: npt.NDArray[np.float64], activation: Activation) -> npt.NDArray[np.float64]:
    """(C,) finite numbers of the graph -> scores 0..1. Raises DecodeError."""
    if activation == "softmax":
        powers = np.exp(numbers - numbers.max())
        return powers / powers.sum()  # type: ignore[no-any-return]
    if activation == "sigmoid":
        return 1 / (1 + np.exp(-numbers.clip(-700, 700)))  # type: ignore[no-any-return]
    check_scores(numbers.min(), numbers.max())
    return numbers.clip(0, 1)


@dataclass(frozen=True, slots=True)
class _Origin:
    """Who exported a file: by which facts, how pictures go in, names of classes that it is known for."""

    why: str
    preprocess: Preprocess
    labels: tuple[str, ...] = ()


class Classifier:
    """By shape (B, C), and a sign that these are classes: the exporter's word, names, how the graph ends, 1000."""

    name = "classifier"

    def recognise(self, signature: Signature) -> Recognised | None:
        """See `Family`."""
        preprocess = reading.picture_input(signature)
        index = told_output(signature)
        if preprocess is None or index is None or signature.metadata.get("task", "classify") != "classify":
            return None
        output = signature.outputs[index]
        sizes = output.shape[1:]
        if not sizes or any(size != 1 for size in sizes[1:]) or not output.dtype.startswith("float"):
            return None
        origin = _origin(signature, preprocess, output)
        if origin is None:
            return None
        if len(origin.labels) == sizes[0] and "labels" not in signature.sidecar:
            labels = origin.labels
        else:
            labels = reading.labels(signature, sizes[0])
        activation, multi_label = _activation(signature, output)
        return Recognised(
            self.name,
            "classification",
            labels,
            origin.preprocess,
            Scores(labels, activation, multi_label, index),
            f"output is (batch, {sizes[0] or 'C'}), {'multi-label ' * multi_label}{words(activation)}; {origin.why}",
            # the best classes are always told; where several may hold, those that are likelier than not
            Thresholds(confidence=0.5 if multi_label else 0.0),
        )


def _origin(signature: Signature, given: Preprocess, output: Tensor) -> _Origin | None:
    """None where nothing says that the numbers are classes: embeddings have the same shape."""
    metadata, names = signature.metadata, (signature.inputs[0].name, output.name)
    fixed = bool(given.width and given.height)
    sized = replace(given, stride=1, size=given.size if fixed else SIZE, antialias=True)
    imagenet = reading.normalised(replace(sized, resize="crop"), *reading.IMAGENET)
    halves = reading.normalised(replace(sized, resize="stretch"), (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    if "task" in metadata:
        size = reading.exported(signature, sized).size
        resize: Literal["crop", "stretch"] = "crop" if given.width == given.height else "stretch"
        told = "the sidecar says so" if reading.forced(signature, Classifier.name) else "metadata says task classify"
        return _Origin(f"{told}: {resize}, 0..1 as Ultralytics", replace(sized, resize=resize, size=size))
    if names == OPEN_NSFW:
        caffe = {"mean": (104.0, 117.0, 123.0), "scale": (1.0, 1.0, 1.0), "colour": "bgr"}
        preprocess = replace(sized, resize="stretch", margin=MIDDLE, **caffe)  # type: ignore[arg-type]
        return _Origin(
            "tensors are named as in open_nsfw: stretch to 256, middle 224, BGR", preprocess, ("sfw", "nsfw")
        )
    if "character" in metadata and fixed:
        why = "metadata names `character` as PaddleClas: middle 7/8, ImageNet mean"
        return _Origin(why, replace(imagenet, margin=MIDDLE))
    if names == ("pixel_values", "logits"):
        return _Origin("tensors are named as by Hugging Face: stretch, -1..1", halves)
    if "names" in metadata and "stride" in metadata:
        return _Origin("metadata as YOLOv5 writes them: crop, ImageNet mean", imagenet)
    if reading.forced(signature, Classifier.name) or "output" in signature.sidecar:
        sign = "the sidecar says so"
    elif "labels" in signature.sidecar or "names" in metadata:
        sign = "its classes have names"
    elif fixed and output.op in ("Softmax", "LogSoftmax", "Sigmoid"):
        sign = f"the graph ends in {output.op}"
    elif output.shape[1] in IMAGENET_CLASSES:
        sign = "as many classes as ImageNet"
    else:
        return None
    if given.layout == "nhwc":
        return _Origin(f"{sign}: stretch, -1..1 as Keras", halves)
    return _Origin(f"{sign}: middle 7/8, ImageNet mean as torchvision and timm", replace(imagenet, margin=MIDDLE))


def _activation(signature: Signature, output: Tensor) -> tuple[Activation, bool]:
    """What makes scores of the numbers, and whether several classes may hold. Raises ModelError."""
    told, ends = told_activation(signature, output), ending(output)
    multi_label: bool = signature.sidecar.get("multi_label", (told or ends) == "sigmoid")
    activation: Activation = told or ("none" if ends else "sigmoid" if multi_label else "softmax")
    if multi_label and "softmax" in (activation, ends):
        told_where = where(signature.sidecar, "multi_label")
        raise ModelError(f"{told_where}: softmax lets classes exclude each other: write false")
    return activation, multi_label
