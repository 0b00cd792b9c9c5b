import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KiB; needs the right to mount."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)], capture_output=True, text=True, check=False
    )
    if mount.returncode:
        pytest.skip(f"cannot mount a small file system: {mount.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture
def fill(small_disk: Path):
    """Leaves `free` bytes (about: whole pages) on the small disk; returns the file that takes the rest."""

    def leave(free: int) -> Path:
        ballast = small_disk / "ballast"
        available = os.statvfs(small_disk)
        ballast.write_bytes(bytes(available.f_bavail * available.f_bsize - free))
        return ballast

    return leave
