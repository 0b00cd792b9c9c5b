"""What file and sidecar state of the input, laid over what the family says: the one place where that is done.

The rule for `mean` and `std`: where none of their values is above 1 they are meant for pixels of 0..1, else for pixels
of 0..255. `scale`, what pixels are multiplied by first, says it outright.

Families speak of three channels. For a file of one, grey, their numbers become one, the mean of the three (ImageNet:
0.449 and 0.226).
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import fmean
from typing import Any

from vidette.errors import ModelError
from vidette.pixels.preprocess import Preprocess
from vidette.sidecar import where
from vidette.signature import Signature

_CHANNELS = {"nchw": 1, "nhwc": 3}


def with_layout(signature: Signature) -> Signature:
    """The signature with the channel axis that the sidecar's `layout` names, where the file leaves it open.

    Raises ModelError when the file has other channels there.
    """
    layout = _input(signature).get("layout")
    if layout is None or not signature.inputs or len(signature.inputs[0].shape) != 4:
        return signature
    tensor, *others = signature.inputs
    axis = _CHANNELS[layout]
    channels = tensor.shape[axis]
    if channels is None:
        channels = 1 if _input(signature).get("colour") == "grey" else 3
        shape = (*tensor.shape[:axis], channels, *tensor.shape[axis + 1 :])
        return replace(signature, inputs=(replace(tensor, shape=shape), *others))
    if channels not in (1, 3):
        sizes = " x ".join("?" if size is None else str(size) for size in tensor.shape)
        raise ModelError(
            f"{where(signature.sidecar, 'input', 'layout')}: the file's input is {sizes}, which has {channels} "
            f"channels as {layout}: write {'nhwc' if layout == 'nchw' else 'nchw'}"
        )
    return signature


def in_grey(preprocess: Preprocess, signature: Signature) -> Preprocess:
    """The family's preprocessing as it is for the file's channels: one number of its three where the file has one."""
    axis = _CHANNELS[preprocess.layout]
    if all(len(tensor.shape) != 4 or tensor.shape[axis] != 1 for tensor in signature.inputs):
        return preprocess
    mean, deviation = fmean(preprocess.mean), fmean(1 / scale for scale in preprocess.scale)
    return replace(preprocess, colour="grey", mean=(mean,), scale=(1 / deviation,))


def with_input(preprocess: Preprocess, signature: Signature) -> Preprocess:
    """The family's preprocessing with the sidecar's `input:` on top.

    Raises ModelError where it contradicts the file.
    """
    stated, sidecar = _input(signature), signature.sidecar
    for key in ("layout", "dtype"):
        file = getattr(preprocess, key)
        if key in stated and stated[key] != file:
            raise ModelError(
                f"{where(sidecar, 'input', key)}: says {stated[key]}, but the file's input is {file}: correct the line"
            )
    colour = stated.get("colour", preprocess.colour)
    if "grey" in (colour, preprocess.colour) and colour != preprocess.colour:
        has = "one channel: write grey" if preprocess.channels == 1 else "three channels: write rgb or bgr"
        raise ModelError(f"{where(sidecar, 'input', 'colour')}: says {colour}, but the file's input has {has}")
    if colour != preprocess.colour:
        # The family's numbers belong to colours, and move with them.
        preprocess = replace(preprocess, colour=colour, mean=preprocess.mean[::-1], scale=preprocess.scale[::-1])
    preprocess = _sized(preprocess, stated, sidecar)
    others = {key: stated[key] for key in ("resize", "antialias", "margin", "pad", "stride") if key in stated}
    preprocess = replace(preprocess, **others)
    return _normalised(preprocess, stated, sidecar)


def _input(signature: Signature) -> Mapping[str, Any]:
    stated: Mapping[str, Any] = signature.sidecar.get("input", {})
    return stated


def _sized(preprocess: Preprocess, stated: Mapping[str, Any], sidecar: Mapping[str, Any]) -> Preprocess:
    size = stated.get("size")
    if size is None:
        return preprocess
    fixed = preprocess.width, preprocess.height
    if isinstance(size, int):
        if all(fixed) and size != max(side or 0 for side in fixed):
            raise _fixed(sidecar, str(size), fixed)
        return replace(preprocess, size=size)
    if any(side not in (None, wanted) for side, wanted in zip(fixed, size, strict=True)):
        raise _fixed(sidecar, f"{size[0]}x{size[1]}", fixed)
    return replace(preprocess, width=size[0], height=size[1], size=max(size))


def _fixed(sidecar: Mapping[str, Any], says: str, fixed: tuple[int | None, int | None]) -> ModelError:
    width, height = ("any" if side is None else side for side in fixed)
    return ModelError(
        f"{where(sidecar, 'input', 'size')}: says {says}, but the file fixes {width}x{height} (width x height): "
        "take the line out, or export the model with dynamic sizes"
    )


def _normalised(preprocess: Preprocess, stated: Mapping[str, Any], sidecar: Mapping[str, Any]) -> Preprocess:
    given = [key for key in ("mean", "std", "scale") if key in stated]
    if not given:
        return preprocess
    numbers = stated.get("mean", (0.0,)), stated.get("std", (1.0,))
    mean, std = (
        _each(key, values, preprocess.channels, sidecar) for key, values in zip(("mean", "std"), numbers, strict=True)
    )
    scale = stated.get("scale") or (1 / 255 if max(*mean, *std) <= 1 else 1.0)
    if preprocess.dtype == "uint8" and (any(mean) or {s / scale for s in std} != {1.0}):
        raise ModelError(
            f"{where(sidecar, 'input', given[0])}: the file takes bytes (uint8), so what it does to them is inside "
            "its graph: take mean, std and scale out"
        )
    return replace(
        preprocess,
        mean=tuple(value / scale for value in mean),
        scale=tuple(scale / value for value in std),
    )


def _each(key: str, numbers: Sequence[float], channels: int, sidecar: Mapping[str, Any]) -> tuple[float, ...]:
    """One number for each channel; one that stands alone is for all. Raises ModelError."""
    if len(numbers) not in (1, channels):
        told = where(sidecar, "input", key)
        raise ModelError(f"{told}: has {len(numbers)} numbers, but the file's input has one channel: write one")
    return tuple(numbers) * (channels if len(numbers) == 1 else 1)
