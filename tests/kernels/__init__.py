"""What all kernel tests share."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any


def uncompiled(script: str) -> None:
    """Run a script with numba's compiler switched off: kernels are plain functions. Fails with what it says."""
    path = os.pathsep.join([str(Path(__file__).parents[2]), *sys.path])
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=os.environ | {"NUMBA_DISABLE_JIT": "1", "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr


def again_uncompiled(*tests: Callable[..., Any]) -> None:
    """Run tests that need no arguments, as hypothesis' do, with the compiler switched off."""
    calls = "".join(f"from {test.__module__} import {test.__name__} as test\ntest()\n" for test in tests)
    uncompiled(f"import numba\nassert numba.config.DISABLE_JIT\n{calls}")
