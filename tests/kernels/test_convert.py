"""Pixels into input values: each kernel against the formulas of ITU-T H.273 in float64."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.kernels import again_uncompiled
from vidette.kernels import convert

# ITU-R BT.601, limited range, 8 bits: luma offset and gain, chroma offset, and what chroma adds
MATRIX = np.array([16, 255 / 219, 128, 1.596027, 0.391762, 0.812968, 2.017232], np.float32)


def rgb(y, u, v, cut):
    """(h, w, 3) float64 red, green, blue, 0..255."""
    y0, ky, c0, rv, gu, gv, bu = MATRIX.astype(np.float64)
    luma, cb, cr = (y - y0) * ky, u - c0, v - c0
    parts = [luma, rv * cr, -gu * cb, -gv * cr, bu * cb]
    luma, r, gb, gr, b = (np.floor(part) for part in parts) if cut else parts
    return np.clip(np.stack([luma + r, luma + gb + gr, luma + b], -1), 0, 255)


def expected(pixels, red, scale, bias, size, top, left):
    """(H, W, 3) values where the picture lies, zeros around it."""
    whole = np.zeros((*size, 3))
    values = (pixels if red == 0 else pixels[..., ::-1]) * scale + bias
    whole[top : top + len(pixels), left : left + pixels.shape[1]] = values
    return whole


cases = given(
    size=st.tuples(st.integers(1, 9), st.integers(1, 40)), place=st.tuples(st.integers(0, 3), st.integers(0, 3)),
    red=st.sampled_from([0, 2]), cut=st.booleans(), extreme=st.booleans(), seed=st.integers(0, 999),
)  # fmt: skip


def numbers(rng, extreme):
    scale = rng.uniform(0.001, 2, 3).astype(np.float32) if not extreme else np.array([1, 1e-6, 100], np.float32)
    return scale, rng.uniform(-300, 300, 3).astype(np.float32)


def check(got, wanted, cut, scale):
    # A product that lies on a whole number may be cut to either side in float32: one level of one part, or two.
    off = np.abs(got - wanted)
    slack = 1e-3 + np.abs(wanted) * 1e-5
    assert (off <= slack + (2.01 * scale.max() if cut else 0)).all()
    if cut:
        assert (off > slack).mean() < 0.2


@cases
@settings(deadline=None, max_examples=40)
def test_yuv_equals_its_twin(size, place, red, cut, extreme, seed):
    rng = np.random.default_rng(seed)
    planes = [rng.integers(0, 256, size, np.uint8) for _ in range(3)]
    if extreme:
        planes = [rng.choice(np.array([0, 16, 128, 235, 255], np.uint8), size) for _ in range(3)]
    scale, bias = numbers(rng, extreme)
    whole = size[0] + place[0] + 2, size[1] + place[1] + 2
    wanted = expected(rgb(*(p.astype(np.float64) for p in planes), cut), red, scale, bias, whole, *place)
    out = np.zeros((3, *whole), np.float32)
    convert.yuv_to_planes(*planes, out, *place, red, MATRIX, scale, bias, cut)
    check(out.transpose(1, 2, 0), wanted, cut, scale)


@cases
@settings(deadline=None, max_examples=40)
def test_grey_equals_its_twin(size, place, red, cut, extreme, seed):
    rng = np.random.default_rng(seed)
    levels = np.array([0, 16, 128, 235, 255], np.uint8) if extreme else np.arange(256, dtype=np.uint8)
    planes = [rng.choice(levels, size) for _ in range(3)]
    (scale, *_), (bias, *_) = numbers(rng, extreme)
    whole = size[0] + place[0] + 2, size[1] + place[1] + 2
    top, left = place
    inside = np.s_[top : top + size[0], left : left + size[1]]

    wanted, out = np.zeros(whole), np.zeros(whole, np.float32)
    pixels = rgb(*(plane.astype(np.float64) for plane in planes), cut)
    wanted[inside] = pixels @ [0.299, 0.587, 0.114] * scale + bias
    convert.yuv_to_grey(*planes, out, *place, MATRIX, scale, bias, cut)
    check(out, wanted, cut, scale)

    wanted, out = np.zeros(whole), np.zeros(whole, np.float32)
    offset, gain = np.float32(rng.uniform(0, 20)), np.float32(rng.uniform(0.5, 1.5))
    wanted[inside] = np.clip((planes[0].astype(np.float64) - offset) * gain, 0, 255) * scale + bias
    convert.plane_to_values(planes[0], out, *place, offset, gain, scale, bias)
    check(out, wanted, False, scale)


def test_without_the_compiler_the_same_comes_out():
    again_uncompiled(test_yuv_equals_its_twin, test_grey_equals_its_twin)
