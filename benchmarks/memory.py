"""Does memory stay flat, and how much is it? MB are 10^6 bytes of resident memory; each line is a process of its own.

    python benchmarks/memory.py [--minutes 5] [--quick]

1. Eight 1080p H.264 files, decoded as fast as two cores can, a tiny model, JSONL: the slope after a warm-up of a
   quarter of the time.
2. One 720p file with yolo11n, to its end: the peak of `vidette run` beside the bare imports (av, cv2, numba with one
   kernel and the runtime) and beside these with a session that runs at the same shape with as many callers.
3. What would be there too if libraries were imported that a run does not use.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import av
import numpy as np
from _common import MODELS, ROOT, rss_mb, save, table

SLOPE, ABOVE = 1.0, 40.0  # MB per minute, MB
LAZY = ("supervision", "aiomqtt", "httpx", "matplotlib.pyplot", "PIL.Image", "openvino.tools.ovc")

# Printed at the end of each child: peak and present resident kilobytes (getrusage would count the parent's, from
# before exec), modules that should not be there, CPU seconds.
FINISH = f"""
import json, sys, time
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
kilobytes = [int(status[name].split()[0]) for name in ("VmHWM", "VmRSS")]
lazy = [name for name in {LAZY!r} if name in sys.modules]
print(json.dumps(dict(peak=kilobytes[0] * 1.024e-3, end=kilobytes[1] * 1.024e-3, lazy=lazy, cpu=time.process_time())))
"""

IMPORTS = {
    "onnx": "import av, cv2, numba, onnxruntime",
    # as the runtime imports it: without its model converter and the telemetry that this brings
    "openvino": 'import sys; sys.modules["openvino.tools.ovc"] = None; import av, cv2, numba, openvino',
}

# The libraries alone, as the plan has them: callers x 1 thread, no arena (onnx), one compiled shape (openvino).
SESSIONS = {
    "onnx": """
import numpy, threading
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = options.inter_op_num_threads = 1
options.enable_cpu_mem_arena = False
session = onnxruntime.InferenceSession({model!r}, options, providers=["CPUExecutionProvider"])
def call():
    picture = numpy.zeros((1, 3, 384, 640), numpy.float32)
    for _ in range(20): session.run(None, {{session.get_inputs()[0].name: picture}})
""",
    "openvino": """
import numpy, threading
core = openvino.Core()
network = core.read_model({model!r})
network.reshape([1, 3, 384, 640])
compiled = core.compile_model(network, "CPU", {{"NUM_STREAMS": {callers}, "INFERENCE_NUM_THREADS": {callers}}})
def call():
    request, picture = compiled.create_infer_request(), numpy.zeros((1, 3, 384, 640), numpy.float32)
    request.set_input_tensor(openvino.Tensor(picture, shared_memory=True))
    for _ in range(20): request.infer(share_outputs=True)
""",
}
# `import numba` alone loads neither its compiler nor LLVM; the first kernel does, from its cache too.
KERNELS = """
from vidette.pixels.preprocess import Preprocess
from vidette.pixels.slot import SlotWriter
SlotWriter(Preprocess()).warm()
"""
CALL = """
threads = [threading.Thread(target=call) for _ in range({callers})]
for thread in threads: thread.start()
for thread in threads: thread.join()
"""

RUN = """
from vidette.cli import main
from pathlib import Path
assert main(["run", {clip!r}, "--model", {model!r}, "--runtime", {runtime!r}, "--plan", "throughput",
             "--sink", {out!r}, "--quiet"]) == 0
