"""What the whole job costs beyond what it cannot avoid: decoding, and the runtime's own run.

The limit of a clip is the CPU time of decoding it alone plus that of the runtime running the file's graph alone, at the
same precision, shape, threads and callers, on the same input, measured in turns with the whole job (JSONL sink
included) in one process. Each model is opened and compiled once for all turns. The job may run less than the file's
graph (`vidette/shortening.py`): what that costs alone stands beside it (`short run`).

    python benchmarks/whole_job.py [--model yolo11n.onnx] [--frames 300] [--rounds 5]

Beside it stands the same with decoding and running at the same time and nothing between them: caches and cores are
shared there too, so what is left is Vidette's own.

Aim: CPU per frame <= 1.03x the limit (more than 1.05x is not done), wall frames/s >= 0.95 of it, with each runtime.
"""

import argparse
import gc
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import cv2

sys.path.insert(0, str(Path(__file__).parent))
import _common
from _clips import people_clip

import vidette.engine
from vidette.budget import tune_malloc
from vidette.engine import Engine
from vidette.frame import Picture
from vidette.job import Job, ModelRequest, SinkRequest, StreamRequest
from vidette.models import Model, describe, load
from vidette.runtimes import choose
from vidette.runtimes.base import ModelFile, Session, writer
from vidette.sink import sink_for_target

Cost = tuple[float, float]  # CPU seconds, wall seconds

FIGURES = {
    "precision": "precision",
    "decode ms": "decode_cpu_ms",
    "run ms": "run_cpu_ms",
    "short run": "short_run_cpu_ms",
    "whole ms": "whole_cpu_ms",
    "CPU ratio": "cpu_ratio",
    "to together": "cpu_ratio_to_together",
    "fps": "wall_fps",
    "wall ratio": "wall_ratio",
}


def timed(work: Callable[[], Any]) -> Cost:
    gc.collect()
    cpu, wall = _common.cpu_seconds(), time.perf_counter()
    work()
    return _common.cpu_seconds() - cpu, time.perf_counter() - wall


def decode(clip: Path) -> None:
    """As the file source does with one decoder thread."""
    with av.open(str(clip)) as container:
        stream = container.streams.video[0]
        stream.thread_type, stream.codec_context.thread_count = "NONE", 1
        for _ in container.decode(stream):
            pass


