import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.kernels import twin_keypoints as twin
from tests.kernels import uncompiled
from vidette.kernels import heads, keypoints

REFINEMENTS = {"quarter": keypoints.QUARTER, "dark": keypoints.DARK, "udp": keypoints.UDP}
NUMBERS = [0.0, -0.0, 1.0, -1.0, 1e-38, -1e-38, 3e38, -3e38]


def read(*shape, rng, low=0.0, high=1.0):
    return heads.readable(rng.uniform(low, high, shape).astype(np.float32))


def same(found, expected, atol=1e-3):
    """Candidates, points and state of a face kernel, and those of its twin."""
    candidates, points, state = found
    assert state == heads.OK
    assert candidates.dtype == points.dtype == np.float32
    assert candidates.shape == (6, len(expected))
    assert len(points) == len(expected)
    for k, (box, score, marks) in enumerate(expected):
        np.testing.assert_allclose(candidates[:4, k], box, rtol=2e-5, atol=atol)
        assert candidates[4, k] == pytest.approx(score, abs=1e-6)
        assert candidates[5, k] == 0
        np.testing.assert_allclose(points[k], np.reshape(marks, points[k].shape), rtol=2e-5, atol=atol)


@given(values=st.lists(st.one_of(st.sampled_from(NUMBERS), st.floats(width=32, allow_nan=False, allow_infinity=False))))
@settings(deadline=None, max_examples=100)
def test_the_peak_is_the_first_largest(values):
    array = np.array(values, np.float32)
    position, value, sound = keypoints.peak(array)
    assert sound == bool(values)
    if values:
        assert value == array.max()
        assert array[position] == value
        assert not (array[:position] > value).any()


@pytest.mark.parametrize("poison", [np.nan, -np.nan, np.inf, -np.inf])
def test_a_peak_among_what_is_no_number(poison):
    values = np.linspace(-1, 1, 40).astype(np.float32)
    values[7] = poison
    assert not keypoints.peak(values)[2]


@given(
    count=st.sampled_from([0, 1, 17, 133]), wide=st.integers(1, 60), high=st.integers(1, 60), seed=st.integers(0, 99)
)
@settings(deadline=None, max_examples=40)
def test_axes_equal_their_twin(count, wide, high, seed):
    rng = np.random.default_rng(seed)
    across, down = read(count, wide, rng=rng, low=-0.5, high=1.2), read(count, high, rng=rng, low=-0.5, high=1.2)
    points, state = keypoints.axes(across, down, wide / 2, high / 2)
    assert state == heads.OK
    np.testing.assert_allclose(points, twin.simcc(across, down, wide / 2, high / 2).reshape(-1, 3), atol=1e-4)


def bumps(rng, count, h, w, noise):
    """Gaussians anywhere, also at borders and with nothing in the last map."""
    y, x = np.mgrid[:h, :w]
    maps = np.empty((count, h, w), np.float32)
    for heat in maps:
        cy, cx, top = rng.uniform(0, h - 1), rng.uniform(0, w - 1), rng.uniform(0.3, 1)
        heat[:] = top * np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / 8) + noise * rng.random((h, w))
    if count > 1:
        maps[-1] = -0.1
    return maps


@pytest.mark.parametrize("refine", REFINEMENTS)
@given(
    count=st.sampled_from([0, 1, 5]),
    size=st.sampled_from([(64, 48), (16, 12), (5, 7), (1, 1), (2, 9)]),
    noise=st.sampled_from([0.0, 0.05]),
    seed=st.integers(0, 99),
)
@settings(deadline=None, max_examples=40)
def test_heat_equals_its_twin(refine, count, size, noise, seed):
    if refine == "udp" and 1 in size:
        return  # the published formula divides by size - 1
    maps = bumps(np.random.default_rng(seed), count, *size, noise)
    width, height = 4 * size[1], 4 * size[0]
    points, state = keypoints.heat(heads.readable(maps), REFINEMENTS[refine], twin.gaussian(), width, height)
    assert state == heads.OK
    expected = twin.heatmaps(maps, refine, width, height)
    sound = np.abs(expected[:, :2]).max(axis=1, initial=0) < 1e4  # a flat top throws the published Newton step anywhere
    np.testing.assert_allclose(points[sound], expected[sound], rtol=1e-3, atol=0.02)


