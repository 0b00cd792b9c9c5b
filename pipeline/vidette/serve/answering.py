"""A picture of a client, through the lane of its model, to predictions."""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

from vidette.entry import Item
from vidette.exit import Failure
from vidette.families.base import Thresholds
from vidette.frame import Frame, Picture
from vidette.predictions import Predictions
from vidette.predictions.detections import Detections
from vidette.predictions.masks import Outline
from vidette.predictions.semantic import SemanticMap
from vidette.result import Result
from vidette.serve.errors import RequestError, busy
from vidette.serve.registry import Held

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a client asks of one picture; None leaves it to the model's configuration."""

    confidence: float | None = None
    iou: float | None = None
    agnostic: bool | None = None
    classes: tuple[str, ...] | None = None
    max_detections: int | None = None
    max_candidates: int | None = None
    masks: str | None = None
    outline: Outline | None = None
    top_k: int | None = None


def enough(held: Held, size: int | None = None, *, drawn: bool = False) -> int | None:
    """The longer side of a picture that its model needs; None where all pixels are looked at."""
    model = held.model
    if drawn or model.request.tiles is not None or model.task in ("segmentation", "semantic"):
        return None
    fixed = max(model.preprocess.width or 0, model.preprocess.height or 0)
    return fixed or size or max(model.request.input or (model.preprocess.size,))


def limits(held: Held, wanted: Wanted) -> Thresholds:
    """The model's limits with the client's on top. Classes that the model does not have are found never."""
    model = held.model
    names = ("confidence", "iou", "agnostic", "max_detections", "max_candidates", "masks", "outline", "top_k")
    asked = {name: value for name in names if (value := getattr(wanted, name)) is not None}
    chosen = replace(model.limits, **asked)
    if wanted.classes is not None and model.request.endpoint is not None:
        chosen = replace(chosen, names=frozenset(wanted.classes))
    elif wanted.classes is not None:
        by_name = {name: index for index, name in enumerate(model.labels)}
        chosen = replace(chosen, classes=tuple(by_name[name] for name in wanted.classes if name in by_name))
    return chosen


@contextmanager
def places(held: Held, count: int = 1) -> Iterator[None]:
    """Room on the model's desk for pictures that are still to be unpacked: a full desk refuses before that work.

    Raises RequestError 503.
    """
    desk = held.desk
    assert desk is not None
    if desk.waiting + held.coming + count > desk.capacity:
        raise busy(f"model {held.id} has as many pictures waiting as it takes; try again")
    held.coming += count
    try:
        yield
    finally:
        held.coming -= count


async def predict(
    held: Held,
    pictures: Sequence[Picture],
    chosen: Thresholds,
    deadline: float,
    decode_s: float = 0.0,
    size: int | None = None,
) -> list[Result | Failure]:
    """Outcomes in the order of `pictures`; they share batches with everything else that the model sees.

    size       the longer side of the input, where the model takes any
    deadline   on the monotonic clock. Raises RequestError 504 when it passes, 503 when too many pictures wait already.
    A cancelled caller (a client that has gone) takes its pictures out of the queue.
    """
    loop = asyncio.get_running_loop()
    desk = held.desk
    assert desk is not None
    items: list[Item] = []
    futures: list[asyncio.Future[Result | Failure]] = []
    now = time.time()
    try:
        for number, picture in enumerate(pictures):
            future: asyncio.Future[Result | Failure] = loop.create_future()
            frame = Frame("http", 0, number, None, now, time.monotonic(), picture)
            item = desk.put(frame, decode_s, chosen, partial(_deliver, loop, future), size)
            if item is None:
                raise busy(f"model {held.id} has as many pictures waiting as it takes; try again")
            items.append(item)
            futures.append(future)
        async with asyncio.timeout_at(loop.time() + deadline - time.monotonic()):
            return [await future for future in futures]
    except TimeoutError:
        raise RequestError(504, f"model {held.id} did not answer in time") from None
    finally:
        for item in items:
            item.cancelled = True  # those that have answered do not mind


async def beside(make: Callable[[], T], outcomes: Sequence[Result | Failure], *, drawn: bool = False) -> T:
    """What `make` writes of `outcomes`. Drawings, outlines and PNG take milliseconds: they are made in another thread
    while the event loop answers others; for all else the way there and back would be the longer part."""
    slow = drawn or any(isinstance(outcome, Result) and _slow(outcome.predictions) for outcome in outcomes)
    return await asyncio.to_thread(make) if slow else make()


def _slow(predictions: Predictions) -> bool:
    return isinstance(predictions, SemanticMap) or (
        isinstance(predictions, Detections) and predictions.masks is not None
    )


def refused(failure: Failure) -> RequestError:
    """A picture's failure as the client is told it."""
    if failure.code == "stopped":
        return busy(failure.message)
    return RequestError({"pixels": 400, "remote": 502}.get(failure.code, 500), failure.message)


def _deliver(
    loop: asyncio.AbstractEventLoop, future: "asyncio.Future[Result | Failure]", outcome: Result | Failure
) -> None:
    """Carry an outcome from a caller's thread into the event loop."""
    with suppress(RuntimeError):  # the loop has ended: nobody waits any more
        loop.call_soon_threadsafe(_set, future, outcome)


def _set(future: "asyncio.Future[Result | Failure]", outcome: Result | Failure) -> None:
    if not future.done():
        future.set_result(outcome)
