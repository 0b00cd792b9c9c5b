"""CPU per frame of Vidette and of what people use instead: the same run, the same ONNX file, the same clip.

    python benchmarks/rivals.py [--frames 150] [--repeats 3] \
        --python-ultralytics ULTRALYTICS_ENV/bin/python --python-roboflow ROBOFLOW_ENV/bin/python

Every contender runs in a process of its own, in the interpreter where it is installed, in turns with the others. It
processes the clip and a short head of it; the difference of the two, divided by the frames between them, is the price
of a frame, and the rest is the price of starting. Decoding, model and everything else count; no contender draws.

The rivals' environments (Python 3.11):
    ultralytics:  pip install ultralytics onnx onnxruntime openvino
    roboflow:     pip install inference
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import _common
from _clips import people_clip
from _roboflow_package import labels, write_package

HEAD = 40  # frames of the short clip: start, first-run allocations and caches are over by then
CONFIDENCE, IOU, SIDE = 0.25, 0.7, 640

# nothing may be looked up or reported over the network while it is measured
QUIET = {
    "YOLO_OFFLINE": "True",
    "YOLO_AUTOINSTALL": "False",
    "TELEMETRY_OPT_OUT": "True",
    "METRICS_ENABLED": "False",
    "LOG_LEVEL": "ERROR",
    "OFFLINE_MODE": "True",
}


# --- contenders: (model, clip) -> object count of each frame; imports inside, each in its own interpreter ---


def opencv_loop(model: str, clip: str) -> Iterable[int]:
    """What most people write: VideoCapture, blobFromImage, ONNX Runtime with one thread, NMSBoxes."""
    import cv2

    detect = _onnxruntime_detector(model)
    capture = cv2.VideoCapture(clip)
    while True:
        more, bgr = capture.read()
        if not more:
            return
        yield detect(bgr)


def _onnxruntime_detector(model: str) -> Callable[[Any], int]:
    import cv2
    import numpy as np
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name

    def detect(bgr: Any) -> int:
        blob = cv2.dnn.blobFromImage(bgr, 1 / 255, (SIDE, SIDE), swapRB=True)
        rows = session.run(None, {name: blob})[0][0].T
        scores = rows[:, 4:].max(axis=1)
        keep = scores > CONFIDENCE
        boxes = rows[keep, :4].copy()
        boxes[:, :2] -= boxes[:, 2:] / 2
        classes = rows[keep, 4:].argmax(axis=1)
        if not len(classes):
            return 0
        kept = cv2.dnn.NMSBoxesBatched(boxes.tolist(), scores[keep].tolist(), classes.tolist(), CONFIDENCE, IOU)
        return len(np.asarray(kept))

    return detect


def ultralytics_square(model: str, clip: str) -> Iterable[int]:
    """`predict(stream=True, rect=False)` on the ONNX file: 640x640."""
    return _ultralytics(model, clip, rect=False)


def ultralytics_own_shape(model: str, clip: str) -> Iterable[int]:
    """`predict(stream=True)`, its default: the clip's own shape, 384x640 here."""
    return _ultralytics(model, clip, rect=True)


def _ultralytics(model: str, clip: str, rect: bool) -> Iterable[int]:
    from ultralytics import YOLO

    results = YOLO(model, task="detect").predict(
        clip, stream=True, imgsz=SIDE, rect=rect, conf=CONFIDENCE, iou=IOU, device="cpu", verbose=False
    )
    return (len(result.boxes) for result in results)


def ultralytics_openvino(model: str, clip: str) -> Iterable[int]:
    """The same through OpenVINO, in the folder layout of its own exporter.

    Its exporter starts from the .pt file; so that all run the same file, OpenVINO converts the ONNX one here.
    """
    import openvino

    with tempfile.TemporaryDirectory(suffix="_openvino_model") as folder:
        graph = openvino.convert_model(model)
        openvino.save_model(graph, f"{folder}/model.xml", compress_to_fp16=False)
        names = dict(enumerate(labels(model)))
        facts = {"task": "detect", "stride": 32, "imgsz": [SIDE, SIDE], "batch": 1, "names": names}
        Path(folder, "metadata.yaml").write_text(json.dumps({**facts, "args": {"dynamic": True}}))
        yield from _ultralytics(folder, clip, rect=True)


def roboflow_onnxruntime(model: str, clip: str) -> Iterable[int]:
    """InferencePipeline.init_with_custom_logic around the detector of the plain loop."""
    detect = _onnxruntime_detector(model)
    return _roboflow(clip, lambda frames: [detect(frame.image) for frame in frames])