def test_refinements_find_the_middle_between_samples():
    y, x = np.mgrid[:64, :48]
    maps = np.exp(-((x - 20.3) ** 2 + (y - 40.8) ** 2) / 8).astype(np.float32)[None]
    for refine, away in (("quarter", 0.3), ("dark", 0.02), ("udp", 0.02)):
        points, _ = keypoints.heat(heads.readable(maps), REFINEMENTS[refine], twin.gaussian(), 48, 64)
        at = points[0, :2] * ((47 / 48, 63 / 64) if refine == "udp" else (1, 1))
        assert np.abs(at - (20.3, 40.8)).max() < away
        assert points[0, 2] == maps.max()


@given(count=st.sampled_from([0, 1, 17]), floor=st.sampled_from([0.0, 0.3, 0.9]), seed=st.integers(0, 99))
@settings(deadline=None, max_examples=40)
def test_a_person_is_around_the_points_that_count(count, floor, seed):
    rng = np.random.default_rng(seed)
    points = rng.uniform(-1, 1, (count, 3)).astype(np.float32) * (200, 200, 1)
    inverse = np.array([2.0, 3.0, 10.0, 20.0])
    placed, xyxy, confidence, state = keypoints.person(
        heads.readable(points.astype(np.float32)), inverse, 300, 200, floor
    )
    assert state == heads.OK
    expected = (points[:, :2] - (10, 20)) * (2, 3)
    np.testing.assert_allclose(placed[0, :, :2], expected, rtol=1e-5, atol=1e-3)
    counted = points[:, 2] > np.float32(floor)
    inside = expected[counted].clip(0, (300, 200))
    if len(inside) and (inside.max(axis=0) > inside.min(axis=0)).all():
        np.testing.assert_allclose(xyxy[0], [*inside.min(axis=0), *inside.max(axis=0)], rtol=1e-5, atol=1e-3)
        assert confidence[0] == pytest.approx(points[counted, 2].mean(), abs=1e-6)
    else:
        assert confidence[0] == 0


@given(rows=st.sampled_from([0, 1, 6, 3000]), confidence=st.sampled_from([0.0, 0.25, 1.0]), seed=st.integers(0, 99))
@settings(deadline=None, max_examples=20)
def test_people_equal_their_twin(rows, confidence, seed):
    head = read(rows, 56, rng=np.random.default_rng(seed), low=-0.2, high=1.2)
    found = keypoints.people(head, confidence, 256, 160)
    same(found, twin.several(head, np.float32(confidence), 256, 160))


@given(
    grid=st.sampled_from([(1, 1), (4, 3), (80, 80)]),
    confidence=st.sampled_from([0.0, 0.5, 0.9]),
    ties=st.booleans(),
    seed=st.integers(0, 99),
)
@settings(deadline=None, max_examples=20)
def test_yunet_equals_its_twin(grid, confidence, ties, seed):
    rng = np.random.default_rng(seed)
    n = grid[0] * grid[1]
    classes, objects = read(n, 1, rng=rng, low=-0.1, high=1.1), read(n, 1, rng=rng, low=-0.1, high=1.1)
    if ties:
        classes = objects = heads.readable(np.full((n, 1), 0.75, np.float32))
    boxes, landmarks = read(n, 4, rng=rng, low=-3, high=3), read(n, 10, rng=rng, low=-3, high=3)
    found = keypoints.yunet(classes, objects, boxes, landmarks, confidence, 8, grid[0])
    same(found, twin.yunet(classes, objects, boxes, landmarks, confidence, 8, grid[0]))


