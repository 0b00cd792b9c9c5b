"""Wires a job together, owns every thread, and ends in order: decoders, models, sinks."""

import gc
import logging
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import cv2

from vidette.budget import cores
from vidette.errors import VidetteError
from vidette.job import Job, ModelRequest, StreamRequest
from vidette.lane import Lane
from vidette.models import Described, describe, load
from vidette.outlet import Outlet
from vidette.runtimes.base import PlanMode
from vidette.sink import RunFacts, StreamFacts
from vidette.stream import Stream
from vidette.urls import redact

log = logging.getLogger("vidette.engine")

DRAIN_S = 1.5
"""What a stop leaves for frames that are decoded already; with closing the files it stays under two seconds."""


class Engine:
    """Runs a job: `start`, `wait`, then `stop`; `report` at any time.

    Raises VidetteError from `start` when a model cannot be loaded or a sink not be opened: nothing runs then.
    """

    def __init__(self, job: Job) -> None:
        self.job = job
        self.lanes: dict[str, Lane] = {}
        self.streams: list[Stream] = []
        self.outlets = [Outlet(request) for request in job.sinks]
        self._started_outlets: list[Outlet] = []
        self.started: float | None = None
        self.ended: float | None = None
        self.interrupted = False
        self._plan_reasons: dict[str, str] = {}
        self._stirred = threading.Event()  # a stream has ended

    def start(self) -> None:
        """Load models, open sinks, start streams."""
        self._before = cv2.getNumThreads(), sys.getswitchinterval()
        cv2.setNumThreads(1)  # the callers are the threads; a pool of cv2's own would fight with them
        sys.setswitchinterval(0.001)  # decoders take the GIL a few times per frame and each time may wait this long
        described = [(request, describe(request.source)) for request in self.job.models]
        try:
            for request, model in described:
                self.lanes[request.id] = self._open_lane(request, model)
            labels = {lane.model.id: lane.model.labels for lane in self.lanes.values()}
            for outlet in self.outlets:
                streams = [
                    StreamFacts(s.id, redact(s.url), s.mode == "live")
                    for s in self.job.streams
                    if outlet.request.takes(s.id)
                ]
                outlet.start(RunFacts(streams, labels), lambda: self.interrupted)
                self._started_outlets.append(outlet)
        except VidetteError:
            self._close(time.monotonic() + DRAIN_S)
            raise
        per_stream = decoder_threads(len(self.job.streams), cores())
        for wanted in self.job.streams:
            peers = sum(other.model == wanted.model for other in self.job.streams)
            outlets = [outlet for outlet in self.outlets if outlet.request.takes(wanted.id)]
            self.streams.append(Stream(wanted, self.lanes[wanted.model], outlets, per_stream, peers, self._stirred.set))
        # What was made so far lives as long as the process: keep it out of every later collection.
        gc.freeze()
        self.started = time.monotonic()
        for lane in self.lanes.values():
            lane.start()
        for stream in self.streams:
            stream.start()

    def wait(self, tick: Callable[[], None] | None = None, every: float = 0.1) -> None:
        """Until all streams have ended or `request_stop` was called; `tick` is called every so many seconds."""
        while not self.interrupted and not self._all_done():
            # What is still in the lane when decoding has ended takes a few runs: look more often then.
            self._stirred.wait(every if any(stream.decoding for stream in self.streams) else 0.005)
            self._stirred.clear()
            if tick is not None:
                tick()

    def _all_done(self) -> bool:
        # Every stream is asked, not only up to the first that is at work: asking notes when each has ended.
        return sum(stream.done for stream in self.streams) == len(self.streams)

    def request_stop(self) -> None:
        """Ask the waiting thread to end the run; safe from a signal handler or another thread."""
        # Nothing but a flag, seen within a tick: the handler may have interrupted the holder of the event's lock.
        self.interrupted = True

    def stop(self) -> None:
        """End everything: within two seconds after an interruption, else as soon as all is written."""
        finished = self._all_done() and not self.interrupted
        deadline = time.monotonic() + DRAIN_S
        for stream in self.streams:
            stream.stop()
        while not finished and time.monotonic() < deadline - 0.5:
            if self._all_done():
                break
            time.sleep(0.01)
        self._close(None if finished else deadline)

    def _close(self, deadline: float | None) -> None:
        for lane in self.lanes.values():
            lane.stop()
        for lane in self.lanes.values():
            if not lane.join(deadline or time.monotonic() + DRAIN_S):
                log.error("model %s did not stop in time", lane.model.id)
        for stream in self.streams:
            if not stream.join(deadline or time.monotonic() + DRAIN_S):
                log.error("stream %s did not stop in time", stream.request.id)
            stream.discard()
        for outlet in self._started_outlets:
            outlet.stop()
        for outlet in self._started_outlets:
            outlet.join(deadline if deadline is None else deadline + 0.3, lambda: self.interrupted)
        gc.unfreeze()
        threads, interval = self._before
        cv2.setNumThreads(threads)
        sys.setswitchinterval(interval)
        self.ended = time.monotonic()

    def plan_lines(self) -> list[str]:
        """One line per model: what really runs, and why."""
        return [plan_line(lane, self._plan_reasons[lane.model.id]) for lane in self.lanes.values()]

    def report(self) -> dict[str, Any]:
        """All numbers as plain values."""
        end = self.ended if self.ended is not None else time.monotonic()
        wall = end - self.started if self.started is not None else 0.0
        return {
            "wall_s": round(wall, 3),
            "interrupted": self.interrupted,
            "models": [self._model_report(lane, wall) for lane in self.lanes.values()],
            "streams": [stream.report() for stream in self.streams],
            "sinks": [outlet.ledger.report() for outlet in self.outlets],
        }

    @property
    def complete(self) -> bool:
        """Whether the run went to its end and every stream and sink did all of its work."""
        return (
            not self.interrupted
            and all(stream.ledger.complete(stream.request.mode == "live") for stream in self.streams)
            and not any(outlet.ledger.lost or outlet.ledger.error for outlet in self.outlets)
        )

    def _open_lane(self, request: ModelRequest, described: Described) -> Lane:
        streams = [stream for stream in self.job.streams if stream.model == request.id]
        mode, reason = plan_mode(request, streams, cores())
        lane = Lane(load(request, mode, described))
        self._plan_reasons[request.id] = reason
        return lane

    def _model_report(self, lane: Lane, wall: float) -> dict[str, Any]:
        model, plan = lane.model, lane.model.session.plan
        return {
            "model": model.id,
            "file": str(model.request.endpoint or model.request.path.name),
            "family": model.family,
            "runtime": plan.runtime,
            "device": plan.device,
            "precision": plan.precision,
            "inputs": model.inputs,
            "preprocess": model.preprocess.identity,
            "callers": plan.callers,
            "threads": plan.threads,
            "ladder": list(plan.ladder),
            "plan": plan.mode,
            "plan_reason": self._plan_reasons[model.id],
            "options": dict(plan.options),
            "batches": lane.batches,
            "device_busy": round(lane.busy_s / wall / plan.permits, 4) if wall > 0 else None,
        }


