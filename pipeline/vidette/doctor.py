"""What is missing or doubled in an installation, and what to do about it. Pure: facts in, findings out."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from vidette.catalogue import DEFAULT
from vidette.installation import Facts, Probe

Level = Literal["ok", "warn", "fail"]
"""`fail`: something cannot work; `warn`: it works, but worse than it could or not everywhere."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the diagnosis; `advice` is what to type or do, empty where all is well."""

    level: Level
    what: str
    advice: str = ""


def diagnose(facts: Facts) -> list[Finding]:
    """All findings, in the order of the checks."""
    return [finding for check in CHECKS for finding in check(facts)]


def check_platform(facts: Facts) -> Iterator[Finding]:
    """Python and the machine."""
    version = ".".join(map(str, facts.python))
    if facts.python < (3, 11):
        yield Finding("fail", f"Python {version}", "Python 3.11 or newer is needed")
    else:
        yield Finding("ok", f"Python {version}")
    if facts.system == "Linux" and facts.machine in ("x86_64", "aarch64"):
        yield Finding("ok", f"{facts.system} {facts.machine}")
    else:
        yield Finding("warn", f"{facts.system} {facts.machine} is untested", "Linux on x86_64 or aarch64 is supported")
    yield Finding("ok", f"cores this process may use: {facts.cores} (affinity and container quota)")


def check_dependencies(facts: Facts) -> Iterator[Finding]:
    """Every requirement of the package itself, in its version."""
    if facts.requirements is None:
        yield Finding("fail", "the package vidette is not installed, only found on a path", "pip install -e '.[cpu]'")
        return
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    for text in facts.requirements:
        requirement = Requirement(text)
        if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            continue
        name = canonicalize_name(requirement.name)
        wanted = f"{requirement.name}{requirement.specifier}"
        version = facts.versions.get(name)
        if version is None and not (name == "opencv-python" and facts.owners["cv2"]):
            yield Finding("fail", f"{name} is missing", f"pip install '{wanted}'")
        elif version is not None and not requirement.specifier.contains(version, prereleases=True):
            yield Finding("fail", f"{name} {version}, wanted {requirement.specifier}", f"pip install '{wanted}'")
        elif version is not None:
            yield Finding("ok", f"{name} {version}")


def check_imports(facts: Facts) -> Iterator[Finding]:
    """Libraries that are there, but cannot be loaded."""
    for name in ("av", "cv2", "numba"):
        probe = facts.probes.get(name)
        if probe is not None and probe.error:
            yield Finding("fail", f"{name} cannot be loaded: {probe.error}", _import_advice(name, probe))


def _import_advice(name: str, probe: Probe) -> str:
    if name == "cv2" and any(library in probe.error for library in ("libGL", "libgthread", "libxcb")):
        # What a desktop has and a server image lacks; the headless build of OpenCV does without.
        return (
            "apt-get install libgl1 libglib2.0-0, or pip uninstall opencv-python && pip install opencv-python-headless"
        )
    return _reinstall("opencv-python" if name == "cv2" else name)


def check_opencv(facts: Facts) -> Iterator[Finding]:
    """Two distributions of OpenCV write one folder: uninstalling either breaks both."""
    owners = facts.owners["cv2"]
    if len(owners) > 1:
        keep = "opencv-python" if "opencv-python" in owners else owners[0]
        yield Finding("warn", f"OpenCV is installed {len(owners)} times: {', '.join(owners)}", _keep_one(owners, keep))


def check_runtimes(facts: Facts) -> Iterator[Finding]:
    """Something must run models."""
    if "onnxruntime" not in facts.probes and "openvino" not in facts.probes:
        yield Finding(
            "fail", "nothing that runs models is installed", 'pip install "vidette[cpu]", or "vidette[gpu]" for NVIDIA'
        )
    yield from _onnxruntime(facts)
    openvino = facts.probes.get("openvino")
    if openvino is not None and openvino.found is None:
        yield Finding("fail", f"openvino cannot be loaded: {openvino.error}", _reinstall("openvino"))
    elif openvino is not None and openvino.found is not None:
        version = facts.versions.get("openvino", "")
        yield Finding("ok", f"openvino {version}; its default on this CPU is {openvino.found['precision']}")


