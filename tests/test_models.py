"""An open model: warmed it compiles nothing any more, a second start nothing at all; the runtime that can run it."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.tiny import make_detector
from vidette import models
from vidette.errors import ModelError, UnfinishedError
from vidette.job import ModelRequest
from vidette.kernels import _jit
from vidette.models import load
from vidette.runtimes import choose
from vidette.runtimes.openvino import OpenVino

HINT = {"INFERENCE_PRECISION_HINT": "bf16"}

SCRIPT = """
import importlib, pkgutil
import numpy as np
from numba.core.dispatcher import Dispatcher
from tests.families.signatures import YOLO, signature
from vidette import kernels
from vidette.families import recognise
from vidette.job import ModelRequest
from vidette.models import Described, Model, resolve_limits
from vidette.payloads import payload, roboflow

IMAGE = (1, 3, 64, 64)
PLACES = 8 * 8 + 4 * 4 + 2 * 2
KINDS = {
    "detect": [(7, PLACES)],
    "pose": [(7 + 2 * 3, PLACES)],
    "obb": [(7 + 1, PLACES)],
    "segment": [(7 + 5, PLACES), (5, 16, 16)],
    "semantic": [(3, 64, 64)],
    "classify": [(3,)],
}
modules = [importlib.import_module(f"vidette.kernels.{found.name}") for found in pkgutil.iter_modules(kernels.__path__)]
every = {id(value): value for module in modules for value in vars(module).values() if isinstance(value, Dispatcher)}
rng = np.random.default_rng(0)
for task, shapes in KINDS.items():
    told = signature(
        *[(1, *shape) for shape in shapes], image=IMAGE, metadata=YOLO | {"task": task, "kpt_shape": "[2, 3]"}
    )
    recognised, request = recognise(told), ModelRequest("m", "m.onnx")
    model = Model(request, Described("m.onnx", told, recognised), None, resolve_limits(request, recognised))
    model.warm()
    before = {kernel.py_func: len(kernel.signatures) for kernel in every.values()}
    outputs = [rng.uniform(0, 1, shape).astype(np.float32) for shape in shapes]
    if len(shapes[0]) == 2:
        outputs[0][:4] = [[32], [32], [24], [20]]
    if task == "classify":
        outputs[0] /= outputs[0].sum()
    found = model.decoder(outputs, model.letterbox(64, 64), model.limits)
    assert len(found), task
    for name in ("roboflow", "ultralytics"):
        assert payload(name)(found)["predictions"], (task, name)
    assert len(found.confidence) == len(found)
    if task == "segment":
        assert "rle" in roboflow.objects(found, (64, 64))[0]
        assert any(found.masks.outlines())
    if task == "semantic":
        assert any(found.polygons())
    late = [kernel for kernel in every.values() if len(kernel.signatures) != before[kernel.py_func]]
    assert not late, (task, late)
print(sum(sum(kernel.stats.cache_hits.values()) for kernel in every.values()))
print(sum(sum(kernel.stats.cache_misses.values()) for kernel in every.values()))
"""


def start(cache: Path) -> tuple[int, int]:
    """Decode and record one answer of every kind: how many kernels came from the cache, and how many were compiled."""
    path = os.pathsep.join([str(Path(__file__).parents[1]), *sys.path])
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env=os.environ | {"NUMBA_CACHE_DIR": str(cache), "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    hits, misses = done.stdout.split()
    return int(hits), int(misses)


@pytest.mark.timeout(600)  # compiles every kernel
def test_what_is_warm_compiles_no_more_and_the_second_start_compiles_nothing(tmp_path: Path) -> None:
    (tmp_path / _jit.sources()).mkdir()  # one that is there is not filled with what lies beside the kernels
    assert start(tmp_path)[1] > 0
    hits, misses = start(tmp_path)
    assert hits > 0
    assert misses == 0


@pytest.mark.parametrize(
    ("asked", "says"), [({"options": {"NOPE": 1}}, "options: .*NOPE"), ({"precision": "f32", "options": HINT}, "f32: ")]
)
def test_what_openvino_does_not_grant_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: dict[str, Any], says: str
) -> None:
    monkeypatch.setattr(models, "_runtime", lambda *_: OpenVino())
    with pytest.raises(ModelError, match=says):
        load(ModelRequest("m", make_detector(tmp_path / "m.onnx"), **asked), "throughput")


def test_loading_that_is_broken_off_does_not_begin_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken_off(*_: object) -> None:
        raise UnfinishedError("stopped while it was loaded")

    monkeypatch.setattr(models, "_runtime", lambda *_: OpenVino())
    monkeypatch.setattr(OpenVino, "open", broken_off)
    with pytest.raises(UnfinishedError):
        load(ModelRequest("m", make_detector(tmp_path / "m.onnx")), "throughput")


@pytest.mark.fetched
def test_what_openvino_cannot_run_goes_to_onnx_runtime(fetched: Callable[[str], Path]) -> None:
    """YOLO26's end-to-end pose head has a GatherElements that OpenVINO refuses."""
    path = fetched("random/yolo26n-pose.onnx")
    model = load(ModelRequest("m", path), "throughput")
    assert model.session.plan.runtime == "onnx"
    assert any("OpenVINO cannot run" in reason for reason in model.reasons) or not _openvino_preferred()
    model.session.close()
    with pytest.raises(ModelError):
        load(ModelRequest("m", path, runtime="openvino"), "throughput")


def _openvino_preferred() -> bool:
    return choose("auto", "cpu").name == "openvino"