def roboflow_package(model: str, clip: str) -> Iterable[int]:
    """InferencePipeline around Roboflow's own model code, which takes an ONNX file in its package layout."""
    from inference_models import AutoModel

    with tempfile.TemporaryDirectory() as folder:
        write_package(Path(folder), model, SIDE)
        loaded = AutoModel.from_pretrained(folder)

    def infer(frames: Any) -> list[int]:
        images = [frame.image for frame in frames]
        return [len(found.confidence) for found in loaded(images, confidence=CONFIDENCE, iou_threshold=IOU)]

    return _roboflow(clip, infer)


def _roboflow(clip: str, infer: Callable[[Any], list[int]]) -> Iterable[int]:
    from inference import InferencePipeline

    counts: list[int] = []
    pipeline = InferencePipeline.init_with_custom_logic(
        video_reference=clip, on_video_frame=infer, on_prediction=lambda count, frame: counts.append(count)
    )
    pipeline.start()
    pipeline.join()
    return counts


# name: (interpreter, contender, or arguments of `vidette run`)
VIDETTE = ["--quiet", "--confidence", str(CONFIDENCE), "--iou", str(IOU)]
CONTENDERS: dict[str, tuple[str, Callable[[str, str], Iterable[int]] | list[str]]] = {
    "vidette, defaults": ("vidette", VIDETTE),
    "vidette, onnx, own shape": ("vidette", [*VIDETTE, "--runtime", "onnx", "--precision", "f32"]),
    "vidette, onnx, 640x640": (
        "vidette",
        [*VIDETTE, "--runtime", "onnx", "--precision", "f32", "--input", f"{SIDE}x{SIDE}"],
    ),
    "opencv + onnxruntime loop": ("vidette", opencv_loop),
    "ultralytics, onnx, 640x640": ("ultralytics", ultralytics_square),
    "ultralytics, onnx, own shape": ("ultralytics", ultralytics_own_shape),
    "ultralytics, openvino, own shape": ("ultralytics", ultralytics_openvino),
    "roboflow pipeline + onnxruntime": ("roboflow", roboflow_onnxruntime),
    "roboflow pipeline, own model code": ("roboflow", roboflow_package),
}
CONVERTED = {"ultralytics, openvino, own shape"}  # needs a step of its own before it can run the file


# --- the measurement ---


def measure(name: str, python: str, model: Path, clip: Path, scratch: Path) -> dict[str, float]:
    """One contender over one clip: CPU and wall seconds and peak memory of its process, frames and objects."""
    contender = CONTENDERS[name][1]
    out = scratch / "out.jsonl"
    out.unlink(missing_ok=True)
    if isinstance(contender, list):
        command = [python, "-m", "vidette", "run", str(clip), "--model", str(model), "--sink", str(out), *contender]
    else:
        command = [python, __file__, "--child", name, str(model), str(clip), str(out)]
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    environment |= QUIET | {"YOLO_CONFIG_DIR": str(scratch), "MODEL_CACHE_DIR": str(scratch)}
    log = scratch / "log.txt"
    begin = time.perf_counter()
    with log.open("wb") as sink:
        process = subprocess.Popen(command, stdout=sink, stderr=sink, env=environment, cwd=scratch)
        _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - begin
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{name}: exit code {process.returncode}\n{log.read_text(errors='replace')[-2000:]}")
    counts = [len(record["predictions"]) for record in map(json.loads, out.open()) if "predictions" in record]
    return {
        "cpu_s": usage.ru_utime + usage.ru_stime,
        "wall_s": wall,
        "peak_mb": usage.ru_maxrss * 1024 / 1e6,
        "frames": len(counts),
        "objects": sum(counts),
    }


