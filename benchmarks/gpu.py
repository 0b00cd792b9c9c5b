"""What the CUDA runtime gives on this GPU: each batch size alone, then whole jobs with many streams.

    python benchmarks/gpu.py [--model yolo11n.onnx] [--streams 1 8 32] [--frames 300]

Runs alone say what the device can do; a job whose device is busy for less than 95 % of the time is held up by the CPU.
Wall time decides here, because the device works while the CPU waits; CPU time per frame stands beside it.
"""

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
import _common
from _clips import people_clip

from vidette.engine import Engine
from vidette.errors import ModelError
from vidette.frame import Picture
from vidette.job import Job, ModelRequest, SinkRequest, StreamRequest
from vidette.models import Model, load
from vidette.sink import sink_for_target


def alone(model: Model, clip: Path, repeats: int = 30) -> list[dict[str, Any]]:
    """Milliseconds of a run at each batch size, upload and download of the results included."""
    import av

    with av.open(str(clip)) as container:
        picture = Picture(next(container.decode(video=0)))
    box = model.letterbox(picture.width, picture.height)
    buffer = model.session.buffer(box.shape)
    writer = model.writer()
    for index in range(len(buffer.slots)):
        writer.write(picture, box, buffer, index)
    rows = []
    for size in model.session.plan.ladder:
        times = []
        for _ in range(repeats):
            begin = time.perf_counter()
            model.session.run(buffer, size)
            times.append(time.perf_counter() - begin)
        run_ms = statistics.median(times) * 1e3
        rows.append({"batch": size, "run_ms": round(run_ms, 3), "per_picture_ms": round(run_ms / size, 3)})
    return rows


def whole(request: ModelRequest, clip: Path, streams: int, frames: int) -> dict[str, Any]:
    """A job of so many streams of the clip, results to JSON Lines."""
    with tempfile.TemporaryDirectory() as folder:
        cls, settings = sink_for_target(str(Path(folder) / "out.jsonl"))
        wanted = [StreamRequest(f"s{n}", str(clip), request.id, "lossless") for n in range(streams)]
        engine = Engine(Job([request], wanted, [SinkRequest(cls(settings))]))
        engine.start()
        cpu, wall = _common.cpu_seconds(), time.perf_counter()
        engine.wait()
        engine.stop()
        cpu, wall = _common.cpu_seconds() - cpu, time.perf_counter() - wall
    report = engine.report()
    return {
        "streams": streams,
        "fps": round(streams * frames / wall, 1),
        "cpu_ms_per_frame": round(cpu / (streams * frames) * 1e3, 3),
        "device_busy": report["models"][0]["device_busy"],
        "mean_batch": round(statistics.mean(stream["mean_batch"] or 0 for stream in report["streams"]), 2),
        "complete": engine.complete,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=_common.MODELS / "yolo11n.onnx")
    parser.add_argument("--source", type=Path, default=_common.MEDIA / "vtest.avi", help="what the clip is made of")
    parser.add_argument("--streams", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--frames", type=int, default=300)
    parser.add_argument("--precision", default="auto")
    args = parser.parse_args()
    request = ModelRequest("m", args.model, device="cuda", precision=args.precision)
    clip = people_clip(args.source, args.frames, 1280, 720)
    try:
        model = load(request, "throughput")
    except ModelError as error:
        raise SystemExit(f"no GPU to measure: {error}") from None
    runs = alone(model, clip)
    plan = model.session.plan
    model.session.close()
    jobs = [whole(request, clip, streams, args.frames) for streams in args.streams]
    print(_common.table([list(row.values()) for row in runs], list(runs[0])))
    print(_common.table([list(row.values()) for row in jobs], list(jobs[0])))
    told = {"device": plan.device, "precision": plan.precision, "ladder": plan.ladder, "why": plan.why}
    data = {"question": __doc__.splitlines()[0], "model": args.model.name, "frames": args.frames, "plan": told}
    print(f"stored: {_common.save('gpu', {**data, 'runs': runs, 'jobs': jobs}).name}")


if __name__ == "__main__":
    main()
