"""What this process may use of the machine, and what it uses: cores, from which plans of threads start; memory."""

import contextlib
import ctypes
import math
import os
import resource
from pathlib import Path

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8  # numbers of malloc.h, see mallopt(3)


def cores(cgroups: Path = Path("/sys/fs/cgroup"), membership: Path = Path("/proc/self/cgroup")) -> int:
    """Cores by CPU affinity and by the container's quota (cgroup v2 or v1), rounded up, at least 1.

    A container limited to 1.5 CPUs on a 64-core host may keep 2 threads busy; pools sized from the host would only
    be throttled. Every group from the process's own up to the root can limit it: the tightest counts.
    """
    affinity = len(os.sched_getaffinity(0))
    quotas = [math.ceil(quota) for quota in _quotas(cgroups, membership)]
    return max(1, min([affinity, *quotas]))


def resident(status: Path = Path("/proc/self/statm")) -> int:
    """Bytes of memory that the process holds; 0 where the system does not say (proc_pid_statm(5))."""
    pages = _read(status).split()
    return int(pages[1]) * resource.getpagesize() if len(pages) > 1 else 0


def tune_malloc() -> None:
    """Have glibc keep what runs free and ask for again with every picture; for processes that are ours alone.

    It hands freed memory back to the system as soon as 128 kB lie together: ONNX Runtime's tensors were up to 2400 page
    faults a picture, a tenth of its CPU time (measured; OpenVINO reuses its own). And it keeps what threads free apart,
    in up to eight arenas per core; two make a run 10 to 30 MB smaller.
    """
    with contextlib.suppress(OSError, AttributeError):  # another C library
        mallopt = ctypes.CDLL(None).mallopt
        for option, value in ((_ARENA_MAX, 2), (_MMAP_THRESHOLD, 32 << 20), (_TRIM_THRESHOLD, 256 << 20)):
            mallopt(option, value)


def _quotas(cgroups: Path, membership: Path) -> list[float]:
    """CPUs granted by each group that limits this process. Files: https://docs.kernel.org/admin-guide/cgroup-v2.html
    (`cpu.max`) and https://docs.kernel.org/scheduler/sched-bwc.html (`cpu.cfs_quota_us`, v1).
    """
    quotas = []
    for line in _read(membership).splitlines():
        hierarchy, controllers, group = line.split(":", 2)
        if hierarchy == "0":  # v2
            mounts = [cgroups, cgroups / "unified"]
        elif "cpu" in controllers.split(","):
            mounts = [cgroups / "cpu", cgroups / controllers]
        else:
            continue
        for mount in mounts:
            # In a container the mount may already be the process's own group although the path names the host's.
            path = Path(group)
            for folder in [path, *path.parents]:
                quota = _quota(mount / str(folder).lstrip("/"))
                if quota:
                    quotas.append(quota)
    return quotas


def _quota(group: Path) -> float | None:
    words = _read(group / "cpu.max").split() or [
        *_read(group / "cpu.cfs_quota_us").split(),
        *_read(group / "cpu.cfs_period_us").split(),
    ]
    try:
        quota, period = (int(word) for word in words)
    except ValueError:  # "max 100000", or no such file
        return None
    return quota / period if quota > 0 and period > 0 else None  # v1 says -1 for "no limit"


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError):
        return ""
