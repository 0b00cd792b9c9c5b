import numpy as np
import pytest

from tests.drawing.scenes import drawn, scene
from vidette.drawing import annotate
from vidette.predictions.classification import Classification
from vidette.predictions.detections import Detections

NAMES = [f"class {i}" for i in range(100)]


def classes(*class_id: int) -> Classification:
    return Classification(np.full(100, 0.87, np.float32), NAMES, np.array(class_id, np.int32))


def test_each_class_has_a_line_at_the_top_left():
    one, three = (drawn(annotate(scene(), classes(*range(n)))) for n in (1, 3))
    height = np.flatnonzero(one.any(axis=1))[-1] + 1
    assert one[:height, :40].all() or one[0, 0]
    assert np.flatnonzero(three.any(axis=1))[-1] + 1 == pytest.approx(3 * height, abs=3)
    assert not three[:, 320:].any()


def test_a_class_has_the_colour_of_its_boxes():
    box = Detections(
        np.array([[300, 200, 400, 300]], np.float32), np.array([0.9], np.float32), np.array([7], np.int32), NAMES
    )
    assert (annotate(scene(), box)[250, 300] == annotate(scene(), classes(7))[1, 1]).all()


def test_lines_are_readable_on_every_colour():
    for number in range(21):
        out = annotate(scene(), classes(number)).astype(int)
        line = out[:15, :50] @ [0.114, 0.587, 0.299]
        assert np.ptp(line) > 100


def test_lines_stay_in_the_picture_and_the_rest_is_counted():
    out = annotate(scene(320, 60), classes(*range(50)))
    assert out.shape == (60, 320, 3)
    fewer = annotate(scene(320, 60), classes(*range(40)))
    changed = np.flatnonzero((out != fewer).any(axis=(1, 2)))
    assert len(changed), "the last line says how many more there are"
    assert changed[0] > 30


@pytest.mark.parametrize("size", [(1, 1), (5, 3)])
def test_tiny_pictures(size):
    assert annotate(scene(*size), classes(0, 1)).shape == (size[1], size[0], 3)


def test_no_class_no_line():
    assert not drawn(annotate(scene(), classes())).any()
