"""What the benchmark scripts share: the machine, the commit, CPU time, and where results are stored.

CPU seconds (user + system) decide, not wall time: they change least when a neighbour is busy. What is compared is
measured in turns within one run, and the medians are stored.
"""

import json
import os
import platform
import resource
import subprocess
import time
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
MODELS = Path(os.environ.get("VIDETTE_TEST_MODELS", "~/.cache/vidette-test-models")).expanduser()
MEDIA = MODELS / "media"

_PACKAGES = ("av", "numba", "numpy", "onnxruntime", "onnxruntime-gpu", "opencv-python", "openvino", "supervision")
_CPU_FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8", "asimddp", "bf16", "i8mm")


def machine() -> dict[str, Any]:
    """Processor, cores that this process may use, system, Python and the packages that matter."""
    info = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    fields = dict(line.split(":", 1) for line in info.split("\n\n", 1)[0].splitlines() if ":" in line)
    fields = {key.strip(): value.strip() for key, value in fields.items()}
    flags = set((fields.get("flags") or fields.get("Features") or "").split())
    return {
        "cpu": fields.get("model name", platform.processor() or platform.machine()),
        "flags": [flag for flag in _CPU_FLAGS if flag in flags],
        "cores": len(os.sched_getaffinity(0)),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
        "packages": {name: found for name in _PACKAGES if (found := _version(name))},
    }


def commit() -> str:
    """The commit that was measured; `+` behind it when the working tree differs."""
    head = _git("rev-parse", "--short=12", "HEAD")
    return (
        f"{head}+"
        if head and _git("status", "--porcelain", "--untracked-files=no", "--", "pipeline", "sinks")
        else head
    )


def save(name: str, data: dict[str, Any]) -> Path:
    """Store `data` with time, machine and commit as `benchmarks/results/NAME.json`."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    path = RESULTS / f"{name}.json"
    head = {"date": datetime.now(UTC).isoformat(timespec="seconds"), "commit": commit(), "machine": machine()}
    path.write_text(json.dumps({**head, **data}, indent=1) + "\n")
    return path


def cpu_seconds() -> float:
    """User and system seconds of this process so far, all threads."""
    return time.process_time()


def children_cpu_seconds() -> float:
    """User and system seconds of the child processes that have ended so far."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def rss_mb() -> float:
    """Resident memory of this process now, in MB (10^6 bytes)."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e6


def table(rows: list[list[Any]], head: list[str]) -> str:
    """Columns aligned for a terminal; numbers to the right."""
    cells = [head] + [["" if cell is None else str(cell) for cell in row] for row in rows]
    widths = [max(len(line[i]) for line in cells) for i in range(len(head))]
    right = [all(isinstance(row[i], int | float) or row[i] in (None, "") for row in rows) for i in range(len(head))]
    return "\n".join(
        "  ".join(c.rjust(w) if r else c.ljust(w) for c, w, r in zip(line, widths, right, strict=True)).rstrip()
        for line in cells
    )


def versions(python: str) -> dict[str, str]:
    """Versions of what matters in an interpreter."""
    names = ["av", "fastapi", "inference", "inference-cpu", "inference-models", "litserve", "numpy", "onnxruntime"]
    names += ["opencv-python", "opencv-python-headless", "openvino", "torch", "ultralytics"]
    names += ["ultralytics-opencv-headless", "uvicorn"]
    code = (
        "import importlib.metadata as m, json\n"
        "found = {d.metadata['Name'].lower(): d.version for d in m.distributions()}\n"
        f"print(json.dumps({{n: found[n] for n in {names!r} if n in found}}))"
    )
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True)
    found: dict[str, str] = json.loads(done.stdout)
    return found


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip()
