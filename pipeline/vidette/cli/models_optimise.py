"""`vidette models optimise`: a cheaper version of a model file, with the proof."""

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from vidette import catalogue
from vidette.errors import ConfigError, ModelError

if TYPE_CHECKING:
    from vidette.optimising.optimise import Optimised

EPILOG = """\
optimise:
  vidette models optimise yolo11n.onnx fast.onnx                        bytes in, normalisation inside the graph
  vidette models optimise yolo11n.onnx fast.onnx --int8 --calibrate clip.mp4

  The first proves on a picture that raw outputs stay the same. The second calibrates int8 with frames of a clip (of
  what the model will see), compares it with the float model on four times as many others, and is not written when
  more than 1 in 100 objects above 0.35 is lost: not found, or with other keypoints, mask or corners. The head,
  everything behind and with the last convolutions, stays in float. Both tell the gain in CPU time per picture on this
  machine, pixels written and model run, with each runtime.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Options of `vidette models optimise`."""
    group = parser.add_argument_group("optimise IN.onnx OUT.onnx")
    group.add_argument("--picture", metavar="FILE", help="what to prove by; default: a photograph that is installed")
    group.add_argument("--int8", action="store_true", help="quantise as well; needs --calibrate")
    group.add_argument("--calibrate", metavar="CLIP", help="a video, or a folder of pictures, to calibrate int8 with")
    group.add_argument("--frames", type=int, metavar="N", help="calibrate with at least so many frames; default 24")
    group.add_argument("--force", action="store_true", help="write an int8 model also when it lost objects")


def call(source: str, target: str, args: argparse.Namespace) -> int:
    """Optimise, print the proof. 1 when an int8 model was refused."""
    if args.int8 and args.calibrate is None:
        raise ConfigError("--int8 needs --calibrate CLIP: a video of what the model will see")
    if not args.int8 and (args.calibrate or args.frames or args.force):
        raise ConfigError("--calibrate, --frames and --force are for --int8: add it")
    if args.frames is not None and not 1 <= args.frames <= 1000:
        raise ConfigError(f"--frames {args.frames}: must be 1 to 1000")
    from vidette.optimising.optimise import optimise  # brings numba and the runtimes: not for looking at a file

    path = catalogue.locate(source)
    try:
        found = optimise(
            path,
            Path(target),
            picture=args.picture or "sample:",
            calibrate=args.calibrate,
            frames=args.frames or 24,
            force=args.force,
            say=lambda line: print(f"vidette: {line}", file=sys.stderr),
        )
    except ModelError as error:
        raise ModelError(str(error) if str(path) in str(error) else f"{path}: {error}") from None
    if args.json:
        print(json.dumps(_facts(found), indent=2))
    else:
        print("\n".join(_lines(found, args.picture or "sample:")))
    sys.stdout.flush()
    if found.problem and not found.written:
        print(f"vidette: {found.problem}: not written; --force writes it all the same", file=sys.stderr)
        return 1
    if found.problem:
        print(f"vidette: {found.problem}: written because of --force", file=sys.stderr)
    return 0


def _lines(found: "Optimised", picture: str) -> Iterator[str]:
    if found.difference is not None:
        name, off, largest = found.difference
        yield "input     bytes, channels last, instead of values that are normalised outside the graph"
        yield f"same      on {picture} raw outputs differ by {off:.2g} at most ({name}, values up to {largest:.4g})"
    if found.agreement is not None:
        yield (
            f"int8      {found.convolutions} convolutions and what lies between them; the head, {found.head} nodes, "
            "stays in float"
        )
        yield from _agreement(found)
    for gain in found.gains:
        ratio = gain.after_ms / gain.before_ms
        verdict = "  (no gain here)" if found.agreement is not None and ratio > 0.97 else ""
        before, after = gain.precisions
        shown = before if before == after else f"{before} -> {after}"
        yield (
            f"CPU       {gain.runtime} ({shown}): {gain.before_ms:.1f} -> {gain.after_ms:.1f} ms per picture, "
            f"{ratio:.2f}x{verdict}"
        )
    before_mb, after_mb = (size / 1e6 for size in found.bytes)
    yield f"size      {before_mb:.1f} -> {after_mb:.1f} MB"
    for path in found.written:
        yield f"written   {path}"


def _agreement(found: "Optimised") -> Iterator[str]:
    seen = found.agreement
    if seen is None:
        return
    yield (
        f"agrees    {seen.objects - seen.lost} of {seen.objects} objects above 0.35 found again in {seen.pictures} "
        f"held-back frames; {seen.lost} lost, {seen.new} new"
    )
    if seen.misshapen:
        yield f"          {seen.misshapen} of the lost only because keypoints, mask or corners are others"
    if seen.iou:
        yield f"          IoU {fmean(seen.iou):.3f} in the mean, {min(seen.iou):.3f} at least"
    if seen.confidence:
        mean, most = fmean(seen.confidence), max(seen.confidence)
        yield f"          confidence off by {mean:.3f} in the mean, {most:.3f} at most"


def _facts(found: "Optimised") -> dict[str, Any]:
    facts = asdict(found) | {"problem": found.problem, "written": [str(path) for path in found.written]}
    if found.agreement is not None:
        seen = facts["agreement"]
        for key in ("iou", "confidence"):
            numbers = seen.pop(key)
            seen[key] = {"mean": fmean(numbers), "min": min(numbers), "max": max(numbers)} if numbers else None
    return facts
