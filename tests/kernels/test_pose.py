import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.kernels import again_uncompiled
from vidette.kernels import heads, pose
from vidette.pixels.letterbox import fit


def twin(head, places, first, numbers, confidence, box):
    answer = []
    for place, sure in zip(places, confidence, strict=True):
        points = head[first:, place].astype(np.float64).reshape(-1, numbers)
        xy = (points[:, :2] - (box.left, box.top)) * (box.width / box.scaled_width, box.height / box.scaled_height)
        answer.append(np.column_stack([xy, points[:, 2] if numbers == 3 else np.full(len(points), sure)]))
    return np.reshape(answer, (len(places), (len(head) - first) // numbers, 3))


@given(
    n=st.sampled_from([0, 1, 3, 2000]),
    count=st.integers(0, 5),
    numbers=st.sampled_from([2, 3]),
    value=st.sampled_from([0, 1e30, np.nan, np.inf]),
    seed=st.integers(0, 99),
)
@settings(deadline=None, max_examples=30)
def test_keypoints_equal_their_twin(n, count, numbers, value, seed):
    rng = np.random.default_rng(seed)
    head = rng.uniform(-50, 700, (5 + count * numbers, 30)).astype(np.float32)
    head[-1, 7] = value
    places, confidence = rng.integers(0, 30, n), rng.random(n).astype(np.float32)
    box = fit(600, 401, 160, 96, "letterbox")
    points = pose.keypoints(heads.readable(head), places, 5, numbers, confidence, box.inverse)
    assert points.dtype == np.float32
    np.testing.assert_allclose(points, twin(head, places, 5, numbers, confidence, box), rtol=1e-5, atol=1e-3)


def test_without_the_compiler_the_same_comes_out():
    again_uncompiled(test_keypoints_equal_their_twin)
