"""The whole engine on real pictures with real models, beside what other people's code answered.

`scaling="exact", precision="f32"`: both runtimes, the model's whole input and the picture's own shape. See
tests/families/reference/README.md for who answered.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import vidette
from tests.e2e.boxes import Found, pairs

REFERENCE = Path(__file__).parents[1] / "families" / "reference"
RUNTIMES = ["onnx", "openvino"]
Fetched = Callable[[str], Path]

pytestmark = pytest.mark.fetched


def _reference(model: str) -> dict[str, Any]:
    pictures: dict[str, Any] = json.loads((REFERENCE / f"{model}.json").read_text())["pictures"]
    return pictures


def _results(names: Iterable[str], sources: list[Path], **options: Any) -> Iterator[tuple[str, vidette.Result]]:
    """(name in the reference, result); of a clip only frames whose number is a multiple of 100 are run."""
    left = {(Path(name.partition("@")[0]).stem, int(name.partition("@")[2] or 0)): name for name in names}
    for result in vidette.run(*sources, fps_limit=0.1, scaling="exact", precision="f32", pictures=True, **options):
        if (key := (result.stream, result.seq)) in left:
            yield left.pop(key), result
        if not left:
            return


def _compare(
    result: vidette.Result, facts: dict[str, Any], expected: dict[str, Any], where: str, above: float = 0.0
) -> int:
    """Same objects, IoU >= 0.99, confidence within 0.01; wider where another decoder read the picture."""
    assert result.picture is not None
    same = _digest(result.picture.bgr()) == facts["bgr_sha256"]
    count = len(expected["xyxy"])
    wanted = Found(
        np.reshape(np.array(expected["xyxy"], np.float32), (-1, 4)),
        np.array(expected["confidence"], np.float32),
        np.array(expected.get("class_id", [0] * count), np.int32),
    )
    answer = result.predictions
    kept = answer.confidence > above
    found = Found(answer.xyxy[kept], answer.confidence[kept], answer.class_id[kept])
    assert len(found.xyxy) == expected.get("count", count), where
    alike = pairs(found, wanted)
    assert len(alike) == count, where
    for i, j, iou in alike:
        assert iou >= (0.99 if same else 0.95), (where, i, j, iou)
        assert abs(found.confidence[i] - wanted.confidence[j]) <= (0.01 if same else 0.02), (where, i, j)
    if "keypoints" in expected and count:
        assert answer.keypoints is not None
        for i, j, _ in alike:
            points = answer.keypoints[kept][i, :, :2]
            np.testing.assert_allclose(points, expected["keypoints"][j], atol=1.5, err_msg=where)
    return count


_SETTINGS = [
    ("onnx", "square-iou0.45"), ("onnx", "square-iou0.7"), ("onnx", "auto-iou0.45"), ("onnx", "auto-iou0.7"),
    ("openvino", "square-iou0.45"), ("openvino", "square-iou0.7"), ("openvino", "auto-iou0.45"),
    ("openvino", "auto-iou0.7"), ("onnx", "square-iou0.45-agnostic"),
]  # fmt: skip


@pytest.mark.parametrize(("runtime", "setting"), _SETTINGS)
@pytest.mark.parametrize(("model", "side"), [("yolo11n", 640), ("yolov8n-nudenet-320", 320)])
def test_ultralytics_heads(fetched: Fetched, model: str, side: int, runtime: str, setting: str) -> None:
    reference = _reference(model)
    options: dict[str, Any] = {"runtime": runtime, "iou": float(setting.split("iou")[1].removesuffix("-agnostic"))}
    if setting.endswith("agnostic"):
        options["agnostic"] = True
    if setting.startswith("square"):
        options["input"] = f"{side}x{side}"
    sources = [fetched(f"media/{name.partition('@')[0]}") for name in reference]
    compared = objects = 0
    for name, result in _results(reference, sources, model=fetched(f"{model}.onnx"), **options):
        objects += _compare(result, reference[name], reference[name]["runs"][setting], f"{name} {setting}")
        assert (result.run["runtime"], result.run["precision"]) == (runtime, "f32")
        compared += 1
    assert compared == len(reference)
    assert objects == sum(facts["runs"][setting]["count"] for facts in reference.values()) > 2


@pytest.mark.parametrize("confidence", [0.1, 0.25])
@pytest.mark.parametrize("runtime", RUNTIMES)
def test_yolox(fetched: Fetched, runtime: str, confidence: float) -> None:
    reference = _reference("yolox-glyphs-416")
    setting = f"topleft-letterbox-conf{confidence}-iou0.45"
    sources = [fetched(f"media/{name}") for name in reference]
    options = {"model": fetched("yolox-glyphs-416.onnx"), "runtime": runtime, "confidence": confidence, "iou": 0.45}
    objects = 0
    for name, result in _results(reference, sources, **options):
        objects += _compare(result, reference[name], reference[name]["runs"][setting], f"{name} {setting}")
    assert objects == sum(len(facts["runs"][setting]["xyxy"]) for facts in reference.values()) > 40


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_centerface(fetched: Fetched, tmp_path: Path, runtime: str) -> None:
    """The reference handed the model BGR; Vidette gives RGB, as its authors do. So red and blue are swapped first."""
    reference = _reference("centerface")
    model, objects = fetched("centerface.onnx"), 0
    for name, facts in reference.items():
        pixels = _pixels(name, fetched)
        same = _digest(pixels) == facts["bgr_sha256"]
        swapped = tmp_path / f"{name.partition('@')[0]}.png"
        cv2.imwrite(str(swapped), pixels[:, :, ::-1])
        shape = [-(-side // 32) * 32 for side in pixels.shape[:2]]
        options = {"input": f"{shape[1]}x{shape[0]}", "confidence": 0.2, "iou": 0.3, "runtime": runtime}
        ((_, result),) = _results([swapped.name], [swapped], model=model, **options)
        assert result.run["input"] == f"{shape[1]}x{shape[0]}"
        facts = {"bgr_sha256": _digest(pixels[:, :, ::-1]) if same else None}
        for setting, expected in reference[name]["runs"].items():
            confidence = float(setting.partition("conf")[2].partition("-")[0])
            objects += _compare(result, facts, expected, f"{name} {setting}", confidence)
    assert objects == sum(run["count"] for facts in reference.values() for run in facts["runs"].values()) > 8


def _digest(pixels: Any) -> str:
    return hashlib.sha256(pixels.tobytes()).hexdigest()


def _pixels(name: str, fetched: Fetched) -> Any:
    file, _, frame = name.partition("@")
    path = fetched(f"media/{file}")
    if not frame:
        return cv2.imread(str(path), cv2.IMREAD_COLOR)
    clip = cv2.VideoCapture(str(path))
    for _ in range(int(frame) + 1):
        pixels = clip.read()[1]
    return pixels