def child(name: str, model: str, clip: str, out: str) -> None:
    """Run one contender here and leave its counts in the shape of Vidette's records."""
    sys.path.remove(str(Path(__file__).resolve().parent))  # the rivals' imports must not find our scripts
    contender = CONTENDERS[name][1]
    assert not isinstance(contender, list)
    with open(out, "w") as file:
        for count in contender(model, clip):
            file.write(json.dumps({"predictions": [None] * count}) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python-ultralytics", metavar="PATH", help="interpreter with ultralytics")
    parser.add_argument("--python-roboflow", metavar="PATH", help="interpreter with Roboflow's inference")
    parser.add_argument("--model", type=Path, default=_common.MODELS / "yolo11n.onnx")
    parser.add_argument("--source", type=Path, default=_common.MEDIA / "vtest.avi", help="clip with people")
    parser.add_argument("--frames", type=int, default=150, help=f"measured frames, beyond the first {HEAD}")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", metavar="TEXT", help="contenders whose name contains this")
    parser.add_argument("--child", nargs=4, metavar=("NAME", "MODEL", "CLIP", "OUT"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        child(*args.child)
        return
    for needed in (args.model, args.source):
        if not needed.exists():
            raise SystemExit(f"{needed} is missing: `make fetch` brings it")
    pythons = {
        "vidette": sys.executable,
        "ultralytics": args.python_ultralytics,
        "roboflow": args.python_roboflow,
    }
    short, long = (people_clip(args.source, count) for count in (HEAD, HEAD + args.frames))
    names = [name for name in CONTENDERS if not args.only or args.only in name]
    samples: dict[str, list[dict[str, float]]] = {}
    skipped: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as folder:
        for turn in range(args.repeats):
            for name in names:
                python = pythons[CONTENDERS[name][0]]
                if python is None:
                    skipped[name] = f"no --python-{CONTENDERS[name][0]}"
                if name in skipped:
                    continue
                print(f"\r{turn + 1}/{args.repeats} {name:40}", end="", file=sys.stderr, flush=True)
                try:
                    head = measure(name, python, args.model, short, Path(folder))
                    whole = measure(name, python, args.model, long, Path(folder))
                except RuntimeError as error:
                    print(f"\n{error}", file=sys.stderr)
                    skipped[name] = str(error).splitlines()[0]
                    continue
                samples.setdefault(name, []).append(_difference(head, whole))
    print(file=sys.stderr)
    report(args, samples, skipped, {key: _common.versions(python) for key, python in pythons.items() if python})


def _difference(head: dict[str, float], whole: dict[str, float]) -> dict[str, float]:
    frames = whole["frames"] - head["frames"]
    cpu = (whole["cpu_s"] - head["cpu_s"]) / frames
    return {
        "cpu_ms": cpu * 1e3,
        "fps": frames / (whole["wall_s"] - head["wall_s"]),
        "start_cpu_s": head["cpu_s"] - cpu * head["frames"],
        "peak_mb": whole["peak_mb"],
        "frames": whole["frames"],
        "objects_per_frame": whole["objects"] / whole["frames"],
    }


def report(
    args: argparse.Namespace,
    samples: dict[str, list[dict[str, float]]],
    skipped: dict[str, str],
    packages: dict[str, Any],
) -> None:
    """Print the table and store it."""
    medians = {
        name: {key: statistics.median(each[key] for each in rows) for key in rows[0]} for name, rows in samples.items()
    }
    rivals = {name: row["cpu_ms"] for name, row in medians.items() if not name.startswith("vidette")}
    same_file = {name: cpu for name, cpu in rivals.items() if name not in CONVERTED}
    best = {key: min(each, key=each.__getitem__, default=None) for key, each in (("file", same_file), ("any", rivals))}
    head = ["contender", "CPU ms/frame", "of best on the ONNX file", "of best of all"]
    head += ["frames/s", "peak MB", "start CPU s", "objects/frame"]
    rows = [
        [
            name,
            round(row["cpu_ms"], 1),
            *(round(row["cpu_ms"] / rivals[other], 2) if other else None for other in best.values()),
            round(row["fps"], 1),
            round(row["peak_mb"]),
            round(row["start_cpu_s"], 1),
            round(row["objects_per_frame"], 2),
        ]
        for name, row in sorted(medians.items(), key=lambda item: item[1]["cpu_ms"])
    ]
    print(_common.table(rows, head))
    for name, why in skipped.items():
        print(f"skipped: {name}: {why}")
    path = _common.save(
        "rivals",
        {
            "question": "CPU per frame of Vidette and of what people use instead",
            "model": args.model.name,
            "clip": f"{args.source.name} as 1280x720 H.264 30 fps 2 Mbit/s, {HEAD + args.frames} frames",
            "repeats": args.repeats,
            "packages": packages,
            "best_rival_on_the_onnx_file": best["file"],
            "best_rival": best["any"],
            "medians": medians,
            "samples": samples,
            "skipped": skipped,
        },
    )
    print(f"stored in {path.relative_to(_common.ROOT)}")


if __name__ == "__main__":
    main()
