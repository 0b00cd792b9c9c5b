import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.kernels import twin_masks as twin
from tests.kernels import uncompiled
from vidette.kernels import heads, masks
from vidette.pixels.letterbox import fit


def assemble(coefficients, prototypes, xyxy, letterbox, accurate=True):
    left, top = letterbox.left, letterbox.top
    return masks.assemble(
        heads.readable(np.asarray(coefficients)),
        heads.readable(np.asarray(prototypes)),
        np.asarray(xyxy, np.float32).reshape(-1, 4),
        letterbox.inverse,
        np.array([left, top, left + letterbox.scaled_width, top + letterbox.scaled_height], np.int64),
        np.array([letterbox.input_width, letterbox.input_height], np.int64),
        letterbox.width,
        letterbox.height,
        accurate,
    )


def crops(made):
    bits, starts, sizes, *_ = made
    return [bits[s : s + h * w].reshape(h, w) for s, (h, w) in zip(starts, sizes.astype(int), strict=True)]


def boxes(rng, count, width, height):
    corners = rng.uniform(-0.2, 1.2, (count, 2, 2)) * (width, height)
    xyxy = np.concatenate([corners.min(1), corners.max(1)], axis=1)
    xyxy[1::7, 2] = xyxy[1::7, 0]  # without a width
    xyxy[2::7, 2:] = xyxy[2::7, :2] + 0.01
    return np.clip(xyxy, 0, [width, height] * 2).astype(np.float32)


