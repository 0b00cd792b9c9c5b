"""The table of runtimes, and which one runs a model."""

import difflib
import importlib.metadata
import logging
import re
from collections.abc import Callable

from vidette.errors import ModelError
from vidette.runtimes.base import Runtime
from vidette.runtimes.cpu import OnnxCpu
from vidette.runtimes.cuda import Cuda, driver
from vidette.runtimes.openvino import OpenVino, default_precision
from vidette.runtimes.remote import Remote

RUNTIMES: dict[str, Callable[[], Runtime]] = {
    "openvino": OpenVino, "onnx": OnnxCpu, "cuda": Cuda, "remote": Remote,
}  # fmt: skip
"""Name -> maker. Third parties add theirs through the entry-point group `vidette.runtimes`."""

_GROUP = "vidette.runtimes"
_log = logging.getLogger(__name__)


def choose(name: str = "auto", device: str = "auto", say: Callable[[str], None] = _log.info) -> Runtime:
    """The runtime for `runtime: name` and `device: device` (auto, cpu, cuda, cuda:N); `onnx` on cuda is `cuda`.

    `say` is told in one line what decided, where the choice was left to us. Raises ModelError when what was named is
    unknown, is not installed or does not work, its message beginning with the field that asks for it (`device: cuda:
    ...`): a named device is never replaced by another.
    """
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", device):
        raise ModelError(f"device: {device}: not a device: use auto, cpu, cuda or cuda:N")
    cuda = device.startswith("cuda")
    if name == "auto":
        return _usable(Cuda(), f"device: {device}") if cuda else _for_cpu(say) if device == "cpu" else _automatic(say)
    if name == "onnx" and cuda:
        return _usable(Cuda(), f"device: {device}")
    if name in ("openvino", "onnx", "cuda") and device != "auto" and cuda != (name == "cuda"):
        raise ModelError(f"runtime: {name}: does not run on `device: {device}`: leave one of the two at auto")
    return _usable(_named(name), f"runtime: {name}")


def names() -> list[str]:
    """What may stand at `runtime:`, without `auto`."""
    return sorted({*RUNTIMES, *(point.name for point in importlib.metadata.entry_points(group=_GROUP))})


def _named(name: str) -> Runtime:
    if name in RUNTIMES:
        return RUNTIMES[name]()
    for point in importlib.metadata.entry_points(group=_GROUP, name=name):
        runtime: Runtime = point.load()()
        return runtime
    near = difflib.get_close_matches(name, ["auto", *names()], 1)
    hint = f"did you mean {near[0]}?" if near else f"use auto, {', '.join(names())}"
    raise ModelError(f"runtime: {name}: no such runtime: {hint}")


def _usable(runtime: Runtime, wished: str) -> Runtime:
    reason = runtime.available()
    if reason:
        raise ModelError(f"{wished}: {reason}")
    return runtime


def _automatic(say: Callable[[str], None]) -> Runtime:
    reason = Cuda().available()
    if reason is None:
        say("cuda: a GPU is there and its libraries load")
        return Cuda()
    # What to install for a GPU is news only to those who have one.
    say(f"cpu: {reason}" if driver() is not None else "cpu: no NVIDIA driver")
    return _for_cpu(say)


def _for_cpu(say: Callable[[str], None]) -> Runtime:
    """OpenVINO where this CPU computes faster in it than in float32, else ONNX Runtime, else whichever is there."""
    openvino, onnx = OpenVino(), OnnxCpu()
    without_openvino, without_onnx = openvino.available(), onnx.available()
    if without_openvino and without_onnx:
        raise ModelError(f"no runtime is installed: {without_onnx}")
    if without_openvino:
        say(f"onnx: {without_openvino}")
        return onnx
    if without_onnx:
        say(f"openvino: {without_onnx}")
        return openvino
    precision = default_precision()
    if precision == "f32":
        say("onnx: this CPU has neither bf16 nor f16 arithmetic for OpenVINO to gain by")
        return onnx
    say(f"openvino: this CPU computes in {precision}")
    return openvino
