import threading
import time

import numpy as np
import pytest

from tests.runtimes import models
from vidette.errors import ModelError
from vidette.runtimes.base import Wish
from vidette.runtimes.simulated import Run, Simulated


class Clock:
    def __init__(self):
        self.now = 0.0

    def sleep(self, seconds):
        self.now += seconds


@pytest.fixture
def model(tmp_path):
    return models.model_file(models.conv(tmp_path / "m.onnx"))


def test_latency_and_records(model):
    clock = Clock()
    runtime = Simulated(0.5, 0.25, (1, 2, 4, 8), [(84, 100), (2,)], clock=lambda: clock.now, sleep=clock.sleep)
    plan = runtime.plan(model, Wish(max_batch=4))
    assert (plan.ladder, plan.permits, plan.callers) == ((1, 2, 4), 1, 3)
    session = runtime.open(model, plan)
    buffer = session.buffer((16, 24))
    assert buffer.slots.shape == (4, 3, 16, 24)
    outputs = session.run(buffer, 3)
    assert [output.shape for output in outputs] == [(4, 84, 100), (4, 2)]
    assert not any(np.any(output) for output in outputs)
    session.run(buffer, 1)
    assert runtime.runs == [Run(0.0, 1.5, 3, 4), Run(1.5, 2.25, 1, 1)]
    assert runtime.busy() == 2.25


def test_one_run_at_a_time(model):
    inside, most = [], []

    def sleep(seconds):
        inside.append(1)
        time.sleep(1e-4)  # invites the others in
        most.append(len(inside))
        inside.pop()

    runtime = Simulated(0.001, 0.0, sleep=sleep)
    session = runtime.open(model, runtime.plan(model, Wish()))
    threads = [
        threading.Thread(target=lambda: [session.run(session.buffer((8, 8)), 1) for _ in range(50)]) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(most) == 1
    assert len(runtime.runs) == 150


def test_stop_ends_a_run_of_an_hour(model):
    runtime = Simulated(3600, 0)
    session = runtime.open(model, runtime.plan(model, Wish()))
    failed = threading.Event()

    def call():
        with pytest.raises(ModelError, match="stopped"):
            session.run(session.buffer((8, 8)), 1)
        failed.set()

    threading.Thread(target=call, daemon=True).start()
    session.stop()
    assert failed.wait(10)
