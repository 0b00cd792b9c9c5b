"""How kernels are compiled: without the GIL, cached on disk where a folder can be written, never in parallel.

numba raises at import when no cache folder is writable (a read-only container without a home): so the folders are
tried once here. `NUMBA_CACHE_DIR` wins, then the `__pycache__` beside the kernels, then the user's cache folder; a
cache that was filled at build time is used also when the install has become read-only since.
"""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numba
import numba.core.config

F = TypeVar("F", bound=Callable[..., object])

KERNELS = Path(__file__).parent


def _writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def _cache_folder() -> tuple[bool, str | None]:
    """(whether to cache, folder for `NUMBA_CACHE_DIR` or None for numba's own choice)."""
    named = os.environ.get("NUMBA_CACHE_DIR")
    if named:
        return (_writable(Path(named)) or Path(named).is_dir(), named)
    if _writable(KERNELS / "__pycache__"):
        return True, None
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vidette" / "numba"
    if _writable(home):
        return True, str(home)
    return False, None


CACHED, _FOLDER = _cache_folder()
if _FOLDER is not None:
    numba.core.config.CACHE_DIR = _FOLDER


def kernel(function: F) -> F:
    """`numba.njit` as every kernel here wants it; the plain function stays at `.py_func`."""
    compiled: F = numba.njit(function, nogil=True, cache=CACHED, error_model="numpy")
    return compiled
