import numpy as np
import pytest

from tests.drawing.scenes import GREY, drawn, scene
from vidette.drawing import annotate
from vidette.predictions.classification import Classification
from vidette.predictions.semantic import SemanticMap

NAMES = ("background", "road", "sky", "tree")


def of(classes: list[list[int]], wanted=(1, 2), extent=(0, 0, 640, 360), dtype=np.uint8) -> SemanticMap:
    grid = np.array(classes, dtype)
    shares = np.array([(grid == i).mean() for i in wanted], np.float32)
    return SemanticMap(grid, np.array(extent, np.float64), NAMES, np.array(wanted, np.int32), shares)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_each_class_is_tinted_in_its_own_colour(dtype):
    out = annotate(scene(), of([[1, 2], [2, 1]], dtype=dtype))
    for number, (left, top) in ((1, (320, 180)), (2, (320, 0))):
        if number == 1:
            part = out[180:, 320:]
        else:
            part = out[60:180, 320:]
        list_of_it = Classification(np.ones(4, np.float32), NAMES, np.array([number], np.int32))
        colour = annotate(scene(), list_of_it)[0, 0].astype(int)
        assert (part == part[0, 0]).all(), (left, top)
        np.testing.assert_allclose(part[0, 0], (colour + GREY) / 2, atol=1)


def test_unwanted_classes_and_background_stay_as_they_are():
    inked = drawn(annotate(scene(), of([[0, 1], [3, 1]], wanted=(0, 1))))
    assert inked[:, 320:].all()
    assert not inked[180:, :320].any(), "a class that is not wanted"
    assert not inked[90:180, :320].any(), "background"


def test_only_background_draws_nothing():
    assert not drawn(annotate(scene(), of([[0]], wanted=(0,)))).any()


def test_the_legend_names_the_classes_present():
    one, two = (annotate(scene(), of([[1, 1]], wanted=wanted)) for wanted in ((1,), (1, 2)))
    rows = np.flatnonzero((one != two).any(axis=(1, 2)))
    assert 0 < rows[0] < 30
    assert rows[-1] < 60


def test_a_map_of_a_part_tints_that_part():
    inked = drawn(annotate(scene(), of([[1]], extent=(400, 200, 500, 300))))
    assert inked[200:300, 400:500].all()
    inked[:60, :200] = False  # the legend
    assert inked.sum() == 100 * 100


@pytest.mark.parametrize(
    "extent", [(np.nan, 0, 1, 1), (5, 5, 5, 9), (9, 9, 3, 3), (-1e30, -1e30, 1e30, 1e30), (700, 0, 900, 9)]
)
def test_strange_extents(extent):
    assert annotate(scene(), of([[1, 2]], extent=extent)).shape == (360, 640, 3)


def test_a_map_may_be_read_only_and_lie_anyhow_in_memory():
    found = of([[1, 2], [2, 1]])
    grid = np.repeat(found.classes, 2, axis=1)[:, ::2].T
    grid.setflags(write=False)
    other = SemanticMap(grid, found.extent, NAMES, found.class_id, found.shares)
    assert (annotate(scene(), other) == annotate(scene(), found)).all()