def _onnxruntime(facts: Facts) -> Iterator[Finding]:
    """`onnxruntime` and `onnxruntime-gpu` write one folder, and pip does not see it: the last one installed wins, and
    uninstalling either leaves an empty module behind."""
    owners = facts.owners["onnxruntime"]
    if len(owners) > 1:
        keep = "onnxruntime-gpu" if facts.gpu and "onnxruntime-gpu" in owners else "onnxruntime"
        what = f"ONNX Runtime is installed {len(owners)} times in one folder: {', '.join(owners)}"
        yield Finding("fail", what, _keep_one(owners, keep))
    probe = facts.probes.get("onnxruntime")
    if probe is None:
        return
    name = owners[0] if owners else "onnxruntime"
    if probe.found is None:
        yield Finding("fail", f"{name} cannot be loaded: {probe.error}", _reinstall(name))
    elif not probe.found["version"]:
        what = "onnxruntime is an empty folder: one of two packages that shared it was uninstalled"
        yield Finding("fail", what, _reinstall(name))
    elif owners == ["onnxruntime-gpu"] and "CUDAExecutionProvider" not in probe.found["providers"]:
        what = "onnxruntime-gpu is installed, but its folder holds the CPU build"
        yield Finding("fail", what, _reinstall(name))
    else:
        providers = ", ".join(provider.removesuffix("ExecutionProvider") for provider in probe.found["providers"])
        yield Finding("ok", f"{name} {probe.found['version']}: {providers}")


def check_gpu(facts: Facts) -> Iterator[Finding]:
    """What `device: cuda` needs: a driver, a GPU, the CUDA build of ONNX Runtime and the libraries of its version."""
    probe = facts.probes.get("onnxruntime")
    found = (probe and probe.found) or {}
    cuda = found.get("cuda")
    if facts.gpu is None:
        if facts.gpu_device:
            what = "an NVIDIA GPU is here, but its driver library libcuda.so.1 is not"
            yield Finding("warn", what, "in a container start it with --gpus all, else install the NVIDIA driver")
        elif cuda:
            what = "the CUDA build is installed, but there is no NVIDIA driver: only device cpu works"
            yield Finding("warn", what, "install the driver, or the CPU build: pip install 'vidette[cpu]'")
        else:
            yield Finding("ok", "no NVIDIA GPU: device cpu")
        return
    if facts.gpu.error or not facts.gpu.names:
        what = f"the NVIDIA driver finds no usable GPU: {facts.gpu.error or 'none is visible'}"
        yield Finding("warn", what, "check nvidia-smi and CUDA_VISIBLE_DEVICES")
        return
    major, minor = facts.gpu.cuda
    yield Finding("ok", f"GPU {', '.join(facts.gpu.names)}; the driver supports CUDA {major}.{minor}")
    if not cuda:
        extra = "gpu" if major >= 13 else "gpu-cuda12"
        advice = f'pip uninstall onnxruntime && pip install "vidette[{extra}]"'
        yield Finding("warn", "the GPU is not used: ONNX Runtime's CUDA build is not installed", advice)
    elif cuda > major:
        advice = 'update the driver, or pip install "vidette[gpu-cuda12]"'
        yield Finding("fail", f"onnxruntime-gpu needs CUDA {cuda}, the driver supports {major}.{minor}", advice)
    elif found["missing"]:
        advice = f"pip install 'onnxruntime-gpu[cuda,cudnn]=={found['version']}'"
        yield Finding("fail", f"libraries of CUDA {cuda} are missing: {', '.join(found['missing'])}", advice)


def check_cache(facts: Facts) -> Iterator[Finding]:
    """Compiled kernels are kept on disk where a folder can be written."""
    probe = facts.probes.get("cache")
    if probe is None or probe.found is None:
        return  # numba itself cannot be loaded: said elsewhere
    if probe.found["cached"]:
        yield Finding("ok", "compiled kernels are kept on disk")
    else:
        advice = "name one in NUMBA_CACHE_DIR, or fill it when the image is built"
        yield Finding("warn", "no folder for compiled kernels can be written: each start compiles them (3 s)", advice)


def check_sinks(facts: Facts) -> Iterator[Finding]:
    """Sinks are found through entry points, which only an installed package has."""
    if not facts.sinks:
        yield Finding("fail", "no sinks are registered", "install vidette as a package: pip install -e '.[cpu]'")
        return
    for name, error in facts.sinks.items():
        if error:
            yield Finding("fail", f"sink {name} cannot be loaded: {error}", "reinstall or remove its package")
    good = sorted(name for name, error in facts.sinks.items() if not error)
    if good:
        yield Finding("ok", f"sinks: {', '.join(good)}")


def check_models(facts: Facts) -> Iterator[Finding]:
    """The model that runs when none is named."""
    if DEFAULT in facts.models:
        yield Finding("ok", f"models: {', '.join(facts.models)}")
    else:
        what = f"no default model{' (' + ', '.join(facts.models) + ' must be named)' if facts.models else ''}"
        yield Finding("warn", what, f"vidette models get {DEFAULT}")


def _keep_one(owners: Sequence[str], keep: str) -> str:
    return f"pip uninstall -y {' '.join(owners)} && pip install {keep}"


def _reinstall(name: str) -> str:
    return f"pip install --force-reinstall --no-deps {name}"


CHECKS: tuple[Callable[[Facts], Iterator[Finding]], ...] = (
    check_platform,
    check_dependencies,
    check_imports,
    check_opencv,
    check_runtimes,
    check_gpu,
    check_cache,
    check_sinks,
    check_models,
)
