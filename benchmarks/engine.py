"""What does the engine cost per frame beside decoding, scaling and running? CPU microseconds.

    python benchmarks/engine.py [--repeats 5] [--frames 4000] [--quick]

A model that costs almost nothing, so that the engine shows: a tiny ONNX graph on ONNX Runtime (a caller per core, batch
1), and a simulated device of no latency (three callers, batches up to 16). 1, 8 and 64 streams of frames that were
drawn beforehand and are replayed (`testsrc:` would spend most of the time drawing), and of small H.264 files. A JSONL
sink writes every result.

The limit is a plain loop in one thread over the same frames in the same process: eight frames of a source, each written
into the model's input and run, then eight of the next source. Of the orders tried none is cheaper: to decode and run by
turns costs 15 % more, since each empties the caches for the other, and a frame of each of 64 sources 5 %. What the
engine's whole process spends beyond that, per frame, is the overhead: threads, queues, batches, decoding of outputs,
order, ledger, records, files. The parts of it that can be called alone are measured alone, and the CPU time of each
kind of thread is shown. Runs as short as these are mostly done by the threads that decode (spells.py).
"""

import argparse
import itertools
import os
import resource
import statistics
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import av
import cv2
import numpy as np
from _common import ROOT, cpu_seconds, save, table

sys.path.insert(0, str(ROOT))

from tests.tiny import make_detector
from vidette import sources
from vidette.budget import tune_malloc
from vidette.engine import Engine
from vidette.frame import Frame, Picture
from vidette.job import Job, ModelRequest, SinkRequest, StreamRequest
from vidette.models import describe, load
from vidette.runtimes import RUNTIMES
from vidette.runtimes.simulated import Simulated
from vidette.sink import RunFacts
from vidette.sources.base import FrameMaker, Mode, SourceFacts, SourceOptions
from vidette.sources.synthetic import TestPicture
from vidette_sinks.jsonl import JsonlSettings, JsonlSink

WIDTH, HEIGHT = 320, 192
STREAMS = (1, 8, 64)
ROW = 8
ROLES = ("decode_us", "scale_run_us", "decode_threads_us", "model_threads_us", "sink_threads_us")
AIM_US, LIMIT_US, AIM_RATIO = 100, 150, 1.2


class Replay:
    """`replay:N`: N frames out of 64 that were drawn when the benchmark began."""

    drawn: ClassVar[list[av.VideoFrame]] = []

    def __init__(self, count: int, options: SourceOptions) -> None:
        self.facts = SourceFacts(WIDTH, HEIGHT, 30, count)
        self._options = options

    @staticmethod
    def default_mode(url: str) -> Mode:
        return "lossless"

    @classmethod
    def open(cls, url: str, options: SourceOptions) -> "Replay":
        return cls(int(url.partition(":")[2]), options)

    def frames(self) -> Iterator[Frame]:
        make = FrameMaker(self._options).make
        for number in range(self.facts.frames or 0):
            yield make(Picture(self.drawn[number % len(self.drawn)]), number / 30)

    def close(self) -> None:
        pass


def draw() -> None:
    picture = TestPicture(WIDTH, HEIGHT)
    Replay.drawn = [picture.draw(number) for number in range(64)]
    sources._TABLE["replay"] = "__main__:Replay"


