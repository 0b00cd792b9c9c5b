"""What do oriented boxes and keypoints cost beside what else one could call? CPU us, medians, one thread each.

    python benchmarks/rotated.py [--quick] [--python-ultralytics PATH]

1. Suppression across classes: ProbIoU with fast suppression beside Ultralytics' `TorchNMS.fast_nms` with
   `batch_probiou`, exact polygons beside `cv2.dnn.NMSBoxesRotated`. `spread`: boxes that hardly overlap, nearly all
   stay. `crowd`: some thirty boxes around each object, as a real head returns them.
2. The worst case, a whole head in which every place is above the threshold. `chain`: each box goes because of the one
   before it and no other, so that all `max_candidates`^2 / 2 pairs are compared.
3. Keypoints of 50 people, and all that comes after the model for poses and oriented boxes in 1080p, 50 objects of ten
   places each, beside Ultralytics' own.

Ultralytics runs under the interpreter that has it (`--python-ultralytics`); without one its columns are left out.
"""

import argparse
import json
import math
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

IOU = 0.45
SIZES = (0, 20, 100, 300, 8400)
PLACES = 8400
PICTURE = (1920, 1080)
MOST_S = 1.0  # what takes longer than this is measured once

Calls = dict[str, Callable[[], Any]]


def compare(calls: Calls, seconds: float) -> dict[str, float]:
    """CPU microseconds of each, in turns: medians over the turns.

    In each turn one call of each goes untimed: it brings back into the caches what the others have driven out, which
    would be counted against whoever comes first.
    """
    repeats, times = {}, {}
    for name, call in calls.items():
        call()  # compiles, fills caches
        start = time.process_time()
        call()
        one = time.process_time() - start
        repeats[name] = 0 if one > MOST_S else max(1, int(seconds / max(one, 1e-6)))
        times[name] = [one * 1e6] if one > MOST_S else []
    for _ in range(5):
        for name, call in calls.items():
            if not repeats[name]:
                continue
            call()
            start = time.process_time()
            for _ in range(repeats[name]):
                call()
            times[name].append((time.process_time() - start) / repeats[name] * 1e6)
    return {name: round(statistics.median(values), 1) for name, values in times.items()}


