import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidette.ring import Ring


def test_newest_hands_back_the_oldest_and_counts_it() -> None:
    ring: Ring[int] = Ring(2, "newest")
    assert [ring.put(n) for n in range(4)] == [None, None, 0, 1]
    assert [ring.take(), ring.take()] == [2, 3]


def test_a_full_lossless_ring_refuses() -> None:
    ring: Ring[int] = Ring(1, "lossless")
    ring.put(1)
    assert ring.full
    with pytest.raises(ValueError, match="has to wait"):
        ring.put(2)
    assert ring.take() == 1


def test_a_ring_without_slots_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one slot"):
        Ring(0, "newest")


@given(st.integers(1, 8), st.lists(st.booleans(), max_size=200))
def test_newest_keeps_the_last_ones_in_order(capacity: int, puts: list[bool]) -> None:
    ring: Ring[int] = Ring(capacity, "newest")
    model: list[int] = []
    for number, put in enumerate(puts):
        if put:
            displaced = ring.put(number)
            model.append(number)
            if len(model) > capacity:
                assert displaced == model.pop(0)
            else:
                assert displaced is None
        elif model:
            assert ring.peek() == model[0]
            assert ring.take() == model.pop(0)
        assert len(ring) == len(model)
    assert ring.clear() == model
    assert len(ring) == 0
