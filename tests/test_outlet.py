"""What waits for a sink that takes many at once is written in few pieces; one that fails costs only itself."""

import time
from collections.abc import Callable, Sequence

import pytest

from tests.conftest import Collecting
from vidette.errors import SinkError
from vidette.job import SinkRequest
from vidette.outlet import Outlet
from vidette.predictions.detections import Detections
from vidette.result import Result, StageTimes
from vidette.sink import RunFacts


class Many(Collecting):
    """Refuses results of `bad` numbers, and then all that come with them."""

    def __init__(self, bad: Sequence[int] = ()) -> None:
        super().__init__("many")
        self.bad = bad
        self.pieces: list[int] = []

    def write(self, result: Result) -> None:
        self.write_many([result])

    def write_many(self, results: Sequence[Result]) -> None:
        if any(result.seq in self.bad for result in results):
            raise SinkError("many: refused")
        self.pieces.append(len(results))
        self.results += results


def result(seq: int) -> Result:
    return Result("s", 0, seq, None, 0.0, 2, 2, "m", {}, Detections.none(["a"]), 1, StageTimes())


@pytest.fixture
def written() -> Callable[[Collecting, int], Outlet]:
    """Hand results 0 to count-1 to a sink and wait for its end."""

    def run(sink: Collecting, count: int) -> Outlet:
        outlet = Outlet(SinkRequest(sink))
        outlet.start(RunFacts(), lambda: False)
        for seq in range(count):
            outlet.put(result(seq), waits=True)
        outlet.stop()
        assert outlet.join(time.monotonic() + 10)
        return outlet

    return run


def test_many_are_written_at_once_and_in_order(written: Callable[[Collecting, int], Outlet]) -> None:
    sink = Many()
    outlet = written(sink, 500)
    assert [result.seq for result in sink.results] == list(range(500))
    assert len(sink.pieces) < 50
    assert max(sink.pieces) <= 64
    assert outlet.ledger.written == 500


def test_one_that_is_refused_costs_only_itself(written: Callable[[Collecting, int], Outlet]) -> None:
    sink = Many(bad=(3, 100))
    outlet = written(sink, 200)
    assert [result.seq for result in sink.results] == [seq for seq in range(200) if seq not in (3, 100)]
    assert (outlet.ledger.written, outlet.ledger.lost["failed"], outlet.ledger.waiting) == (198, 2, 0)
    assert outlet.ledger.error == "many: refused"


def test_other_sinks_get_one_after_the_other(written: Callable[[Collecting, int], Outlet]) -> None:
    sink = Collecting()
    assert written(sink, 200).ledger.written == 200
    assert [result.seq for result in sink.results] == list(range(200))
