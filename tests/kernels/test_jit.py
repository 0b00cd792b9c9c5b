"""Where compiled kernels are kept, also when the install, or everything, is read-only."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from vidette.kernels import _jit

BESIDE = _jit.KERNELS / "__pycache__"
HOME = {"HOME": "/home/somebody"}


@pytest.mark.parametrize(
    ("environment", "read_only", "expected"),
    [
        ({**HOME, "NUMBA_CACHE_DIR": "/named"}, [], Path("/named")),
        (HOME, [], BESIDE),
        ({**HOME, "NUMBA_CACHE_DIR": "/named"}, ["/named"], BESIDE),
        (HOME, [str(BESIDE)], Path("/home/somebody/.cache/vidette/numba")),
        ({**HOME, "XDG_CACHE_HOME": "/xdg"}, [str(BESIDE)], Path("/xdg/vidette/numba")),
        (HOME, [str(BESIDE), "/home"], Path(tempfile.gettempdir()) / f"vidette-numba-{os.getuid()}"),
        (HOME, ["/"], None),
    ],
)
def test_the_first_folder_that_can_be_written(
    environment: dict[str, str], read_only: list[str], expected: Path | None
) -> None:
    def can_write(folder: Path) -> bool:
        return not any(folder.is_relative_to(prefix) for prefix in read_only)

    assert _jit.cache_folder(environment, can_write) == expected


CALL = """
import numpy as np
from vidette.kernels.resize import to_a_third
to_a_third(np.zeros((6, 6), np.uint8), np.zeros((2, 2), np.uint8))
print(sum(to_a_third.stats.cache_hits.values()), sum(to_a_third.stats.cache_misses.values()))
"""


def _call(**environment: str) -> list[int]:
    done = subprocess.run(
        [sys.executable, "-c", CALL], env={**os.environ, **environment}, capture_output=True, text=True, check=True
    )
    return [int(word) for word in done.stdout.split()]


def test_what_was_compiled_at_build_time_is_used_from_another_folder(tmp_path: Path) -> None:
    """As in a read-only install: the cache beside the kernels is filled, the process has to write elsewhere."""
    built = tmp_path / "built"
    assert _call(NUMBA_CACHE_DIR=str(built))[1] <= 1
    elsewhere = tmp_path / "elsewhere"
    _jit.seed(elsewhere / _jit.sources(), built / _jit.sources())
    assert _call(NUMBA_CACHE_DIR=str(elsewhere)) == [1, 0]


def test_a_change_of_any_kernel_is_a_cache_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """numba itself would run a kernel with the old version of what it calls in another file."""
    copy = tmp_path / "kernels"
    shutil.copytree(_jit.KERNELS, copy, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(_jit, "KERNELS", copy)
    before = _jit.sources()
    assert _jit.sources() == before
    (copy / "resize.py").write_text((copy / "resize.py").read_text() + "\n")
    assert _jit.sources() != before


def test_old_caches_are_swept_after_a_month(tmp_path: Path) -> None:
    for name in ("kernels-now", "kernels-old", "other"):
        (tmp_path / name).mkdir()
    _jit.sweep(tmp_path / "kernels-now", time.time() + 29 * 86400)
    assert (tmp_path / "kernels-old").exists()
    _jit.sweep(tmp_path / "kernels-now", time.time() + 31 * 86400)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kernels-now", "other"]


def test_without_any_folder_kernels_compile_all_the_same() -> None:
    code = f"import tempfile; from vidette.kernels import _jit; print(_jit.cache_folder({{}}, lambda _: False)); {CALL}"
    blocked = "import pathlib; pathlib.Path.mkdir = lambda *a, **k: (_ for _ in ()).throw(OSError()); "
    done = subprocess.run([sys.executable, "-c", blocked + code], capture_output=True, text=True, check=True)
    assert done.stdout.split()[:2] == ["None", "0"]


def test_a_process_that_runs_no_kernels_does_not_import_the_compiler() -> None:
    script = "import sys, vidette.runtimes.openvino; print('numba' in sys.modules, 'llvmlite' in sys.modules)"
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1"}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
