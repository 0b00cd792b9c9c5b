"""How kernels are compiled: without the GIL, cached on disk where a folder can be written, never in parallel.

numba raises at import when no cache folder is writable (a read-only container without a home), and does not read a
cache that it cannot write. So the folders are tried once here: `NUMBA_CACHE_DIR`, the `__pycache__` beside the kernels,
the user's cache folder, the folder for temporary files. Where the one beside the kernels was filled at build time and
the install has become read-only since, its contents are copied into the folder that was found, which takes 2 ms;
compiling takes seconds.
"""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import numba
import numba.core.config
from numba.core.caching import UserProvidedCacheLocator

F = TypeVar("F", bound=Callable[..., object])

KERNELS = Path(__file__).parent


def writable(folder: Path) -> bool:
    """Whether files can be made in `folder`, which is made if need be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def cache_folder(environment: Mapping[str, str], can_write: Callable[[Path], bool] = writable) -> Path | None:
    """The folder to keep compiled kernels in; `__pycache__` beside them needs no setting. None: nowhere."""
    named = environment.get("NUMBA_CACHE_DIR")
    home = Path(environment.get("XDG_CACHE_HOME") or Path(environment.get("HOME") or "/nonexistent") / ".cache")
    candidates = [
        *([Path(named)] if named else []),
        KERNELS / "__pycache__",
        home / "vidette" / "numba",
        Path(tempfile.gettempdir()) / f"vidette-numba-{os.getuid()}",
    ]
    return next((folder for folder in candidates if can_write(folder)), None)


def seed(folder: Path, source: Path = KERNELS / "__pycache__") -> None:
    """Copy what is compiled beside the kernels to where numba will look for it below `folder`."""
    target = folder / UserProvidedCacheLocator.get_suitable_cache_subpath(str(KERNELS / "nms.py"))
    if source.is_dir() and not target.exists():
        with contextlib.suppress(OSError):  # then it compiles
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("*.pyc"))


_folder = cache_folder(os.environ)
CACHED = _folder is not None
if _folder is not None and _folder != KERNELS / "__pycache__":
    seed(_folder)
    numba.core.config.CACHE_DIR = str(_folder)


def kernel(function: F) -> F:
    """`numba.njit` as every kernel here wants it; the plain function stays at `.py_func`."""
    compiled: F = numba.njit(function, nogil=True, cache=CACHED, error_model="numpy")
    return compiled
