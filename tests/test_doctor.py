"""The diagnosis of installations nobody wants to have, and of this one."""

import json
import subprocess
import sys
from dataclasses import replace

import pytest

from vidette import installation
from vidette.doctor import Finding, diagnose
from vidette.installation import Facts, Gpu, Probe, gather

CPU = Probe({"version": "1.32.0", "providers": ["AzureExecutionProvider", "CPUExecutionProvider"]})
CUDA = Probe(
    {
        "version": "1.31.1",
        "providers": ["CUDAExecutionProvider", "CPUExecutionProvider"],
        "cuda": 13,
        "missing": [],
    }
)

HEALTHY = Facts(
    python=(3, 12, 1),
    system="Linux",
    machine="x86_64",
    requirements=["numpy>=2.0", "opencv-python>=4.10", "onnxruntime>=1.22; extra == 'cpu'"],
    versions={"numpy": "2.4.6", "opencv-python": "5.0.0", "onnxruntime": "1.32.0", "openvino": "2026.4.1"},
    owners={"onnxruntime": ["onnxruntime"], "cv2": ["opencv-python"]},
    probes={
        "av": Probe({"version": "18.1.0"}),
        "cv2": Probe({"version": "5.0.0"}),
        "numba": Probe({"version": "0.68.1"}),
        "cache": Probe({"cached": True}),
        "onnxruntime": CPU,
        "openvino": Probe({"precision": "bf16"}),
    },
    sinks={"jsonl": "", "csv": ""},
    models=["faces"],
    cores=2,
    gpu=None,
    gpu_device=False,
)

H100 = Gpu((13, 0), ("NVIDIA H100",))


def probes(**changes: Probe | None) -> dict[str, Probe]:
    return {name: probe for name, probe in {**HEALTHY.probes, **changes}.items() if probe is not None}


def troubles(**changes: object) -> list[Finding]:
    return [finding for finding in diagnose(replace(HEALTHY, **changes)) if finding.level != "ok"]


def test_a_healthy_installation_is_all_ok() -> None:
    assert troubles() == []


def test_every_trouble_comes_with_something_to_do() -> None:
    worst = troubles(
        python=(3, 10, 0),
        system="Darwin",
        requirements=None,
        owners={"onnxruntime": ["onnxruntime", "onnxruntime-gpu"], "cv2": ["opencv-python", "opencv-python-headless"]},
        probes={name: Probe(error="broken") for name in HEALTHY.probes},
        sinks={},
        models=[],
    )
    assert len(worst) >= 10
    assert all(finding.advice for finding in worst)


