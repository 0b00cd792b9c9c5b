"""What do masks and polygons cost beside what else one could call? CPU us, medians, one thread each.

    python benchmarks/masks.py [--quick] [--python-ultralytics PATH]

A 640x640 head of one class with 160x160 prototypes, of pictures in 1080p: ellipses of 100 to 400 pixels with uneven
borders, some with a bite or a hole.

1. Masks of 20 to 300 objects: `accurate` beside Ultralytics' `process_mask_native`, which gives the same pixels, and
   beside what its `predict` does when not asked for these, masks of the size of the input (`ultralytics input`);
   `fast` beside its `process_mask` at the size of the prototypes.
2. Polygons of these masks: with holes beside `cv2.findContours` and `cv2.approxPolyDP` on the same crops; one outer
   outline per object beside `findContours` without holes; supervision's `mask_to_polygons` looks at whole pictures.
3. All that comes after the model, of its head and of the maps that it is made of (`short graph`, which is what a CPU
   runs), 50 objects of ten places each: masks, polygons, rows as in a record, beside
   Ultralytics' suppression, masks and `Results.summary()`; and a picture in which nothing, and one in which every place
   is above the threshold.

Ultralytics runs under the interpreter that has it (`--python-ultralytics`); without one its columns are left out.
"""

import argparse
import json
import os
import subprocess
import tempfile
from dataclasses import replace
from typing import Any

import numpy as np
from rotated import Calls, compare

SIZES = (20, 50, 100, 300)
PLACES = 8400
WIDTH, HEIGHT = 1920, 1080
IOU, TOLERANCE = 0.45, 1.0


def prototypes() -> np.ndarray:
    """(32, 160, 160): 1, x, y, x², y², and waves, over 0..640 in hundreds."""
    y, x = (np.mgrid[:160, :160] + 0.5) * 4 / 100
    rng = np.random.default_rng(0)
    waves = [np.sin(x * rng.uniform(0, 9) + y * rng.uniform(0, 9) + rng.uniform(0, 6)) for _ in range(27)]
    return np.stack([np.ones_like(x), x, y, x * x, y * y, *waves]).astype(np.float32)


def objects(count: int) -> tuple[np.ndarray, np.ndarray]:
    """(n, 4) boxes in pixels of the input and (n, 32) coefficients: an ellipse in its box and some waves."""
    rng = np.random.default_rng(count)
    radius = rng.uniform(100, 400, (count, 2)) / 6
    middle = rng.uniform(radius, np.array([640, 360]) - radius, (count, 2)) + np.array([0, 140])
    c, r = middle / 100, radius / 100
    quadratic = -1 / r**2
    constant = 1 - (c**2 / r**2).sum(axis=1, keepdims=True)
    waves = rng.normal(0, 0.08, (count, 27))
    coefficients = np.concatenate([constant, 2 * c / r**2, quadratic, waves], axis=1)
    return np.concatenate([middle - radius, middle + radius], axis=1), coefficients.astype(np.float32)


def head(count: int, scores: float = 0.05) -> np.ndarray:
    """(37, PLACES) with `count` objects of ten places each, all others scoring at most `scores`."""
    rng = np.random.default_rng(1)
    boxes, coefficients = objects(max(count, 1))
    values = rng.uniform(0, 1, (37, PLACES)).astype(np.float32) * scores
    which = np.arange(PLACES) % len(boxes)
    values[:2] = ((boxes[which, :2] + boxes[which, 2:]) / 2).T + rng.normal(0, 1, (2, PLACES))
    values[2:4] = (boxes[which, 2:] - boxes[which, :2]).T
    values[5:] = coefficients[which].T
    values[4, : 10 * count] = rng.uniform(0.4, 0.9, 10 * count)
    return values


