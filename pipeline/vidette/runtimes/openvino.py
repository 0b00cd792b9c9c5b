"""OpenVINO on the CPU: the `openvino` package itself, which reads ONNX files.

At its default precision (bf16 where the CPU has it) a run costs 0.6x of ONNX Runtime's.
"""

import functools
import importlib.util
import io
import logging
import sys
import threading
import weakref
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from vidette import onnxcut
from vidette.elsewhere import Elsewhere, GoneError
from vidette.errors import ModelError
from vidette.giving_way import current, unlocked
from vidette.pixels.preprocess import Preprocess, slot_dtype, slot_shape
from vidette.pixels.slot import ArrayBuffer, Buffer, Scaling, SlotWriter
from vidette.runtimes.base import ModelFile, Outputs, Plan, Wish, cannot_run_at, check_shape

# Each compiled shape holds its own packed weights (about 40 MiB for yolo11n) and costs 0.3 s of CPU; further ones
# share a model with open sizes, which costs 7 % more per run (measured). A folder of photographs has dozens.
_MAX_SHAPES = 4

_log = logging.getLogger(__name__)

_import_lock = threading.Lock()


@functools.cache
def _core() -> Any:
    """The library's entry point, one per process."""
    # `openvino/__init__` tries to import its model converter, which imports openvino_telemetry: half of the import's
    # cost, and a package whose purpose is to send. None in sys.modules makes that one import fail, which it expects.
    converter = "openvino.tools.ovc"
    with _import_lock:
        hide = converter not in sys.modules
        if hide:
            sys.modules[converter] = None  # type: ignore[assignment]
        try:
            import openvino
        finally:
            if hide:
                del sys.modules[converter]
    return openvino.Core()


def default_precision() -> str:
    """What the library computes in on this CPU unless told otherwise: f32, bf16 or f16."""
    return _precision(_core().get_property("CPU", "INFERENCE_PRECISION_HINT"))


def _precision(hint: Any) -> str:
    name = str(hint.get_type_name())
    return "f32" if name == "dynamic" else name  # EXECUTION_MODE_HINT: ACCURACY, that is, as the file has it


def _check_options(options: dict[str, Any]) -> str:
    """The precision that the library computes in with these options, found by compiling a graph of one node.

    It names no list of what it takes, and answers a precision that this CPU lacks with another, in silence. Raises
    ModelError for an option that it refuses.
    """
    core = _core()
    import openvino
    from openvino import opset13

    tensor = opset13.parameter([1], openvino.Type.f32)
    try:
        compiled = core.compile_model(openvino.Model([opset13.relu(tensor)], [tensor], "probe"), "CPU", options)
    except RuntimeError as error:
        raise ModelError(f"options: OpenVINO refuses them: {_reason(error)}") from error
    return _precision(compiled.get_property("INFERENCE_PRECISION_HINT"))


def _reason(error: Exception) -> str:
    """What is wrong, without the nested source locations: the head of a summary where there is one, else the end."""
    lines = [line.strip(" -") for line in str(error).splitlines() if line.strip()]
    summary = lines.index("Summary:") + 1 if "Summary:" in lines else -1
    return lines[summary][:200] if lines else type(error).__name__


def _reshape_that_does_not_fit(network: Any) -> str | None:
    """A Reshape whose constant target holds another number of values than arrive, or None.

    The library does not look: such a graph (one that says it takes any size, but was made for one) compiles, runs, and
    answers with memory that nobody wrote.
    """
    for node in network.get_ops():
        if node.get_type_name() == "Reshape":
            before, after = node.input(0).get_partial_shape(), node.output(0).get_partial_shape()
            if before.is_static and after.is_static:
                sizes = list(before.to_shape()), list(after.to_shape())
                if np.prod(sizes[0], dtype=np.int64) != np.prod(sizes[1], dtype=np.int64):
                    return f"{node.get_friendly_name()} turns {sizes[0]} into {sizes[1]}"
    return None


def _with_scaling(network: Any, picture: str, preprocess: Preprocess) -> Any:
    """The network with an input `picture` of pixel levels (`Preprocess.levels`), which it turns into values itself.

    The library folds the scale into the first convolution (measured: the run costs the same), and a slot is a quarter
    as large: writing one takes 0.13 ms instead of 0.31 where the caches are cold.
    """
    import openvino
    from openvino.preprocess import PrePostProcessor

    processor = PrePostProcessor(network)
    taken = processor.input(picture)
    taken.tensor().set_element_type(openvino.Type.u8).set_layout(openvino.Layout("NCHW"))
    taken.model().set_layout(openvino.Layout(preprocess.layout.upper()))
    steps = taken.preprocess().convert_element_type(openvino.Type.f32)
    if any(preprocess.mean):
        steps.mean(list(preprocess.mean))
    if any(scale != 1 for scale in preprocess.scale):
        steps.scale([1 / scale for scale in preprocess.scale])
    return processor.build()


