"""Time in bounded memory."""

from collections import Counter

import pytest

from vidette.report.timeline import MAX_BINS, Timeline

ONE = Counter({0: 1})


def test_bins_merge_and_lose_nothing() -> None:
    timeline = Timeline()
    for seq in range(10_000):
        timeline.add(0, seq / 25, 1e9 + seq / 25, Counter({seq % 2: 1}))
    assert MAX_BINS / 2 <= len(timeline.bins) <= MAX_BINS
    assert sum(each.frames for each in timeline.bins) == 10_000
    assert sum((each.objects for each in timeline.bins), Counter()) == Counter({0: 5000, 1: 5000})
    assert {each.frames for each in timeline.bins[:-1]} <= {79, 80, 81}  # 3.2 s; rounding of pts moves one across


def test_one_jump_of_ten_years_is_bounded_too() -> None:
    timeline = Timeline()
    timeline.add(0, 0.0, 0.0, ONE)
    timeline.add(0, 3e8, 1.0, ONE)
    assert len(timeline.bins) <= MAX_BINS
    assert [each.frames for each in timeline.bins if each.frames] == [1, 1]


def test_a_source_that_comes_back_goes_on_where_the_wall_clock_is() -> None:
    timeline = Timeline()
    assert timeline.add(0, 500.0, 1000.0, ONE) == 0
    assert timeline.add(0, 502.0, 1002.0, ONE) == 2
    assert timeline.add(1, 0.0, 1012.0, ONE) == pytest.approx(12)
    assert timeline.add(1, 1.0, 1013.0, ONE) == pytest.approx(13)


def test_without_media_time_the_axis_is_frames() -> None:
    timeline = Timeline()
    assert [timeline.add(0, None, 0.0, ONE) for _ in range(3)] == [0, 1, 2]
    assert not timeline.in_seconds
    assert [each.frames for each in timeline.bins] == [1, 1, 1]


def test_a_first_frame_without_time_is_at_the_start() -> None:
    timeline = Timeline()
    timeline.add(0, None, 0.0, ONE)
    assert timeline.add(0, 7.0, 1.0, ONE) == 0
    assert timeline.add(0, 8.0, 2.0, ONE) == 1
    assert timeline.in_seconds
    assert timeline.bins[0].frames == 2


def test_a_drawing_of_few_frames_is_no_comb() -> None:
    timeline = Timeline()
    for seq in range(20):
        timeline.add(0, seq * 0.4, seq * 0.4, ONE)
    width, bins = timeline.readable()
    assert width == pytest.approx(0.8)
    assert [each.frames for each in bins] == [2] * 10
