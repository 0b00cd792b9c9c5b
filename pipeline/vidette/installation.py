"""What is installed here: the facts that `vidette doctor` judges, gathered without changing anything.

Native libraries are imported in child processes: one that crashes (a CPU without the instructions it was built for)
or hangs must not take the doctor with it.
"""

import ctypes
import json
import platform
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from vidette import catalogue
from vidette.budget import cores

PROBE_LIMIT_S = 60


@dataclass(frozen=True, slots=True)
class Probe:
    """What a child process found: the JSON it printed, or in one line why it failed."""

    found: Mapping[str, Any] | None = None
    error: str = ""


@dataclass(frozen=True, slots=True)
class Gpu:
    """What the NVIDIA driver says. `cuda` is the newest CUDA version it supports; `error` where it refuses to start."""

    cuda: tuple[int, int] = (0, 0)
    names: tuple[str, ...] = ()
    error: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """One installation.

    requirements  what the package `vidette` demands, as `numpy>=2.0`; None where it is not installed as a package
    versions      installed distributions by normalised name (lower case, dashes)
    owners        distributions that bring the modules `onnxruntime` and `cv2`
    probes        by what was tried: `av`, `cv2`, `numba`, `onnxruntime`, `openvino` (those installed), `cache`
    gpu           None where there is no NVIDIA driver library
    gpu_device    whether the kernel has an NVIDIA device, driver library or not
    """

    python: tuple[int, int, int]
    system: str
    machine: str
    requirements: Sequence[str] | None
    versions: Mapping[str, str]
    owners: Mapping[str, Sequence[str]]
    probes: Mapping[str, Probe]
    sinks: Mapping[str, str]  # name -> why it cannot be loaded, empty where it can
    models: Sequence[str]
    cores: int
    gpu: Gpu | None
    gpu_device: bool


# What a child imports, and what it reports. onnxruntime names the CUDA libraries that its wheel was built against:
# CUDA 13 from 1.27 on, CUDA 12 before.
_PROBES = {
    "av": "import av; found = {'version': av.__version__}",
    "cv2": "import cv2; found = {'version': cv2.__version__}",
    "numba": "import numba; found = {'version': numba.__version__}",
    "cache": "from vidette.kernels import _jit; found = {'cached': _jit.CACHED}",
    "onnxruntime": """
import ctypes, onnxruntime
found = {"version": getattr(onnxruntime, "__version__", None)}
if found["version"]:
    found["providers"] = onnxruntime.get_available_providers()
    if "CUDAExecutionProvider" in found["providers"]:
        major = 13 if tuple(map(int, found["version"].split(".")[:2])) >= (1, 27) else 12
        onnxruntime.preload_dlls()
        found["cuda"] = major
        found["missing"] = []
        for name in (f"libcudart.so.{major}", f"libcublasLt.so.{major}", f"libcublas.so.{major}",
                     f"libcufft.so.{major - 1}", "libcurand.so.10", "libcudnn.so.9"):
            try:
                ctypes.CDLL(name)
            except OSError:
                found["missing"].append(name)
""",
    # Through the runtime's own way in, which keeps openvino's telemetry package from being loaded.
    "openvino": "from vidette.runtimes.openvino import default_precision; found = {'precision': default_precision()}",
}


def gather() -> Facts:
    """The facts of this machine and Python; takes about two seconds of CPU, most of it imports."""
    versions = {_normal(name): found.version for found in metadata.distributions() if (name := found.metadata["Name"])}
    modules = metadata.packages_distributions()
    owners = {module: sorted({_normal(name) for name in modules.get(module, ())}) for module in ("onnxruntime", "cv2")}
    wanted = {name for name in _PROBES if name in modules} | ({"cache"} if "numba" in modules else set())
    try:
        requirements: Sequence[str] | None = metadata.requires("vidette") or ()
    except metadata.PackageNotFoundError:
        requirements = None
    return Facts(
        python=sys.version_info[:3],
        system=platform.system(),
        machine=platform.machine(),
        requirements=requirements,
        versions=versions,
        owners=owners,
        probes={name: _probe(code) for name, code in _PROBES.items() if name in wanted},
        sinks=_sinks(),
        models=sorted(catalogue.installed()),
        cores=cores(),
        gpu=_gpu(),
        gpu_device=any(Path("/dev").glob("nvidia[0-9]*")),
    )


def _normal(name: str) -> str:
    """PEP 503: how indexes compare names."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _probe(code: str) -> Probe:
    program = f"import json, sys\nsys.path[:] = {sys.path!r}\n{code}\nprint('\\n' + json.dumps(found))"
    try:
        child = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=PROBE_LIMIT_S)
    except subprocess.TimeoutExpired:
        return Probe(error=f"did not answer within {PROBE_LIMIT_S} s")
    if child.returncode < 0:
        return Probe(error=f"crashed with signal {-child.returncode}")
    if child.returncode:
        return Probe(error=(child.stderr.strip().splitlines() or ["failed without a word"])[-1])
    return Probe(found=json.loads(child.stdout.splitlines()[-1]))


def _sinks() -> dict[str, str]:
    states = {}
    for point in metadata.entry_points(group="vidette.sinks"):
        try:
            point.load()
        except Exception as error:  # noqa: BLE001 - foreign code at import: whatever it raises is the finding
            states[point.name] = f"{point.value}: {type(error).__name__}: {error}"
        else:
            states[point.name] = ""
    return states


def _gpu() -> Gpu | None:
    """Asks the driver library itself: https://docs.nvidia.com/cuda/cuda-driver-api/ (`cuInit`, `cuDriverGetVersion`,
    `cuDeviceGetCount`, `cuDeviceGetName`); needs no CUDA toolkit."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return None
    status = driver.cuInit(0)
    if status:
        return Gpu(error=_driver_error(driver, status))
    number = ctypes.c_int()
    driver.cuDriverGetVersion(ctypes.byref(number))
    cuda = number.value // 1000, number.value % 1000 // 10
    driver.cuDeviceGetCount(ctypes.byref(number))
    names = []
    for index in range(number.value):
        name = ctypes.create_string_buffer(100)
        driver.cuDeviceGetName(name, len(name), index)  # device handles are ordinals
        names.append(name.value.decode("utf-8", "replace"))
    return Gpu(cuda, tuple(names))


def _driver_error(driver: ctypes.CDLL, status: int) -> str:
    text = ctypes.c_char_p()
    driver.cuGetErrorString(status, ctypes.byref(text))
    return f"CUDA error {status}: {(text.value or b'unknown').decode('utf-8', 'replace')}"
