"""Does batching keep its promises on a device that works in batches? Real threads, real time, a simulated device.

    python benchmarks/batching.py [--seconds 6] [--quick]

The device takes a + b*n for n pictures, one batch at a time, and needs no core (runtimes/simulated.py): what a GPU
looks like from outside. Batches of 1 carry 91 pictures per second here, batches of 16 carry 615. A wait is the time
from a frame's arrival in its ring to the start of its run. tests/test_batching.py gates the same by counts on a
simulated clock; here the threads are real, and so is what the machine does to them.
"""

import argparse
import os
import statistics
import sys
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import cv2
import numpy as np
from _common import ROOT, save, table
from pydantic import BaseModel

sys.path.insert(0, str(ROOT))

from tests.tiny import make_detector
from vidette.engine import Engine
from vidette.job import Job, ModelRequest, SinkRequest, StreamRequest
from vidette.result import Result
from vidette.runtimes import RUNTIMES
from vidette.runtimes.simulated import Run, Simulated
from vidette.sink import Delivery, RunFacts
from vidette.sources.base import Mode

A, B, LADDER = 0.010, 0.001, (1, 2, 4, 8, 16)
SIZE = "320x192"


@dataclass
class Waits:
    """A sink that keeps how long frames waited, in seconds; not those of the first half second."""

    Settings: ClassVar[type[BaseModel]] = BaseModel
    suffixes: ClassVar[tuple[str, ...]] = ()
    schemes: ClassVar[tuple[str, ...]] = ()
    needs_picture: ClassVar[bool] = False
    delivery: ClassVar[Delivery] = "every"
    name: str = "waits"
    seconds: dict[str, list[float]] = field(default_factory=dict)

    @classmethod
    def from_target(cls, target: str) -> BaseModel:
        return BaseModel()

    def paths(self) -> Sequence[str]:
        return ()

    def open(self, run: RunFacts) -> None:
        pass

    def write(self, result: Result) -> None:
        if (result.pts_s or 0.0) < 0.5:
            return
        stages = result.stages
        # `scale` is the batch's preparation divided by its size: together they are arrival to start of the run
        self.seconds.setdefault(result.stream, []).append(stages.queue + stages.scale * result.batch)

    def close(self) -> None:
        pass


@dataclass
class Outcome:
    """What one scenario gave, without its first and last half second."""

    runs: list[Run]
    waits: dict[str, list[float]]
    report: dict[str, Any]

    @property
    def busy(self) -> float:
        span = self.runs[-1].end - self.runs[0].start
        return sum(run.end - run.start for run in self.runs) / span

    @property
    def mean_batch(self) -> float:
        return statistics.mean(run.count for run in self.runs)

    @property
    def longest_run(self) -> float:
        return max(run.end - run.start for run in self.runs)

    def wait(self, share: float, *streams: str) -> float:
        every = [value for id, values in self.waits.items() if not streams or id in streams for value in values]
        return float(np.quantile(every, share))

    def lost(self, *streams: str) -> int:
        return sum(sum(s["dropped"].values()) for s in self.report["streams"] if s["stream"] in streams)


def play(model: Path, rates: dict[str, float], mode: Mode, seconds: float, max_delay: float = 0.0) -> Outcome:
    """Streams of these rates for so long; lossless ones come as fast as they are taken."""
    device = Simulated(A, B, LADDER, ((7, 60),))
    RUNTIMES["simulated"] = lambda: device
    sink = Waits()
    # as many frames as the time has, and no end for those that are stopped
    frames = {id: f"&frames={round(rate * seconds)}" if mode == "live" else "" for id, rate in rates.items()}
    urls = {id: f"testsrc:?size={SIZE}&rate={rate:g}{frames[id]}" for id, rate in rates.items()}
    streams = [StreamRequest(id, url, "m", mode) for id, url in urls.items()]
    engine = Engine(Job([ModelRequest("m", model, runtime="simulated", max_delay=max_delay)], streams,
                        [SinkRequest(sink)]))  # fmt: skip
    engine.start()
    timer = threading.Timer(seconds, engine.request_stop)
    if mode == "lossless":
        timer.start()
    engine.wait()
    timer.cancel()
    runs = list(device.runs)  # before the streams end, which leaves small batches
    engine.stop()
    begin, end = runs[0].start + 0.5, runs[-1].end - 0.5
    steady = [run for run in runs if begin <= run.start and run.end <= end]
    return Outcome(steady, sink.seconds, engine.report())