class RunAlone:
    """As many callers as the plan says, each with a real picture in its buffer."""

    def __init__(self, model: Model, session: Session, clip: Path) -> None:
        with av.open(str(clip)) as container:
            picture = Picture(next(container.decode(video=0)))
        self.session = session
        self.box = model.letterbox(picture.width, picture.height)
        self.buffers = [session.buffer(self.box.shape) for _ in range(session.plan.callers)]
        for buffer in self.buffers:
            writer(session, model.preprocess).write(picture, self.box, buffer, 0)
            session.run(buffer, 1)

    def __call__(self, frames: int) -> None:
        share = frames // len(self.buffers)

        def caller(buffer: Any) -> None:
            for _ in range(share):
                self.session.run(buffer, 1)

        threads = [threading.Thread(target=caller, args=(buffer,)) for buffer in self.buffers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def together(run: RunAlone, clip: Path, frames: int, per_frame_s: float) -> None:
    """Decoding and running at the same time, with nothing between them: what sharing cores and caches costs alone."""

    def decode_paced() -> None:
        with av.open(str(clip)) as container:
            stream = container.streams.video[0]
            stream.thread_type, stream.codec_context.thread_count = "NONE", 1
            begin = time.monotonic()
            for number, _ in enumerate(container.decode(stream)):
                if number % 6 == 0:  # a ring lets the decoder work in spells
                    time.sleep(max(0.0, begin + number * per_frame_s - time.monotonic()))

    decoder = threading.Thread(target=decode_paced)
    decoder.start()
    run(frames)
    decoder.join()


def whole(model: Model, clip: Path, out: Path) -> None:
    cls, settings = sink_for_target(str(out))
    stream = StreamRequest("clip", str(clip), model.id, "lossless")
    engine = Engine(Job([model.request], [stream], [SinkRequest(cls(settings))]))
    engine.start()
    engine.wait()
    engine.stop()
    assert engine.complete, engine.report()


def own_graph(model: Model) -> Session:
    """The file as it is, opened with the plan of the model."""
    described, plan = describe(model.request.source), model.session.plan
    recognised = described.recognised
    file = ModelFile("own", described.path, described.signature, recognised.preprocess, recognised.dynamic)
    return choose(plan.runtime).open(file, plan)


def opened_once(request: ModelRequest) -> Model:
    """The model, kept open over many engines."""
    model = load(request, "throughput")
    model.session.stop = model.session.close = lambda: None  # type: ignore[method-assign]
    vidette.engine.load = lambda *_: model  # type: ignore[attr-defined]
    return model


def measure(request: ModelRequest, clip: Path, frames: int, rounds: int) -> dict[str, Any]:
    model = opened_once(request)
    run, short = RunAlone(model, own_graph(model), clip), RunAlone(model, model.session, clip)
    samples: dict[str, list[Cost]] = {"decode": [], "run": [], "short": [], "together": [], "whole": []}
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out.jsonl"
        whole(model, clip, out)
        for _ in range(rounds):
            samples["decode"].append(timed(lambda: decode(clip)))
            samples["run"].append(timed(lambda: run(frames)))
            pace = samples["run"][-1][1] / frames
            samples["together"].append(timed(lambda pace=pace: together(run, clip, frames, pace)))  # type: ignore[misc]
            samples["whole"].append(timed(lambda: whole(model, clip, out)))
            samples["short"].append(timed(lambda: short(frames)))
            samples["run"].append(timed(lambda: run(frames)))
    runs = [tuple(map(statistics.mean, zip(*pair, strict=True)))
            for pair in zip(samples["run"][::2], samples["run"][1::2], strict=True)]  # fmt: skip
    triples = list(zip(samples["decode"], runs, samples["whole"], strict=True))
    cores = model.session.plan.callers
    return {
        "runtime": model.session.plan.runtime,
        "precision": model.session.plan.precision,
        "input": f"{run.box.input_width}x{run.box.input_height}",
        "callers": cores,
        "threads": model.session.plan.threads,
        "decode_cpu_ms": round(statistics.median(d[0] for d, _, _ in triples) / frames * 1e3, 3),
        "run_cpu_ms": round(statistics.median(r[0] for _, r, _ in triples) / frames * 1e3, 3),
        "short_run_cpu_ms": round(statistics.median(s[0] for s in samples["short"]) / frames * 1e3, 3),
        "whole_cpu_ms": round(statistics.median(w[0] for _, _, w in triples) / frames * 1e3, 3),
        "cpu_ratio": round(statistics.median(w[0] / (d[0] + r[0]) for d, r, w in triples), 4),
        "cpu_ratio_to_together": round(
            statistics.median(w[0] / t[0] for t, w in zip(samples["together"], samples["whole"], strict=True)), 4
        ),
        "cpu_ratios": [round(w[0] / (d[0] + r[0]), 4) for d, r, w in triples],
        "wall_fps": round(frames / statistics.median(w[1] for _, _, w in triples), 1),
        # decode runs beside the callers: the limit of the wall is all CPU work spread over the cores
        "wall_ratio": round(statistics.median((d[1] / cores + r[1]) / w[1] for d, r, w in triples), 4),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=_common.MODELS / "yolo11n.onnx")
    parser.add_argument("--source", type=Path, default=_common.MEDIA / "vtest.avi", help="what the clips are made of")
    parser.add_argument("--frames", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", help="rows whose name holds this text")
    args = parser.parse_args()
    cv2.setNumThreads(1)
    tune_malloc()
    rows, results = [], []
    for size in ((1280, 720), (1920, 1080)):
        clip = people_clip(args.source, args.frames, *size)
        for runtime, precision in (("openvino", "auto"), ("onnx", "f32")):
            name = f"{size[1]}p {runtime} {precision}"
            if args.only and args.only not in name:
                continue
            request = ModelRequest("m", args.model, device="cpu", runtime=runtime, precision=precision)
            found = measure(request, clip, args.frames, args.rounds)
            results.append({"clip": f"{size[0]}x{size[1]}", **found})
            ratio, wall = found["cpu_ratio"], found["wall_ratio"]
            verdict = (
                "reached" if ratio <= 1.03 and wall >= 0.95 else "not done" if ratio > 1.05 else "short of the aim"
            )
            rows.append([name, *(found[figure] for figure in FIGURES.values()), verdict])
            print(name, found, file=sys.stderr, flush=True)
    head = ["job", *FIGURES, "verdict"]
    print(_common.table(rows, head))
    data = {"question": __doc__.splitlines()[0], "model": args.model.name, "frames": args.frames, "rounds": args.rounds}
    if not args.only:
        print(f"stored: {_common.save('whole_job', {**data, 'jobs': results}).name}")


if __name__ == "__main__":
    main()
