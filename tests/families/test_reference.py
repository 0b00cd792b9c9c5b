"""The same objects as other people's code finds: see reference/README.md for what made the answers."""

import hashlib
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.families.signatures import signature
from vidette.families import recognise
from vidette.families.base import Thresholds
from vidette.pixels.letterbox import fit, own_shape

HERE = Path(__file__).parent


def iou(a, b):
    low, high = np.maximum(a[:, :2], b[:, :2]), np.minimum(a[:, 2:], b[:, 2:])
    shared = np.clip(high - low, 0, None).prod(1)
    return shared / ((a[:, 2:] - a[:, :2]).prod(1) + (b[:, 2:] - b[:, :2]).prod(1) - shared)


# ------------------------------------------------------------------ raw tensors: no model, no picture


@pytest.mark.parametrize("run", ["square-iou0.45", "square-iou0.7"])
@pytest.mark.parametrize("name", ["yolov8n", "yolo26n", "yolov10n", "yolov8n-nms"])
def test_raw_tensors(name, run):
    record = json.loads((HERE / "raw" / f"{name}.json").read_text())
    with np.load(HERE / "raw" / f"{name}.npz") as tensors:
        outputs = [tensors[key] for key in tensors]
    given = signature(*(o.shape for o in outputs), image=(1, 3, *record["input"]), metadata=record["metadata"])
    letterbox = fit(record["width"], record["height"], *record["input"][::-1], record["resize"])
    limits = Thresholds(
        confidence=record["conf"], iou=float(run.removeprefix("square-iou")), max_detections=record["max_det"]
    )
    answer = recognise(given).decoder([o[0] for o in outputs], letterbox, limits)
    expected = record["runs"][run]
    wanted = np.array(expected["xyxy"])
    # Ultralytics adds 7680 pixels per class before suppression; float32 then rounds one of yolov8n's decisions.
    spare = 1 if (name, run) == ("yolov8n", "square-iou0.45") else 0
    assert abs(len(answer) - expected["count"]) <= spare
    missing = 0
    for box, confidence, label in zip(wanted, expected["confidence"], expected["class_id"], strict=True):
        near = (
            (np.abs(answer.xyxy - box).max(1) < 0.05)
            & (np.abs(answer.confidence - confidence) < 0.0005)
            & (answer.class_id == label)
        )
        missing += not near.any()
    assert missing <= spare
    if not spare:
        np.testing.assert_allclose(answer.confidence[: len(wanted)], expected["confidence"], atol=0.0005)


# ------------------------------------------------------------------ whole models


def picture(name, fetched):
    file, _, frame = name.partition("@")
    path = fetched(f"media/{file}")
    if not frame:
        return cv2.imread(str(path), cv2.IMREAD_COLOR)
    clip = cv2.VideoCapture(str(path))
    for _ in range(int(frame) + 1):
        pixels = clip.read()[1]
    return pixels


class Whole:
    """A model run by ONNX Runtime, its pictures prepared by plain OpenCV."""

    def __init__(self, name, path):
        onnxruntime = pytest.importorskip("onnxruntime")
        from vidette.onnxfile import read_signature
        from vidette.onnxopen import open_shapes

        self.reference = json.loads((HERE / "reference" / f"{name}.json").read_text())
        self.claim = recognise(read_signature(path))
        data = path.read_bytes()
        if self.claim.dynamic:
            data = open_shapes(data, {0: "batch", 2: "height", 3: "width"})
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])

    def letterbox(self, width, height, run):
        if self.claim.preprocess.resize == "stretch":
            return fit(width, height, -(-width // 32) * 32, -(-height // 32) * 32, "stretch")
        size = self.claim.preprocess.size
        shape = own_shape(width, height, size, self.claim.preprocess.stride) if run.startswith("auto") else (size, size)
        return fit(width, height, *shape, self.claim.preprocess.resize)

    def answer(self, pixels, run, limits, colour):
        height, width = pixels.shape[:2]
        box = self.letterbox(width, height, run)
        canvas = np.full((box.input_height, box.input_width, 3), self.claim.preprocess.pad, np.uint8)
        inner = cv2.resize(pixels, (box.scaled_width, box.scaled_height), interpolation=cv2.INTER_LINEAR)
        canvas[box.top : box.top + box.scaled_height, box.left : box.left + box.scaled_width] = inner
        if colour == "rgb":
            canvas = canvas[:, :, ::-1]
        values = canvas.transpose(2, 0, 1)[None].astype(np.float32) * np.float32(self.claim.preprocess.scale[0])
        outputs = self.session.run(None, {self.session.get_inputs()[0].name: np.ascontiguousarray(values)})
        return self.claim.decoder([o[0] for o in outputs], box, limits)


@pytest.fixture(scope="module", params=["yolo11n", "yolov8n-nudenet-320", "yolox-glyphs-416", "centerface"])
def whole(request, fetched):
    return request.param, Whole(request.param, fetched(f"{request.param}.onnx"))


@pytest.mark.fetched
def test_whole_models(whole, fetched):
    name, model = whole
    # The reference gave CenterFace pictures in BGR: so does this test. Vidette gives it RGB, as its authors do.
    colour = "bgr" if name == "centerface" else model.claim.preprocess.colour
    compared = 0
    for which, facts in model.reference["pictures"].items():
        pixels = picture(which, fetched)
        same = hashlib.sha256(pixels.tobytes()).hexdigest() == facts["bgr_sha256"]
        for run, expected in facts["runs"].items():
            settings = dict(part.split("conf") for part in run.split("-") if part.startswith("conf"))
            confidence = float(settings.get("", 0.25))
            limit = float(run.split("iou")[1].removesuffix("-agnostic"))
            limits = Thresholds(confidence, limit, run.endswith("agnostic"), max_detections=100)
            answer = model.answer(pixels, run, limits, colour)
            where = f"{which} {run}"
            wanted = np.reshape(expected["xyxy"], (-1, 4))
            assert len(answer) == expected.get("count", len(wanted)), where
            answer_order = slice(0, len(wanted))
            assert answer.class_id[answer_order].tolist() == expected.get("class_id", [0] * len(wanted)), where
            np.testing.assert_allclose(
                answer.confidence[answer_order], expected["confidence"], atol=0.01 if same else 0.02, err_msg=where
            )
            if len(wanted):
                assert iou(answer.xyxy[answer_order], wanted).min() >= (0.99 if same else 0.95), where
            if "keypoints" in expected and len(wanted):
                np.testing.assert_allclose(answer.keypoints[..., :2], expected["keypoints"], atol=1.5, err_msg=where)
            compared += len(wanted)
    assert compared > 3