def _halves(model: ModelFile, plan: Plan) -> frozenset[str]:
    """Outputs that are returned in bfloat16: the maps of a short graph where they are computed so. As float32 they say
    nothing more, and cost a twentieth of a run (measured: 12.8 ms instead of 12.2 for yolo11n)."""
    maps = model.cut.maps if model.cut is not None and plan.precision == "bf16" else ()
    return frozenset(onnxcut.by_place(each.name) for each in maps)


def _with_halves(network: Any, names: frozenset[str]) -> Any:
    """The network with these outputs in bfloat16."""
    import openvino
    from openvino.preprocess import PrePostProcessor

    processor = PrePostProcessor(network)
    for name in names:
        processor.output(name).tensor().set_element_type(openvino.Type.bf16)
    return processor.build()


_WIDE = {"NUM_STREAMS": 1}
"""What differs in a model that is compiled for a run on all cores."""


def _options(plan: Plan, wide: bool) -> dict[str, Any]:
    return {**plan.options, **(_WIDE if wide else {})}


def _slots(preprocess: Preprocess) -> Preprocess:
    """What slots hold: levels where the network scales them, or takes them as they are; else the file's own values."""
    levels = preprocess.levels
    scales = slot_dtype(preprocess).kind == "f" or replace(levels, layout="nhwc") == preprocess
    return levels if scales else preprocess


class _RequestBuffer(ArrayBuffer):
    """A buffer with the infer requests that read it: the usual one, and the one on all cores if there is one."""

    __slots__ = ("__weakref__", "request", "shape", "wide")

    def __init__(self, slots: np.ndarray[Any, Any], request: Any, wide: Any | None, shape: tuple[int, int]) -> None:
        super().__init__(slots)
        self.request = request
        self.wide = wide
        self.shape = shape


