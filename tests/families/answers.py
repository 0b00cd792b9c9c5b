"""Reference answers of other people's code, and models with random weights to ask the same: see reference/README.md."""

import hashlib
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.families.signatures import signature
from tests.families.test_reference import Whole, picture
from vidette.families import recognise
from vidette.families.base import Thresholds
from vidette.pixels.letterbox import fit

HERE = Path(__file__).parent


def raw(name, run):
    """What the decoder makes of stored tensors, and what it should make of them."""
    record = json.loads((HERE / "raw" / f"{name}.json").read_text())
    with np.load(HERE / "raw" / f"{name}.npz") as tensors:
        outputs = [tensors[key] for key in tensors]
    given = signature(*(o.shape for o in outputs), image=(1, 3, *record["input"]), metadata=record["metadata"])
    letterbox = fit(record["width"], record["height"], *record["input"][::-1], record["resize"])
    limits = Thresholds(record["conf"], float(run.removeprefix("square-iou")), max_detections=record["max_det"])
    return recognise(given).decoder([o[0] for o in outputs], letterbox, limits), record["runs"][run]


def whole(name, fetched):
    """(answer, expected, size of the picture) of each run of a model with random weights; skips for other weights."""
    onnx = pytest.importorskip("onnx")
    path = fetched(f"random/{name}.onnx")
    model = Whole(f"random-{name}", path)
    each = sorted(
        hashlib.sha256(onnx.numpy_helper.to_array(tensor).tobytes()).digest()
        for tensor in onnx.load(str(path)).graph.initializer
    )
    (facts,) = model.reference["models"].values()
    if hashlib.sha256(b"".join(each)).hexdigest() != facts["weights_sha256"]:
        pytest.skip(f"{path.name} has other random weights than the one that was asked")
    for which, about in model.reference["pictures"].items():
        pixels = picture(which, fetched)
        if hashlib.sha256(pixels.tobytes()).hexdigest() != about["bgr_sha256"]:
            pixels = cv2.imread(str(fetched(f"media/{which}")))
        for run, expected in about["runs"].items():
            limits = Thresholds(0.1, float(run.split("iou")[1]), max_detections=100)
            yield model.answer(pixels, run, limits, "rgb"), expected, pixels.shape[1::-1]
