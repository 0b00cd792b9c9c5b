"""What the families share: reading a signature's input, labels and grids, and the last step of every decoder."""

import ast
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from vidette.errors import DecodeError, ModelError
from vidette.families.base import Thresholds
from vidette.kernels import heads, nms
from vidette.pixels.letterbox import Letterbox
from vidette.pixels.preprocess import Extra, Preprocess
from vidette.predictions.detections import Detections
from vidette.predictions.skeletons import Skeleton
from vidette.sidecar import where
from vidette.signature import Signature, Tensor

STRIDES = (8, 16, 32)
STRIDES_P6 = (8, 16, 32, 64)
STRIDES_P2 = (4, 8, 16, 32)
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""Mean and standard deviation of ImageNet's pixels (red, green, blue), which most backbones were trained with."""

HUGGING_FACE = "pixel_values"
"""What its exporters call the picture: channels first, although they may leave the number of channels open."""

OVERFLOW = "where it runs in 16 bits, f32 may help; else look at its input's mean, std and scale"
"""What may help when outputs are not numbers; decoders do not know the precision."""

_LITERAL_CHARACTERS = 1_000_000  # 20,000 class names; longer text is not parsed: metadata come from strangers
_MAX_LABELS = 100_000
_BYTES = {"uint8", "int32"}
_DTYPES = {"float32", "float16", *_BYTES}


def literal(text: str) -> Any:
    """A Python literal in metadata (Ultralytics writes dictionaries so); None when it is none, or too long."""
    if len(text) > _LITERAL_CHARACTERS:
        return None
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
        return None  # all of these are documented for hostile or merely odd text


def labels(signature: Signature, count: int | None) -> tuple[str, ...]:
    """The classes: the sidecar's `labels`, else metadata `names`, or `character` as PaddlePaddle's tools write it (a
    name per line), else numbers; () when even `count` is unknown.

    Raises ModelError when there are fewer or more names than the head has classes.
    """
    names: Any = signature.sidecar.get("labels")
    told = where(signature.sidecar, "labels")
    if not names:
        names, told = literal(signature.metadata.get("names", "")), "metadata `names`"
    if not names and "character" in signature.metadata:
        names, told = signature.metadata["character"].splitlines(), "metadata `character`"
    if isinstance(names, dict) and all(isinstance(i, int) and 0 <= i < _MAX_LABELS for i in names):
        names = [names.get(i, i) for i in range(max(names, default=-1) + 1)]
    if not isinstance(names, list | tuple) or not names:
        return tuple(str(i) for i in range(count or 0))
    if count is not None and len(names) != count:
        raise ModelError(
            f"{told} has {len(names)} names but the model has {count} classes: correct the list, or write `labels: "
            "[...]` into the YAML beside the model"
        )
    return tuple(str(name) for name in names)


def one_label(signature: Signature, usual: str) -> tuple[str, ...]:
    """The class of a model that knows one: the sidecar's `labels`, else `usual`. Raises ModelError for more."""
    return labels(signature, 1) if "labels" in signature.sidecar else (usual,)


def picture_input(signature: Signature) -> Preprocess | None:
    """How the one picture input is laid out, values 0..1 RGB (integers: the bytes, the graph does the rest).

    Other inputs may be there when they are the same for every picture (`constant`). None when the model does not take
    exactly one 4-dimensional tensor of three channels, or of one, and a usable type. Families state colours and numbers
    as for three; `stated.in_grey` makes one of them.
    """
    pictures = [tensor for tensor in signature.inputs if len(tensor.shape) == 4]
    extras = [constant(tensor) for tensor in signature.inputs if len(tensor.shape) != 4]
    known = [extra for extra in extras if extra is not None]
    if len(pictures) != 1 or len(known) != len(extras):
        return None
    tensor = pictures[0]
    if tensor.dtype not in _DTYPES:
        return None
    layout = _layout(tensor)
    if layout is None:
        return None
    batch, *rest = tensor.shape
    height, width = rest[1:] if layout == "nchw" else rest[:2]
    one = 1.0 if tensor.dtype in _BYTES else 1 / 255
    fixed = max(height, width) if height and width else 640
    return Preprocess(
        layout=layout,
        dtype=tensor.dtype,
        scale=(one, one, one),
        width=width,
        height=height,
        batch=batch,
        size=fixed,
        extras=tuple(known),
    )


