"""An accelerator of stated latency: what proves batching and scheduling where there is no GPU."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vidette.errors import ModelError
from vidette.pixels.preprocess import slot_dtype, slot_shape
from vidette.pixels.slot import ArrayBuffer, Buffer
from vidette.runtimes.base import ModelFile, Outputs, Plan, Wish


@dataclass(frozen=True, slots=True)
class Run:
    """One run: when it held the device (seconds of the runtime's clock), pictures in it, size it was padded to."""

    start: float
    end: float
    count: int
    bucket: int


class SimulatedSession:
    """Runs one batch at a time, as a GPU does, and answers with zeros."""

    def __init__(self, runtime: "Simulated", model: ModelFile, plan: Plan) -> None:
        self.plan = plan
        self._runtime = runtime
        self._model = model
        self._device = threading.Lock()
        self._stopped = threading.Event()
        # Pages of zeros that nobody writes to cost no memory.
        self._outputs: list[np.ndarray[Any, Any]] = [
            np.zeros((plan.ladder[-1], *shape), np.float32) for shape in runtime.outputs
        ]

    def buffer(self, shape: tuple[int, int]) -> ArrayBuffer:
        """Plain numpy memory of any size."""
        preprocess = self._model.preprocess
        return ArrayBuffer(np.zeros(slot_shape(preprocess, self.plan.ladder[-1], shape), slot_dtype(preprocess)))

    def run(self, buffer: Buffer, count: int, alone: bool = False) -> Outputs:
        """Wait for the device, then for as long as the batch takes; zeros, the same arrays each time."""
        bucket = self.plan.bucket(count)
        runtime = self._runtime
        with self._device:
            start = runtime.clock()
            if runtime.sleep is not None:
                runtime.sleep(runtime.a + runtime.b * bucket)
            else:
                self._stopped.wait(runtime.a + runtime.b * bucket)
            if self._stopped.is_set():
                raise ModelError(f"{self._model.id}: stopped")
            runtime.runs.append(Run(start, runtime.clock(), count, bucket))
        return self._outputs

    def stop(self) -> None:
        """End the run under way (where time is real); later ones fail at once."""
        self._stopped.set()

    def close(self) -> None:
        """Let the outputs go."""
        self._outputs = []


class Simulated:
    """A device on which a batch of n takes a + b * n seconds, without the GIL and without a core.

    `outputs` are the shapes per picture. `runs` records every run in order. `clock` and `sleep` can be those of a
    test; by default real time passes and `stop()` interrupts it.
    """

    name = "simulated"

    def __init__(
        self,
        a: float,
        b: float,
        ladder: tuple[int, ...] = (1, 2, 4, 8, 16),
        outputs: Sequence[tuple[int, ...]] = ((84, 8400),),
        *,
        callers: int = 3,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] | None = None,
    ) -> None:
        self.a = a
        self.b = b
        self.ladder = ladder
        self.outputs = outputs
        self.callers = callers
        self.clock = clock
        self.sleep = sleep
        self.runs: list[Run] = []

    def available(self) -> str | None:
        """Always."""
        return None

    def plan(self, model: ModelFile, wish: Wish) -> Plan:
        """One run at a time; the ladder is cut at the wished batch."""
        ladder = tuple(size for size in self.ladder if size <= (wish.max_batch or size))
        return Plan(
            runtime=self.name,
            device="simulated",
            precision="f32",
            mode=wish.mode,
            callers=self.callers,
            permits=1,
            threads=1,
            ladder=ladder or (1,),
            options=dict(wish.options),
            why=f"a simulated device: {self.a * 1e3:g} ms + {self.b * 1e3:g} ms per picture",
        )

    def open(self, model: ModelFile, plan: Plan) -> SimulatedSession:
        """Loads nothing."""
        return SimulatedSession(self, model, plan)

    def busy(self) -> float:
        """Seconds during which the device was at work."""
        return sum(run.end - run.start for run in self.runs)
