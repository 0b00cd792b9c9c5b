"""A semantic map seen as pixels, masks, polygons and run lengths."""

import cv2
import numpy as np
import pytest

from vidette.geometry import Transform
from vidette.predictions.masks import Outline
from vidette.predictions.semantic import SemanticMap


def a_map(dtype=np.uint8):
    """Class 3 everywhere but for a disc of class 1 with a hole of class 0, over a 400 x 300 picture."""
    grid = np.full((60, 80), 3, dtype)
    cv2.circle(grid, (30, 30), 20, 1, cv2.FILLED)
    cv2.circle(grid, (30, 30), 5, 0, cv2.FILLED)
    ids = np.array([3, 1, 0], np.int32)
    shares = np.array([(grid == i).mean() for i in ids], np.float32)
    scores = np.linspace(0, 1, grid.size, dtype=np.float32).reshape(grid.shape)
    return SemanticMap(grid, np.array([0.0, 0, 400, 300]), tuple("abcd"), ids, shares, scores, Outline(2.0))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_all_views_are_of_one_map(dtype):
    found = a_map(dtype)
    dense = found.dense(400, 300)
    masks = found.masks()
    runs = found.rle()
    assert dense.dtype == dtype
    for i, index in enumerate(found.class_id):
        np.testing.assert_array_equal(masks.dense(i, 400, 300), dense == index)
        assert (dense == index).mean() == pytest.approx(found.shares[i])
        assert runs[i]["size"] == [60, 80]
        area = sum((-1 if part.hole else 1) * cv2.contourArea(part.points) for part in found.polygons()[i])
        assert area == pytest.approx((dense == index).sum(), rel=0.01)
    assert [len(parts) for parts in found.polygons()] == [2, 2, 1], "two have a hole"
    assert found.confidence[1] == pytest.approx(found.scores[found.classes == 1].mean())


def test_a_map_without_classes_that_are_wanted():
    found = a_map()
    empty = SemanticMap(
        found.classes, found.extent, found.labels, np.empty(0, np.int32), np.empty(0, np.float32), found.scores
    )
    assert (len(empty), len(empty.confidence), empty.rle(), empty.polygons(), len(empty.masks())) == (0, 0, [], [], 0)
    np.testing.assert_array_equal(empty.dense(400, 300), found.dense(400, 300))


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_pixels_turn_with_the_picture(degrees):
    found = a_map()
    there = Transform.turn(400, 300, degrees)
    moved = found.transformed(there)
    turned = np.rot90(found.dense(400, 300), degrees // 90)
    np.testing.assert_array_equal(moved.dense(int(there.width), int(there.height)), turned)
    assert sorted(len(row["counts"]) > 0 for row in moved.rle()) == [True] * 3