def measure(model: Path, seconds: float) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []

    def row(what: str, value: float, unit: str, aim: str, ok: bool) -> None:
        rows.append({"what": what, "value": round(value, 3), "unit": unit, "aim": aim, "ok": ok})

    eight = {f"s{n}": 30.0 for n in range(8)}
    loaded = play(model, eight, "lossless", seconds)
    row("8 streams without pause: device busy", loaded.busy * 100, "%", ">= 95", loaded.busy >= 0.95)
    top = LADDER[-1]
    row("8 streams without pause: mean batch", loaded.mean_batch, "", f"{top}", loaded.mean_batch >= 0.99 * top)

    alone = play(model, {"one": 10.0}, "live", seconds)
    patient = play(model, {"one": 10.0}, "live", seconds, max_delay=0.020)
    usual = alone.wait(0.5) * 1e3
    added = (patient.wait(0.5) - alone.wait(0.5)) * 1e3
    row("1 stream at 10 fps: wait (the picture is written meanwhile), median", usual, "ms", "< 1", usual < 1)
    row("1 stream at 10 fps: added by max_delay 20 ms, median", added, "ms", "0 +- 0.2", abs(added) <= 0.2)

    for max_delay in (0.0, 0.005):
        live = play(model, eight, "live", seconds, max_delay)
        bound = (max_delay + live.longest_run) * 1e3
        wait = live.wait(0.99) * 1e3
        what = f"8 streams at 30 fps, max_delay {max_delay * 1e3:g} ms"
        row(f"{what}: wait p99", wait, "ms", f"<= {bound:.1f}", wait <= bound)
        row(f"{what}: mean batch", live.mean_batch, "", "", True)
        lost = live.lost(*eight)
        row(f"{what}: frames lost", lost, "", "0", lost == 0)

    slow = {f"slow{n}": 5.0 for n in range(7)}
    mixed = play(model, {"fast": 60.0, **slow}, "live", seconds)
    row("60 fps beside seven at 5 fps: the seven lose", mixed.lost(*slow), "frames", "0", mixed.lost(*slow) == 0)
    row("60 fps beside seven at 5 fps: the fast one loses", mixed.lost("fast"), "frames", "0", mixed.lost("fast") == 0)
    wait, bound = mixed.wait(0.99, *slow) * 1e3, mixed.longest_run * 1e3
    row("60 fps beside seven at 5 fps: the seven wait, p99", wait, "ms", f"<= {bound:.1f}", wait <= bound)

    flood = play(model, {"fast": 2000.0, **slow}, "live", seconds)
    row("2000 fps (too much) beside seven at 5 fps: the seven lose", flood.lost(*slow), "frames", "0",
        flood.lost(*slow) == 0)  # fmt: skip
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=6.0, help="per scenario; there are six")
    parser.add_argument("--quick", action="store_true", help="2 s per scenario; nothing is stored")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    load_before = os.getloadavg()
    with tempfile.TemporaryDirectory() as folder:
        model = make_detector(Path(folder) / "tiny.onnx")
        play(model, {"one": 30.0}, "live", 1.5)  # kernels are compiled or loaded
        rows = measure(model, 2.0 if options.quick else options.seconds)
    cells = [[row["what"], row["value"], row["unit"], row["aim"], "ok" if row["ok"] else "MISSED"] for row in rows]
    print(table(cells, ["", "measured", "", "aim", ""]))
    if not options.quick:
        device = {"a_ms": A * 1e3, "b_ms": B * 1e3, "ladder": list(LADDER)}
        stored = save("batching", {"device": device, "load_before": [round(v, 2) for v in load_before], "rows": rows})
        print(f"\nstored in {stored}")


if __name__ == "__main__":
    main()