def _layout(tensor: Tensor) -> Literal["nchw", "nhwc"] | None:
    """Where its channels are: three if there is such an axis, else one."""
    for channels in (3, 1):
        if tensor.shape[1] == channels:
            return "nchw"
        if tensor.shape[3] == channels:
            return "nhwc"
    return "nchw" if tensor.shape[1] is None and tensor.name == HUGGING_FACE else None


def constant(tensor: Tensor) -> Extra | None:
    """A second input that exporters add and that is the same for every picture of a size; None where it is unknown.

    `orig_target_sizes` (B, 2) of RT-DETR, D-FINE and DEIM: width and height that boxes are scaled to, here those of the
    model's input. `pixel_mask` (B, h, w) of Hugging Face's DETR: 1 where there is picture, which is everywhere.
    """
    sizes = tensor.shape[1:]
    if tensor.name == "orig_target_sizes" and sizes in ((2,), (None,)):
        return Extra(tensor.name, tensor.dtype, "size")
    if tensor.name == "pixel_mask" and len(sizes) == 2:
        return Extra(tensor.name, tensor.dtype, "mask", sizes)
    return None


def normalised(preprocess: Preprocess, mean: Sequence[float], deviation: Sequence[float]) -> Preprocess:
    """With mean and standard deviation of pixels in 0..1; inputs of bytes stay: their graphs do it themselves."""
    if preprocess.dtype in _BYTES:
        return preprocess
    means, scales = [255 * value for value in mean], [1 / (255 * value) for value in deviation]
    return replace(preprocess, mean=(means[0], means[1], means[2]), scale=(scales[0], scales[1], scales[2]))


def whole(text: str | None) -> int | None:
    """The largest of the numbers in metadata such as `32`, `32.0` or `[640, 384]`; None where there is none."""
    value = literal(text or "")
    values = value if isinstance(value, list | tuple) else [value]
    numbers = [int(v) for v in values if isinstance(v, int | float) and 0 < v < 100_000]
    return max(numbers) if numbers else None


