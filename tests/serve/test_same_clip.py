"""One clip, and whoever asks for it: every frame has the same objects."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.console import start
from tests.clients import DEFAULT, python_of
from tests.serve.conftest import Running
from tests.serve.tasks import write_clip
from vidette.client import HubClient, InferenceHTTPClient

MODEL = "tiny/1"
CONFIDENCE, IOU = 0.4, 0.3  # what Roboflow's clients have where they give none
Objects = dict[tuple[str, float, float, float, float], float]
"""Class, centre, width and height -> confidence, of one frame."""


def of_roboflow(answer: dict[str, Any]) -> Objects:
    rows = answer["predictions"]
    return {(row["class"], *(row[side] for side in ("x", "y", "width", "height"))): row["confidence"] for row in rows}


def of_hub(image: dict[str, Any]) -> Objects:
    found: Objects = {}
    for row in image["results"]:
        x1, y1, x2, y2 = (row["box"][corner] for corner in ("x1", "y1", "x2", "y2"))
        found[row["name"], (x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1] = row["confidence"]
    return found


def by_hub(url: str, clip: Path) -> list[Objects]:
    images = HubClient(url, model=MODEL).predict(str(clip), conf=CONFIDENCE, iou=IOU)["images"]
    return [of_hub(image) for image in images]


def by_our_client(url: str, clip: Path) -> list[Objects]:
    streamed = list(InferenceHTTPClient(url).infer_on_stream(str(clip), model_id=MODEL))
    assert [number for number, _, _ in streamed] == list(range(len(streamed)))
    return [of_roboflow(answer) for _, _, answer in streamed]


SDK = """\
import json, sys
from inference_sdk import InferenceHTTPClient
url, clip, model = sys.argv[1:]
streamed = InferenceHTTPClient(api_url=url, api_key="any").infer_on_stream(clip, model_id=model)
print(json.dumps([answer for _, _, answer in streamed]))
"""


def by_the_sdk(url: str, clip: Path) -> list[Objects]:
    python = python_of("sdk")
    if not python.exists():
        pytest.skip(f"sdk is not in {DEFAULT}: make clients")
    done = subprocess.run([python, "-c", SDK, url, clip, MODEL], capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr[-2000:]
    return [of_roboflow(answer) for answer in json.loads(done.stdout.splitlines()[-1])]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clip") / "clip.mkv"
    write_clip(path, frames=12)
    return path


@pytest.fixture(scope="module")
def run(clip: Path, detector: Path) -> list[Objects]:
    """What `vidette run` writes."""
    target = clip.with_name("run.jsonl")
    options = ("--confidence", CONFIDENCE, "--iou", IOU, "--runtime", "onnx", "--sink", target)
    process = start("run", clip, "--model", detector, *map(str, options), cwd=clip.parent)
    said = process.communicate(timeout=100)[1]
    assert process.returncode == 0, said
    return [of_roboflow(json.loads(line)) for line in target.read_text().splitlines()]


# The form has the clip itself, and its answers are rounded to 5 decimals. The others' clients decode the clip and send
# each frame as JPEG: colours bleed over the cells of 32 pixels, which moves scores, but no object to another cell.
@pytest.mark.parametrize(
    ("ask", "off"),
    [
        pytest.param(by_hub, 1e-5, id="HUB's form"),
        pytest.param(by_our_client, 0.1, id="vidette.client"),
        pytest.param(by_the_sdk, 0.1, id="inference_sdk", marks=pytest.mark.clients),
    ],
)
def test_every_frame_has_the_objects_of_the_run(
    tasks: Running, clip: Path, run: list[Objects], ask: Callable[[str, Path], list[Objects]], off: float
) -> None:
    found = ask(tasks.url, clip)
    assert len(found) == len(run) == 12
    for ours, theirs in zip(run, found, strict=True):
        assert len(ours) > 20
        assert theirs.keys() == ours.keys()
        assert theirs == pytest.approx(ours, abs=off)
    assert len({tuple(sorted(objects)) for objects in run}) == 12  # no frame stands for another
