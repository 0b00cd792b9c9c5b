"""Which runtime runs a model, and what is said when none can."""

import importlib.metadata
import importlib.util
import subprocess
import sys
from types import SimpleNamespace

import pytest

from vidette import runtimes
from vidette.errors import ModelError
from vidette.runtimes import choose, names, onnx
from vidette.runtimes.cpu import OnnxCpu
from vidette.runtimes.cuda import Cuda
from vidette.runtimes.openvino import OpenVino


@pytest.fixture
def installed(monkeypatch):
    """Pretend what is there: reasons why each runtime is not, and the precision of OpenVINO on this CPU."""

    def pretend(openvino=None, onnx=None, cuda="no NVIDIA driver", precision="bf16"):
        for kind, reason in ((OpenVino, openvino), (OnnxCpu, onnx), (Cuda, cuda)):
            monkeypatch.setattr(kind, "available", lambda self, reason=reason: reason)
        monkeypatch.setattr(runtimes, "default_precision", lambda: precision)

    return pretend


@pytest.mark.parametrize(
    ("name", "device", "there", "chosen", "said"),
    [
        ("auto", "cpu", {}, "openvino", ["openvino: this CPU computes in bf16"]),
        ("auto", "cpu", {"precision": "f32"}, "onnx", ["onnx: this CPU has neither"]),
        ("auto", "cpu", {"openvino": "OpenVINO is not installed"}, "onnx", ["onnx: OpenVINO is not installed"]),
        ("auto", "cpu", {"onnx": "missing", "precision": "f32"}, "openvino", ["openvino: missing"]),
        ("auto", "auto", {}, "openvino", ["cpu: no NVIDIA driver", "openvino: "]),
        ("auto", "auto", {"cuda": None}, "cuda", ["cuda: a GPU is there"]),
        ("auto", "cpu", {"cuda": None}, "openvino", ["openvino: "]),
        ("auto", "cuda:1", {"cuda": None}, "cuda", []),
        ("onnx", "cuda", {"cuda": None}, "cuda", []),
        ("onnx", "auto", {}, "onnx", []),
        ("onnx", "cpu", {}, "onnx", []),
        ("openvino", "auto", {"cuda": None}, "openvino", []),
        ("cuda", "auto", {"cuda": None}, "cuda", []),
    ],
)
def test_choice(installed, name, device, there, chosen, said):
    installed(**there)
    told = []
    assert choose(name, device, told.append).name == chosen
    assert len(told) == len(said)
    assert all(line.startswith(start) for line, start in zip(told, said, strict=True))


@pytest.mark.parametrize(
    ("name", "device", "there", "says"),
    [
        ("auto", "cuda", {}, "device: cuda: no NVIDIA driver"),  # never the CPU instead
        ("onnx", "cuda:0", {}, "device: cuda:0: no NVIDIA driver"),
        ("openvino", "cpu", {"openvino": 'pip install "vidette[cpu]"'}, "runtime: openvino: pip install"),
        (
            "auto",
            "cpu",
            {"openvino": "x", "onnx": 'pip install "vidette[cpu]"'},
            r"no runtime .*pip install .vidette\[cpu",
        ),
        ("openvino", "cuda", {}, "runtime: openvino: does not run on `device: cuda`"),
        ("cuda", "cpu", {"cuda": None}, "runtime: cuda: does not run on `device: cpu`"),
        ("openvin", "cpu", {}, "runtime: openvin: no such runtime: did you mean openvino?"),
        ("tensorflow2", "cpu", {}, "use auto, .*onnx"),
        ("auto", "gpu", {}, "device: gpu: not a device: use auto, cpu, cuda or cuda:N"),
    ],
)
def test_refusal(installed, name, device, there, says):
    installed(**there)
    with pytest.raises(ModelError, match=says) as caught:
        choose(name, device)
    assert "\n" not in str(caught.value)


def test_a_third_party_registers_by_entry_point(installed, monkeypatch):
    class Mine:
        name = "mine"

        def available(self):
            return None

    point = SimpleNamespace(name="mine", load=lambda: Mine)
    monkeypatch.setattr(
        importlib.metadata, "entry_points", lambda group, name="mine": [point] if name == "mine" else []
    )
    assert choose("mine", "auto").name == "mine"
    assert "mine" in names()


def distributions(monkeypatch, *present):
    def version(name):
        if name in present:
            return "1.0"
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", version)


def test_both_packages_of_onnx_runtime(monkeypatch):
    distributions(monkeypatch, "onnxruntime", "onnxruntime-gpu")
    assert "overwrite each other" in onnx.package_problem()
    assert "overwrite each other" in Cuda().available()
    assert OnnxCpu().available() is None  # either of them has the CPU provider


def test_only_the_cpu_package(monkeypatch):
    distributions(monkeypatch, "onnxruntime")
    assert onnx.package_problem() is None
    assert 'pip uninstall -y onnxruntime, then pip install "vidette[gpu]"' in Cuda().available()


def test_no_package(monkeypatch):
    distributions(monkeypatch)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    for reason in (onnx.package_problem(), OnnxCpu().available(), OpenVino().available(), Cuda().available()):
        assert "pip install" in reason


def test_what_an_uninstallation_leaves(tmp_path):
    """A folder without code imports as an empty namespace."""
    (tmp_path / "onnxruntime" / "capi").mkdir(parents=True)
    code = (
        "from vidette.errors import ModelError\n"
        "from vidette.runtimes import onnx\n"
        "from vidette.runtimes.cpu import OnnxCpu\n"
        "import sys\n"
        f"sys.path[:] = [{str(tmp_path)!r}] + [path for path in sys.path if 'site-packages' not in path]\n"
        "print(OnnxCpu().available())\n"
        "try:\n    onnx.import_onnxruntime()\nexcept ModelError as error:\n    print(error)\n"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    lines = answer.stdout.splitlines()
    assert len(lines) == 2
    assert all("in pieces" in line for line in lines)


def test_importing_the_table_imports_no_runtime():
    code = "import sys, vidette.runtimes; print([name for name in ('openvino', 'onnxruntime') if name in sys.modules])"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert answer.stdout.strip() == "[]"