def maps(count: int, scores: float = 0.05) -> list[np.ndarray]:
    """The same as `head` where the graph ends early: (h, w, 64), (h, w, 1) and (h, w, 32) for each of three strides.
    The ten places of an object lie around its middle; the boxes of all others reach 7.5 cells in each direction."""
    rng = np.random.default_rng(1)
    sides = [640 // stride for stride in (8, 16, 32)]
    boxes = [np.zeros((side, side, 64), np.float32) for side in sides]
    logits = [_logits(rng.uniform(0, 1, (side, side, 1)) * scores) for side in sides]
    others = [rng.uniform(0, 1, (side, side, 32)).astype(np.float32) for side in sides]
    for box, coefficients in zip(*objects(count), strict=True) if count else ():
        middle = ((box[:2] + box[2:]) / 16).astype(int)
        for place in range(10):
            x, y = middle[0] + place % 4 - 2, middle[1] + place // 4 - 1
            distances = np.array([x + 0.5, y + 0.5, -x - 0.5, -y - 0.5]) + np.array([-1, -1, 1, 1]) * box / 8
            low = distances.astype(int)
            numbers = np.full((4, 16), -20.0)
            numbers[range(4), low] = np.log(1 - distances + low)
            numbers[range(4), low + 1] = np.log(distances - low + 1e-9)
            boxes[0][y, x], others[0][y, x] = numbers.reshape(-1), coefficients
            logits[0][y, x] = _logits(rng.uniform(0.4, 0.9))
    return [*boxes, *logits, *others]


def _logits(scores: Any) -> Any:
    return np.log(scores / (1 - scores + 1e-9) + 1e-9).astype(np.float32)


HEADS = {"nothing": head(0), "50 objects": head(50), "every place": head(50, 1.0)}
MAPS = {"nothing": maps(0), "50 objects": maps(50)}
EVERY = maps(50, 1.0)


# ------------------------------------------------------------------ Ultralytics, under its own interpreter


def child(seconds: float) -> None:
    """Print Ultralytics' CPU microseconds and object counts as JSON."""
    import torch
    from ultralytics import __version__
    from ultralytics.engine.results import Results
    from ultralytics.utils import ops
    from ultralytics.utils.nms import non_max_suppression

    torch.set_num_threads(1)
    maps, picture = torch.from_numpy(prototypes()), np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    calls: Calls = {}
    for count in SIZES:
        boxes, coefficients = objects(count)
        inside, numbers = torch.from_numpy(boxes).float(), torch.from_numpy(coefficients)
        scaled = ops.scale_boxes((640, 640), inside.clone(), (HEIGHT, WIDTH))
        calls[f"accurate {count}"] = lambda n=numbers, b=scaled: ops.process_mask_native(maps, n, b, (HEIGHT, WIDTH))
        calls[f"input {count}"] = lambda n=numbers, b=inside: ops.process_mask(maps, n, b, (640, 640), upsample=True)
        calls[f"fast {count}"] = lambda n=numbers, b=inside: ops.process_mask(maps, n, b, (640, 640))

    def whole(values: torch.Tensor) -> Any:
        (found,) = non_max_suppression(values[None], 0.25, IOU, nc=1, max_det=300, max_nms=3000)
        found[:, :4] = ops.scale_boxes((640, 640), found[:, :4], picture.shape)
        made = ops.process_mask_native(maps, found[:, 6:], found[:, :4], picture.shape[:2]) if len(found) else None
        return Results(picture, path="", names={0: "it"}, boxes=found[:, :6], masks=made).summary()

    for name, values in HEADS.items():
        calls[name] = lambda v=values: whole(torch.from_numpy(v))
    kept = {name: len(call()) for name, call in calls.items()}
    times = {name: compare({name: call}, seconds)[name] for name, call in calls.items()}
    print(json.dumps({"us": times, "kept": kept, "versions": {"ultralytics": __version__, "torch": torch.__version__}}))


def ultralytics(python: str | None, seconds: float) -> dict[str, Any]:
    """What `child` prints; empty where there is no such interpreter."""
    if python is None:
        return {"us": {}, "kept": {}, "versions": {}}
    with tempfile.TemporaryDirectory() as folder:
        quiet = {"YOLO_CONFIG_DIR": folder, "YOLO_OFFLINE": "True", "YOLO_AUTOINSTALL": "False"}
        done = subprocess.run(
            [python, __file__, "--child", str(seconds)],
            capture_output=True,
            text=True,
            check=False,
            env=os.environ | quiet,
        )
    if done.returncode:
        raise SystemExit(f"{python}: {done.stderr.strip().splitlines()[-1]}")
    answer: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return answer


# ------------------------------------------------------------------ Vidette, OpenCV and supervision


def masks(theirs: dict[str, Any], seconds: float) -> list[dict[str, Any]]:
    """Making masks, and polygons of them, for every number of objects."""
    import cv2
    import supervision as sv

    from vidette.kernels.masks import assemble
    from vidette.pixels.letterbox import fit
    from vidette.predictions.masks import Masks, Outline

    cv2.setNumThreads(1)
    placed, maps = fit(WIDTH, HEIGHT, 640, 640, "letterbox"), prototypes()
    maps.flags.writeable = False
    covered = np.array([placed.left, placed.top, placed.left + placed.scaled_width, placed.top + placed.scaled_height])
    results = []
    for count in SIZES:
        boxes, coefficients = objects(count)
        coefficients.flags.writeable = False
        xyxy = placed.to_source(boxes.reshape(-1, 2)).reshape(-1, 4).astype(np.float32)
        fixed = (coefficients, maps, xyxy, placed.inverse, covered, np.array([640, 640]), WIDTH, HEIGHT)
        made = Masks(*assemble(*fixed, True)[:4], Outline(TOLERANCE))
        crops = [made.crop(i) for i in range(count)]
        full = [made.dense(i, WIDTH, HEIGHT) for i in range(min(count, 20))]

        def contours(mode: int, crops: list[np.ndarray] = crops) -> list[Any]:
            every = [cv2.findContours(crop, mode, cv2.CHAIN_APPROX_SIMPLE)[0] for crop in crops]
            return [cv2.approxPolyDP(line, TOLERANCE, True) for lines in every for line in lines]

        calls: Calls = {
            "accurate": lambda f=fixed: assemble(*f, True),
            "fast": lambda f=fixed: assemble(*f, False),
            "polygons": lambda m=made: [polygon.points for each in m.outlines("all") for polygon in each],
            "longest": lambda m=made: [polygon.points for each in m.outlines("longest") for polygon in each],
            "cv2 with holes": lambda c=contours: c(cv2.RETR_CCOMP),
            "cv2 outer": lambda c=contours: c(cv2.RETR_EXTERNAL),
            "supervision": lambda f=full: [sv.mask_to_polygons(mask) for mask in f],
        }
        times = compare(calls, seconds)
        times["supervision"] *= count / len(full)  # of whole pictures, 2 MB each: 20 are measured
        points = {name: sum(map(len, calls[name]())) for name in ("polygons", "cv2 with holes", "longest", "cv2 outer")}
        areas = [
            sum(float(np.linalg.det(np.stack([p.points, np.roll(p.points, -1, 0)], 1)).sum()) / 2 for p in each)
            for each in made.outlines()
        ]
        kinds = ("accurate", "input", "fast") if theirs["us"] else ()
        us = times | {f"ultralytics {kind}": theirs["us"][f"{kind} {count}"] for kind in kinds}
        faster = {
            "polygons": min(us["cv2 with holes"], us["supervision"]) / us["polygons"],
            "longest": min(us["cv2 outer"], us["supervision"]) / us["longest"],
        }
        if kinds:
            faster["accurate"] = min(us["ultralytics accurate"], us["ultralytics input"]) / us["accurate"]
            faster["fast"] = us["ultralytics fast"] / us["fast"]
        results.append(
            {
                "objects": count,
                "megapixels": round(len(made.bits) / 1e6, 2),
                "cpu_us": {name: round(value, 1) for name, value in us.items()},
                "points": points,
                "area_off_at_most": round(float(np.abs(np.array(areas) / made.area - 1).max()), 5),
                "times_best": {name: round(value, 1) for name, value in faster.items()},
            }
        )
    return results


def whole(theirs: dict[str, Any], seconds: float) -> dict[str, Any]:
    """From raw outputs to the rows of a record."""
    from vidette.families.base import Thresholds
    from vidette.families.maps import Maps
    from vidette.families.ultralytics_segmentation import Segments
    from vidette.payloads.roboflow import objects as rows
    from vidette.pixels.letterbox import fit

    over, decode = prototypes(), Segments(("it",), False, 0, 1)
    short = replace(decode, maps=Maps((8, 16, 32)))
    placed, limits = fit(WIDTH, HEIGHT, 640, 640, "letterbox"), Thresholds(iou=IOU)
    calls: Calls = {}
    for name, values in HEADS.items():
        calls[name] = lambda v=values: rows(decode((v, over), placed, limits))
        calls[f"{name}, without polygons"] = lambda v=values: decode((v, over), placed, limits)
    for name, values in MAPS.items():
        calls[f"{name}, short graph"] = lambda v=values: rows(short((*v, over), placed, limits))
    calls["candidates of every place, short graph"] = lambda: short.maps.candidates(EVERY, 1, limits)[1]
    times = compare(calls, seconds)
    return {
        name: {
            "objects": len(call()),
            "cpu_us": times[name],
            "ultralytics_us": theirs["us"].get(name),
            "ultralytics_objects": theirs["kept"].get(name),
            "times_ultralytics": round(theirs["us"][name] / times[name], 1) if name in theirs["us"] else None,
        }
        for name, call in calls.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a tenth of the repetitions; nothing is stored")
    parser.add_argument("--python-ultralytics", metavar="PATH", help="interpreter with ultralytics")
    parser.add_argument("--child", metavar="SECONDS", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(float(options.child))
        return
    from _common import save, table

    load, seconds = os.getloadavg(), 0.02 if options.quick else 0.2
    theirs = ultralytics(options.python_ultralytics, seconds)
    results = {
        "load_before": [round(value, 2) for value in load],
        "versions": theirs["versions"],
        "masks": masks(theirs, seconds),
        "whole": whole(theirs, seconds),
    }
    names = list(results["masks"][0]["cpu_us"])
    print(
        table(
            [[r["objects"], *r["cpu_us"].values(), str(r["times_best"])] for r in results["masks"]],
            ["", *names, "x best"],
        )
    )
    for row in results["masks"]:
        print(f"{row['objects']} objects: points {row['points']}, area off by at most {row['area_off_at_most']}")
    rows = [[name, *row.values()] for name, row in results["whole"].items()]
    print(table(rows, ["after the model", "objects", "CPU us", "Ultralytics", "objects", "x"]))
    if not options.quick:
        print(f"\nstored in {save('masks', results)}")


if __name__ == "__main__":
    main()
