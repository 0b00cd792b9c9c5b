"""What runs in another process answers as it would here, gives way, and is gone when it is not wanted any more."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from vidette import elsewhere as module
from vidette.elsewhere import Elsewhere, GoneError
from vidette.errors import ModelError, UnfinishedError
from vidette.giving_way import Way, current, giving_way, may_raise

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at processes in /proc")


class Worker:
    """Does in the child what it is told."""

    def __init__(self, begins: str = "well") -> None:
        if begins == "badly":
            raise ModelError("m.onnx: is no model")

    def __call__(self, what: str, count: int = 0) -> bytes:
        if what == "fail":
            raise ModelError("m.onnx: does not run at 1x1")
        if what == "exit":
            os._exit(3)
        if what == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if what == "mute":
            os.closerange(3, 256)
        while what in ("hang", "mute"):
            time.sleep(1)
        print("noise")  # as libraries do
        return what.encode() * count


@pytest.fixture
def way() -> Iterator[Way]:
    """Loading that nobody need be given way to."""
    with giving_way(lambda: False):
        found = current()
        assert found is not None
        yield found


def answer(other: Elsewhere, what: str, count: int) -> bytes:
    found = bytearray(other.ask(what, count))
    other.read(memoryview(found))
    return bytes(found)


def state(pid: int) -> str:
    """One letter of proc_pid_stat(5); empty when the process is gone, or only waits to be told so."""
    try:
        found = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return ""
    return "" if found in "ZX" else found


def until(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_answers_come_as_bytes_of_any_size(way: Way) -> None:
    other = Elsewhere(way, Worker)
    assert answer(other, "ab", 3) == b"ababab"
    assert answer(other, "x", 9_000_000) == b"x" * 9_000_000
    assert answer(other, "c", 1) == b"c"


def test_its_errors_are_the_same_lines_and_it_goes_on(way: Way) -> None:
    other = Elsewhere(way, Worker)
    with pytest.raises(ModelError, match=r"^m.onnx: does not run at 1x1$"):
        other.ask("fail")
    assert answer(other, "a", 2) == b"aa"


@pytest.mark.parametrize("begins", ["well", "badly"])
def test_it_is_gone_at_the_end(begins: str, monkeypatch: pytest.MonkeyPatch) -> None:
    children: list[int] = []
    plain = Way.lower_process
    monkeypatch.setattr(Way, "lower_process", lambda way, pid: children.append(pid) or plain(way, pid))
    with giving_way(lambda: False):
        found = current()
        assert found is not None
        if begins == "badly":
            with pytest.raises(ModelError, match=r"^m.onnx: is no model$"):
                Elsewhere(found, Worker, begins)
            assert not state(children[0])
        else:
            Elsewhere(found, Worker, begins)
            assert state(children[0])
    assert not state(children[0])
    assert not [thread for thread in threading.enumerate() if thread.name == "vidette:elsewhere"]


def test_one_that_ends_before_its_time_is_told(way: Way) -> None:
    other = Elsewhere(way, Worker)
    with pytest.raises(GoneError, match="ended with 3"):
        other.ask("exit")
    with pytest.raises(GoneError):
        other.ask("a", 1)


def test_one_that_lives_but_does_not_answer_is_told(way: Way, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_ENDS_S", 0.1)
    with pytest.raises(GoneError, match="does not answer"):
        Elsewhere(way, Worker).ask("mute")


def test_what_python_prints_when_it_starts_is_no_answer(
    way: Way, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sitecustomize.py").write_text(f"print('noise', flush=True); open({str(tmp_path / 'ran')!r}, 'w')")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert answer(Elsewhere(way, Worker), "ab", 2) == b"abab"
    assert (tmp_path / "ran").exists()


def test_nothing_is_imported_from_the_folder_it_is_started_in(
    way: Way, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "random.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path, ""])
    assert answer(Elsewhere(way, Worker), "ab", 2) == b"abab"
    assert not (tmp_path / "ran").exists()


def test_one_that_is_killed_is_not_tried_again_here(way: Way) -> None:
    """The system takes the largest when memory is short: the next would be the server."""
    with pytest.raises(UnfinishedError, match="too little memory"):
        Elsewhere(way, Worker).ask("die")


def test_without_a_python_to_start(way: Way, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "")
    with pytest.raises(GoneError, match="no Python"):
        Elsewhere(way, Worker)
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(GoneError, match="cannot be started"):
        Elsewhere(way, Worker)


def test_it_rests_while_others_are_answered_and_goes_on() -> None:
    answering = threading.Event()
    with giving_way(answering.is_set):
        found = current()
        assert found is not None
        other = Elsewhere(found, Worker)
        pid = other._child.pid
        answering.set()
        until(lambda: state(pid) == "T")
        assert answer(other, "ab", 2) == b"abab"  # a part of the time is its own
        answering.clear()
        assert answer(other, "a", 1) == b"a"


@pytest.mark.skipif(not may_raise(), reason="this system does not let a thread be raised again")
@pytest.mark.parametrize("worked", [0.0, 1e6])
def test_it_takes_what_others_leave_unless_that_is_too_little(worked: float, monkeypatch: pytest.MonkeyPatch) -> None:
    paced: list[float] = []
    monkeypatch.setattr(Elsewhere, "_worked", lambda *_: paced.append(worked) or worked)
    with giving_way(lambda: False, lowered=0):
        found = current()
        assert found is not None
        pid = Elsewhere(found, Worker)._child.pid
        until(lambda: len(paced) > 3)
        assert os.sched_getscheduler(pid) == (os.SCHED_IDLE if worked else os.SCHED_OTHER)


def test_what_paces_it_fails_and_it_runs_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threading, "excepthook", lambda _: None)

    def broken() -> bool:
        if threading.current_thread().name == "vidette:elsewhere":
            raise RuntimeError("no more")
        return True

    with giving_way(broken):
        found = current()
        assert found is not None
        other = Elsewhere(found, Worker)
        other._pace.join(60)
        assert not other._pace.is_alive()
        assert answer(other, "a", 1) == b"a"


def test_shutting_down_ends_what_is_under_way() -> None:
    stopped = threading.Event()
    with giving_way(lambda: True, stopped=stopped):
        found = current()
        assert found is not None
        other = Elsewhere(found, Worker)
        pid = other._child.pid
        threading.Timer(0.1, stopped.set).start()
        with pytest.raises(UnfinishedError, match="stopped"):
            other.ask("hang")
        assert not state(pid)


_PARENT = """
import sys
from tests.test_elsewhere import Worker
from vidette.elsewhere import Elsewhere
from vidette.giving_way import current, giving_way
with giving_way(lambda: len(sys.argv) > 1):
    other = Elsewhere(current(), Worker)
    print(other._child.pid, flush=True)
    other.ask("hang")
"""


@pytest.mark.parametrize("resting", [[], ["resting"]])
def test_it_ends_when_its_parent_is_killed(resting: list[str], pytestconfig: pytest.Config) -> None:
    command = [sys.executable, "-c", _PARENT, *resting]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(pytestconfig.rootpath), *sys.path])}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert state(pid)
        parent.kill()
    until(lambda: not state(pid))


def test_no_file_has_a_name() -> None:
    with module._nameless() as file:
        assert isinstance(file.fileno(), int)
        assert not isinstance(file.name, str)
