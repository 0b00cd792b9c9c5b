"""Models of one channel through the whole engine, beside a plain calculation: OpenCV's grey, the mean of each cell."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import numpy.typing as npt
import pytest

from tests.conftest import Collecting, make_job
from tests.serve.conftest import Serve, serve
from tests.serve.hosted import ask
from tests.tiny import STRIDE, make_detector
from vidette import models
from vidette.engine import Engine
from vidette.job import Job
from vidette.optimising import folding, graph
from vidette.pixels.tiles import Tiles
from vidette.predictions import Detections
from vidette.runtimes.cpu import OnnxCpu

__all__ = ["serve"]  # a fixture

Runner = Callable[[Job], Engine]
SURE = 0.3


@pytest.fixture
def grey(tmp_path: Path) -> Path:
    return make_detector(tmp_path / "grey.onnx", grey=True)


@pytest.fixture
def folded(grey: Path, tmp_path: Path) -> Path:
    """The same with bytes in, channels last."""
    path = tmp_path / "folded.onnx"
    graph.save(folding.fold(graph.read(grey), "images", models.describe(grey).recognised.preprocess), path)
    return path


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """320x192, five frames of coloured waves, lossless; 4:2:0, as cameras send."""
    path = tmp_path / "clip.mkv"
    y, x = np.mgrid[:192, :320]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 320, 192, "yuv420p"
        for number in range(5):
            waves = [120 + 90 * np.sin(x / 60 + number + c) * np.cos(y / 50 - c) for c in range(3)]
            frame = av.VideoFrame.from_ndarray(np.stack(waves, -1).astype(np.uint8), "bgr24")
            container.mux(stream.encode(frame.reformat(format="yuv420p")))
        container.mux(stream.encode())
    return path


def brightness(bgr: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    """(rows, columns) mean grey of each cell, 0..1."""
    plane = cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY).astype(np.float64)
    rows, columns = plane.shape[0] // STRIDE, plane.shape[1] // STRIDE
    cells: npt.NDArray[np.float64] = plane.reshape(rows, STRIDE, columns, STRIDE).mean((1, 3)) / 255
    return cells


def found(answer: Any, like: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The same from what the model found; 0 where it found nothing."""
    assert isinstance(answer, Detections)
    cells = np.zeros_like(like)
    for (x1, y1, x2, y2), confidence in zip(answer.xyxy, answer.confidence, strict=True):
        np.testing.assert_allclose([x2 - x1, y2 - y1], STRIDE, atol=1e-3)
        cells[round(float(y1)) // STRIDE, round(float(x1)) // STRIDE] = confidence
    return cells


def compare(answer: Any, expected: npt.NDArray[np.float64], within: float) -> None:
    cells = found(answer, expected)
    sure = expected > SURE + within
    assert sure.any()
    assert not cells[expected < SURE - within].any()
    np.testing.assert_allclose(cells[sure], expected[sure], atol=within)


class _Batched(OnnxCpu):
    """As a GPU is planned: one device, a ladder of batches, several callers."""

    def plan(self, model: Any, wish: Any) -> Any:
        return replace(super().plan(model, wish), ladder=(1, 2, 4, 8), permits=1, callers=3)


@pytest.mark.parametrize(("scaling", "within"), [("exact", 1e-4), ("fast", 1 / 255)])
@pytest.mark.parametrize("which", ["grey", "folded"])
@pytest.mark.parametrize("runtime", ["onnx", "openvino", "batched"])
def test_a_video(
    which: str, runtime: str, scaling: str, within: float,
    clip: Path, run: Runner, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    if runtime == "batched":
        monkeypatch.setattr(models, "choose", lambda *_: _Batched())
    with av.open(str(clip)) as container:
        expected = [brightness(frame.to_ndarray(format="bgr24")) for frame in container.decode(video=0)]
    sink = Collecting()
    name = "onnx" if runtime == "batched" else runtime
    options: dict[str, Any] = {"runtime": name, "precision": "f32", "confidence": SURE, "scaling": scaling}
    urls = {f"s{number}": str(clip) for number in range(3)}
    engine = run(make_job(request.getfixturevalue(which), urls, [sink], **options))
    assert engine.complete
    value, layout = ("pixel / 255", "nchw float32") if which == "grey" else ("pixel", "nhwc uint8")
    assert f"grey, {value}, letterbox on 114, {layout}" in engine.plan_lines()[0]
    for stream in urls:
        assert len(sink.of(stream)) == len(expected)
        for result, cells in zip(sink.of(stream), expected, strict=True):
            compare(result.predictions, cells, within)


@pytest.mark.parametrize("which", ["grey", "folded"])
def test_tiles(which: str, run: Runner, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    cells = np.random.default_rng(1).integers(0, 256, (12, 20, 3), np.uint8)
    bgr = cells.repeat(STRIDE, axis=0).repeat(STRIDE, axis=1)
    cv2.imwrite(str(tmp_path / "cells.png"), bgr)
    sink = Collecting()
    tiles = Tiles(2, 2, True, overlap=0.0, whole=False)
    model = request.getfixturevalue(which)
    options: dict[str, Any] = {"tiles": tiles, "input": (320, 192), "confidence": SURE, "runtime": "onnx"}
    run(make_job(model, {"a": str(tmp_path / "cells.png")}, [sink], **options))
    compare(sink.results[0].predictions, brightness(bgr), 1e-4)


def test_single_pictures_through_the_server(grey: Path, serve: Serve) -> None:
    running = serve(models={"grey/1": grey})
    for colour, level in (((255, 0, 0), 29), ((0, 255, 0), 150), ((0, 0, 255), 76), ((200, 200, 200), 200)):
        bgr = np.full((192, 320, 3), colour, np.uint8)
        answer = ask(f"{running.url}/grey/1", bytes(cv2.imencode(".png", bgr)[1]), confidence=0.05)
        rows = answer.json()["predictions"]
        assert {row["class"] for row in rows} == {"bright"}
        assert [row["confidence"] for row in rows] == pytest.approx([level / 255] * 60, abs=1e-4)
