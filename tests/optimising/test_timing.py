"""What a gain counts."""

import time
from pathlib import Path

import numpy as np
import pytest

from tests.tiny import make_detector
from vidette.frame import Picture
from vidette.job import ModelRequest
from vidette.models import load
from vidette.optimising import timing
from vidette.pixels.slot import SlotWriter


def test_writing_pixels_counts_as_running_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that only moves when pixels are written, by 2 s, and when a model runs, by 3 s."""
    clock = [0.0]
    monkeypatch.setattr(time, "process_time", lambda: clock[0])
    model = load(ModelRequest("m", make_detector(tmp_path / "m.onnx"), runtime="onnx"), "latency")
    write, run = SlotWriter.write, type(model.session).run

    def slow_write(*arguments: object) -> None:
        clock[0] += 2
        write(*arguments)  # type: ignore[arg-type]

    def slow_run(*arguments: object) -> object:
        clock[0] += 3
        return run(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(SlotWriter, "write", slow_write)
    monkeypatch.setattr(type(model.session), "run", slow_run)
    picture = Picture(np.zeros((48, 64, 3), np.uint8))
    assert timing._medians([model, model], picture) == [5, 5]
    model.session.close()
