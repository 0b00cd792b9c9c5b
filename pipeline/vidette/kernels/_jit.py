"""How kernels are compiled: without the GIL, cached on disk where a folder can be written, never in parallel.

numba raises at import when no cache folder is writable (a read-only container without a home), and does not read a
cache that it cannot write. So the folders are tried once here: `NUMBA_CACHE_DIR`, the `__pycache__` beside the kernels,
the user's cache folder, the folder for temporary files. Where the one beside the kernels was filled at build time and
the install has become read-only since, its contents are copied into the folder that was found, which takes 2 ms;
compiling takes seconds.
"""

import contextlib
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

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


def sources() -> str:
    """A name for all kernel sources as they are: what was compiled of other ones lies elsewhere.

    numba looks at the file of a kernel alone: one whose helper in another file has changed would run with the old one.
    """
    digest = hashlib.blake2b(digest_size=8)
    for path in sorted(KERNELS.glob("*.py")):
        digest.update(path.read_bytes())
    return f"kernels-{digest.hexdigest()}"


def seed(folder: Path, source: Path) -> None:
    """Copy what is compiled beside the kernels to where numba will look for it."""
    if source.is_dir() and not folder.exists():
        with contextlib.suppress(OSError):  # then it compiles
            shutil.copytree(source, folder)


def sweep(folder: Path, now: float) -> None:
    """Remove what was compiled of sources that have been others for a month."""
    for old in folder.parent.glob("kernels-*"):
        with contextlib.suppress(OSError):
            if old != folder and now - old.stat().st_mtime > 30 * 86400:
                shutil.rmtree(old)


COMPILES = os.environ.get("NUMBA_DISABLE_JIT", "0") == "0"
"""Else kernels are plain functions and numba is not even imported, which takes 0.3 s: processes that run none."""

_parent = cache_folder(os.environ) if COMPILES else None
CACHED = _parent is not None
if COMPILES:
    import numba
    import numba.core.config
if _parent is not None:
    _folder = _parent / sources()
    if not _folder.exists():
        sweep(_folder, time.time())
        seed(_folder, KERNELS / "__pycache__" / _folder.name)
    numba.core.config.CACHE_DIR = str(_folder)


def kernel(function: F) -> F:
    """`numba.njit` as every kernel here wants it; the plain function stays at `.py_func`."""
    if not COMPILES:
        return function
    compiled: F = numba.njit(function, nogil=True, cache=CACHED, error_model="numpy")
    return compiled