def clip(path: Path, frames: int) -> str:
    """A small H.264 file of the test picture."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30, options={"preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for number in range(frames):
            frame = Replay.drawn[number % len(Replay.drawn)]
            frame.pts = None
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return str(path)


def limit(request: ModelRequest, urls: list[str]) -> dict[str, float]:
    """CPU seconds of decode, and of decode + scale + run, in one thread over the sources in turn."""
    model = load(request, "throughput")
    writer = model.writer()
    box = model.letterbox(WIDTH, HEIGHT)
    buffer = model.session.buffer(box.shape)
    model.session.run(buffer, 1)
    top = len(buffer.slots)

    def frames() -> Iterator[Frame]:
        stop = threading.Event()
        opened = [sources.open_source(url, SourceOptions("s", 0, 1, "lossless", stop)) for url in urls]
        left = deque(source.frames() for source in opened)
        while left:
            row = list(itertools.islice(left[0], ROW))
            yield from (frame for frame in row if isinstance(frame, Frame))
            if row:
                left.rotate(-1)
            else:
                left.popleft()
        for source in opened:
            source.close()

    begin = cpu_seconds()
    for _ in frames():
        pass
    decoded = cpu_seconds()
    filled = 0
    for frame in frames():
        writer.write(frame.picture, box, buffer, filled)
        filled += 1
        if filled == top:
            model.session.run(buffer, filled)
            filled = 0
    done = cpu_seconds()
    model.session.close()
    return {"decode": decoded - begin, "all": done - decoded}


def whole(request: ModelRequest, urls: list[str], target: Path) -> dict[str, Any]:
    """The engine over the same sources; its own start is not counted, its end is."""
    sink = JsonlSink(JsonlSettings(path=str(target)))
    streams = [StreamRequest(f"s{n}", url, request.id, "lossless") for n, url in enumerate(urls)]
    engine = Engine(Job([request], streams, [SinkRequest(sink)]))
    before, main = cpu_seconds(), time.thread_time()
    engine.start()
    main = time.thread_time() - main
    usage = resource.getrusage(resource.RUSAGE_SELF)
    engine.wait()
    while any(outlet.ledger.waiting for outlet in engine.outlets):
        time.sleep(0.001)
    roles = {role: thread_seconds(f"vidette:{role}:") for role in ("model", "sink")}
    engine.stop()
    cpu = cpu_seconds() - before - main
    roles["decode"] = cpu - sum(roles.values())  # these threads have ended; the waiting main thread is little
    after = resource.getrusage(resource.RUSAGE_SELF)
    if not engine.complete:
        raise SystemExit(f"the run is not complete: {engine.report()}")
    report = engine.report()
    results = sum(stream["results"] for stream in report["streams"])
    return {
        "cpu": cpu,
        "roles": roles,
        "results": results,
        "wall": report["wall_s"],
        "objects": sum(stream["objects"] for stream in report["streams"]) / results,
        "p50": statistics.median(stream["latency_p50_ms"] for stream in report["streams"]),
        "p99": max(stream["latency_p99_ms"] for stream in report["streams"]),
        "batch": results / sum(model["batches"] for model in report["models"]),
        "switches": (after.ru_nvcsw - usage.ru_nvcsw + after.ru_nivcsw - usage.ru_nivcsw) / results,
    }


def thread_seconds(prefix: str) -> float:
    """CPU seconds of the living threads of that name (Linux: nanoseconds in the first field of schedstat)."""
    threads = [thread for thread in threading.enumerate() if thread.name.startswith(prefix)]
    texts = [Path(f"/proc/self/task/{thread.native_id}/schedstat").read_text() for thread in threads]
    return sum(int(text.split()[0]) for text in texts) / 1e9


def parts(request: ModelRequest, target: Path) -> dict[str, float]:
    """CPU microseconds of what the overhead consists of and what can be called alone."""
    model = load(request, "throughput")
    box = model.letterbox(WIDTH, HEIGHT)
    buffer = model.session.buffer(box.shape)
    model.writer().write(Picture(Replay.drawn[0]), box, buffer, 0)
    outputs = [np.array(output[0]) for output in model.session.run(buffer, 1)]
    found = model.decoder(outputs, box, model.limits)
    model.session.close()

    from vidette.result import Result, StageTimes

    result = Result(
        "s0", 0, 0, 0.0, time.time(), WIDTH, HEIGHT, "m", model.run_facts(box.shape), found, 1, StageTimes()
    )
    sink = JsonlSink(JsonlSettings(path=str(target)))
    sink.open(RunFacts())
    times = {}
    for name, call in (
        ("postprocess", lambda: model.decoder(outputs, box, model.limits)),
        ("record and file", lambda: sink.write(result)),
    ):
        values = []
        for _ in range(5):
            begin = cpu_seconds()
            for _ in range(2000):
                call()
            values.append((cpu_seconds() - begin) / 2000 * 1e6)
        times[name] = statistics.median(values)
    sink.close()
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--frames", type=int, default=4096, help="frames per run, all streams together; at least 320 "
                        "per stream, so that opening 64 files does not decide")  # fmt: skip
    parser.add_argument("--quick", action="store_true", help="one short round; nothing is stored")
    options = parser.parse_args()
    repeats, frames = (1, 1024) if options.quick else (options.repeats, options.frames)
    cv2.setNumThreads(1)
    tune_malloc()  # as `vidette run` does
    load_before = os.getloadavg()
    draw()
    with tempfile.TemporaryDirectory() as folder:
        results = measure(Path(folder), repeats, frames)
    results["load_before"] = [round(value, 2) for value in load_before]
    verdicts(results)
    show(results)
    if not options.quick:
        print(f"\nstored in {save('engine', results)}")


def measure(folder: Path, repeats: int, frames: int) -> dict[str, Any]:
    RUNTIMES["simulated"] = lambda: Simulated(0.0, 0.0, (1, 2, 4, 8, 16), ((7, 60),))
    path = make_detector(folder / "tiny.onnx")
    describe(path)
    # six objects per picture, as footage has
    requests = {
        name: ModelRequest("m", path, runtime=name, confidence=0.8, max_detections=6) for name in ("onnx", "simulated")
    }
    each = {n: max(320, frames // n) for n in STREAMS}
    urls = {("replay", n): [f"replay:{each[n]}"] * n for n in STREAMS}
    urls |= {("file", n): [clip(folder / f"{n}.mp4", each[n])] * n for n in STREAMS}
    runs: dict[tuple[str, str, int], list[dict[str, Any]]] = {}
    whole(requests["onnx"], ["replay:200"], folder / "out.jsonl")  # compiles, fills caches
    for _ in range(repeats):
        for kind, model, n in itertools.product(("replay", "file"), requests, STREAMS):
            base = limit(requests[model], urls[kind, n])
            run = whole(requests[model], urls[kind, n], folder / "out.jsonl")
            per_frame = 1e6 / run["results"]
            run["decode_us"] = base["decode"] * per_frame
            run["limit_us"] = base["all"] * per_frame
            run["overhead_us"] = (run["cpu"] - base["all"]) * per_frame
            run["fps"] = run["results"] / run["wall"]
            run["scale_run_us"] = run["limit_us"] - run["decode_us"]
            run |= {f"{role}_threads_us": seconds * per_frame for role, seconds in run["roles"].items()}
            runs.setdefault((kind, model, n), []).append(run)
    rows = []
    for (kind, model, n), repeated in runs.items():
        row: dict[str, Any] = {"source": kind, "model": model, "streams": n}
        for name in ("fps", "limit_us", "overhead_us", *ROLES, "p50", "p99", "batch", "objects", "switches"):
            row[name] = round(statistics.median(run[name] for run in repeated), 2)
        row["overhead_us_all"] = [round(run["overhead_us"], 1) for run in repeated]
        rows.append(row)
    return {
        "frames": frames,
        "repeats": repeats,
        "picture": [WIDTH, HEIGHT],
        "rows": rows,
        "parts_us": {
            model: {name: round(us, 1) for name, us in parts(request, folder / "out.jsonl").items()}
            for model, request in requests.items()
        },
    }


def verdicts(results: dict[str, Any]) -> None:
    """Put an aim and a verdict into each row."""
    one = {(row["source"], row["model"]): row["overhead_us"] for row in results["rows"] if row["streams"] == 1}
    for row in results["rows"]:
        us = row["overhead_us"]
        row["ratio"] = round(us / one[row["source"], row["model"]], 2)
        good = "ok" if us <= AIM_US else "above the aim" if us <= LIMIT_US else "NOT DONE"
        if row["streams"] == STREAMS[-1] and row["ratio"] > AIM_RATIO:
            good += f", > {AIM_RATIO}x of one stream"
        row["verdict"] = good


def show(results: dict[str, Any]) -> None:
    head = ["source", "model", "streams", "frames/s", "limit us", "overhead us", "of 1 stream", "p50 ms", "p99 ms"]
    names = ["source", "model", "streams", "fps", "limit_us", "overhead_us", "ratio", "p50", "p99"]
    head += ["batch", "objects", f"aim {AIM_US} us, {AIM_RATIO}x"]
    names += ["batch", "objects", "verdict"]
    print(table([[row[name] for name in names] for row in results["rows"]], head))
    print("limit: decode + scale + run in one thread; latency is that of full queues: files come as fast as they go\n")
    head = ["CPU us per frame", "", "streams", "decode alone", "scale + run alone"]
    head += ["decode threads", "model threads", "sink thread", "switches"]
    names = ["source", "model", "streams", *ROLES, "switches"]
    print(table([[row[name] for name in names] for row in results["rows"]], head))
    print()
    for model, us in results["parts_us"].items():
        print(f"of the overhead with {model}, alone: " + ", ".join(f"{name} {value} us" for name, value in us.items()))


if __name__ == "__main__":
    main()
