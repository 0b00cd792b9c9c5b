"""Real clients in environments of their own (`make clients`), and what they ask: a server, a keyed one, pictures."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tests.clients import DEFAULT, python_of
from tests.conftest import FETCHED
from tests.serve import tasks as task_models
from tests.serve.conftest import Running
from vidette.job import Job, ModelRequest
from vidette.serve.server import Server
from vidette.server_settings import ServerConfig

SCRIPTS = Path(__file__).parent / "scripts"
HOSTS = (
    "API_URL", "OBJECT_DETECTION_URL", "INSTANCE_SEGMENTATION_URL", "SEMANTIC_SEGMENTATION_URL", "SERVERLESS_URL",
)  # fmt: skip
"""Environment variables by which the roboflow package is told where to go."""


def cases_of(script: str) -> list[str]:
    """The names of a script's cases, without running it."""
    return re.findall(r"^def (case_\w+)", (SCRIPTS / f"{script}.py").read_text(), re.MULTILINE)


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory, detector: Path) -> dict[str, Path]:
    """Id -> file of every model that clients ask for; `yolo/11` only where it is fetched."""
    found = task_models.write_all(tmp_path_factory.mktemp("models")) | {"tiny/1": detector}
    found["spare/1"] = found["yolov8n-640"] = found["det/1"]  # clients ask for the second as coco/3
    real = FETCHED / "yolo11n.onnx"
    return found | ({"yolo/11": real} if real.exists() else {})


def served(models: dict[str, Path], **config: Any) -> Running:
    requests = [ModelRequest(id, path, runtime="onnx") for id, path in models.items()]
    return Running(Server(ServerConfig.model_validate(config), requests, Job([], [])))


@pytest.fixture(scope="session")
def facts(
    models: dict[str, Path], host: str, detector: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Any]]:
    """What scripts are told, see scripts/cases.py."""
    folder = tmp_path_factory.mktemp("pictures")
    (folder / "a.png").write_bytes(task_models.picture(".png"))
    (folder / "a.jpg").write_bytes(task_models.picture(".jpg"))
    (folder / "broken.jpg").write_bytes(task_models.picture(".jpg")[:700])
    cv2.imwrite(str(folder / "large.jpg"), np.full((800, 1600, 3), 90, np.uint8))
    cells = np.random.default_rng(0).integers(0, 256, (6, 10, 3), np.uint8)
    cv2.imwrite(str(folder / "colours.png"), cells.repeat(32, axis=0).repeat(32, axis=1))
    (folder / "pictures").mkdir()
    for name in ("1.png", "2.jpg"):
        shutil.copy(folder / f"a{Path(name).suffix}", folder / "pictures" / name)
    task_models.write_clip(folder / "clip.mkv")
    open_, keyed = (
        served(models, fetch={"hosts": ["127.0.0.1"]}),
        served({"tiny/1": detector}, keys=[{"name": "one", "key": "right-key"}]),
    )
    real = FETCHED / "media" / "bus.jpg"
    yield {
        "url": open_.url, "keyed": keyed.url, "host": host, "folder": str(folder),
        "real": str(real) if real.exists() and "yolo/11" in models else None,
    }  # fmt: skip
    open_.stop()
    keyed.stop()


Outcomes = dict[str, Any]


@pytest.fixture(scope="session")
def ran(facts: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], Outcomes]:
    """`ran("sdk", "sdk037")`: what came of every case of a script in an environment; it runs once."""
    kept: dict[tuple[str, str], Outcomes] = {}

    def once(script: str, environment: str) -> Outcomes:
        if (script, environment) not in kept:
            python = python_of(environment)
            if not python.exists():
                pytest.skip(f"{environment} is not in {DEFAULT}: make clients")
            folder = tmp_path_factory.mktemp(script)
            (folder / "facts.json").write_text(json.dumps(facts))
            url = facts["url"]
            done = subprocess.run(
                [python, SCRIPTS / f"{script}.py", "facts.json", "out.json"], cwd=folder, timeout=300,
                capture_output=True, text=True,
                env=os.environ | dict.fromkeys(HOSTS, url) | {"ROBOFLOW_CONFIG_DIR": str(folder / "none.json")},
            )  # fmt: skip
            assert (folder / "out.json").exists(), done.stderr[-3000:]
            kept[script, environment] = json.loads((folder / "out.json").read_text())
        return kept[script, environment]

    return once
