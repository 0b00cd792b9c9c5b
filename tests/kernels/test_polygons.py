import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.kernels import again_uncompiled
from tests.kernels import twin_masks as twin
from vidette.kernels import polygons
from vidette.kernels.contours import SLACK


def outlines(masks, tolerance=0.0, parts=polygons.ALL, extents=None):
    """[(points, hole, owner), ...]"""
    sizes = np.array([m.shape for m in masks], np.int32).reshape(-1, 2)
    areas = sizes.astype(np.int64).prod(axis=1)
    bits = np.concatenate([np.zeros(0, np.uint8), *(np.asarray(m, np.uint8).reshape(-1) for m in masks)])
    extents = np.array([[0, 0, m.shape[1], m.shape[0]] for m in masks] if extents is None else extents, np.float64)
    points, ends, holes, owners = polygons.outlines(
        bits, np.cumsum(areas) - areas, sizes, extents.reshape(-1, 4), tolerance, parts
    )
    assert points.dtype == np.float32
    return list(zip(np.split(points, ends[:-1])[: len(ends)], holes.tolist(), owners.tolist(), strict=True))


def disc(radius):
    y, x = np.mgrid[: 2 * radius + 3, : 2 * radius + 3] - radius - 1
    return x * x + y * y <= radius * radius


RING = np.pad(np.pad(np.ones((1, 1)), 2), 1, constant_values=1)  # a square ring around a single sample
SHAPES = {
    "nothing": np.zeros((4, 5)),
    "no samples": np.zeros((0, 7)),
    "one": np.ones((1, 1)),
    "one of many": np.eye(1, 9, 4).reshape(3, 3),
    "full": np.ones((6, 11)),
    "wide": np.ones((1, 100)),
    "touching diagonals": np.eye(5),
    "other diagonals": np.eye(5)[::-1],
    "checkerboard": np.indices((9, 10)).sum(0) % 2,
    "ring": RING,
    "rings in rings": np.pad(np.pad(RING, 1), 1, constant_values=1),
    "two holes": 1 - np.pad(np.array([[1, 0, 1]]), 1),
    "holes that touch": 1 - np.pad(np.eye(3), 1),
    "comb": np.vstack([np.tile([1, 0], 8), np.tile([1, 0], 8), np.ones(16)]),
}


def check_exact(mask):
    found = outlines([mask])
    height, width = mask.shape
    np.testing.assert_array_equal(twin.filled([points for points, *_ in found], width, height), mask)
    objects, holes = twin.parts(mask) if mask.size else (0, 0)
    assert [hole for _, hole, _ in found].count(False) == objects
    assert [hole for _, hole, _ in found].count(True) == holes
    for points, hole, _ in found:
        assert len(points) >= 4
        assert (twin.area(points) < 0) == hole
        assert (np.abs(points - np.roll(points, 1, axis=0)) > 0).sum() == len(points), "right angles, corners only"
    return found


@pytest.mark.parametrize("name", SHAPES)
def test_outlines_enclose_exactly_their_mask(name):
    check_exact(SHAPES[name])


@given(
    height=st.integers(1, 25),
    width=st.integers(1, 25),
    density=st.sampled_from([0.05, 0.4, 0.6, 0.95]),
    seed=st.integers(0, 999),
)
@settings(deadline=None, max_examples=80)
def test_outlines_of_noise_enclose_exactly_their_mask(height, width, density, seed):
    check_exact(np.random.default_rng(seed).random((height, width)) < density)


@pytest.mark.parametrize("width", [1, 7, 62, 63, 64, 65, 127, 128, 200])
def test_crops_of_any_width_may_lie_anywhere_beside_others(width):
    rng = np.random.default_rng(width)
    masks = [(rng.random((3, width)) < density).astype(np.uint8) for density in (0.5, 0.95, 0.05)]
    between = np.ones((1, 5), np.uint8)
    for leading in range(3):  # where a mask starts and ends in memory
        found = outlines([between] * leading + [each for mask in masks for each in (mask, between)])
        for i, mask in enumerate(masks):
            mine = [points for points, _, owner in found if owner == leading + 2 * i]
            np.testing.assert_array_equal(twin.filled(mine, width, 3), mask)


def test_outer_outlines_come_from_the_top_and_holes_behind_theirs():
    found = outlines([np.hstack([RING, np.zeros((7, 2)), RING, np.zeros((7, 1)), np.ones((7, 2))])])
    assert [hole for _, hole, _ in found] == [False, True, False, True, False, False, False]
    corners = [points.min(axis=0).tolist() for points, *_ in found]
    assert corners == [[0, 0], [1, 1], [9, 0], [10, 1], [17, 0], [3, 3], [12, 3]]


def test_holes_lie_in_theirs_however_far_right_that_is():
    found = outlines([np.hstack([RING, np.zeros((7, 60)), RING, np.zeros((7, 1)), np.ones((7, 70)), RING])])
    assert [hole for _, hole, _ in found] == [False, True] * 3 + [False] * 3
    corners = [points.min(axis=0).tolist() for points, *_ in found]
    assert corners == [[0, 0], [1, 1], [67, 0], [68, 1], [75, 0], [146, 1], [3, 3], [70, 3], [148, 3]]


def test_a_checkerboard_of_thousands_is_one_object_full_of_holes():
    found = outlines([np.indices((201, 201)).sum(0) % 2])
    assert sum(not hole for _, hole, _ in found) == 1
    assert len(found) == 1 + 199 * 199 // 2 + 1
    assert sum(twin.area(points) for points, *_ in found) == 201 * 201 // 2