@pytest.mark.parametrize(
    ("changes", "level", "what", "advice"),
    [
        ({"python": (3, 10, 4)}, "fail", "Python 3.10.4", "3.11"),
        ({"system": "Darwin"}, "warn", "untested", "Linux"),
        ({"machine": "armv7l"}, "warn", "untested", "aarch64"),
        ({"requirements": None}, "fail", "not installed", "pip install -e"),
        ({"requirements": ["tqdm>=4.66"]}, "fail", "tqdm is missing", "pip install 'tqdm>=4.66'"),
        ({"requirements": ["numpy>=3"]}, "fail", "numpy 2.4.6, wanted >=3", "pip install 'numpy>=3'"),
        (
            {"probes": probes(cv2=Probe(error="ImportError: libGL.so.1: cannot open shared object file"))},
            "fail", "cv2 cannot be loaded: ImportError: libGL.so.1", "apt-get install libgl1",
        ),
        ({"probes": probes(av=Probe(error="crashed with signal 4"))}, "fail", "av cannot be loaded", "reinstall"),
        (
            {"owners": {**HEALTHY.owners, "cv2": ["opencv-python", "opencv-python-headless"]}},
            "warn", "OpenCV is installed 2 times", "pip uninstall -y opencv-python opencv-python-headless && ",
        ),
        (
            {"probes": probes(onnxruntime=None, openvino=None), "owners": {**HEALTHY.owners, "onnxruntime": []}},
            "fail", "nothing that runs models", 'pip install "vidette[cpu]"',
        ),
        (
            {"owners": {**HEALTHY.owners, "onnxruntime": ["onnxruntime", "onnxruntime-gpu"]}},
            "fail", "installed 2 times in one folder", "&& pip install onnxruntime",
        ),
        (
            {"probes": probes(onnxruntime=Probe({"version": None}))},
            "fail", "empty folder", "pip install --force-reinstall --no-deps onnxruntime",
        ),
        (
            {"owners": {**HEALTHY.owners, "onnxruntime": ["onnxruntime-gpu"]}},
            "fail", "holds the CPU build", "pip install --force-reinstall --no-deps onnxruntime-gpu",
        ),
        ({"probes": probes(onnxruntime=Probe(error="x"))}, "fail", "onnxruntime cannot be loaded: x", "reinstall"),
        ({"probes": probes(openvino=Probe(error="x"))}, "fail", "openvino cannot be loaded: x", "reinstall"),
        ({"gpu_device": True}, "warn", "libcuda.so.1", "--gpus all"),
        ({"gpu": Gpu(error="CUDA error 100: no device")}, "warn", "no usable GPU: CUDA error 100", "nvidia-smi"),
        ({"gpu": Gpu((13, 0), ())}, "warn", "none is visible", "CUDA_VISIBLE_DEVICES"),
        ({"gpu": H100}, "warn", "the GPU is not used", 'pip install "vidette[gpu]"'),
        ({"gpu": replace(H100, cuda=(12, 4))}, "warn", "the GPU is not used", 'pip install "vidette[gpu-cuda12]"'),
        ({"probes": probes(cache=Probe({"cached": False}))}, "warn", "kernels", "NUMBA_CACHE_DIR"),
        ({"sinks": {}}, "fail", "no sinks", "pip install -e"),
        ({"sinks": {"jsonl": "", "own": "x:Y: ImportError: z"}}, "fail", "sink own cannot be loaded: x:Y", "reinstall"),
        ({"models": []}, "warn", "no default model", "vidette models get faces"),
        ({"models": ["yolo11n"]}, "warn", "yolo11n must be named", "vidette models get faces"),
    ],
)  # fmt: skip
def test_one_trouble_is_one_line(changes: dict[str, object], level: str, what: str, advice: str) -> None:
    [finding] = troubles(**changes)
    assert finding.level == level
    assert what in finding.what
    assert advice in finding.advice


GPU_BUILD = {"owners": {**HEALTHY.owners, "onnxruntime": ["onnxruntime-gpu"]}, "gpu": H100}


@pytest.mark.parametrize(
    ("changes", "level", "what"),
    [
        ({}, None, ""),
        ({"gpu": None}, "warn", "no NVIDIA driver"),
        ({"gpu": replace(H100, cuda=(12, 8))}, "fail", "needs CUDA 13, the driver supports 12.8"),
        (
            {"probes": probes(onnxruntime=Probe({**(CUDA.found or {}), "missing": ["libcudnn.so.9"]}))},
            "fail",
            "libcudnn.so.9",
        ),
    ],
)
def test_the_cuda_build(changes: dict[str, object], level: str | None, what: str) -> None:
    found = troubles(**{**GPU_BUILD, "probes": probes(onnxruntime=CUDA), **changes})
    assert [finding.level for finding in found] == ([level] if level else [])
    assert all(what in finding.what and finding.advice for finding in found)


def test_headless_opencv_is_as_good() -> None:
    versions = {name: version for name, version in HEALTHY.versions.items() if name != "opencv-python"}
    assert troubles(versions=versions, owners={**HEALTHY.owners, "cv2": ["opencv-python-headless"]}) == []


def test_what_the_children_report(monkeypatch: pytest.MonkeyPatch) -> None:
    assert installation._probe("print('chatter'); found = {'a': 1}") == Probe({"a": 1})
    assert installation._probe("import nothing_of_this_name").error.startswith("ModuleNotFoundError")
    assert installation._probe("import os; os.kill(os.getpid(), 4)").error == "crashed with signal 4"
    monkeypatch.setattr(installation, "PROBE_LIMIT_S", 0.5)
    assert installation._probe("import threading; threading.Event().wait()").error == "did not answer within 0.5 s"


def test_the_facts_of_this_machine() -> None:
    facts = gather()
    assert facts.python == sys.version_info[:3]
    assert facts.versions["numpy"]
    assert facts.probes["numba"].found
    assert facts.cores >= 1


def test_the_command_prints_json_and_says_by_its_exit_code_whether_something_fails() -> None:
    done = subprocess.run([sys.executable, "-m", "vidette", "doctor", "--json"], capture_output=True, text=True)
    findings = json.loads(done.stdout)
    assert done.returncode == any(finding["level"] == "fail" for finding in findings)
    assert {"level", "what", "advice"} == set(findings[0])
