"""CPU time of one picture, its pixels written and the model run, of two models side by side."""

import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from vidette.errors import ModelError
from vidette.frame import Picture
from vidette.job import ModelRequest
from vidette.models import Model, load
from vidette.runtimes import choose, names

_RUNS, _WARM = 15, 3


@dataclass(frozen=True, slots=True)
class Gain:
    """CPU milliseconds per picture, medians; `precisions` as the runtime reports them."""

    runtime: str
    precisions: tuple[str, str]
    before_ms: float
    after_ms: float


def gains(before: Path, after: Path, picture: Picture) -> Iterator[Gain]:
    """For each runtime of the CPU that is installed, on a real picture (noise can cost more); one thread per run."""
    for runtime in names():
        try:
            choose(runtime, "cpu")
            requests = [ModelRequest("timed", path, device="cpu", runtime=runtime) for path in (before, after)]
            models = [load(request, "throughput") for request in requests]
        except ModelError:
            continue  # not here, or not for this model: `vidette models` tells why
        first, second = _medians(models, picture)
        yield Gain(
            runtime, (models[0].session.plan.precision, models[1].session.plan.precision), first * 1e3, second * 1e3
        )
        for model in models:
            model.session.close()


def _medians(models: list[Model], picture: Picture) -> list[float]:
    """CPU seconds of each, taking turns: what else the machine does meets both.

    Writing pixels counts, because what folding saves is saved there: bytes are copied instead of normalised.
    """
    spent: list[list[float]] = [[] for _ in models]
    boxes = [model.letterbox(picture.width, picture.height) for model in models]
    buffers = [model.session.buffer(box.shape) for model, box in zip(models, boxes, strict=True)]
    writers = [model.writer() for model in models]
    for _ in range(_RUNS + _WARM):
        for model, box, buffer, writer, times in zip(models, boxes, buffers, writers, spent, strict=True):
            begin = time.process_time()
            writer.write(picture, box, buffer, 0)
            model.session.run(buffer, 1)
            times.append(time.process_time() - begin)
    return [statistics.median(times[_WARM:]) for times in spent]
