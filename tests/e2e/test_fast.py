"""What the fast scaling and the fast precision cost in exactness, on real footage with the trained yolo11n.

Stated tolerance, for each of the two against `scaling="exact", precision="f32"`: the same objects above 0.35 but for
1 in 100, IoU >= 0.95 in the median, confidence within 0.05 for 99 in 100. The figures are printed: `pytest -s`.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import vidette
from tests.e2e.boxes import Found, pairs

CLIPS = {"vtest.avi": 1 / 3, "bikes.mp4": 4.0}
"""Frames per second of media time: every 30th and about every 6th frame, 27 and 42."""
CERTAIN = 0.35
Answers = dict[tuple[str, int], Found]

pytestmark = pytest.mark.fetched


def _answers(fetched: Callable[[str], Path], **options: Any) -> Answers:
    model = fetched("yolo11n.onnx")
    return {
        (clip, result.seq): Found(result.predictions.xyxy, result.predictions.confidence, result.predictions.class_id)
        for clip, fps in CLIPS.items()
        for result in vidette.run(fetched(f"media/{clip}"), model=model, fps_limit=fps, confidence=0.2, **options)
    }


@pytest.fixture(scope="module")
def exact(fetched: Callable[[str], Path]) -> Answers:
    return _answers(fetched, scaling="exact", precision="f32", runtime="onnx")


@pytest.mark.parametrize(
    ("options", "agreeing"),
    [
        ({"scaling": "fast", "precision": "f32", "runtime": "onnx"}, 0.99),
        ({"scaling": "exact", "precision": "auto", "runtime": "openvino"}, 0.99),
        ({}, 0.98),  # both, which is the default: their differences add up
    ],
    ids=["scaling", "precision", "default"],
)
def test_the_fast_ways_find_the_same(
    exact: Answers, fetched: Callable[[str], Path], options: dict[str, Any], agreeing: float
) -> None:
    fast = _answers(fetched, **options)
    assert fast.keys() == exact.keys()
    total = missing = 0
    ious, differences = [], []
    for key, wanted in exact.items():
        found = fast[key]
        alike = [(i, j, iou) for i, j, iou in pairs(wanted, found) if iou >= 0.5]
        sure = set(np.flatnonzero(wanted.confidence > CERTAIN))
        total += len(sure)
        missing += len(sure - {i for i, _, _ in alike})
        missing += len(set(np.flatnonzero(found.confidence > CERTAIN)) - {j for _, j, _ in alike})
        ious += [iou for i, _, iou in alike if i in sure]
        differences += [abs(wanted.confidence[i] - found.confidence[j]) for i, j, _ in alike if i in sure]
    share = float(np.mean(np.array(differences) <= 0.05))
    print(
        f"\n{options or 'default'}: {total} objects, {missing} differ; IoU median {np.median(ious):.4f}, "
        f"1st percentile {np.quantile(ious, 0.01):.4f}; confidence within 0.05 for {share:.2%}, "
        f"99th percentile of the difference {np.quantile(differences, 0.99):.4f}"
    )
    assert total > 200
    assert missing <= total / 100
    assert np.median(ious) >= 0.95
    assert share >= agreeing
