"""Batches of a real model change nothing but the last digits: many streams in batches, and each alone at batch 1."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conftest import Collecting, make_job
from vidette import models
from vidette.engine import Engine
from vidette.job import Job
from vidette.runtimes.cpu import OnnxCpu

pytestmark = pytest.mark.fetched

CLIPS = {"people": ("vtest.avi", 0.2), "bikes": ("bikes.mp4", 1.5), "film": ("Megamind.avi", 1.5)}
"""Clip and frames per second of media time: 16, 15 and 14 frames."""


class _Batched(OnnxCpu):
    """ONNX Runtime planned as a GPU is: one device, a ladder of batches, several callers."""

    def plan(self, model: Any, wish: Any) -> Any:
        return replace(super().plan(model, wish), ladder=(1, 2, 4, 8), permits=1, callers=3)


def test_batching_changes_nothing(
    fetched: Callable[[str], Path], run: Callable[[Job], Engine], monkeypatch: pytest.MonkeyPatch
) -> None:
    options: dict[str, Any] = {"runtime": "onnx", "precision": "f32", "input": (640, 640)}
    model = fetched("yolo11n.onnx")
    alone: dict[tuple[str, int], Any] = {}
    for id, (clip, fps) in CLIPS.items():
        sink = Collecting()
        run(make_job(model, {id: str(fetched(f"media/{clip}"))}, [sink], fps_limit=fps, **options))
        alone |= {(id, result.seq): result for result in sink.results}
        assert {result.batch for result in sink.results} == {1}

    monkeypatch.setattr(models, "choose", lambda *_: _Batched())
    together = Collecting()
    urls = {id: str(fetched(f"media/{clip}")) for id, (clip, _) in CLIPS.items()}
    job = make_job(model, urls, [together], **options)
    job = replace(job, streams=[replace(stream, fps_limit=CLIPS[stream.id][1]) for stream in job.streams])
    run(job)

    assert {(result.stream, result.seq) for result in together.results} == alone.keys()
    assert np.mean([result.batch for result in together.results]) > 1.5
    objects, furthest, noise = 0, 0.0, 0.0
    for result in together.results:
        wanted, found = alone[result.stream, result.seq].predictions, result.predictions
        assert found.class_id.tolist() == wanted.class_id.tolist()
        objects += len(found)
        furthest = max([furthest, *np.abs(found.xyxy - wanted.xyxy).ravel()])
        noise = max([noise, *np.abs(found.confidence - wanted.confidence)])
    print(f"\n{objects} objects: boxes within {furthest:.1e} px, confidence within {noise:.1e}")
    assert objects > 100
    assert furthest < 0.01
    assert noise < 1e-4
