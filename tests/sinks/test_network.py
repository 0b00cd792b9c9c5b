import subprocess
import sys
import threading

import pytest

from vidette.errors import SinkError
from vidette_sinks._network import Backoff, SinkLoop, public, split


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_pauses_double_and_are_short_again_after_success():
    clock = Clock()
    backoff = Backoff(clock)
    pauses = []
    for _ in range(8):
        backoff.check("x")
        with pytest.raises(SinkError, match="x: no connection; tried again in") as caught:
            backoff.check("x")
        pauses.append(float(str(caught.value).split()[-2]))
        clock.now += pauses[-1]
    assert pauses == [0.5, 1, 2, 4, 8, 16, 30, 30]
    backoff.check("x")
    backoff.succeeded()
    clock.now += 30
    backoff.check("x")
    clock.now += 0.5
    backoff.check("x")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("mqtt://host/t", "mqtt://host/t"),
        ("mqtt://u:p@host:1/t?key=k#f", "mqtt://host:1/t"),
        ("mqtt://u:p/a@b@host/t", "mqtt://host/t"),
        ("http://u:p?q@host/t", "http://host/t"),
    ],
)
def test_what_is_shown_of_a_url(url, shown):
    assert public(url) == shown


def test_a_bad_url_is_not_quoted():
    for url in ("mqtt://u:canary/x@host", "mqtt://u:canary@[::1", "mqtt://canary:99999", "nothing"):
        with pytest.raises(ValueError, match="not a URL with host and port") as caught:
            split(url)
        assert "canary" not in repr(caught.value)


def test_a_call_that_never_returns_holds_neither_the_loop_nor_the_process():
    code = """
import asyncio, threading
from vidette_sinks._network import SinkLoop
async def stuck():
    call = asyncio.get_running_loop().run_in_executor(None, threading.Event().wait)
    await asyncio.wait([call], timeout=0.1)
loop = SinkLoop()
loop.run(stuck())
loop.close()
"""
    environment = {"PYTHONPATH": ":".join(sys.path)}
    assert subprocess.run([sys.executable, "-c", code], env=environment, timeout=20, check=False).returncode == 0


def test_the_executor_hands_back_values_and_errors():
    loop = SinkLoop()

    async def call(function):
        import asyncio

        return await asyncio.get_running_loop().run_in_executor(None, function)

    assert loop.run(call(threading.current_thread)) is not threading.current_thread()
    with pytest.raises(ZeroDivisionError):
        loop.run(call(lambda: 1 / 0))
    loop.close()