assert len(Path({out!r}).read_text().splitlines()) == {frames}
"""


def child(code: str) -> dict[str, Any]:
    """Run code in a fresh interpreter; what FINISH says of it."""
    done = subprocess.run([sys.executable, "-c", code + FINISH], stdout=subprocess.PIPE, check=True)
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def clip(path: Path, width: int, height: int, frames: int, rounds: int = 1) -> str:
    """H.264 of the sample picture, its packets repeated."""
    from vidette.sources import open_source
    from vidette.sources.base import SourceOptions

    options = SourceOptions("s", 0, 1, "lossless", threading.Event())
    source = open_source(f"sample:?size={width}x{height}&frames={frames}", options)
    once = path.with_suffix(".once.mp4")  # keeps the decoding times, which Matroska does not
    with av.open(str(once), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"preset": "veryfast", "crf": "28"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for frame in source.frames():
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame.picture.bgr(), format="bgr24")))
        container.mux(stream.encode(None))
    with av.open(str(path), "w") as container:
        stream = None
        for number in range(rounds):
            with av.open(str(once)) as part:
                if stream is None:
                    stream = container.add_stream_from_template(part.streams.video[0])
                for packet in part.demux(video=0):
                    if not packet.size:
                        continue
                    shift = round(number * frames / 25 / packet.time_base)
                    packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
                    packet.stream = stream
                    container.mux(packet)
    once.unlink()
    return str(path)


def long_run(folder: Path, minutes: float) -> None:
    """The child of part 1: prints a JSON line with the samples."""
    from tests.tiny import make_detector
    from vidette.budget import tune_malloc
    from vidette.engine import Engine
    from vidette.job import Job, ModelRequest, SinkRequest, StreamRequest
    from vidette_sinks.jsonl import JsonlSettings, JsonlSink

    model = ModelRequest("m", make_detector(folder / "tiny.onnx"), runtime="onnx", confidence=0.8)
    streams = [StreamRequest(f"s{n}", str(folder / "1080p.mkv"), "m", "lossless") for n in range(8)]
    sink = JsonlSink(JsonlSettings(path=str(folder / "out.jsonl")))
    tune_malloc()
    engine = Engine(Job([model], streams, [SinkRequest(sink)]))
    samples: list[tuple[float, float]] = []

    def tick() -> None:
        now = time.monotonic() - begin
        if not samples or now - samples[-1][0] >= 0.5:
            samples.append((now, rss_mb()))
        if now > minutes * 60:
            engine.request_stop()

    engine.start()
    begin = time.monotonic()
    engine.wait(tick)
    engine.stop()
    report = engine.report()
    failures = [s for s in report["streams"] if s["error"] or s["failed"] or s["results"] < 100]
    frames = sum(s["results"] for s in report["streams"])
    print(json.dumps({"samples": samples, "frames": frames, "failures": failures}))


def slope(folder: Path, minutes: float) -> dict[str, Any]:
    # no machine with two cores decodes 150 frames per second of each of eight
    clip(folder / "1080p.mkv", 1920, 1080, 250, rounds=max(2, round(minutes * 60 * 100 / 250)))
    command = [sys.executable, __file__, "--long-run", str(folder), "--minutes", str(minutes)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    answer = json.loads(done.stdout.splitlines()[-1])
    if answer["failures"]:
        raise SystemExit(f"streams failed: {answer['failures']}")
    times, sizes = np.array(answer["samples"]).T
    steady = times > times[-1] / 4
    per_minute = float(np.polyfit(times[steady], sizes[steady], 1)[0] * 60)
    return {
        "minutes": round(float(times[-1]) / 60, 2),
        "frames": answer["frames"],
        "mb_per_minute": round(per_minute, 3),
        "mb_after_warm_up": round(float(sizes[steady][0]), 1),
        "mb_at_end": round(float(sizes[-1]), 1),
        "mb_peak": round(float(sizes.max()), 1),
        "ok": per_minute < SLOPE,
    }


def peak(folder: Path, model: str, frames: int, repeats: int) -> list[dict[str, Any]]:
    video, callers = clip(folder / "720p.mkv", 1280, 720, frames), len(os.sched_getaffinity(0))
    rows = []
    for runtime in ("onnx", "openvino"):
        words = {"model": model, "callers": callers}
        session = IMPORTS[runtime] + SESSIONS[runtime].format(**words) + CALL.format(**words)
        run = RUN.format(clip=video, model=model, runtime=runtime, out=str(folder / "out.jsonl"), frames=frames)
        codes = {
            "imports": IMPORTS[runtime],
            "imports, a kernel loaded": IMPORTS[runtime] + KERNELS,
            "imports, session": session,
            "run": run,
        }
        child(run)
        measured: dict[str, list[dict[str, Any]]] = {}
        for _ in range(repeats):
            for name, code in codes.items():
                measured.setdefault(name, []).append(child(code))
        peaks = {name: statistics.median(m["peak"] for m in each) for name, each in measured.items()}
        base = peaks["imports, session"]
        loaded = base + peaks["imports, a kernel loaded"] - peaks["imports"]
        for name, each in measured.items():
            row: dict[str, Any] = {"runtime": runtime, "what": name}
            row |= {key: round(statistics.median(m[key] for m in each), 1) for key in ("peak", "end")}
            row["cpu_s"] = round(statistics.median(m["cpu"] for m in each), 2)
            row["above"] = round(row["peak"] - base, 1) if name.startswith("run") else None
            row["above_loaded"] = round(row["peak"] - loaded, 1) if name.startswith("run") else None
            row["ok"] = row["above_loaded"] <= ABOVE if name == "run" else None
            row["imported"] = each[0]["lazy"] if name == "run" else None
            rows.append(row)
    return rows


def lazy(repeats: int) -> list[dict[str, Any]]:
    """On top of what a run imports anyway."""
    base = "import vidette.cli.run, vidette.models, vidette_sinks.jsonl, onnxruntime, numba\n"
    rows = []
    for name in ("", *LAZY):
        both = [child(base + (f"import {name}" if name else "")) for _ in range(repeats)]
        row = {"import": name, "mb": statistics.median(b["peak"] for b in both)}
        row["cpu_s"] = statistics.median(b["cpu"] for b in both)
        rows.append(row)
    first = rows.pop(0)
    return [
        {"import": r["import"], "mb": round(r["mb"] - first["mb"], 1), "cpu_s": round(r["cpu_s"] - first["cpu_s"], 2)}
        for r in rows
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=5.0, help="of part 1")
    parser.add_argument("--model", type=Path, default=MODELS / "yolo11n.onnx")
    parser.add_argument("--quick", action="store_true", help="part 1 for a minute, nothing repeated, nothing stored")
    parser.add_argument("--long-run", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    if options.long_run:
        return long_run(options.long_run, options.minutes)
    if not options.model.exists():
        raise SystemExit(f"{options.model} is not there: make fetch, or name another with --model")
    minutes, repeats, frames = (1.0, 1, 60) if options.quick else (options.minutes, 3, 100)
    load_before = os.getloadavg()
    with tempfile.TemporaryDirectory() as folder:
        peaks = peak(Path(folder), str(options.model), frames, repeats)
        imports = lazy(repeats)
        flat = slope(Path(folder), minutes)
    verdict = {True: "ok", False: "MISSED", None: ""}
    print("eight streams of 1080p: " + ", ".join(f"{name} {value}" for name, value in flat.items() if name != "ok"))
    print(f"aim: < {SLOPE:g} MB per minute: {verdict[flat['ok']]}\n")
    names = ["runtime", "what", "peak", "end", "cpu_s", "above_loaded", "above"]
    cells = [[*(row[name] for name in names), verdict[row["ok"]]] for row in peaks]
    head = ["runtime", "720p, yolo11n", "peak MB", "end MB", "CPU s", "above session + kernel", "above session"]
    print(table(cells, [*head, f"aim {ABOVE:g} MB"]))
    print()
    print(table([list(row.values()) for row in imports], ["not imported by a run", "MB", "CPU s"]))
    if not options.quick:
        load = [round(value, 2) for value in load_before]
        data = {"model": options.model.name, "load_before": load, "slope": flat, "peaks": peaks, "lazy": imports}
        print(f"\nstored in {save('memory', data)}")
    return None


if __name__ == "__main__":
    main()