def boxes(kind: str, n: int) -> tuple[np.ndarray, np.ndarray]:
    """(n, 5) float32 x, y, width, height, radians in a 640x640 input or beyond it, and (n,) scores."""
    rng = np.random.default_rng(n)
    if kind == "spread":
        middle, size = rng.uniform(0, 60 * math.sqrt(max(n, 1)), (n, 2)), rng.uniform(10, 60, (n, 2))
        angle = rng.uniform(-0.7, 2.3, n)
    elif kind == "chain":
        middle, size = np.column_stack([np.arange(n) * 8.0, np.full(n, 100.0)]), np.tile([30.0, 20.0], (n, 1))
        angle = np.zeros(n)
    else:
        which = rng.integers(0, max(1, n // 30), n)
        centre, extent = rng.uniform(0, 640, (n, 2))[which], rng.uniform(20, 160, (n, 2))[which]
        middle = centre + rng.normal(0, 0.06, (n, 2)) * extent
        size = extent * rng.uniform(0.9, 1.1, (n, 2))
        angle = rng.uniform(-0.7, 2.3, n)[which] + rng.normal(0, 0.05, n)
    scores = np.linspace(0.99, 0.3, n) if kind == "chain" else rng.uniform(0.3, 0.99, n)
    return np.column_stack([middle, size, angle]).astype(np.float32), scores.astype(np.float32)


def head(extra: int, classes: int) -> np.ndarray:
    """(4 + classes + extra, PLACES) float32 with 50 objects of ten places each."""
    rng = np.random.default_rng(extra)
    values = (rng.random((4 + classes + extra, PLACES)) * 0.1).astype(np.float32)
    values[:4] = rng.uniform(20, 600, (4, PLACES))
    for i in range(50):
        places = slice(i * 160, i * 160 + 10)
        middle = np.array([40 + i % 10 * 60, 140 + i // 10 * 60])[:, None]
        values[:2, places] = middle + rng.normal(0, 1, (2, 10))
        values[2:4, places] = np.array([30, 45])[:, None] + rng.normal(0, 1, (2, 10))
        values[4 + i % classes, places] = rng.uniform(0.4, 0.9, 10)
    if extra == 1:
        values[-1] = rng.uniform(0.2, 0.3, PLACES)
    else:
        values[-extra:] = rng.uniform(0, 640, (extra, PLACES))
        values[-extra + 2 :: 3] = rng.random((extra // 3, PLACES))
    return values


def inputs() -> dict[str, np.ndarray]:
    """All that is measured, by name."""
    arrays = {}
    for kind in ("spread", "crowd"):
        for n in SIZES:
            arrays[f"{kind}-{n}"], arrays[f"{kind}-{n}-scores"] = boxes(kind, n)
    arrays["pose"], arrays["oriented"] = head(51, 1), head(1, 15)
    return arrays


# ------------------------------------------------------------------ Ultralytics, under its own interpreter


def child(file: str, seconds: float) -> None:
    """Print Ultralytics' CPU microseconds and object counts as JSON."""
    import torch
    from ultralytics import __version__
    from ultralytics.utils import ops
    from ultralytics.utils.metrics import batch_probiou
    from ultralytics.utils.nms import TorchNMS, non_max_suppression

    torch.set_num_threads(1)
    with np.load(file) as stored:
        arrays = {name: torch.from_numpy(stored[name]) for name in stored}

    def pose() -> Any:
        (found,) = non_max_suppression(arrays["pose"][None], 0.25, IOU, nc=1)
        found[:, :4] = ops.scale_boxes((640, 640), found[:, :4], PICTURE[::-1])
        return found, ops.scale_coords((640, 640), found[:, 6:].view(-1, 17, 3), PICTURE[::-1])

    def oriented() -> Any:
        (found,) = non_max_suppression(arrays["oriented"][None], 0.25, IOU, nc=15, rotated=True)
        found[:, :4] = ops.scale_boxes((640, 640), found[:, :4], PICTURE[::-1], xywh=True)
        return found, ops.xywhr2xyxyxyxy(torch.cat([found[:, :4], found[:, -1:]], dim=-1))

    numbers = non_max_suppression(arrays["pose"][None], 0.25, IOU, nc=1)[0]
    calls: Calls = {
        "pose": pose,
        "oriented": oriented,
        "keypoints": lambda: ops.scale_coords((640, 640), numbers[:, 6:].reshape(-1, 17, 3), PICTURE[::-1]),
    }
    for name in arrays:
        if f"{name}-scores" in arrays:
            calls[name] = lambda n=name: TorchNMS.fast_nms(
                arrays[n], arrays[f"{n}-scores"], IOU, iou_func=batch_probiou
            )
    kept = {name: len(call()[0] if name in ("pose", "oriented") else call()) for name, call in calls.items()}
    times = {name: compare({name: call}, seconds)[name] for name, call in calls.items()}
    versions = {"ultralytics": __version__, "torch": torch.__version__}
    print(json.dumps({"us": times, "kept": kept, "versions": versions}))


def ultralytics(python: str | None, arrays: dict[str, np.ndarray], seconds: float) -> dict[str, Any]:
    """What `child` prints; empty where there is no such interpreter."""
    if python is None:
        return {"us": {}, "kept": {}, "versions": {}}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "inputs.npz"
        np.savez(file, **arrays)
        done = subprocess.run(
            [python, __file__, "--child", str(file), str(seconds)], capture_output=True, text=True, check=False
        )
    if done.returncode:
        raise SystemExit(f"{python}: {done.stderr.strip().splitlines()[-1]}")
    answer: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return answer


# ------------------------------------------------------------------ Vidette and OpenCV


def suppression(arrays: dict[str, np.ndarray], theirs: dict[str, Any], seconds: float) -> list[dict[str, Any]]:
    """Every kind and size, across classes, everything taking part."""
    import cv2

    from vidette.kernels import rotated

    cv2.setNumThreads(1)
    results = []
    for kind in ("spread", "crowd"):
        for n in SIZES:
            name = f"{kind}-{n}"
            found, scores = arrays[name], arrays[f"{name}-scores"]
            candidates = np.zeros((6, n), np.float32)
            candidates[4] = scores
            xywhr = np.ascontiguousarray(found.T.astype(np.float64))
            rectangles = [((x, y), (w, h), math.degrees(r)) for x, y, w, h, r in found.tolist()]

            def suppress(exact: bool, c: Any = candidates, b: Any = xywhr, n: int = n) -> Any:
                # decoders look for candidates before they call the kernel
                return rotated.suppress(c, b, IOU, exact, True, n, n) if c.shape[1] else ()

            calls: Calls = {
                "probabilistic": lambda s=suppress: s(False),
                "exact": lambda s=suppress: s(True),
                "cv2": lambda r=rectangles, s=scores: cv2.dnn.NMSBoxesRotated(r, s, 0.0, IOU),
            }
            kept = {key: len(call()) for key, call in calls.items()}
            times = compare(calls, seconds)
            fast = theirs["us"].get(name)
            results.append(
                {
                    "kind": kind,
                    "candidates": n,
                    "kept": kept | ({"ultralytics": theirs["kept"][name]} if fast else {}),
                    "cpu_us": times | ({"ultralytics": fast} if fast else {}),
                    "exact_times_cv2": round(times["cv2"] / times["exact"], 1),
                    "probabilistic_times_ultralytics": round(fast / times["probabilistic"], 1) if fast else None,
                }
            )
    return results


def whole(arrays: dict[str, np.ndarray], theirs: dict[str, Any], seconds: float) -> dict[str, Any]:
    """From raw outputs to predictions."""
    from vidette.families.base import Thresholds
    from vidette.families.ultralytics_oriented import Oriented
    from vidette.families.ultralytics_pose import Pose
    from vidette.kernels import heads
    from vidette.kernels.pose import keypoints
    from vidette.pixels.letterbox import fit
    from vidette.predictions.skeletons import COCO_17

    placed, limits = fit(*PICTURE, 640, 640, "letterbox"), Thresholds(iou=IOU)
    pose, oriented = Pose(("person",), COCO_17, 3, False), Oriented(tuple(map(str, range(15))), False)
    people = arrays["pose"]
    lying = heads.readable(people)
    places, confidence = np.arange(50) * 160, np.full(50, 0.5, np.float32)
    calls: Calls = {
        "keypoints": lambda: keypoints(lying, places, 5, 3, confidence, placed.inverse),
        "pose": lambda: pose([people], placed, limits),
        "oriented": lambda: oriented([arrays["oriented"]], placed, limits),
    }
    for kind in ("spread", "crowd", "chain"):
        found, scores = boxes(kind, PLACES)
        full = np.concatenate([found[:, :4].T, scores[None], found[:, 4:].T]).astype(np.float32)
        for rotated_iou in ("probabilistic", "exact"):
            wanted = Thresholds(iou=IOU, rotated_iou=rotated_iou)
            calls[f"worst {kind} {rotated_iou}"] = lambda f=full, w=wanted: Oriented(("ship",), False)([f], placed, w)
    crowd = people.copy()
    crowd[4] = np.random.default_rng(0).uniform(0.3, 0.99, PLACES)
    calls["worst pose"] = lambda: pose([crowd], placed, limits)
    times = compare(calls, seconds)
    return {
        name: {
            "objects": len(call()),
            "cpu_us": times[name],
            "ultralytics_us": theirs["us"].get(name),
            "times_ultralytics": round(theirs["us"][name] / times[name], 1) if name in theirs["us"] else None,
        }
        for name, call in calls.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a tenth of the repetitions; nothing is stored")
    parser.add_argument("--python-ultralytics", metavar="PATH", help="interpreter with ultralytics")
    parser.add_argument("--child", nargs=2, metavar=("FILE", "SECONDS"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(options.child[0], float(options.child[1]))
        return
    from _common import save, table

    seconds = 0.02 if options.quick else 0.2
    arrays = inputs()
    theirs = ultralytics(options.python_ultralytics, arrays, seconds)
    results = {
        "rivals": theirs["versions"],
        "suppression": suppression(arrays, theirs, seconds),
        "whole": whole(arrays, theirs, seconds),
    }
    rows = [
        [
            r["kind"],
            r["candidates"],
            r["kept"]["probabilistic"],
            r["cpu_us"]["probabilistic"],
            r["cpu_us"].get("ultralytics"),
            r["probabilistic_times_ultralytics"],
            r["kept"]["exact"],
            r["cpu_us"]["exact"],
            r["cpu_us"]["cv2"],
            r["exact_times_cv2"],
        ]
        for r in results["suppression"]
    ]
    head_ = ["suppression, CPU us", "boxes", "kept", "ProbIoU", "ultralytics", "x", "kept", "exact", "cv2", "x"]
    print(table(rows, head_), file=sys.stdout)
    columns = ("objects", "cpu_us", "ultralytics_us", "times_ultralytics")
    print()
    print(
        table(
            [[name, *(row[key] for key in columns)] for name, row in results["whole"].items()],
            ["whole, 1080p, CPU us", "objects", "vidette", "ultralytics", "x"],
        )
    )
    if not options.quick:
        print(f"\nstored in {save('rotated', results)}")


if __name__ == "__main__":
    main()
