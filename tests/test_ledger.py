"""The numbers of a stream over its epochs, and read while they move."""

from collections import Counter

import pytest

from vidette import ledger
from vidette.ledger import StreamLedger


def test_a_pause_between_epochs_is_no_time_of_the_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(ledger.time, "monotonic", lambda: now[0])
    told = StreamLedger("a", "m")
    told.begin()
    told.results = told.decoded = 30
    now[0] = told.ended = 110.0
    now[0] = 500.0
    assert (told.report()["wall_s"], told.report()["fps"]) == (10.0, 3.0)
    told.begin()
    now[0] = 505.0
    assert told.report()["wall_s"] == 15.0
    told.begin()  # nobody noted the end of the second
    now[0] = 506.0
    assert (told.report()["wall_s"], told.report()["fps"]) == (16.0, 1.88)


def test_columns_add_up_while_frames_move() -> None:
    """A frame that is decoded and comes out between two looks at the counters."""

    class Moving(Counter[str]):
        def keys(self):  # type: ignore[no-untyped-def]
            told.decoded += 1
            told.results += 1
            return super().keys()

        __iter__ = None  # type: ignore[assignment]  # or dict() would copy without asking

    told = StreamLedger("a", "m")
    told.dropped = Moving()
    got = told.report()
    assert got["decoded"] - got["results"] == got["in_flight"] == 1
