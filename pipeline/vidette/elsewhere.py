"""An object in a process of its own, which gives way to those who are answered here.

The parent makes an `Elsewhere` and asks it; the child is this module, run as a program. What is asked goes there
pickled; what comes back is a line of JSON through a pipe, and bytes in a file without a name.
"""

import ctypes
import json
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, BinaryIO

from vidette.errors import ModelError, UnfinishedError, VidetteError
from vidette.giving_way import Way, unlocked

_RUNS_S = 0.004
"""It runs so long at a time: short beside an answer, so that all are a little slower instead of some a lot."""
_PIECE = 4 << 20
_ENDS_S = 5.0
"""A child that no longer answers has so long to say how it ended."""
_SCHED_CLOCK = 2  # clock_getcpuclockid(3): CPUCLOCK_SCHED of a process
_PR_SET_PDEATHSIG = 1  # prctl(2)

Worker = Callable[..., Any]


class GoneError(Exception):
    """The other process could not be started, or has ended before its time."""


class Elsewhere:
    """`make(*args)` in a child process, and calls of what it returns. Used by one thread; ends with its `way`.

    The child gives way as its maker does (`giving_way.py`): it takes what others leave, and rests while they are
    answered. It ends with its parent, however that ends. Its memory is its own, and gone with it.
    """

    def __init__(self, way: Way, make: Callable[..., Worker], *args: Any) -> None:
        """Raises GoneError, and VidetteError of `make`."""
        if not sys.executable or getattr(sys, "frozen", False):
            raise GoneError("there is no Python to start another with")
        self._way = way
        self._closing = threading.Event()
        try:
            self._results = _nameless()
            answers, inherited = os.pipe()
        except OSError as error:  # no file can be opened any more
            raise GoneError(f"another cannot be started: {error}") from error
        self._answers = os.fdopen(answers)
        way.at_end.callback(self.close)
        fds = self._results.fileno(), inherited
        try:
            self._child = subprocess.Popen(
                # Its folder may be one of data: nothing is imported from there (-P), unless this process does.
                [sys.executable, "-P", "-m", __name__, *map(str, fds), str(os.getpid())],
                stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, pass_fds=fds,
                # It runs no kernels: without numba it starts in half the time.
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "NUMBA_DISABLE_JIT": "1"},
                process_group=0,  # Ctrl-C is the parent's
            )  # fmt: skip
        except OSError as error:
            raise GoneError(f"another cannot be started: {error}") from error
        finally:
            os.close(inherited)
        way.lower_process(self._child.pid)
        self._pace = threading.Thread(target=self._keep_pace, name="vidette:elsewhere")
        self._pace.start()
        try:
            self.ask(make, *args)
        except BaseException:  # the child must not outlive a constructor that failed
            self.close()
            raise

    @property
    def closed(self) -> bool:
        """Whether it has ended."""
        return self._closing.is_set()

    def ask(self, *args: Any) -> int:
        """Call the object; how many bytes it answers with. Raises GoneError, UnfinishedError, and the object's
        VidetteError as a ModelError of the same text."""
        assert self._child.stdin is not None
        try:
            question = pickle.dumps(args)
        except (pickle.PicklingError, TypeError, AttributeError) as error:
            raise GoneError(f"what is asked cannot be sent: {error}") from error
        try:
            self._child.stdin.write(question)
            self._child.stdin.flush()
            answer = json.loads(self._answers.readline())
        except (OSError, ValueError) as error:
            raise self._gone() from error
        if "error" in answer:
            raise ModelError(answer["error"])
        return int(answer["bytes"])

    def read(self, into: memoryview) -> None:
        """Fill `into` with the last answer's bytes; other threads run meanwhile."""
        done = 0
        while done < len(into):
            with unlocked():
                done += os.preadv(self._results.fileno(), [into[done : done + _PIECE]], done)

    def close(self) -> None:
        """End the child."""
        if self._closing.is_set():
            return
        self._closing.set()
        if hasattr(self, "_child"):
            self._child.kill()
            self._pace.join()
            self._child.communicate()
        self._answers.close()
        self._results.close()

    def _gone(self) -> Exception:
        """Why the child does not answer."""
        try:
            status = self._child.wait(_ENDS_S)
        except subprocess.TimeoutExpired:
            return GoneError("the process that was to do it does not answer")
        if self._way.stopped.is_set():
            return UnfinishedError("stopped while it was loaded")
        if status == -signal.SIGKILL:  # what would follow here needs as much
            return UnfinishedError(
                "the process that compiles it was killed: there is too little memory; unload a model"
            )
        return GoneError(f"the process that was to do it ended with {status}")

    def _keep_pace(self) -> None:
        """Let the child run and rest until it is closed. It rests after what it worked, not after what it waited for a
        core."""
        begin, worked, raised = time.monotonic(), 0.0, False
        try:
            while not self._closing.wait(_RUNS_S):
                if self._way.stopped.is_set():
                    self._child.kill()  # whoever waits for its answer need not
                    return
                before, worked = worked, self._worked(worked)
                if not raised and self._way.starves(worked, time.monotonic() - begin):
                    self._way.raise_process(self._child.pid)
                    raised = True
                if self._way.needed():
                    self._child.send_signal(signal.SIGSTOP)
                    self._way.rest(worked - before)
                    self._child.send_signal(signal.SIGCONT)
        finally:
            self._child.send_signal(signal.SIGCONT)

    def _worked(self, before: float) -> float:
        """CPU seconds of the child; `_RUNS_S` more than before where the system does not say."""
        with suppress(OSError):
            return time.clock_gettime((~self._child.pid << 3) | _SCHED_CLOCK)
        return before + _RUNS_S


def _nameless() -> BinaryIO:
    """A file in memory that has no name, where the system has such."""
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("vidette"), "w+b", buffering=0)
    return tempfile.TemporaryFile(buffering=0)


def main(results: int, answers: int, parent: int) -> None:
    """The child: make the object, then answer until nobody asks any more."""
    with suppress(OSError, AttributeError):  # another system: it ends when its parent's pipe does
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        return
    worker: Worker | None = None
    with open(results, "wb", buffering=0) as file, open(answers, "w") as told, suppress(EOFError):
        while True:
            make, *args = pickle.load(sys.stdin.buffer)
            answer: dict[str, Any] = {"bytes": 0}
            try:
                if worker is None:
                    worker = make(*args)
                else:
                    blob = memoryview(worker(make, *args))
                    os.ftruncate(results, 0)
                    _write(file, blob)
                    answer = {"bytes": len(blob)}
            except VidetteError as error:
                answer = {"error": str(error)}
            print(json.dumps(answer), file=told, flush=True)


def _write(file: Any, blob: memoryview) -> None:
    file.seek(0)
    while len(blob):
        blob = blob[file.write(blob) :]


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