class _Compiled:
    """The compiled model of one shape; the lock keeps a second caller waiting instead of compiling again."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.model: Any = None


class OpenVinoSession:
    """One network, one compiled model per input shape, one infer request per buffer.

    Slots of a model with a float input, or one that takes bytes as they are, hold pixel levels.
    """

    def __init__(self, model: ModelFile, plan: Plan) -> None:
        self._model = model
        self._slots = _slots(model.preprocess)
        self._compiled: dict[tuple[tuple[int, int] | None, bool], _Compiled] = {}
        self._buffers: weakref.WeakSet[_RequestBuffer] = weakref.WeakSet()
        self._lock = threading.Lock()
        self._stopped = False
        self.plan = replace(plan, precision=default_precision() if plan.precision == "auto" else plan.precision)
        halves = _halves(model, self.plan)
        self.returned = tuple(
            replace(each, dtype="uint16") if each.name in halves else each for each in model.signature.outputs
        )
        self._halves = [each.name in halves for each in self.returned]
        self._network: Network | None = None
        self._reading = threading.Lock()
        self._elsewhere = self._begin_elsewhere()
        self._blob: tuple[tuple[int, int], Any] = (0, 0), None  # what was built there last, and for which sizes
        if self._elsewhere is None:
            self._here()
        if model.preprocess.height and model.preprocess.width:
            self._compile((model.preprocess.height, model.preprocess.width))  # the only shape: fail early

    def buffer(self, shape: tuple[int, int]) -> _RequestBuffer:
        """Memory that the library reads in place. Compiles the model at the first use of a size."""
        check_shape(self._model, shape)
        slots = np.zeros(slot_shape(self._slots, self.plan.ladder[-1], shape), slot_dtype(self._slots))
        request = self._request(shape, slots, wide=False)
        wide = self._request(shape, slots, wide=True) if self.plan.wide else None
        buffer = _RequestBuffer(slots, request, wide, shape)
        with self._lock:
            self._buffers.add(buffer)
        return buffer

    def writer(self, scaling: Scaling) -> SlotWriter:
        """A writer of what the slots hold."""
        return SlotWriter(self._slots, scaling)

    def _request(self, shape: tuple[int, int], slots: np.ndarray[Any, Any], *, wide: bool) -> Any:
        import openvino

        request = self._compile(shape, wide=wide).create_infer_request()
        request.set_tensor(self._model.picture, openvino.Tensor(slots, shared_memory=True))
        for extra in self._model.preprocess.extras:
            request.set_tensor(extra.name, openvino.Tensor(extra.values(len(slots), shape)))
        return request

    def run(self, buffer: Buffer, count: int, alone: bool = False) -> Outputs:
        """Views of the request's own outputs."""
        assert isinstance(buffer, _RequestBuffer)
        if self._stopped:
            raise ModelError(f"{self._model.id}: stopped")
        request = buffer.wide if alone and buffer.wide is not None else buffer.request
        try:
            request.infer(share_outputs=True)
        except RuntimeError as error:
            if self._stopped:
                raise ModelError(f"{self._model.id}: stopped") from error
            raise cannot_run_at(self._model, buffer.shape, _reason(error)) from error
        arrays = [tensor.data for tensor in request.output_tensors]
        return [array.view(np.uint16) if half else array for array, half in zip(arrays, self._halves, strict=True)]

    def stop(self) -> None:
        """Cancel runs under way; later ones fail at once."""
        self._stopped = True
        with self._lock:
            buffers = list(self._buffers)
        for buffer in buffers:
            buffer.request.cancel()
            if buffer.wide is not None:
                buffer.wide.cancel()

    def close(self) -> None:
        """Let the compiled models go; those of living buffers go with them."""
        while self._compiled:  # one takes 15 to 30 ms with the interpreter locked: others get their turn between
            self._compiled.popitem()
        self._network = None
        if self._elsewhere is not None:
            self._elsewhere.close()

    def _compile(self, shape: tuple[int, int], *, wide: bool = False) -> Any:
        with self._lock:
            known = (shape, wide) in self._compiled or len(self._compiled) < _MAX_SHAPES * (2 if self.plan.wide else 1)
            key = shape if known else None
            entry = self._compiled.setdefault((key, wide), _Compiled())
        with entry.lock:
            if entry.model is None:
                entry.model = self._build(shape, shape if key else (-1, -1), wide)
            return entry.model

    def _build(self, shape: tuple[int, int], sizes: tuple[int, int], wide: bool) -> Any:
        compiled = self._built_elsewhere(shape, sizes, wide)
        if compiled is None:
            compiled = self._here().compile(shape, sizes, wide)
        self.plan = replace(self.plan, precision=_precision(compiled.get_property("INFERENCE_PRECISION_HINT")))
        return compiled

    def _here(self) -> "Network":
        """The network in this process: read when it is asked for first."""
        with self._reading:
            if self._network is None:
                self._network = Network(self._model, self.plan)
            return self._network

    def _begin_elsewhere(self) -> Elsewhere | None:
        """The network in a process of its own, where loading is to give way. Of the 400 ms that compiling takes, a
        sixth would hold the interpreter, and all share threads with the models that answer; what is compiled is taken
        over in 60 to 100 ms, which hold nothing."""
        way = current()
        if way is None or not way.beside:
            return None
        try:
            return Elsewhere(way, Exporter, self._model, self.plan)
        except GoneError as error:
            self._say_gone(error)
            return None

    def _built_elsewhere(self, shape: tuple[int, int], sizes: tuple[int, int], wide: bool) -> Any | None:
        """None where it is to be built here."""
        import openvino

        elsewhere = self._elsewhere
        if elsewhere is None or elsewhere.closed:
            self._elsewhere, self._blob = None, ((0, 0), None)
            return None
        built_for, blob = self._blob
        if built_for != sizes:
            try:
                size = elsewhere.ask(shape, sizes)
            except GoneError as error:
                self._say_gone(error)
                self._elsewhere = None
                return None
            blob = openvino.Tensor(openvino.Type.u8, openvino.Shape([size]))  # the library goes on reading it
            elsewhere.read(memoryview(blob.data))
            self._blob = sizes, blob  # the model that runs on all cores is made of the same
        with unlocked():
            return _core().import_model(blob, "CPU", _options(self.plan, wide))

    def _say_gone(self, error: GoneError) -> None:
        _log.warning("model %s is compiled in this process, beside its answers: %s", self._model.id, error)


class Exporter:
    """Compiled models as bytes (`Elsewhere`)."""

    def __init__(self, model: ModelFile, plan: Plan) -> None:
        self._network = Network(model, plan)

    def __call__(self, shape: tuple[int, int], sizes: tuple[int, int]) -> memoryview:
        """What `import_model` takes. Its options decide about streams, so one is compiled here: that is cheaper."""
        file = io.BytesIO()
        self._network.compile(shape, sizes, wide=True).export_model(file)
        return file.getbuffer()