def test_which_parts():
    mask = np.zeros((30, 30))
    mask[2:12, 2:12] = 1
    mask[5:8, 5:8] = 0
    mask[20:22, 5:25] = np.tile([[1, 0], [1, 1]], 10)
    every = outlines([mask])
    (largest, hole, _), (inner, inner_hole, _) = outlines([mask], parts=polygons.LARGEST)
    assert (twin.area(largest), hole, twin.area(inner), inner_hole) == (100, False, -9, True)
    ((longest, hole, _),) = outlines([mask], 2.0, polygons.LONGEST)
    assert not hole
    assert longest[:, 1].min() >= 19, "it had most corners, though not after simplification"
    assert len(every) == 3


def blobs(rng, side):
    """Smooth shapes with some holes, and now and then needles."""
    y, x = np.mgrid[:side, :side] / side
    waves = sum(
        a * np.sin(2 * np.pi * (u * x + v * y + p))
        for a, u, v, p in zip(
            rng.normal(size=6), rng.uniform(0, 3, 6), rng.uniform(0, 3, 6), rng.random(6), strict=True
        )
    )
    return waves > 0


@given(side=st.integers(2, 90), tolerance=st.sampled_from([0.2, 1.0, 1.5, 4.0]), seed=st.integers(0, 999))
@settings(deadline=None, max_examples=80)
def test_simplified_outlines_keep_area_and_place(side, tolerance, seed):
    mask = blobs(np.random.default_rng(seed), side)
    exact, simple = outlines([mask]), outlines([mask], tolerance)
    assert [hole for _, hole, _ in simple] == [hole for _, hole, _ in exact]
    assert abs(sum(twin.area(points) for points, *_ in simple) - mask.sum()) <= 0.01 * mask.sum()
    for (points, *_), (corners, *_) in zip(simple, exact, strict=True):
        assert 3 <= len(points) <= len(corners)
        assert (points >= 0).all()
        assert (points <= side).all()
        assert max(twin.distance(corner, points) for corner in corners) <= 2 * (tolerance + 0.5)


@given(seed=st.integers(0, 99), density=st.sampled_from([0.1, 0.5, 0.9]), tolerance=st.sampled_from([1.0, 9.0]))
@settings(deadline=None, max_examples=30)
def test_noise_keeps_its_area_too(seed, density, tolerance):
    mask = np.random.default_rng(seed).random((20, 30)) < density
    total = sum(twin.area(points) for points, *_ in outlines([mask], tolerance))
    assert abs(total - mask.sum()) <= 0.01 * mask.sum()


@given(
    corners=st.integers(2, 150),
    tolerance=st.sampled_from([0.1, 1.0, 5.0, 60.0]),
    seed=st.integers(0, 999),
)
@settings(deadline=None, max_examples=60)
def test_thin_keeps_what_douglas_and_peucker_do(corners, tolerance, seed):
    rng = np.random.default_rng(seed)
    points = rng.normal(0, 3, (corners, 2)).cumsum(axis=0).astype(np.float32)
    points = np.vstack([points, points[:1]])
    xs, ys = np.vstack([points, rng.normal(0, 1e6, (SLACK, 2)).astype(np.float32)]).T.copy()
    kept, stack = np.empty((2, len(points)), np.int64)
    distances = np.empty(len(points) + SLACK, np.float32)
    sides = polygons.thin(xs, ys, corners, tolerance, kept, stack, distances)
    assert kept[: sides + 1].tolist() == twin.thinned(points.astype(float), tolerance)


def test_few_corners_are_enough():
    assert len(outlines([np.ones((50, 80))], 1.0)[0][0]) == 4
    circle = outlines([disc(100)], 1.0)[0][0]
    assert len(circle) < 40 < len(outlines([disc(100)])[0][0])
    turned = np.array([[abs(x - 80) + 2 * abs(y - 80) < 70 for x in range(160)] for y in range(160)])
    assert len(outlines([turned], 1.0)[0][0]) <= 6


def test_samples_may_be_larger_than_pixels():
    mask = disc(12)
    extent = np.array([10.5, 20.25, 10.5 + 27 * 8, 20.25 + 27 * 12])
    for tolerance in (0.0, 1.0):
        ((points, *_),) = outlines([mask], tolerance, extents=[extent])
        assert abs(twin.area(points) / (mask.sum() * 96) - 1) <= 0.01
        np.testing.assert_allclose(points.mean(axis=0), [10.5 + 108, 20.25 + 162], atol=12)
    plain = outlines([mask])[0][0]
    exact = outlines([mask], extents=[extent])[0][0]
    np.testing.assert_allclose(exact, plain * (8, 12) + extent[:2], rtol=1e-6)


def test_many_objects_keep_their_order_and_their_memory():
    masks = [disc(3), np.zeros((4, 4)), np.ones((2, 5)), np.zeros((0, 0)), RING] * 40
    found = outlines(masks, 1.0)
    owners = [owner for *_, owner in found]
    assert owners == sorted(owners)
    assert set(owners) == {i for i, mask in enumerate(masks) if mask.any()}
    before = [points.copy() for points, *_ in found]
    outlines(masks[::-1], 0.0)
    for (points, *_), old in zip(found, before, strict=True):
        np.testing.assert_array_equal(points, old)
    assert outlines([]) == []


def test_without_the_compiler_the_same_comes_out():
    again_uncompiled(
        test_outlines_of_noise_enclose_exactly_their_mask,
        test_noise_keeps_its_area_too,
        test_thin_keeps_what_douglas_and_peucker_do,
        test_which_parts,
    )
