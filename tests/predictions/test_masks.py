"""Masks as pixels, polygons, run lengths and areas."""

import numpy as np
import pytest

from tests.kernels.twin_masks import area, decode
from vidette.geometry import Transform
from vidette.predictions.masks import Masks, Outline

RING = np.pad(np.pad(np.zeros((2, 3), np.uint8), 2, constant_values=1), 1)
BAR = np.ones((3, 20), np.uint8)
TWO = np.hstack([np.ones((9, 4)), np.zeros((9, 3)), np.ones((9, 2))]).astype(np.uint8)


def masks(outline=Outline(0.0)) -> Masks:  # noqa: B008 it cannot change
    extents = [[10, 20, 19, 28], [5, 5, 45, 11], [0, 0, 9, 9], [3, 3, 3, 7]]
    return Masks.of([RING, BAR, TWO, np.zeros((4, 0), np.uint8)], np.array(extents, float), outline)


def test_pixels():
    found = masks()
    whole = found.dense(0, 64, 48)
    assert (whole.shape, whole.dtype) == ((48, 64), bool)
    np.testing.assert_array_equal(whole[20:28, 10:19], RING)
    assert whole.sum() == RING.sum()
    coarse = found.dense(1, 64, 48)  # each sample is 2 x 2 pixels
    assert coarse.sum() == coarse[5:11, 5:45].sum() == 240
    cut = found.dense(1, 30, 8)
    np.testing.assert_array_equal(cut, coarse[:8, :30])
    assert not found.dense(3, 64, 48).any()


def test_areas():
    assert masks().area.tolist() == [RING.sum(), 240, 54, 0]
    assert Masks.none().area.shape == (0,)


def test_polygons_are_in_pixels_and_state_their_holes():
    outer, hole = masks().polygons(0)
    assert (outer.hole, hole.hole) == (False, True)
    assert outer.points.dtype == np.float32
    assert (outer.points.min(0).tolist(), outer.points.max(0).tolist()) == ([11, 21], [18, 27])
    assert area(outer.points) + area(hole.points) == RING.sum()
    (bar,) = masks().polygons(1)
    assert sorted(bar.points.tolist()) == [[5, 5], [5, 11], [45, 5], [45, 11]]
    assert masks().polygons(3) == []
    assert masks().outlines("longest")[3] == []


def test_all_parts_or_the_largest():
    left, right = masks().polygons(2)
    assert (area(left.points), area(right.points)) == (36, 18)
    (only,) = masks(Outline(0.0, "largest")).polygons(2)
    np.testing.assert_array_equal(only.points, left.points)
    outer, hole = masks(Outline(0.0, "largest")).polygons(0)
    assert hole.hole
    assert not outer.hole
    (longest,) = masks().outlines("longest")[0]
    np.testing.assert_array_equal(longest.points, outer.points)


def test_all_objects_at_once_are_the_same_as_one_by_one():
    found = masks(Outline(1.0))
    for index, polygons in enumerate(found.outlines()):
        for one, two in zip(polygons, found.polygons(index), strict=True):
            np.testing.assert_array_equal(one.points, two.points)
            assert one.hole == two.hole
    assert Masks.none().outlines() == []


def test_run_lengths_are_of_the_whole_picture():
    found = masks()
    for index, row in enumerate(found.rle(40, 30)):
        assert row["size"] == [30, 40]
        np.testing.assert_array_equal(decode(row["counts"], 40, 30), found.dense(index, 40, 30))
    assert Masks.none().rle(40, 30) == []


def test_some_of_them():
    some = masks().take(np.array([2, 0]))
    np.testing.assert_array_equal(some.crop(0), TWO)
    np.testing.assert_array_equal(some.crop(1), RING)
    assert some.extents.tolist() == [[0, 0, 9, 9], [10, 20, 19, 28]]
    assert len(masks().take(np.array([], int))) == 0


def test_what_was_handed_out_stays_as_it_was():
    found = masks()
    polygon, text, whole = found.polygons(0)[0], found.rle(64, 48)[0], found.dense(0, 64, 48)
    kept = polygon.points.copy(), dict(text), whole.copy()
    found.bits[:] = 0
    Masks.of([BAR], np.array([[0.0, 0, 20, 3]]), Outline()).outlines()
    np.testing.assert_array_equal(polygon.points, kept[0])
    assert text == kept[1]
    np.testing.assert_array_equal(whole, kept[2])


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_polygons_turn_with_the_picture(degrees):
    turn = Transform.turn(64, 48, degrees)
    moved = masks().transformed(turn)
    for index in range(3):
        one = sorted(sorted(turn.points(polygon.points).tolist()) for polygon in masks().polygons(index))
        assert one == sorted(sorted(polygon.points.tolist()) for polygon in moved.polygons(index))
        np.testing.assert_array_equal(
            moved.dense(index, *((64, 48) if degrees % 180 == 0 else (48, 64))),
            np.rot90(masks().dense(index, 64, 48), degrees // 90),
        )
