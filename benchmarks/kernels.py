"""What do the kernels cost beside what else one could call? CPU microseconds, medians, one thread each.

    python benchmarks/kernels.py [--quick]

1. Suppression: Vidette against cv2.dnn, supervision and torchvision (the last only where it is installed), class-aware
   over 80 classes and agnostic. `spread`: boxes that hardly overlap, nearly all stay: the worst case for greedy
   suppression. `crowd`: some thirty boxes around each object, as a real head returns them.
2. A whole head: decoding, suppression and mapping of one (84, 5040) output with 8 objects.
3. The way from a decoded 1080p frame to the model's 640x384 input: planes scaled first, against to_ndarray + cv2.
"""

import argparse
import functools
import statistics
from collections.abc import Callable
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import av
import cv2
import matplotlib
import numpy as np
from _common import cpu_seconds, save, table

from vidette.families.base import Thresholds
from vidette.families.ultralytics import Columns
from vidette.frame import Picture
from vidette.kernels import nms
from vidette.pixels.letterbox import fit
from vidette.pixels.preprocess import Preprocess
from vidette.pixels.slot import ArrayBuffer, SlotWriter

IOU = 0.45
CLASSES = 80
cv2.setNumThreads(1)

Calls = dict[str, Callable[[], Any]]


def compare(calls: Calls, seconds: float) -> dict[str, float]:
    """CPU microseconds of each, in turns: medians over the turns."""
    repeats = {}
    for name, call in calls.items():
        call()  # compiles, fills caches
        start = cpu_seconds()
        call()
        repeats[name] = max(1, int(seconds / max(cpu_seconds() - start, 1e-6)))
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(5):
        for name, call in calls.items():
            start = cpu_seconds()
            for _ in range(repeats[name]):
                call()
            times[name].append((cpu_seconds() - start) / repeats[name] * 1e6)
    return {name: statistics.median(values) for name, values in times.items()}


