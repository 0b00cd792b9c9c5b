import threading

import pytest

from vidette.sources.pacing import Pacer


class Clock(threading.Event):
    """A stop event whose waits move the clock instead of the day."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 100.0
        self.waits: list[float] = []

    def wait(self, timeout=None):
        self.waits.append(timeout)
        self.now += timeout
        return self.is_set()


@pytest.mark.parametrize(
    ("times", "waits"),
    [
        ([5.0, 5.1, 5.3], [0.1, 0.2]),
        ([0.0, None, 0.5], [0.5]),  # without a time: at once
        ([0.0, 1.0, 0.5, 0.6], [1.0, 0.1]),  # back in time: a new start
        ([0.0, 500.0, 500.1], [0.1]),  # a break of the time line is not sat out
    ],
)
def test_waits_for_media_time(times, waits):
    clock = Clock()
    pacer = Pacer(clock, lambda: clock.now)
    assert all(pacer.wait(time) for time in times)
    assert clock.waits == pytest.approx(waits)


def test_what_is_late_catches_up():
    clock = Clock()
    pacer = Pacer(clock, lambda: clock.now)
    pacer.wait(0.0)
    clock.now += 0.25
    assert pacer.wait(0.1)
    assert pacer.wait(0.2)
    assert pacer.wait(0.3)
    assert clock.waits == pytest.approx([0.05])


def test_a_stop_says_no():
    clock = Clock()
    pacer = Pacer(clock, lambda: clock.now)
    assert pacer.wait(0.0)
    clock.set()
    assert not pacer.wait(1.0)
    assert not pacer.wait(None)
