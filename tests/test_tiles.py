"""Pictures in tiles, through the engine: small objects are found, each once, in every frame, in order."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tests.conftest import Collecting, make_job
from vidette import models
from vidette.engine import Engine
from vidette.job import Job
from vidette.pixels.tiles import Tiles
from vidette.runtimes.cpu import OnnxCpu

Runner = Callable[[Job], Engine]
GRID = Tiles(4, 4, True, overlap=0.0)


@pytest.fixture
def dots(tmp_path: Path) -> Path:
    """1280x768, black, with two red squares of 32 pixels on cells that the tiny detector sees at full size."""
    picture = np.zeros((768, 1280, 3), np.uint8)
    for x, y in ((96, 64), (1088, 640)):
        picture[y : y + 32, x : x + 32, 2] = 255
    path = tmp_path / "dots.png"
    cv2.imwrite(str(path), picture)
    return path


def centres(sink: Collecting) -> list[tuple[int, int]]:
    boxes = sink.results[0].predictions.xyxy
    return sorted((round(float(x1 + x2) / 2), round(float(y1 + y2) / 2)) for x1, y1, x2, y2 in boxes)


@pytest.mark.parametrize("runtime", ["onnx", "openvino"])
def test_small_objects_are_found_in_tiles_only(detector: Path, run: Runner, dots: Path, runtime: str) -> None:
    options: dict[str, Any] = {"runtime": runtime, "input": (320, 192), "confidence": 0.5, "scaling": "exact"}
    whole, tiled = Collecting(), Collecting()
    run(make_job(detector, {"a": str(dots)}, [whole], **options))
    engine = run(make_job(detector, {"a": str(dots)}, [tiled], tiles=GRID, **options))
    assert centres(whole) == []
    assert centres(tiled) == [(112, 80), (1104, 656)]
    assert engine.complete
    assert engine.report()["streams"][0]["results"] == 1
    assert engine.report()["models"][0]["batches"] == 17  # 16 tiles and the whole picture


def test_an_object_in_two_tiles_is_one(detector: Path, run: Runner, dots: Path) -> None:
    sink = Collecting()
    tiles = Tiles(640, 384, False, overlap=0.5, whole=False)
    run(make_job(detector, {"a": str(dots)}, [sink], input=(640, 384), confidence=0.5, scaling="exact", tiles=tiles))
    assert centres(sink) == [(112, 80), (1104, 656)]


class _Batched(OnnxCpu):
    """As a GPU is planned: one device, a ladder of batches, several callers."""

    def plan(self, model: Any, wish: Any) -> Any:
        return replace(super().plan(model, wish), ladder=(1, 2, 4, 8), permits=1, callers=3)


@pytest.mark.parametrize("batched", [False, True])
def test_every_frame_of_every_stream_once_and_in_order(
    detector: Path, run: Runner, batched: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if batched:
        monkeypatch.setattr(models, "choose", lambda *_: _Batched())
    urls = {f"s{n}": f"testsrc:?size=640x384&frames={20 + n}" for n in range(3)}
    sink, plain = Collecting(), Collecting()
    engine = run(make_job(detector, urls, [sink], runtime="onnx", tiles=Tiles(2, 2, True), confidence=0.1))
    run(make_job(detector, {"s0": urls["s0"]}, [plain], runtime="onnx", tiles=Tiles(2, 2, True), confidence=0.1))
    for n in range(3):
        assert [result.seq for result in sink.of(f"s{n}")] == list(range(20 + n))
    for mixed, alone in zip(sink.of("s0"), plain.results, strict=True):
        np.testing.assert_array_equal(mixed.predictions.xyxy, alone.predictions.xyxy)
    assert engine.complete
    if batched:
        assert engine.report()["streams"][0]["mean_batch"] > 1.5


def test_a_tile_that_fails_fails_its_frame_once(detector: Path, run: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    from vidette.pixels.slot import SlotWriter

    write = SlotWriter.write

    def broken(self: Any, picture: Any, letterbox: Any, buffer: Any, index: int) -> None:
        if letterbox.region[0]:
            raise ValueError("broken tile")
        write(self, picture, letterbox, buffer, index)

    monkeypatch.setattr(SlotWriter, "write", broken)
    engine = run(make_job(detector, {"a": "testsrc:?size=640x384&frames=5"}, [], tiles=Tiles(2, 2, True)))
    stream = engine.report()["streams"][0]
    assert stream["failed"] == {"pixels": 5}
    assert stream["results"] == 0
    assert stream["in_flight"] == 0
