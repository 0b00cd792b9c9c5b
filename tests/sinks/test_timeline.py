"""Times for a muxer must rise, whatever a source says."""

import random
from itertools import pairwise

import pytest

from vidette_sinks._annotated import TICKS, Timeline


def ticks(*frames, fps=25.0):
    timeline = Timeline(fps)
    return [timeline.ticks(epoch, pts) for epoch, pts in frames]


def seconds(*frames, fps=25.0):
    return [t / TICKS for t in ticks(*frames, fps=fps)]


def test_distances_are_those_of_the_source_counted_from_its_first_frame():
    assert seconds((0, 10.0), (0, 10.033), (0, 10.07), (0, 10.5), (0, 10.501), (0, 11.2)) == pytest.approx(
        [0, 0.033, 0.07, 0.5, 0.501, 1.2], abs=1e-4
    )


def test_a_long_gap_stays_a_gap():
    assert seconds((0, 0.0), (0, 0.04), (0, 3600.0))[-1] == 3600


def test_frames_without_times_come_at_the_nominal_rate():
    assert seconds((0, None), (0, None), (0, None), fps=10) == pytest.approx([0, 0.1, 0.2])


def test_a_first_frame_without_time_is_followed_by_times():
    assert seconds((0, None), (0, 7.04), (0, 7.08)) == pytest.approx([0, 0.04, 0.08])


def test_a_missing_time_in_the_middle_uses_the_last_distance():
    assert seconds((0, 0.0), (0, 0.5), (0, None), (0, 1.5), fps=25) == pytest.approx([0, 0.5, 1.0, 1.5])


def test_a_new_opening_goes_on_where_the_last_one_ended():
    assert seconds((0, 5.0), (0, 5.1), (1, 0.0), (1, 0.1)) == pytest.approx([0, 0.1, 0.2, 0.3])


def test_a_jump_back_is_a_new_beginning():
    assert seconds((0, 5.0), (0, 5.1), (0, 0.0), (0, 0.1)) == pytest.approx([0, 0.1, 0.2, 0.3])


def test_equal_and_slightly_lower_times_rise_by_one_tick_and_leave_the_rest_alone():
    assert ticks((0, 0.0), (0, 1.0), (0, 1.0), (0, 0.9), (0, 1.1)) == [0, TICKS, TICKS + 1, TICKS + 2, 99_000]


def test_times_rise_always():
    chance = random.Random(1)
    frames = [(chance.randrange(3), chance.choice([None, chance.uniform(-5, 5), 1.0])) for _ in range(500)]
    got = ticks(*frames)
    assert got[0] == 0
    assert all(earlier < later for earlier, later in pairwise(got))