@given(
    width=st.integers(1, 150),
    height=st.integers(1, 150),
    side=st.sampled_from([32, 64, 96]),
    channels=st.sampled_from([1, 3, 4, 7, 32]),
    count=st.sampled_from([0, 1, 20]),
    resize=st.sampled_from(["letterbox", "topleft", "stretch"]),
    seed=st.integers(0, 99),
)
@settings(deadline=None, max_examples=60)
def test_accurate_masks_equal_the_published_ones(width, height, side, channels, count, resize, seed):
    rng = np.random.default_rng(seed)
    letterbox = fit(width, height, 64, side, resize)
    prototypes = rng.normal(size=(channels, side // 4, 16)).astype(np.float32)
    coefficients = rng.normal(size=(count, channels)).astype(np.float32)
    xyxy = boxes(rng, count, width, height)
    made = assemble(coefficients, prototypes, xyxy, letterbox)
    assert made[-1] == heads.OK
    sums = twin.published(coefficients, prototypes, letterbox)
    for crop, box, extent, found, whole in zip(crops(made), xyxy, made[3], made[4], sums, strict=True):
        left, top, right, bottom = extent.astype(int)
        assert (extent == (left, top, right, bottom)).all()
        assert crop.shape == (bottom - top, right - left)
        assert found == crop.any()
        inside = twin.in_box(box, width, height)
        assert inside.sum() == crop.size
        assert inside[top:bottom, left:right].all()
        clear = np.abs(whole[top:bottom, left:right]) > 1e-4
        np.testing.assert_array_equal((crop > 0)[clear], whole[top:bottom, left:right][clear] > 0)


@given(width=st.integers(1, 300), height=st.integers(1, 300), count=st.sampled_from([0, 1, 9]), seed=st.integers(0, 99))
@settings(deadline=None, max_examples=30)
def test_fast_masks_are_the_prototypes_own_samples(width, height, count, seed):
    rng = np.random.default_rng(seed)
    letterbox = fit(width, height, 64, 96, "letterbox")
    prototypes, coefficients = rng.normal(size=(5, 24, 16)), rng.normal(size=(count, 5))
    xyxy = boxes(rng, count, width, height)
    made = assemble(coefficients, prototypes, xyxy, letterbox, accurate=False)
    sums = np.einsum("nk,khw->nhw", coefficients, prototypes)
    for crop, box, extent, whole in zip(crops(made), xyxy, made[3], sums, strict=True):
        cells = letterbox.to_input(extent.reshape(2, 2)) / 4
        (left, top), (right, bottom) = cells.round().astype(int)
        np.testing.assert_allclose(cells, [[left, top], [right, bottom]], atol=1e-6)
        inside = twin.in_box(letterbox.to_input(box.reshape(2, 2)).reshape(-1) / 4, 16, 24)
        if inside.any():  # sides that lie between two cells may round either way
            assert abs(inside.any(axis=0).sum() - crop.shape[1]) <= 1
            assert abs(inside.any(axis=1).sum() - crop.shape[0]) <= 1
        part = whole[top:bottom, left:right]
        clear = np.abs(part) > 1e-4
        np.testing.assert_array_equal((crop > 0)[clear], part[clear] > 0)


def test_an_object_smaller_than_a_cell_has_one():
    letterbox = fit(1920, 1080, 640, 384, "letterbox")
    xyxy = [[700.2, 500.2, 700.9, 500.4], [701, 501, 703, 503]]
    made = assemble(np.ones((2, 1)), np.ones((1, 96, 160)), xyxy, letterbox, accurate=False)
    assert (made[2] == 1).all()
    assert made[4].all()
    assert assemble(np.ones((2, 1)), np.ones((1, 96, 160)), xyxy, letterbox)[4].tolist() == [False, True]


def test_a_tile_is_sampled_where_it_lies():
    rng = np.random.default_rng(1)
    prototypes, coefficients = rng.normal(size=(3, 16, 16)), rng.normal(size=(1, 3))
    tile = fit(400, 300, 64, 64, "letterbox", (100, 50, 90, 60))
    alone = fit(90, 60, 64, 64, "letterbox")
    (one,) = crops(made := assemble(coefficients, prototypes, [[100, 50, 190, 110]], tile))
    (two,) = crops(assemble(coefficients, prototypes, [[0, 0, 90, 60]], alone))
    np.testing.assert_array_equal(one, two)
    assert made[3].tolist() == [[100, 50, 190, 110]]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_sums_that_are_not_numbers_are_seen_inside_boxes(value):
    letterbox = fit(64, 64, 64, 64, "letterbox")
    broken = np.ones((2, 16, 16))
    broken[1, 3, 3] = value
    for accurate in (True, False):
        assert assemble(np.ones((1, 2)), broken, [[0, 0, 30, 30]], letterbox, accurate)[-1] == heads.NAN
        assert assemble(np.ones((1, 2)), broken, [[30, 30, 60, 60]], letterbox, accurate)[-1] == heads.OK
        assert assemble([[1, value]], np.ones((2, 16, 16)), [[0, 0, 9, 9]], letterbox, accurate)[-1] == heads.NAN


def test_the_worst_picture_is_bounded():
    letterbox = fit(1920, 1080, 640, 384, "letterbox")
    made = assemble(np.ones((300, 1)), np.ones((1, 96, 160)), [[0, 0, 1920, 1080]] * 300, letterbox)
    fine = (made[2] == (1080, 1920)).all(axis=1)
    assert fine.sum() == masks.MOST // (1920 * 1080)
    assert fine[: fine.sum()].all()
    assert (made[2][~fine] == (90, 160)).all()
    np.testing.assert_allclose(made[3], [[0, 0, 1920, 1080]] * 300, atol=1e-9)
    assert made[0].all()


def test_half_precision_and_any_memory_use_one_compiled_version():
    rng = np.random.default_rng(3)
    half = rng.normal(size=(4, 16, 16)).astype(np.float16)
    coefficients = rng.normal(size=(4, 2)).astype(np.float16)
    letterbox = fit(100, 80, 64, 64, "letterbox")
    kinds = [half, half.astype(np.float32), np.asfortranarray(half), half.astype(np.float64)]
    answers = [assemble(coefficients.T, kind, [[0, 0, 90, 70], [5, 5, 50, 50]], letterbox) for kind in kinds]
    for answer in answers:
        np.testing.assert_array_equal(answer[0], answers[0][0])
    assert len(getattr(masks.assemble, "signatures", [1])) == 1


def test_without_the_compiler_the_same_comes_out():
    uncompiled(
        """
import numpy as np
from tests.kernels import twin_masks as twin
from tests.kernels.test_masks import assemble, boxes, crops
from vidette.kernels import masks, polygons, rle
from vidette.pixels.letterbox import fit
assert not hasattr(masks.assemble, "py_func")
rng = np.random.default_rng(0)
letterbox = fit(40, 30, 32, 32, "letterbox")
prototypes, coefficients = rng.normal(size=(5, 8, 8)), rng.normal(size=(3, 5))
xyxy = boxes(rng, 3, 40, 30)
for accurate in (True, False):
    made = assemble(coefficients, prototypes, xyxy, letterbox, accurate)
    points, ends, holes, owners = polygons.outlines(*made[:4], 0.0, polygons.ALL)
    rings = np.split(points, ends[:-1])
    for i, (crop, extent) in enumerate(zip(crops(made), made[3])):
        if accurate and crop.size:
            left, top, right, bottom = extent.astype(int)
            whole = twin.published(coefficients, prototypes, letterbox)[i, top:bottom, left:right]
            assert ((crop > 0) == (whole > 0)).all()
        scale = (extent[2:] - extent[:2]) / np.maximum(crop.shape[::-1], 1)
        mine = [(ring - extent[:2]) / scale for ring, owner in zip(rings, owners) if owner == i]
        assert (twin.filled(mine, crop.shape[1], crop.shape[0]) == crop).all()
    assert len(polygons.outlines(*made[:4], 1.0, polygons.LONGEST)[1]) == made[4].sum()
crop = (rng.random((7, 5)) < 0.5).astype(np.uint8)
text = rle.characters(rle.runs(np.ascontiguousarray(crop.T), 2, 3, 9, 11)).tobytes().decode()
assert (twin.decode(text, 9, 11)[3:10, 2:7] == crop).all() and twin.decode(text, 9, 11).sum() == crop.sum()
"""
    )
