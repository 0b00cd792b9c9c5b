"""Files that fix a batch, opened for the batches that a runtime gains by, where that changes no answer.

A file of batch 4 would cost a CPU four pictures' work for each one; a file of batch 1 leaves a GPU idle. Most such
graphs take any batch: what they fix is declared, and repeated in constants. Whether that is so is tried once when
the model is loaded: pictures of noise, through the file as it is and through the opened one in other groups, must
come out alike.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from vidette.errors import ModelError, UnfinishedError
from vidette.frame import Bgr, Picture
from vidette.pixels.letterbox import fit
from vidette.runtimes.base import ModelFile, Plan, Runtime, Wish, writer

_ALIKE = {"f32": 1e-3, "tf32": 1e-2}
"""Largest difference as a part of each value, and of 1 for smaller ones (scores stand beside pixels in one tensor); in
reduced precisions 0.05. What depends on its neighbours in the batch is off by a multiple of that."""

_Outputs = Sequence[npt.NDArray[Any]]


def rebatched(runtime: Runtime, model: ModelFile, wish: Wish) -> tuple[ModelFile, str | None]:
    """The file to open, and one line that says what became of its batch; None where nothing is to be said.

    Never raises ModelError for a graph that does not take other batches: it then runs as it is.
    """
    fixed = model.preprocess.batch
    if fixed is None:
        return model, None
    opened = replace(model, preprocess=replace(model.preprocess, batch=None), rebatched=True)
    plan = runtime.plan(opened, wish)
    if plan.ladder == runtime.plan(model, wish).ladder:
        return model, None
    together = min(plan.ladder[-1], 2)
    try:
        differs = _difference(runtime, model, opened, wish, together, max(fixed, 2))
    except UnfinishedError:
        raise
    except ModelError:
        differs = "the graph fails with another"
    if differs is None:
        return opened, f"batch {fixed} of the file opened, the same answers"
    padded = f", a picture alone costs as much as {fixed}" if fixed > 1 else ""
    return model, f"batch stays at {fixed}{padded}: {differs}"


def _difference(
    runtime: Runtime, model: ModelFile, opened: ModelFile, wish: Wish, together: int, count: int
) -> str | None:
    """What differs between the file in its own batches and the opened one in others; None when nothing does."""
    expected, plan = _answers(runtime, model, wish, None, count)
    found, _ = _answers(runtime, opened, wish, together, count)
    alike = _ALIKE.get(plan.precision, 0.05)
    for number, (a, b) in enumerate(zip(expected, found, strict=True)):
        if a.shape != b.shape:
            return f"output {number} would be {list(b.shape)} for {count} pictures, not {list(a.shape)}"
        size = np.abs(np.nan_to_num(a.astype(np.float64)))
        scale = np.maximum(size, min(float(size.max(initial=0)), 1) or 1)
        off = float((np.abs(np.nan_to_num(a.astype(np.float64) - b)) / scale).max(initial=0))
        if off > alike or not np.array_equal(np.isnan(a), np.isnan(b)):
            return f"in other batches output {number} is off by {off:.2g} of its values"
    return None


def _answers(
    runtime: Runtime, model: ModelFile, wish: Wish, batch: int | None, count: int
) -> tuple[list[npt.NDArray[Any]], Plan]:
    """All outputs for `count` pictures in groups of `batch` (None: what the file fixes), in float32 where that can be
    had."""
    try:
        plan = runtime.plan(model, replace(wish, precision="f32"))
    except ModelError:
        plan = runtime.plan(model, wish)
    if batch is not None:
        plan = replace(plan, ladder=(batch,))
    session = runtime.open(model, replace(plan, callers=1, permits=1))
    try:
        preprocess, step = model.preprocess, plan.ladder[-1]
        width, height = preprocess.width or preprocess.size, preprocess.height or preprocess.size
        box, buffer = fit(width, height, width, height, "stretch"), session.buffer((height, width))
        pixels = writer(session, preprocess)
        groups: list[_Outputs] = []
        for first in range(0, count, step):
            here = min(step, count - first)
            for slot in range(here):
                pixels.write(Picture(_noise(width, height, first + slot)), box, buffer, slot)
            outputs = session.run(buffer, here)
            groups.append([np.array(output[:here] if len(output) == step else output) for output in outputs])
        return [np.concatenate(parts) for parts in zip(*groups, strict=True)], session.plan
    finally:
        session.stop()
        session.close()


def _noise(width: int, height: int, seed: int) -> Bgr:
    """A picture: the same for the same seed, brighter or darker for others."""
    return np.random.default_rng(seed).integers(0, 256 >> (seed & 1), (height, width, 3), np.uint8)
