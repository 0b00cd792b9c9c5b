"""One transform for all coordinates: it does to points what happens to pixels, and its way back is exact."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidette.frame import rotate
from vidette.geometry import Transform
from vidette.pixels.letterbox import fit

side = st.integers(1, 4000)


def steps(width: int, height: int) -> list[Transform]:
    return [
        Transform.scale(width, height, 640, 37),
        Transform.crop(3, -5, 100, 50),
        Transform.mirror(width, height),
        Transform.mirror(width, height, vertically=True),
        *(Transform.turn(width, height, degrees) for degrees in (0, 90, 180, 270)),
        fit(width, height, 640, 384, "letterbox").back.back(640, 384),
    ]


@given(side, side, st.integers(0, 8), st.integers(0, 8))
def test_there_and_back_is_the_identity(width, height, first, second):
    there = steps(width, height)[first]
    there = there.then(steps(round(there.width) or 1, round(there.height) or 1)[second])
    xy = np.random.default_rng(0).uniform(-50, 4000, (7, 2))
    np.testing.assert_allclose(there.back(width, height).points(there.points(xy)), xy, rtol=1e-4, atol=0.5)
    boxes = np.concatenate([xy, xy + 10], axis=1)
    np.testing.assert_allclose(there.back(width, height).boxes(there.boxes(boxes)), boxes, rtol=1e-4, atol=0.5)


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_turning_moves_points_as_it_moves_pixels(degrees):
    image = np.zeros((5, 9), np.uint8)
    image[1, 7] = 1
    turned = rotate(image, degrees)
    transform = Transform.turn(9, 5, degrees)
    assert (transform.height, transform.width) == turned.shape
    centre = transform.points(np.array([7.5, 1.5])) - 0.5
    assert np.argwhere(turned)[0].tolist() == centre[::-1].tolist()


def test_mirrors_move_points_as_they_move_pixels():
    assert Transform.mirror(9, 5).points(np.array([2.5, 1.5])).tolist() == [6.5, 1.5]
    assert Transform.mirror(9, 5, vertically=True).points(np.array([2.5, 1.5])).tolist() == [2.5, 3.5]


@given(side, side, st.sampled_from(["letterbox", "topleft", "stretch", "crop"]))
def test_the_letterbox_has_one_way_back(width, height, resize):
    box = fit(width, height, 640, 352, resize)
    xy = np.random.default_rng(1).uniform(0, 640, (5, 2))
    np.testing.assert_allclose(box.back.points(xy), box.to_source(xy), rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(box.to_input(box.to_source(xy)), xy, rtol=1e-6, atol=1e-6)


def test_a_region_maps_back_to_its_place():
    box = fit(1920, 1080, 640, 640, "letterbox", (960, 540, 960, 540))
    np.testing.assert_allclose(
        box.to_source(np.array([[0.0, 140.0], [640, 500]])), [[960, 540], [1920, 1080]], atol=0.01
    )
    assert not box.whole
    assert fit(1920, 1080, 640, 640, "letterbox").whole


def test_crop_fills_the_input_with_the_middle():
    box = fit(400, 200, 100, 100, "crop")
    assert (box.scaled_width, box.scaled_height, box.left, box.top) == (200, 100, -50, 0)
    np.testing.assert_allclose(box.to_source(np.array([[0.0, 0.0], [100, 100]])), [[100, 0], [300, 200]])
