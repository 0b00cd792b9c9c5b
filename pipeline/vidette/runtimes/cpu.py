"""ONNX Runtime on the CPU."""

import importlib.util
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from vidette.errors import ModelError
from vidette.pixels.preprocess import slot_dtype, slot_shape
from vidette.pixels.slot import ArrayBuffer, Buffer
from vidette.runtimes import onnx
from vidette.runtimes.base import ModelFile, Outputs, Plan, Wish, cannot_run_at, check_shape


class _CpuBuffer(ArrayBuffer):
    __slots__ = ("feed", "options", "shape")

    def __init__(
        self, slots: np.ndarray[Any, Any], shape: tuple[int, int], feed: dict[str, np.ndarray[Any, Any]], options: Any
    ) -> None:
        super().__init__(slots)
        self.shape = shape
        self.feed = feed
        self.options = options


class CpuSession:
    """One session for all callers: `run()` releases the GIL, and weights exist once."""

    def __init__(self, model: ModelFile, plan: Plan) -> None:
        self.plan = plan
        self._model = model
        self._stopper = onnx.Stopper()
        # The arena never gives back what the largest input took, and saves nothing measurable.
        self._session = onnx.create(
            model, ["CPUExecutionProvider"], plan.threads, {k: str(v) for k, v in plan.options.items()}, arena=False
        )
        self._wide = None
        if plan.wide:
            options = {k: str(v) for k, v in plan.options.items()}
            self._wide = onnx.create(model, ["CPUExecutionProvider"], plan.wide, options, arena=False)
        if model.preprocess.height and model.preprocess.width:
            shape = (model.preprocess.height, model.preprocess.width)
            self.run(self.buffer(shape), 1)  # the only shape: fail early

    def buffer(self, shape: tuple[int, int]) -> _CpuBuffer:
        """Plain numpy memory; the size is checked by the first run."""
        model = self._model
        check_shape(model, shape)
        slots = np.zeros(slot_shape(model.preprocess, self.plan.ladder[-1], shape), slot_dtype(model.preprocess))
        # A run takes the whole buffer: the ladder has one size.
        feed = {extra.name: extra.values(len(slots), shape) for extra in model.preprocess.extras}
        feed[model.picture] = slots
        return _CpuBuffer(slots, shape, feed, self._stopper.run_options())

    def run(self, buffer: Buffer, count: int, alone: bool = False) -> Outputs:
        """Arrays of their own: ONNX Runtime allocates outputs per run."""
        assert isinstance(buffer, _CpuBuffer)
        session = self._wide if alone and self._wide is not None else self._session
        try:
            outputs: Outputs = session.run(None, buffer.feed, buffer.options)
        except Exception as error:  # the library's exceptions share no base of their own
            if self._stopper.stopped:
                raise ModelError(f"{self._model.id}: stopped") from error
            raise cannot_run_at(self._model, buffer.shape, onnx.one_line(error)) from error
        return outputs

    def stop(self) -> None:
        """End runs under way within some 30 ms; later ones fail at once."""
        self._stopper.stop()

    def close(self) -> None:
        """Let the weights go."""
        self._session = self._wide = None


def _text(value: Any) -> str:
    """Of an option, as the library writes it."""
    return str(int(value) if isinstance(value, bool) else value)


class OnnxCpu:
    """ONNX Runtime's own CPU provider, exact in float32."""

    name = "onnx"

    def available(self) -> str | None:
        """Whether an `onnxruntime` package, of either kind, can be imported."""
        spec = importlib.util.find_spec("onnxruntime")
        return None if spec is not None and spec.origin is not None else onnx.package_problem()

    def plan(self, model: ModelFile, wish: Wish) -> Plan:
        """Throughput: one thread per run and a caller per core. Latency: one caller on all cores.

        Batch 1 unless the file fixes another: batches gain nothing on a CPU.
        """
        if wish.device not in ("auto", "cpu"):
            raise ModelError(f"device: {wish.device}: this is the CPU runtime: use `device: cpu`")
        if wish.precision not in ("auto", "f32"):
            raise ModelError(
                f"precision: {wish.precision}: ONNX Runtime computes in f32 on a CPU: use f32, or `runtime: openvino`"
            )
        for key in wish.options:
            if "." not in key:  # the library itself takes any name in silence
                raise ModelError(
                    f"options: {key}: is no session option of ONNX Runtime: they look like `session.disable_prepacking`"
                )
        throughput = wish.mode != "latency"
        callers, threads = (wish.cores, 1) if throughput else (1, wish.cores)
        # Waiting threads that spin burn half a core for nothing when other work shares the machine.
        options = {"session.intra_op.allow_spinning": "0", "session.inter_op.allow_spinning": "0"}
        return Plan(
            runtime=self.name,
            device="cpu",
            precision="f32",
            mode=wish.mode,
            callers=callers,
            permits=callers,
            threads=threads,
            ladder=(model.preprocess.batch or 1,),
            options={**options, **{key: _text(value) for key, value in wish.options.items()}},
            why=f"{wish.cores} cores: {callers} x {threads} threads; batches gain nothing on a CPU",
            wide=wish.cores if wish.mode == "adaptive" and wish.cores > 1 else 0,
        )

    def evaluate(self, graph: bytes, inputs: Mapping[str, npt.NDArray[Any]]) -> Outputs:
        """Run a graph once (`shortening.Evaluates`)."""
        session = onnx.import_onnxruntime().InferenceSession(graph, providers=["CPUExecutionProvider"])
        outputs: Outputs = session.run(None, dict(inputs))
        return outputs

    def open(self, model: ModelFile, plan: Plan) -> CpuSession:
        """Load the weights; a model of one size also runs once."""
        return CpuSession(model, plan)
