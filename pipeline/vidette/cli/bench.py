"""`vidette bench`: what a frame costs here, part by part, and so how many cameras fit."""

import argparse
import dataclasses
import json
import sys
from typing import Any

from vidette.bench import RESERVE, Cost, Footage, measure, variants, watch
from vidette.budget import tune_malloc
from vidette.cli.job_arguments import add_model_options, model_config
from vidette.config import find_sources, one_model_job
from vidette.errors import ConfigError, ModelError
from vidette.job import ModelRequest
from vidette.models import describe

EPILOG = """\
examples:
  vidette bench people.mp4 --model yolo11n.onnx          what `run` would choose
  vidette bench people.mp4 --model yolo11n.onnx --all    the runtimes, precisions and input shapes that are left at auto
  vidette bench testsrc:?size=1920x1080 --fps 15 --json

Each part is measured alone on frames of the source, in CPU milliseconds per frame; it takes some ten seconds, and as
much again for each line of --all. The machine should have nothing else to do.
"""

DEFAULT_FPS = 25.0
BUSY = 0.85
"""Share of its cores below which a run was disturbed."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Options of `vidette bench`."""
    parser.epilog = EPILOG
    parser.add_argument("source", metavar="SOURCE", help="a video, a folder of pictures, camera:0, rtsp://..., "
                        "testsrc:, sample:")  # fmt: skip
    parser.add_argument("--fps", type=float, metavar="FPS", help="frames per second of one camera; default: the "
                        f"source's own, {DEFAULT_FPS:g} where it has none")  # fmt: skip
    parser.add_argument("--all", action="store_true", help="compare what is installed: each runtime, fast and exact "
                        "precision, own shape and square")  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print JSON")
    add_model_options(parser)


def call(args: argparse.Namespace) -> int:
    """Measure and print. Returns 0; 1 when one of the compared ways does not work."""
    tune_malloc()
    if args.fps is not None and args.fps <= 0:
        raise ConfigError(f"--fps: {args.fps:g} is not a rate; write frames per second, such as 25")
    sources = find_sources([args.source])
    if len(sources) > 1:
        names = ", ".join(url for _, url in sources[:3])
        raise ConfigError(f"{args.source} holds {len(sources)} streams ({names}, ...); name one of them")
    job = one_model_job(sources, model_config(args), "auto", None, [])
    request, stream = job.models[0], job.streams[0]
    if request.endpoint is not None:
        raise ConfigError(f"--model {request.endpoint}: what a server costs is not measured here; name a model file")
    described = describe(request.path)
    footage = watch(stream)
    fps = args.fps or footage.fps or DEFAULT_FPS
    wanted = variants(request, described, footage.pictures[0]) if args.all else [request]
    costs: list[Cost] = []
    failures: list[str] = []
    for variant in wanted:
        if args.all and not args.json:
            print(f"vidette: measuring {_name(variant)}", file=sys.stderr)
        try:
            costs.append(measure(variant, footage, described))
        except ModelError as error:
            if not args.all:
                raise
            failures.append(f"{_name(variant)}: {error}")
    if args.json:
        print(json.dumps(as_json(request.path.name, args.source, footage, fps, costs, failures), indent=2))
    else:
        print("\n".join(lines(request.path.name, args.source, footage, fps, costs)))
        for failure in failures:
            print(f"vidette: {failure}", file=sys.stderr)
    return 1 if failures else 0


def as_json(model: str, source: str, footage: Footage, fps: float, costs: list[Cost], failures: list[str]) -> Any:
    """All numbers as plain values."""
    picture = footage.pictures[0]
    return {
        "model": model,
        "source": source,
        "picture": [picture.width, picture.height],
        "frames": footage.frames,
        "fps": fps,
        "reserve": RESERVE,
        "ways": [
            {
                **{name: _rounded(value) for name, value in dataclasses.asdict(cost).items()},
                "input": f"{cost.input[0]}x{cost.input[1]}",
                "total_ms": _rounded(cost.total_ms),
                "fps_that_fit": _rounded(cost.fps),
                "cameras": cameras(cost, fps),
            }
            for cost in costs
        ],
        "failed": failures,
    }


def lines(model: str, source: str, footage: Footage, fps: float, costs: list[Cost]) -> list[str]:
    """The table and what follows from it."""
    picture = footage.pictures[0]
    parts = ("decode", "scale", "run", "postprocess")
    head = ["runtime", "precision", "input", *parts, "sum", "a run takes", "runs/s", "memory", "cameras"]
    rows = [
        [
            cost.runtime if cost.device == "cpu" else f"{cost.runtime} on {cost.device}",
            cost.precision,
            f"{cost.input[0]}x{cost.input[1]}" + (f" x {cost.batch}" if cost.batch > 1 else ""),
            *(f"{getattr(cost, part + '_ms'):.2f}" for part in parts),
            f"{cost.total_ms:.2f}",
            f"{cost.run_wall_ms:.1f} ms",
            f"{cost.run_fps / cost.batch:.1f}",
            f"{cost.memory_mb:.0f} MB",
            str(cameras(cost, fps)),
        ]
        for cost in costs
    ]
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
    table = ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in [head, *rows]]
    return [
        f"{model} on {source}: {picture.width}x{picture.height}, {footage.frames} frames",
        "CPU milliseconds per frame of decoding, writing the model's input, running it, decoding its outputs:",
        "",
        *table,
        "",
        *([conclusion(max(costs, key=lambda cost: cost.fps), fps)] if costs else []),
        *busy_elsewhere(costs),
    ]


def conclusion(cost: Cost, fps: float) -> str:
    """How many cameras fit, in a sentence."""
    count = cameras(cost, fps)
    where = f"on {cost.cores} core{'s' if cost.cores > 1 else ''}"
    if cost.device != "cpu":
        where += f" and {cost.device}"
    how = f"with {cost.runtime} ({cost.precision}, {cost.input[0]}x{cost.input[1]})"
    kept = f"{RESERVE:.0%} kept in reserve"
    if not count:
        return f"Not one camera at {fps:g} fps fits {where} {how}: at most {cost.fps:.1f} frames per second, {kept}."
    fit = "camera at {} fps fits" if count == 1 else "cameras at {} fps fit"
    return f"{count} {fit.format(f'{fps:g}')} {where} {how}: {cost.fps:.0f} frames per second, {kept}."


def busy_elsewhere(costs: list[Cost]) -> list[str]:
    """A line when the machine had other things to do, which makes CPU time dearer too."""
    shares = [cost.cores_got / min(cost.cores, cost.callers * cost.threads) for cost in costs if cost.device == "cpu"]
    if not shares or min(shares) > BUSY:
        return []
    return [
        f"Something else uses this machine: runs got {min(shares):.0%} of their cores; measure again when it rests."
    ]


def cameras(cost: Cost, fps: float) -> int:
    """Whole cameras that fit at that rate."""
    return int(cost.fps / fps)


def _name(request: ModelRequest) -> str:
    size = f"{request.input[0]}x{request.input[1]}" if request.input else "own shape"
    return f"{request.runtime}, {'fast' if request.precision == 'auto' else request.precision}, {size}"


def _rounded(value: Any) -> Any:
    return round(value, 3) if isinstance(value, float) else value
