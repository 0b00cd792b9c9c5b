"""ONNX Runtime on an NVIDIA GPU.

Options and their reasons: https://onnxruntime.ai/docs/execution-providers/CUDA-ExecutionProvider.html
"""

import contextlib
import ctypes
import io
import logging
import threading
import weakref
from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from vidette.errors import ModelError
from vidette.pixels.preprocess import slot_dtype, slot_shape
from vidette.pixels.slot import ArrayBuffer, Buffer
from vidette.runtimes import onnx
from vidette.runtimes.base import ModelFile, Outputs, Plan, Wish, cannot_run_at, check_shape

_log = logging.getLogger(__name__)

_LADDER = (1, 2, 4, 8, 16)
_MAX_SHAPES = 4  # input sizes that keep memory on the device: a ladder to 16 at 640x640 is 150 MB each
_PROVIDER = "CUDAExecutionProvider"


def driver() -> ctypes.CDLL | None:
    """The library of the NVIDIA driver; None where there is none."""
    try:
        return ctypes.CDLL("libcuda.so.1")
    except OSError:
        return None


def missing() -> str | None:
    """Why CUDA cannot work here, by trying its libraries in the order in which they need each other."""
    cuda = driver()
    if cuda is None:
        return "no NVIDIA driver (libcuda.so.1): install the driver, in a container start it with --gpus all"
    devices = ctypes.c_int(0)
    if cuda.cuInit(0) != 0 or cuda.cuDeviceGetCount(ctypes.byref(devices)) != 0 or devices.value == 0:
        return "the NVIDIA driver finds no GPU: see nvidia-smi"
    _preload()
    major = _cuda_major()
    extra = "vidette[gpu]" if major == "13" else f"vidette[gpu-cuda{major}]"
    for library in (f"libcudart.so.{major}", f"libcublas.so.{major}", "libcudnn.so.9"):
        try:
            ctypes.CDLL(library)
        except OSError as error:
            return f'{library} cannot be loaded: pip install "{extra}" ({error})'
    return None


def _cuda_major() -> str:
    """The CUDA release that the installed package was built for; the CPU package names none."""
    from onnxruntime.capi import build_and_package_info

    return str(getattr(build_and_package_info, "cuda_version", "13")).split(".")[0]