def plan_line(lane: Lane, reason: str) -> str:
    """What really runs a model; `reason` is why its plan was chosen."""
    plan, model = lane.plan, lane.model
    size = model.request.input or (model.preprocess.width, model.preprocess.height)
    if (at := model.endpoint) is not None:
        several = f", up to {plan.ladder[-1]} pictures in each" if plan.ladder[-1] > 1 else ""
        scaled = f" of at most {size[0]}x{size[1]}" if size[0] and size[1] else ""
        return (
            f"model {model.id}: asks {at} ({at.dialect}), JPEG quality {at.options.quality}{scaled}, "
            f"{plan.callers} requests at once{several} ({plan.mode} plan {reason})"
        )
    shape = f"{size[0]}x{size[1]}" if all(size) else f"each stream's own shape at {model.preprocess.size}"
    reasons = "; ".join([*model.reasons, f"{plan.mode} plan {reason}"])
    return (
        f"model {model.id}: {model.family} on {plan.runtime} ({plan.device}, {plan.precision}), {shape}, "
        f"{model.preprocess.identity}; "
        f"{plan.callers} callers x {plan.threads} threads, batch up to {plan.ladder[-1]} ({reasons})"
    )


def plan_mode(request: ModelRequest, streams: list[StreamRequest], budget: int) -> tuple[PlanMode, str]:
    """Which plan, and why.

    Throughput has one caller per core, latency puts all cores on one picture, adaptive decides with each run. `auto`
    asks whether a picture can be alone: files always have a next one, and so do as many live streams as there are
    cores; for them the second copy of the weights would be for nothing.
    """
    if request.plan != "auto":
        return request.plan, "as asked"
    if request.endpoint is not None and all(stream.mode == "live" for stream in streams):
        return "latency", "auto: live streams have a newer frame by the time a server can be asked again"
    if any(stream.mode == "lossless" for stream in streams):
        return "throughput", "auto: files keep every core busy"
    if len(streams) >= budget:
        return "throughput", f"auto: {len(streams)} live streams on {budget} cores"
    return "adaptive", f"auto: a picture that is alone gets all {budget} cores"


def decoder_threads(streams: int, budget: int) -> int:
    """Threads per decoder: more than one only where cores are left beside one caller per stream.

    Frame threads cost 10 to 17 % more CPU per frame and delay, so they must have idle cores to pay for it.
    """
    return max(1, min(4, budget // (2 * max(1, streams))))