def boxes(kind: str, n: int) -> np.ndarray:
    """(6, n) float32 candidates in a 640x640 input."""
    rng = np.random.default_rng(n)
    if kind == "spread":
        low = rng.uniform(0, 60 * np.sqrt(n), (2, n))
        high = low + rng.uniform(10, 40, (2, n))
        label = rng.integers(0, CLASSES, n)
    else:
        objects = max(1, n // 30)
        which = rng.integers(0, objects, n)
        centre, size = rng.uniform(0, 640, (2, objects)), rng.uniform(20, 160, (2, objects))
        middle = centre[:, which] + rng.normal(0, 0.06, (2, n)) * size[:, which]
        extent = size[:, which] * rng.uniform(0.9, 1.1, (2, n))
        low, high = middle - extent / 2, middle + extent / 2
        label = rng.integers(0, CLASSES, objects)[which]
    return np.concatenate([low, high, [rng.uniform(0.25, 1, n)], [label]]).astype(np.float32)


def suppressors(candidates: np.ndarray, agnostic: bool) -> Calls:
    """Each answers with the positions that stay; inputs are made as each wants them beforehand."""
    n = candidates.shape[1]
    xyxy, scores, labels = candidates[:4].T.copy(), candidates[4].copy(), candidates[5].astype(np.int32)
    xywh = np.concatenate([xyxy[:, :2], xyxy[:, 2:] - xyxy[:, :2]], 1)
    calls: Calls = {"vidette": lambda: nms.suppress(candidates, IOU, agnostic, n, n)}
    if agnostic:
        calls["cv2"] = lambda: cv2.dnn.NMSBoxes(xywh, scores, 0.0, IOU)
    else:
        calls["cv2"] = lambda: cv2.dnn.NMSBoxesBatched(xywh, scores, labels, 0.0, IOU)

    from supervision.detection.utils.iou_and_nms import box_non_max_suppression

    rows = np.concatenate([xyxy, scores[:, None], *([] if agnostic else [labels[:, None]])], 1)
    calls["supervision"] = lambda: np.flatnonzero(box_non_max_suppression(rows, IOU))
    try:
        import torch
        import torchvision
    except ImportError:
        return calls
    torch.set_num_threads(1)
    tensors = [torch.from_numpy(array) for array in (xyxy, scores, labels)]
    if agnostic:
        calls["torchvision"] = lambda: torchvision.ops.nms(tensors[0], tensors[1], IOU)
    else:
        calls["torchvision"] = lambda: torchvision.ops.batched_nms(*tensors, IOU)
    return calls


def suppression(seconds: float) -> list[dict[str, Any]]:
    """Every size, kind and mode."""
    results = []
    for kind in ("spread", "crowd"):
        for agnostic in (False, True):
            for n in (100, 1000, 8400):
                candidates = boxes(kind, n)
                calls = suppressors(candidates, agnostic)
                kept = {name: len(call()) for name, call in calls.items()}
                times = compare(calls, seconds)
                others = {name: us for name, us in times.items() if name != "vidette"}
                results.append(
                    {
                        "kind": kind,
                        "agnostic": agnostic,
                        "candidates": n,
                        "kept": kept,
                        "cpu_us": {name: round(us, 1) for name, us in times.items()},
                        "times_cv2": round(others["cv2"] / times["vidette"], 1),
                        "times_best": round(min(others.values()) / times["vidette"], 1),
                    }
                )
    return results


def head(seconds: float) -> dict[str, Any]:
    """One (84, 5040) head with 8 objects of ten boxes each, float32 and float16."""
    rng = np.random.default_rng(0)
    output = (rng.random((84, 5040)) * 0.1).astype(np.float32)
    output[:4] = rng.uniform(20, 300, (4, 5040))
    for i in range(8):
        output[:4, i * 600 : i * 600 + 10] = output[:4, i * 600, None] + rng.normal(0, 1, (4, 10))
        output[4 + i, i * 600 : i * 600 + 10] = rng.uniform(0.4, 0.9, 10)
    half = output.astype(np.float16)
    decoder = Columns(tuple(map(str, range(CLASSES))))
    placed, limits = fit(1280, 720, 640, 384, "letterbox"), Thresholds()
    calls = {
        "float32": functools.partial(decoder, [output], placed, limits),
        "float16": functools.partial(decoder, [half], placed, limits),
    }
    return {
        "shape": [84, 5040],
        "objects": len(calls["float32"]()),
        "cpu_us": {name: round(us, 1) for name, us in compare(calls, seconds).items()},
    }


def letterboxing(seconds: float) -> dict[str, Any]:
    """One 1080p yuv420p frame to (3, 384, 640) float32 RGB in 0..1."""
    photograph = cv2.imread(str(Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"))
    bgr = cv2.resize(photograph, (1920, 1080), interpolation=cv2.INTER_CUBIC)
    frame = av.VideoFrame.from_ndarray(bgr, format="bgr24").reformat(format="yuv420p")
    placed = fit(1920, 1080, 640, 384, "letterbox")
    preprocess = Preprocess()
    calls: Calls = {}
    slots = {}
    for scaling in ("fast", "exact"):
        buffer = ArrayBuffer(np.zeros((1, 3, 384, 640), np.float32))
        writer = SlotWriter(preprocess, scaling)  # type: ignore[arg-type]
        slots[scaling] = buffer.slots
        # A new Picture each time: it keeps the BGR array that somebody asked for.
        calls[f"vidette {scaling}"] = lambda w=writer, b=buffer: w.write(Picture(frame), placed, b, 0)

    def plain() -> np.ndarray:
        bgr = frame.to_ndarray(format="bgr24")
        inner = cv2.resize(bgr, (placed.scaled_width, placed.scaled_height), interpolation=cv2.INTER_LINEAR)
        below, right = 384 - placed.scaled_height - placed.top, 640 - placed.scaled_width - placed.left
        whole = cv2.copyMakeBorder(
            inner, placed.top, below, placed.left, right, cv2.BORDER_CONSTANT, value=(114, 114, 114)
        )
        blob: np.ndarray = cv2.dnn.blobFromImage(whole, 1 / 255, swapRB=True)
        return blob

    calls["to_ndarray + cv2"] = plain
    reference = plain()
    times = compare(calls, seconds)
    difference = {name: float(np.abs(slot - reference).mean() * 255) for name, slot in slots.items()}
    return {
        "source": "1920x1080 yuv420p",
        "input": "640x384 float32",
        "cpu_us": {name: round(us, 1) for name, us in times.items()},
        "mean_difference_of_255": {name: round(value, 3) for name, value in difference.items()},
        "ratio_fast": round(times["vidette fast"] / times["to_ndarray + cv2"], 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a tenth of the repetitions; nothing is stored")
    options = parser.parse_args()
    seconds = 0.02 if options.quick else 0.2
    rivals = {name: version(name) for name in ("supervision", "torch", "torchvision") if find_spec(name)}
    results = {
        "cv2": cv2.__version__,
        "rivals": rivals,
        "suppression": suppression(seconds),
        "head": head(seconds),
        "letterbox": letterboxing(seconds),
    }

    names = list(results["suppression"][0]["cpu_us"])
    if "torchvision" not in names:
        print("torchvision is not installed: its column is left out\n")
    rows = [
        [
            f"{r['kind']}{' agnostic' if r['agnostic'] else ''}",
            r["candidates"],
            r["kept"]["vidette"],
            *(r["cpu_us"][name] for name in names),
            r["times_cv2"],
            r["times_best"],
        ]
        for r in results["suppression"]
    ]
    print(table(rows, ["suppression, CPU us", "boxes", "kept", *names, "x cv2", "x best"]))
    for title in ("head", "letterbox"):
        print(f"\n{title}: " + ", ".join(f"{key} {value}" for key, value in results[title].items()))
    if not options.quick:
        print(f"\nstored in {save('kernels', results)}")


if __name__ == "__main__":
    main()
