"""The geometry: the numbers of known tools, and the way back exact to half a pixel."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidette.pixels.letterbox import Letterbox, fit, own_shape

SIDES = st.integers(16, 4000)


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((1280, 720), (640, 384)),  # 16:9 at 640 is 384x640
        ((1920, 1080), (640, 384)),
        ((768, 576), (640, 480)),
        ((810, 1080), (480, 640)),
        ((640, 640), (640, 640)),
        ((4000, 16), (640, 32)),
        ((16, 4000), (64, 640)),
    ],
)
def test_own_shape_is_the_longer_side_at_640_padded_to_the_stride(
    size: tuple[int, int], expected: tuple[int, int]
) -> None:
    assert own_shape(*size, 640, 32) == expected


@pytest.mark.parametrize("size", [32, 40, 64, 100])
def test_own_shapes_of_small_inputs_divide_by_the_stride(size: int) -> None:
    for width, height in ((480, 640), (16, 4000), (640, 480)):
        assert all(side % 32 == 0 for side in own_shape(width, height, size, 32))


def test_letterbox_centres_and_gives_the_odd_pixel_to_the_right_and_below() -> None:
    box = fit(600, 399, 160, 160, "letterbox")
    assert (box.scaled_width, box.scaled_height) == (160, 106)
    assert (box.left, box.top) == (0, 27)
    box = fit(101, 100, 101, 103, "letterbox")
    assert (box.left, box.top, 103 - box.top - box.scaled_height) == (0, 1, 2)


def test_topleft_pads_right_and_below_and_truncates() -> None:
    box = fit(600, 399, 416, 416, "topleft")
    assert (box.scaled_width, box.scaled_height, box.left, box.top) == (416, 276, 0, 0)


def test_stretch_uses_one_gain_per_axis() -> None:
    box = fit(600, 400, 512, 512, "stretch")
    np.testing.assert_allclose(box.to_source(np.array([[512, 512]])), [[600, 400]])


@pytest.mark.parametrize(
    ("size", "resize", "margin", "expected"),
    [
        ((810, 1080), "crop", 1.0, (224, 298, 0, -37)),  # torchvision: Resize(224), CenterCrop(224)
        ((600, 400), "crop", 1.0, (336, 224, -56, 0)),
        ((600, 400), "crop", 0.875, (384, 256, -80, -16)),  # Resize(256), CenterCrop(224)
        ((100, 1000), "crop", 0.875, (256, 2560, -16, -1168)),
        ((224, 224), "crop", 1.0, (224, 224, 0, 0)),
        ((600, 400), "stretch", 0.875, (256, 256, -16, -16)),
    ],
)
def test_classifiers_see_the_middle_of_the_scaled_picture(size, resize, margin, expected):
    box = fit(*size, 224, 224, resize, margin=margin)
    assert (box.scaled_width, box.scaled_height, box.left, box.top) == expected


@given(SIDES, SIDES, st.sampled_from(["letterbox", "topleft", "stretch", "crop"]), st.integers(0, 2**32 - 1))
def test_there_and_back_is_the_identity(width: int, height: int, resize: str, seed: int) -> None:
    box = fit(width, height, 640, 384, resize)  # type: ignore[arg-type]
    points = np.random.default_rng(seed).random((20, 2)) * (width, height)
    np.testing.assert_allclose(box.to_source(box.to_input(points)), points, atol=1e-6)


def test_the_way_back_finds_what_was_drawn_to_half_a_pixel_of_the_input() -> None:
    """A white rectangle is scaled by cv2 into the input; its edges there, mapped back, are where it was drawn."""
    import cv2

    rng = np.random.default_rng(7)
    worst = 0.0
    for _ in range(200):
        width, height = (int(v) for v in rng.integers(64, 2200, 2))
        x1, y1 = int(rng.integers(0, width // 2)), int(rng.integers(0, height // 2))
        x2 = int(rng.integers(x1 + max(8, width // 4), width + 1))
        y2 = int(rng.integers(y1 + max(8, height // 4), height + 1))
        box = fit(width, height, *own_shape(width, height, 640, 32), "letterbox")
        columns = np.zeros((1, width), np.float32)
        columns[0, x1:x2] = 1
        rows = np.zeros((height, 1), np.float32)
        rows[y1:y2] = 1
        # area keeps the sums: the edge positions of the scaled rectangle can be read from them
        columns = cv2.resize(columns, (box.scaled_width, 1), interpolation=cv2.INTER_AREA)[0]
        rows = cv2.resize(rows, (1, box.scaled_height), interpolation=cv2.INTER_AREA)[:, 0]
        found = box.to_source(np.array([_edges(columns, box.left), _edges(rows, box.top)]).T)
        error = np.abs(found - [[x1, y1], [x2, y2]]) / (width / box.scaled_width, height / box.scaled_height)
        worst = max(worst, float(error.max()))
    assert worst <= 0.5


def _edges(profile: np.ndarray, offset: int) -> tuple[float, float]:
    """Start and end of the one bright stretch of a profile, in input pixels."""
    inside = np.nonzero(profile > 0.5)[0]
    first, last = int(inside[0]), int(inside[-1])
    start = first - (profile[first - 1] if first else 0) + (1 - profile[first])
    end = last + profile[last] + (profile[last + 1] if last + 1 < len(profile) else 0)
    return start + offset, end + offset


def test_equal_geometry_compares_equal_and_knows_its_shape() -> None:
    assert fit(1280, 720, 640, 384, "letterbox") == Letterbox(1280, 720, 640, 384, 640, 360, 0, 12)
    assert fit(1280, 720, 640, 384, "letterbox").shape == (384, 640)
