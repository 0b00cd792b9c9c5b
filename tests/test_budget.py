import os
import platform
import subprocess
import sys

import pytest

from vidette.budget import cores, resident


@pytest.fixture(autouse=True)
def host_of_eight(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: set(range(8)))


def budget(tmp_path, membership: str, files: dict[str, str]) -> int:
    for name, text in files.items():
        path = tmp_path / "cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (tmp_path / "membership").write_text(membership)
    return cores(tmp_path / "cgroup", tmp_path / "membership")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("max 100000\n", 8),
        ("150000 100000\n", 2),
        ("20000 100000\n", 1),
        ("400000 100000\n", 4),
        ("6400000 100000", 8),
        ("", 8),
    ],
)
def test_quota_of_version_2(tmp_path, text, expected):
    assert budget(tmp_path, "0::/\n", {"cpu.max": text}) == expected


def test_the_tightest_group_on_the_way_to_the_root_counts(tmp_path):
    files = {"a/cpu.max": "200000 100000", "a/b/cpu.max": "300000 100000", "a/b/c/cpu.max": "max 100000"}
    assert budget(tmp_path, "0::/a/b/c\n", files) == 2


def test_quota_of_version_1(tmp_path):
    membership = "7:memory:/docker/x\n4:cpu,cpuacct:/docker/x\n0::/\n"
    # The path of the host, seen from inside a container whose mount is its own group.
    files = {"cpu,cpuacct/cpu.cfs_quota_us": "250000", "cpu,cpuacct/cpu.cfs_period_us": "100000"}
    assert budget(tmp_path, membership, files) == 3
    files = {"cpu,cpuacct/docker/x/cpu.cfs_quota_us": "100000", "cpu,cpuacct/docker/x/cpu.cfs_period_us": "100000"}
    assert budget(tmp_path, membership, files) == 1


def test_no_limit_in_version_1(tmp_path):
    assert budget(tmp_path, "1:cpu:/\n", {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}) == 8


def test_affinity_without_cgroups(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: {3, 5})
    assert cores(tmp_path / "none", tmp_path / "none") == 2


def test_memory_that_is_held(tmp_path):
    (tmp_path / "statm").write_text("900 200 30 1 0 100 0\n")
    assert resident(tmp_path / "statm") == 200 * os.sysconf("SC_PAGESIZE")
    assert resident(tmp_path / "none") == 0
    before = resident()
    held = bytearray(os.urandom(64 << 20))
    assert resident() - before > len(held) / 2


FAULTS = """
import resource, sys
import numpy as np
from vidette.budget import tune_malloc
if sys.argv[1] == "tuned":
    tune_malloc()
def picture():
    tensors = [np.ones(1 << 20, np.uint8) for _ in range(20)]
for _ in range(3):
    picture()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    picture()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_memory_that_each_picture_asks_for_again_is_kept() -> None:
    def faults(how: str) -> int:
        return int(subprocess.run([sys.executable, "-c", FAULTS, how], capture_output=True, check=True).stdout)

    assert faults("as it is") > 5 * 1000
    assert faults("tuned") < 100