class Network:
    """A file as the library reads it, and what is compiled from it."""

    def __init__(self, model: ModelFile, plan: Plan) -> None:
        self._core = _core()
        self._model = model
        self._plan = plan
        self._scales = _slots(model.preprocess) is not model.preprocess
        self._network = self._read()

    def _read(self) -> Any:
        import openvino

        frontend = openvino.frontend.FrontEndManager().load_by_framework("onnx")
        try:
            with self._model.readable() as path:
                if self._model.cut or frontend.supported(path):
                    # Unlike the frontend it lets other threads run. Files may be overwritten while their models answer.
                    with unlocked():
                        network = self._core.read_model(path, config={"ENABLE_MMAP": False})
                else:  # `read_model` would try it as every other format it knows, and complain on stderr
                    network = frontend.convert(frontend.load(path))
        except Exception as error:  # the frontend's exceptions share no base of their own
            reason = f"OpenVINO cannot read it: {_reason(error)}; try `runtime: onnx`"
            raise ModelError(f"{self._model.path}: {reason}") from error
        if self._scales:
            network = _with_scaling(network, self._model.picture, self._model.preprocess)
        return _with_halves(network, _halves(self._model, self._plan))

    def compile(self, shape: tuple[int, int], sizes: tuple[int, int], wide: bool) -> Any:
        """The compiled model that takes pictures of `sizes` (height, width), -1 for any; `shape` is for messages.
        Raises ModelError."""
        network = self._network.clone()
        batch, extras = self._plan.ladder[-1], self._model.preprocess.extras
        shapes: dict[str, tuple[int, ...]] = {extra.name: extra.shape(batch, sizes) for extra in extras}
        shapes[self._model.picture] = slot_shape(_slots(self._model.preprocess), batch, sizes)
        try:
            network.reshape({name: list(size) for name, size in shapes.items()})
        except RuntimeError as error:
            raise cannot_run_at(self._model, shape, _reason(error)) from error
        if lie := _reshape_that_does_not_fit(network):
            raise cannot_run_at(self._model, shape, lie)
        try:
            with unlocked():
                return self._core.compile_model(network, "CPU", _options(self._plan, wide))
        except RuntimeError as error:
            raise ModelError(f"{self._model.path}: OpenVINO cannot compile it: {_reason(error)}") from error


class OpenVino:
    """The `openvino` package on the CPU."""

    name = "openvino"

    def available(self) -> str | None:
        """Whether the package is installed; it is not imported."""
        if importlib.util.find_spec("openvino") is None:
            return 'OpenVINO is not installed: pip install "vidette[cpu]"'
        return None

    def plan(self, model: ModelFile, wish: Wish) -> Plan:
        """Throughput: a stream, a thread and a caller per core. Latency: one run on all cores.

        Batch 1 unless the file fixes another: batches gain nothing on a CPU. Options and a reduced precision are tried
        on a graph of one node.
        """
        if wish.device not in ("auto", "cpu"):
            raise ModelError(f"device: {wish.device}: OpenVINO runs on the CPU here: use `device: cpu`")
        throughput = wish.mode != "latency"
        streams = wish.cores if throughput else 1
        options: dict[str, Any] = {
            "INFERENCE_NUM_THREADS": wish.cores,
            "NUM_STREAMS": streams,
            # Pinned threads of two processes meet on the same cores, while others of a shared machine are idle.
            "ENABLE_CPU_PINNING": False,
        }
        if wish.precision != "auto":
            options["INFERENCE_PRECISION_HINT"] = wish.precision
        options |= wish.options
        really = wish.precision
        if wish.options or wish.precision not in ("auto", "f32"):
            really = _check_options(options)
            if wish.precision not in ("auto", really):
                raise ModelError(
                    f"precision: {wish.precision}: OpenVINO runs in {really} on this CPU: use auto, f32 or {really}"
                )
        threads = 1 if throughput else wish.cores
        return Plan(
            runtime=self.name,
            device="cpu",
            precision=really,
            mode=wish.mode,
            callers=streams,
            permits=streams,
            threads=threads,
            ladder=(model.preprocess.batch or 1,),
            options=options,
            why=f"{wish.cores} cores: {streams} x {threads} threads; batches gain nothing on a CPU",
            wide=wish.cores if wish.mode == "adaptive" and wish.cores > 1 else 0,
        )

    def evaluate(self, graph: bytes, inputs: Mapping[str, npt.NDArray[Any]]) -> Outputs:
        """Run a graph once (`shortening.Evaluates`)."""
        core = _core()
        network = core.read_model(graph)
        network.reshape({name: list(values.shape) for name, values in inputs.items()})
        options = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
        with unlocked():
            compiled = core.compile_model(network, "CPU", options)
        return list(compiled(dict(inputs)).values())

    def open(self, model: ModelFile, plan: Plan) -> OpenVinoSession:
        """Read the file; a model of one size is also compiled."""
        return OpenVinoSession(model, plan)