@given(
    grid=st.sampled_from([(1, 1), (4, 3), (40, 40)]),
    anchors=st.integers(1, 2),
    marks=st.sampled_from([0, 5]),
    scale=st.sampled_from([1.0, 1e30]),
    seed=st.integers(0, 99),
)
@settings(deadline=None, max_examples=20)
def test_scrfd_equals_its_twin(grid, anchors, marks, scale, seed):
    rng = np.random.default_rng(seed)
    n = grid[0] * grid[1] * anchors
    scores, boxes = read(n, 1, rng=rng), read(n, 4, rng=rng, low=-scale, high=3 * scale)
    landmarks = read(n, 2 * marks, rng=rng, low=-3, high=3)
    found = keypoints.scrfd(scores, boxes, landmarks, 0.5, 16, grid[0], anchors)
    same(found, twin.scrfd(scores, boxes, landmarks, np.float32(0.5), 16, grid[0], anchors))


@given(
    grid=st.sampled_from([(16, 2), (8, 6), (48, 1)]),
    confidence=st.sampled_from([0.0, 0.5, 1.0]),
    seed=st.integers(0, 99),
)
@settings(deadline=None, max_examples=20)
def test_blazeface_equals_its_twin(grid, confidence, seed):
    rng = np.random.default_rng(seed)
    n = grid[0] ** 2 * grid[1]
    logits, values = read(n, 1, rng=rng, low=-9, high=9), read(n, 16, rng=rng, low=-50, high=50)
    found = keypoints.blazeface(logits, values, confidence, *grid, 128, 128)
    same(found, twin.blazeface(logits, values, confidence, *grid, 128, 128))


@pytest.mark.parametrize("poison", [np.nan, np.inf, -np.inf])
def test_scores_that_are_no_numbers(poison):
    rng = np.random.default_rng(1)
    bad = np.zeros((12, 1), np.float32)
    bad[5] = poison
    bad, zero = heads.readable(bad), heads.readable(np.zeros((12, 1), np.float32))
    four, ten, sixteen = (read(12, columns, rng=rng) for columns in (4, 10, 16))
    assert keypoints.yunet(bad, zero, four, ten, 0.5, 8, 4)[2] == heads.NAN
    assert keypoints.yunet(zero, bad, four, ten, 0.5, 8, 4)[2] == heads.NAN
    assert keypoints.scrfd(bad, four, ten, 0.5, 8, 4, 1)[2] == heads.NAN
    assert keypoints.blazeface(bad, sixteen, 0.5, 2, 3, 128, 128)[2] == heads.NAN
    assert keypoints.axes(bad, zero, 1, 1)[1] == heads.NAN
    assert keypoints.axes(zero, bad, 1, 1)[1] == heads.NAN
    maps = heads.readable(np.array(bad).reshape(1, 3, 4))
    assert keypoints.heat(maps, keypoints.DARK, twin.gaussian(), 4, 3)[1] == heads.NAN
    points = read(5, 3, rng=rng).copy()
    points[2, 1] = poison
    assert keypoints.person(heads.readable(points), np.ones(4), 9, 9, 0.1)[3] == heads.NAN
    head = read(6, 56, rng=rng).copy()
    head[3, 55] = poison
    assert keypoints.people(heads.readable(head), 0.9, 1, 1)[2] == heads.NAN


@pytest.mark.parametrize("column", range(16))
def test_found_places_that_are_no_numbers(column):
    def poisoned(columns):
        values = np.zeros((12, columns), np.float32)
        values[5, column % columns] = np.nan
        return heads.readable(values)

    sure = heads.readable(np.full((12, 1), 0.9, np.float32))
    four, ten = (heads.readable(np.zeros((12, columns), np.float32)) for columns in (4, 10))
    assert keypoints.blazeface(sure, poisoned(16), 0.5, 2, 3, 128, 128)[2] == heads.NAN
    for boxes, landmarks in ((poisoned(4), ten), (four, poisoned(10))):
        assert keypoints.yunet(sure, sure, boxes, landmarks, 0.5, 8, 4)[2] == heads.NAN
        assert keypoints.scrfd(sure, boxes, landmarks, 0.5, 8, 4, 1)[2] == heads.NAN


def test_without_the_compiler_the_same_comes_out():
    chosen = "equal or person or numbers or middle or peak"
    uncompiled(
        f"""
import pytest
raise SystemExit(pytest.main(["-q", "-x", "-p", "no:cacheprovider", "-k", {chosen!r}, {__file__!r}]))
"""
    )