def _preload() -> None:
    """Load the CUDA libraries of the nvidia-* packages. The function prints what it misses: that goes to the log."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        onnx.import_onnxruntime().preload_dlls()
    for line in printed.getvalue().splitlines():
        _log.info("preload_dlls: %s", line)


class _PinnedBuffer(ArrayBuffer):
    """Host memory of one caller, page-locked where CUDA lets us: copies then run at full speed."""

    __slots__ = ("__weakref__", "shape")

    def __init__(self, slots: np.ndarray[Any, Any], shape: tuple[int, int]) -> None:
        super().__init__(slots)
        self.shape = shape

    def pin(self, cudart: Any) -> bool:
        address = ctypes.c_void_p(self.slots.ctypes.data)
        if cudart.cudaHostRegister(address, ctypes.c_size_t(self.slots.nbytes), 0) != 0:
            return False
        weakref.finalize(self, cudart.cudaHostUnregister, address)
        return True


@dataclass(slots=True)
class _Bound:
    """Device memory and bindings of one batch size at one input size."""

    input: Any
    extras: list[Any]  # the constant inputs: the binding does not keep them alive
    binding: Any
    options: Any
    outputs: list[Any] | None = None  # fixed outputs on the device: only a captured graph needs them


class BoundSession:
    """A session whose inputs stay on a device; written for any device name, so that "cpu" tests it."""

    def __init__(
        self, session: Any, model: ModelFile, plan: Plan, device: str, device_id: int, cudart: Any = None
    ) -> None:
        self.plan = plan
        self._session = session
        self._model = model
        self._place = device, device_id
        self._cudart = cudart
        self._names = [output.name for output in session.get_outputs()]
        self._graphs = plan.options.get("enable_cuda_graph") == "1"
        self._graph_ids = 0
        self._bound: OrderedDict[tuple[int, int], dict[int, _Bound]] = OrderedDict()
        self._device = threading.Lock()  # the device's memory exists once per batch size
        self._stopper = onnx.Stopper()

    def buffer(self, shape: tuple[int, int]) -> _PinnedBuffer:
        """Page-locked host memory. The first one of a size also runs every batch size once, before real work does."""
        check_shape(self._model, shape)
        preprocess = self._model.preprocess
        slots = np.zeros(slot_shape(preprocess, self.plan.ladder[-1], shape), slot_dtype(preprocess))
        buffer = _PinnedBuffer(slots, shape)
        if self._cudart is not None and not buffer.pin(self._cudart):
            _log.info("host memory of %d bytes could not be pinned", slots.nbytes)
        if shape not in self._bound:
            for size in self.plan.ladder:
                self.run(buffer, size)
        return buffer

    def run(self, buffer: Buffer, count: int, alone: bool = False) -> Outputs:
        """Copy in, run the next larger batch size, copy out. The rows beyond `count` hold what was there before."""
        assert isinstance(buffer, _PinnedBuffer)
        size = self.plan.bucket(count)
        try:
            with self._device:
                bound = self._at(buffer.shape, size)
                bound.input.update_inplace(buffer.slots[:size])
                self._session.run_with_iobinding(bound.binding, bound.options)
                if bound.outputs is not None:
                    return [value.numpy() for value in bound.outputs]
                outputs: Outputs = bound.binding.copy_outputs_to_cpu()
                return outputs
        except Exception as error:  # the library's exceptions share no base of their own
            if self._stopper.stopped:
                raise ModelError(f"{self._model.id}: stopped") from error
            raise cannot_run_at(self._model, buffer.shape, onnx.one_line(error)) from error

    def stop(self) -> None:
        """End runs under way; later ones fail at once."""
        self._stopper.stop()

    def close(self) -> None:
        """Give the device's memory back."""
        self._bound.clear()
        self._session = None

    def _at(self, shape: tuple[int, int], size: int) -> _Bound:
        if shape not in self._bound and len(self._bound) >= _MAX_SHAPES:
            self._bound.popitem(last=False)
        sizes = self._bound.setdefault(shape, {})
        self._bound.move_to_end(shape)
        if size not in sizes:
            sizes[size] = self._bind(shape, size)
        return sizes[size]

    def _bind(self, shape: tuple[int, int], size: int) -> _Bound:
        OrtValue = onnx.import_onnxruntime().OrtValue
        device, device_id = self._place
        preprocess = self._model.preprocess
        value = OrtValue.ortvalue_from_shape_and_type(
            slot_shape(preprocess, size, shape), slot_dtype(preprocess), device, device_id
        )
        binding = self._session.io_binding()
        binding.bind_ortvalue_input(self._model.picture, value)
        extras = [
            OrtValue.ortvalue_from_numpy(extra.values(size, shape), device, device_id) for extra in preprocess.extras
        ]
        for extra, constant in zip(preprocess.extras, extras, strict=True):
            binding.bind_ortvalue_input(extra.name, constant)
        bound = _Bound(value, extras, binding, self._stopper.run_options())
        for name in self._names:
            binding.bind_output(name, *self._place) if self._graphs else binding.bind_output(name)
        if self._graphs:
            self._fix(bound)
        return bound

    def _fix(self, bound: _Bound) -> None:
        """Prepare the capture of a CUDA graph, which wants inputs and outputs at fixed addresses and one id per size.

        A run without capture (id -1) finds the outputs' shapes and lets cuDNN choose its algorithms.
        """
        warm_up = self._stopper.run_options()
        warm_up.add_run_config_entry("gpu_graph_id", "-1")
        self._session.run_with_iobinding(bound.binding, warm_up)
        bound.outputs = bound.binding.get_outputs()
        bound.binding.clear_binding_outputs()
        for name, value in zip(self._names, bound.outputs, strict=True):
            bound.binding.bind_ortvalue_output(name, value)
        self._graph_ids += 1
        bound.options.add_run_config_entry("gpu_graph_id", str(self._graph_ids))


