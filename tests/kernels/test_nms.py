import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tests.kernels import again_uncompiled, twin
from vidette.kernels import nms
from vidette.pixels.letterbox import fit

BIG = 10**6


def candidates(rng, n, classes=5, spread=200.0, ties=False):
    xy = rng.uniform(0, spread, (2, n))
    wh = rng.uniform(1, 60, (2, n))
    score = rng.integers(1, 5, n) / 8 if ties else rng.uniform(0.01, 1, n)
    return np.concatenate([xy, xy + wh, [score], [rng.integers(0, classes, n)]]).astype(np.float32)


@pytest.mark.parametrize("n", [0, 1, 2, 15, 16, 17, 100, 700])
@pytest.mark.parametrize("agnostic", [False, True])
@pytest.mark.parametrize("ties", [False, True])
def test_suppress_equals_its_twin(n, agnostic, ties):
    rng = np.random.default_rng(n)
    given_ = candidates(rng, n, ties=ties)
    for iou in (0.0, 0.3, 0.45, 0.7, 1.0):
        for most, enter in ((BIG, BIG), (7, BIG), (BIG, 50), (3, 20)):
            expected = twin.suppress(given_, iou, agnostic, most, enter)
            assert nms.suppress(given_, iou, agnostic, most, enter).tolist() == expected


numbers = st.sampled_from([0, 1, 2, 3, 5, 8, 10, 20, 40, -5, 1e20, 1e38, np.inf, -np.inf, np.nan])


@given(
    arrays(np.float32, st.tuples(st.just(4), st.integers(0, 40)), elements=numbers),
    st.data(),
    st.sampled_from([0.1, 0.37, 0.62]),
    st.booleans(),
)
@settings(deadline=None, max_examples=150)
def test_any_boxes_at_all(boxes, data, iou, agnostic):
    n = boxes.shape[1]
    scores = data.draw(st.lists(st.sampled_from([0.25, 0.5, 1.0]), min_size=n, max_size=n))
    classes = data.draw(st.lists(st.integers(0, 3), min_size=n, max_size=n))
    given_ = np.concatenate([boxes, [scores], [classes]]).astype(np.float32)
    kept = nms.suppress(given_, iou, agnostic, BIG, BIG).tolist()
    assert kept == sorted(kept, key=lambda i: (-scores[i], i)), "best first, equal ones in order"
    assert len(set(kept)) == len(kept)
    usual = np.isfinite(boxes).all(axis=0) & (np.abs(boxes) < 1e10).all(axis=0)
    odd = set(np.flatnonzero(np.isnan(boxes).any(axis=0) | (boxes[2] <= boxes[0]) | (boxes[3] <= boxes[1])))
    assert odd <= set(kept), "what has no area or no numbers stays: dropping it is the caller's decision"
    if usual.all():
        assume(not twin.close_calls(given_, iou))
        assert kept == twin.suppress(given_, iou, agnostic, BIG, BIG)


def test_an_overlap_equal_to_the_limit_stays():
    pair = np.array([[0, 0], [0, 0], [10, 10], [10, 5], [0.9, 0.8], [0, 0]], np.float32)  # IoU exactly 0.5
    assert nms.suppress(pair, 0.5, False, BIG, BIG).tolist() == [0, 1]
    assert nms.suppress(pair, 0.49, False, BIG, BIG).tolist() == [0]


def test_a_suppressed_box_does_not_suppress():
    chain = np.array([[0, 4, 8], [0, 0, 0], [10, 14, 18], [10, 10, 10], [0.9, 0.8, 0.7], [0, 0, 0]], np.float32)
    assert nms.suppress(chain, 0.4, False, BIG, BIG).tolist() == [0, 2]


def test_thousands_in_one_place_leave_one_of_each_class():
    crowd = np.tile(np.array([[10.0], [10], [50], [90], [0.5], [0]], np.float32), (1, 5000))
    crowd[4] = np.linspace(0.3, 0.9, 5000)
    crowd[5] = np.arange(5000) % 3
    assert nms.suppress(crowd, 0.45, False, 300, BIG).tolist() == [4999, 4998, 4997]
    assert nms.suppress(crowd, 0.45, True, 300, BIG).tolist() == [4999]


@pytest.mark.parametrize("resize", ["letterbox", "topleft", "stretch"])
def test_finish_maps_back_and_clips(resize):
    rng = np.random.default_rng(3)
    found = candidates(rng, 60, spread=160)
    found[:, 0] = [-np.inf, -20, np.inf, 900, 0.999, 1]
    found[:, 1] = [80, 90, 20, 30, 0.998, 2]  # corners the wrong way round
    letterbox = fit(600, 401, 160, 160, resize)
    xyxy, confidence, class_id, chosen = nms.finish(found, letterbox.inverse, 600, 401, 0.45, False, 100, 1000)
    expected = twin.suppress(found, 0.45, False, 100, 1000)
    assert chosen.tolist() == expected
    np.testing.assert_allclose(xyxy, [twin.to_source(found[:4, i], letterbox) for i in expected], atol=1e-3)
    np.testing.assert_array_equal(confidence, found[4, expected])
    np.testing.assert_array_equal(class_id, found[5, expected].astype(int))
    assert (xyxy[:, :2] <= xyxy[:, 2:]).all()
    assert (xyxy.dtype, confidence.dtype, class_id.dtype) == (np.float32, np.float32, np.int32)


def test_without_the_compiler_the_same_comes_out():
    again_uncompiled(test_any_boxes_at_all, test_thousands_in_one_place_leave_one_of_each_class)