def cells(width: int, height: int, strides: Sequence[int]) -> int:
    """Cells of all grids over an input."""
    return sum((width // stride) * (height // stride) for stride in strides)


def grids(preprocess: Preprocess, places: int | None) -> tuple[int, tuple[int, ...]] | None:
    """(anchors per cell, strides) when `places` is the number of cells of a fixed input, one or three anchors each."""
    if not (preprocess.width and preprocess.height and places):
        return None
    for strides in (STRIDES, STRIDES_P6, STRIDES_P2):
        for anchors in (1, 3):
            if places == anchors * cells(preprocess.width, preprocess.height, strides):
                return anchors, strides
    return None


def forced(signature: Signature, family: str) -> bool:
    """Whether the sidecar says that the model is of this family: then guesses need no proof."""
    return signature.sidecar.get("family") == family


def end_to_end(signature: Signature) -> bool | None:
    """Whether Ultralytics' exporter says that boxes come out finished; None where it does not say.

    `end2end` tells of the head, `nms` in `args` of suppression inside the graph.
    """
    arguments = literal(signature.metadata.get("args", ""))
    if isinstance(arguments, dict) and arguments.get("nms") is True:
        return True
    told = signature.metadata.get("end2end")
    return None if told is None else told.lower() == "true"


def told_rtdetr(signature: Signature) -> bool:
    """Whether Ultralytics' exporter says that the head is RT-DETR's: by `head`, or by the model's name before that."""
    metadata = signature.metadata
    named = metadata.get("description", "").lower().replace("-", "")
    return "RTDETR" in metadata.get("head", "") or ("head" not in metadata and "rtdetr" in named)


def exported(signature: Signature, preprocess: Preprocess) -> Preprocess:
    """With the stride and the size that Ultralytics' exporter writes down, for files that take any."""
    stride = whole(signature.metadata.get("stride")) or preprocess.stride
    size = whole(signature.metadata.get("imgsz")) or preprocess.size
    return replace(preprocess, stride=stride, size=size)


def misshapen(outputs: Sequence[npt.NDArray[Any]], wanted: str) -> DecodeError:
    """The error for a run that returned something else than the file declares."""
    return DecodeError("shape", f"the model returned {', '.join(str(o.shape) for o in outputs)}; expected {wanted}")


def not_numbers() -> DecodeError:
    """The error for a run whose scores or boxes are NaN or infinite."""
    return DecodeError("nan", f"the model returned scores or boxes that are not numbers: {OVERFLOW}")


def objects(
    head: npt.NDArray[Any], limits: Thresholds, names: Sequence[str]
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64], int]:
    """Rows (M, 6 or more) that are objects, x1, y1, x2, y2, score, class: what `heads.objects` returns.

    Classes beyond the names may appear when none are chosen.
    """
    allowed = limits.class_mask(max(len(names), *(number + 1 for number in limits.classes or ()), 0))
    candidates, places, state = heads.objects(heads.readable(head), allowed, limits.classes is None, limits.confidence)
    return candidates, places, state


def finished(head: npt.NDArray[Any], letterbox: Letterbox, limits: Thresholds, names: Sequence[str]) -> Detections:
    """Detections of such rows, corners in input pixels; nothing is suppressed. Raises DecodeError."""
    candidates, _, state = objects(head, limits, names)
    return detections(candidates, state, letterbox, limits, names, suppressed=True)


def cut(candidates: npt.NDArray[np.float32], limits: Thresholds) -> int:
    """How many of (6, n) candidates are too many to take part."""
    return max(0, int(candidates.shape[1]) - limits.max_candidates)


def survivors(
    candidates: npt.NDArray[np.float32],
    state: int,
    letterbox: Letterbox,
    limits: Thresholds,
    *,
    suppressed: bool = False,
    inverse: npt.NDArray[np.float64] | None = None,
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32], npt.NDArray[np.int32], npt.NDArray[np.int64]]:
    """Suppress (unless the graph has), map to the source picture and clip: boxes, confidence, class and position among
    the candidates, as `nms.finish` returns them. Raises DecodeError."""
    if state != heads.OK:
        raise not_numbers()
    if not candidates.shape[1]:  # a call of the kernel costs more than there is to do
        return np.empty((0, 4), np.float32), np.empty(0, np.float32), np.empty(0, np.int32), np.empty(0, np.int64)
    return nms.finish(
        candidates,
        letterbox.inverse if inverse is None else inverse,
        letterbox.width,
        letterbox.height,
        1.0 if suppressed else limits.iou,
        limits.agnostic,
        limits.max_detections,
        limits.max_candidates,
    )


def detections(
    candidates: npt.NDArray[np.float32],
    state: int,
    letterbox: Letterbox,
    limits: Thresholds,
    names: Sequence[str],
    points: npt.NDArray[np.float32] | None = None,
    *,
    suppressed: bool = False,
    inverse: npt.NDArray[np.float64] | None = None,
    skeleton: Skeleton | None = None,
) -> Detections:
    """Suppress (unless the graph has), map to the source picture and clip; `points` are (n, K, 2) input pixels.

    Landmarks have no confidence of their own: they get their box's, and are not clipped. `inverse` is for families
    that map back otherwise than the letterbox. Raises DecodeError.
    """
    xyxy, confidence, class_id, chosen = survivors(
        candidates, state, letterbox, limits, suppressed=suppressed, inverse=inverse
    )
    keypoints = None
    if points is not None:
        keypoints = np.empty((len(chosen), points.shape[1], 3), np.float32)
        keypoints[..., :2] = letterbox.to_source(points[chosen])
        keypoints[..., 2] = confidence[:, None]
    return Detections(xyxy, confidence, class_id, names, keypoints, cut(candidates, limits), skeleton)
