"""A server that records, and pictures to send it."""

import os
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.client.recording import Recorder
from tests.clients import python_of
from tests.media import write_clip


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    server = Recorder()
    yield server
    server.close()


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`pictures/a.jpg` and `pictures/b.png`, 96x64, of colours that JPEG hardly changes; `clip.mp4`, 160x120."""
    folder = tmp_path_factory.mktemp("client")
    (folder / "pictures").mkdir()
    across, down = np.meshgrid(np.linspace(0, 255, 96), np.linspace(0, 255, 64))
    pixels = np.stack([across, down, 255 - across], axis=2).astype(np.uint8)
    cv2.imwrite(str(folder / "pictures" / "a.jpg"), pixels)
    cv2.imwrite(str(folder / "pictures" / "b.png"), pixels)
    (folder / "pictures" / "notes.txt").write_text("not a picture")
    write_clip(folder / "clip.mp4", 5)
    return folder


@pytest.fixture(scope="session")
def sdk_python() -> str:
    """The interpreter of an environment that has `inference_sdk`."""
    found = Path(os.environ.get("VIDETTE_SDK_PYTHON") or python_of("sdk"))
    if not found.is_file():
        pytest.skip("inference_sdk is not installed: make clients, or VIDETTE_SDK_PYTHON=an interpreter that has it")
    return str(found)