class Cuda:
    """ONNX Runtime's CUDA provider."""

    name = "cuda"

    def available(self) -> str | None:
        """Whether a GPU build is installed, a GPU is there and the CUDA libraries load."""
        found = onnx.packages()
        if "onnxruntime-gpu" not in found:
            instead = "pip uninstall -y onnxruntime, then " if found else ""
            return f'onnxruntime-gpu is not installed: {instead}pip install "vidette[gpu]"'
        return onnx.package_problem() or missing()

    def plan(self, model: ModelFile, wish: Wish) -> Plan:
        """A ladder of batch sizes; three callers prepare and decode around the one run that the device does at a time.

        `wish.options` are provider options by ONNX Runtime's names; `enable_cuda_graph: 1` captures one graph per
        batch size.
        """
        device = wish.device if wish.device.startswith("cuda") else "cuda"
        half = slot_dtype(model.preprocess) == np.float16
        allowed = ("auto", "f16") if half else ("auto", "f32")
        if wish.precision not in allowed:
            raise ModelError(
                f"precision: {wish.precision}: the CUDA runtime computes as the file says, and {model.path} is "
                f"{'f16' if half else 'f32'}: export it with half={not half}"
            )
        exact = wish.precision == "f32"
        options = {
            "device_id": device.partition(":")[2] or "0",
            # The default searches exhaustively at every new shape: 634 ms instead of 1.9 ms, for the same speed after.
            "cudnn_conv_algo_search": "HEURISTIC",
            "arena_extend_strategy": "kSameAsRequested",  # powers of two waste gigabytes
            "cudnn_conv_use_max_workspace": "1",
            "do_copy_in_default_stream": "1",  # 0 has a documented race
            "use_tf32": "0" if exact else "1",  # moves scores in the third digit
        }
        batch = model.preprocess.batch
        top = batch or wish.max_batch or _LADDER[-1]
        ladder = (batch,) if batch else (*(size for size in _LADDER if size < top), top)
        return Plan(
            runtime=self.name,
            device=f"cuda:{options['device_id']}",
            precision="f16" if half else "f32" if exact else "tf32",
            mode=wish.mode,
            callers=3 if wish.mode == "throughput" else 1,
            permits=1,
            threads=1,
            ladder=ladder,
            options={**options, **{key: str(value) for key, value in wish.options.items()}},
            why=f"a GPU runs one batch at a time, up to {top} pictures",
        )

    def open(self, model: ModelFile, plan: Plan) -> BoundSession:
        """Load onto the GPU. Raises ModelError when something else than CUDA came up, and says why."""
        _preload()
        options = {key: str(value) for key, value in plan.options.items()}
        session = None
        if _PROVIDER in onnx.import_onnxruntime().get_available_providers():
            session = onnx.create(model, [(_PROVIDER, options), "CPUExecutionProvider"], 1, {}, arena=True)
        if session is None or session.get_providers()[0] != _PROVIDER:  # it falls back to the CPU without an exception
            reason = self.available() or f"{_PROVIDER} did not come up, although its libraries load: see nvidia-smi"
            raise ModelError(f"device: {plan.device}: {reason}")
        really = {**options, **session.get_provider_options()[_PROVIDER]}
        _log.info("%s: %s", model.id, really)
        try:
            cudart = ctypes.CDLL(f"libcudart.so.{_cuda_major()}")
        except OSError:
            cudart = None  # runs all the same, from pageable memory
        device_id = int(options["device_id"])
        return BoundSession(session, model, replace(plan, options=really), "cuda", device_id, cudart)
