"""Pixels in the slot: planes against BGR, every plane layout, rotation, input types, padding."""

from dataclasses import replace

import av
import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vidette.frame import Picture
from vidette.pixels.letterbox import Letterbox, Region, fit
from vidette.pixels.preprocess import Preprocess, slot_shape
from vidette.pixels.slot import ArrayBuffer, SlotWriter

RGB = Preprocess()


def scene(width: int, height: int) -> npt.NDArray[np.uint8]:
    """A smooth coloured picture: what differs between two ways of scaling it is a mistake, not taste."""
    y, x = np.mgrid[:height, :width]
    planes = [127 + 90 * np.sin(x / width * 5 + c) * np.cos(y / height * 4 - c) for c in range(3)]
    return np.stack(planes, -1).astype(np.uint8)


def as_frame(bgr: npt.NDArray[np.uint8], format: str) -> av.VideoFrame:
    return av.VideoFrame.from_ndarray(bgr, format="bgr24").reformat(format=format)


def write(picture: Picture, preprocess: Preprocess, scaling: str, shape: tuple[int, int]) -> npt.NDArray[np.float64]:
    box = fit(picture.width, picture.height, shape[1], shape[0], preprocess.resize)
    buffer = ArrayBuffer(np.zeros(slot_shape(preprocess, 1, shape), preprocess.dtype))
    SlotWriter(preprocess, scaling).write(picture, box, buffer, 0)  # type: ignore[arg-type]
    return buffer.slots[0].astype(np.float64)


@pytest.mark.parametrize(
    "format",
    [
        "yuv420p",
        "yuvj420p",
        "yuv422p",
        "yuv444p",
        "yuv420p10le",
        "yuv422p10le",
        "yuv444p12le",
        "nv12",
        "bgr24",
        "rgb24",
    ],
)
@pytest.mark.parametrize("size", [(640, 360), (640, 359), (641, 359), (320, 180)])
def test_planes_give_what_bgr_gives(format: str, size: tuple[int, int]) -> None:
    frame = as_frame(scene(*size), format)
    fast = write(Picture(frame), RGB, "fast", (192, 320)) * 255
    exact = write(Picture(frame), RGB, "exact", (192, 320)) * 255
    assert np.abs((fast - exact).mean((1, 2))).max() < 0.5  # no channel is brighter: libswscale cuts, and so do we
    assert np.abs(fast - exact).mean() < 1.5
    assert np.percentile(np.abs(fast - exact), 99) < 6


@pytest.mark.parametrize(("colorspace", "range_"), [(1, 1), (5, 1), (1, 2), (9, 1)])
def test_colour_tags_are_honoured(colorspace: int, range_: int) -> None:
    """A frame of one colour, made by the formulas of ITU-T H.273: the slot holds that colour again."""
    kr, kb = {1: (0.2126, 0.0722), 5: (0.299, 0.114), 9: (0.2627, 0.0593)}[colorspace]
    rgb = np.array([200.0, 60.0, 30.0])
    luma = kr * rgb[0] + (1 - kr - kb) * rgb[1] + kb * rgb[2]
    cb, cr = (rgb[2] - luma) / (2 - 2 * kb), (rgb[0] - luma) / (2 - 2 * kr)
    full = range_ == 2
    yuv = [luma, cb + 128, cr + 128] if full else [luma * 219 / 255 + 16, cb * 224 / 255 + 128, cr * 224 / 255 + 128]
    planes = [np.full((64 // s, 64 // s), round(v), np.uint8) for v, s in zip(yuv, (1, 2, 2), strict=True)]
    frame = av.VideoFrame.from_ndarray(np.concatenate([p.ravel() for p in planes]).reshape(96, 64), format="yuv420p")
    frame.colorspace, frame.color_range = colorspace, range_
    got = write(Picture(frame), RGB, "fast", (32, 32))[:, 16, 16] * 255
    np.testing.assert_allclose(got, rgb, atol=2)


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
@pytest.mark.parametrize("scaling", ["fast", "exact"])
def test_rotated_pictures_arrive_upright(rotation: int, scaling: str) -> None:
    upright = scene(320, 200)
    turned = np.ascontiguousarray(np.rot90(upright, -rotation // 90))
    picture = Picture(as_frame(turned, "yuv420p"), rotation)
    assert (picture.width, picture.height) == (320, 200)
    got = write(picture, RGB, scaling, (200, 320)) * 255
    np.testing.assert_allclose(got, upright[:, :, ::-1].transpose(2, 0, 1), atol=8)


def test_the_exact_way_is_resize_and_border_to_the_bit() -> None:
    bgr = np.random.default_rng(0).integers(0, 256, (270, 480, 3), np.uint8)
    got = write(Picture(bgr), RGB, "exact", (384, 640))
    canvas = np.full((384, 640, 3), 114, np.uint8)
    canvas[12:372] = cv2.resize(bgr, (640, 360), interpolation=cv2.INTER_LINEAR)
    np.testing.assert_array_equal(np.rint(got * 255), canvas[:, :, ::-1].transpose(2, 0, 1))


@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
@pytest.mark.parametrize("colour", ["rgb", "bgr"])
@pytest.mark.parametrize("dtype", ["float32", "float16", "uint8", "int32"])
@pytest.mark.parametrize("format", ["yuv420p", "bgr24"])
def test_layout_colour_order_and_type(layout: str, colour: str, dtype: str, format: str) -> None:
    scale = (1.0,) * 3 if dtype in ("uint8", "int32") else (1 / 58, 1 / 57, 1 / 57.5)
    mean = (0.0,) * 3 if dtype in ("uint8", "int32") else (123.0, 116.0, 103.0)
    preprocess = Preprocess(layout=layout, colour=colour, dtype=dtype, scale=scale, mean=mean)  # type: ignore[arg-type]
    bgr = scene(320, 160)
    got = write(Picture(as_frame(bgr, format)), preprocess, "fast", (192, 320))
    got = got.transpose(2, 0, 1) if layout == "nhwc" else got
    expected = bgr[:, :, ::-1] if colour == "rgb" else bgr
    expected = (expected.transpose(2, 0, 1) - np.array(mean)[:, None, None]) * np.array(scale)[:, None, None]
    np.testing.assert_allclose(got[:, 16:176], expected, atol=7 * scale[0])
    pad = (114 - np.array(mean)) * scale
    np.testing.assert_allclose(got[:, :16], np.broadcast_to(pad[:, None, None], (3, 16, 320)), rtol=2e-3)


@given(
    size=st.tuples(st.integers(1, 9), st.integers(1, 40)), place=st.tuples(st.integers(0, 3), st.integers(0, 3)),
    layout=st.sampled_from(["nchw", "nhwc"]), colour=st.sampled_from(["rgb", "bgr"]),
    dtype=st.sampled_from(["float32", "uint8"]), seed=st.integers(0, 999),
)  # fmt: skip
@settings(deadline=None, max_examples=60)
def test_each_pixel_by_the_formula(size, place, layout, colour, dtype, seed) -> None:  # type: ignore[no-untyped-def]
    random = np.random.default_rng(seed)
    bgr = random.integers(0, 256, (*size, 3), np.uint8)
    mean, scale = np.zeros(3), np.ones(3)
    if dtype == "float32":
        mean, scale = random.uniform(-100, 100, 3), random.uniform(0.001, 2, 3)
    (height, width), (top, left) = size, place
    box = Letterbox(width, height, width + 5, height + 5, width, height, left, top)
    preprocess = Preprocess(layout=layout, colour=colour, dtype=dtype, mean=tuple(mean), scale=tuple(scale))
    buffer = ArrayBuffer(np.zeros(slot_shape(preprocess, 1, box.shape), dtype))
    SlotWriter(preprocess).write(Picture(bgr), box, buffer, 0)
    expected = np.full((height + 5, width + 5, 3), 114.0)
    expected[top : top + height, left : left + width] = bgr[..., ::-1] if colour == "rgb" else bgr
    expected = (expected - mean) * scale
    got = buffer.slots[0].transpose(1, 2, 0) if layout == "nchw" else buffer.slots[0]
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-4)


def test_padding_is_renewed_when_the_geometry_of_a_slot_changes() -> None:
    buffer = ArrayBuffer(np.zeros((1, 3, 64, 64), np.float32))
    writer = SlotWriter(RGB)
    white = np.full((64, 64, 3), 255, np.uint8)
    writer.write(Picture(white), fit(64, 64, 64, 64, "letterbox"), buffer, 0)
    writer.write(Picture(white[:16]), fit(64, 16, 64, 64, "letterbox"), buffer, 0)
    np.testing.assert_allclose(buffer.slots[0, :, :24], 114 / 255, rtol=1e-6)
    np.testing.assert_allclose(buffer.slots[0, :, 24:40], 1, rtol=1e-6)
    np.testing.assert_allclose(buffer.slots[0, :, 40:], 114 / 255, rtol=1e-6)


def test_grey_and_alpha() -> None:
    grey = np.tile(np.arange(64, dtype=np.uint8) * 4, (64, 1))
    got = write(Picture(av.VideoFrame.from_ndarray(grey, format="gray")), RGB, "fast", (64, 64)) * 255
    np.testing.assert_allclose(got, np.broadcast_to(grey, (3, 64, 64)), atol=1)
    bgra = np.zeros((64, 64, 4), np.uint8)
    bgra[:, :32] = (10, 20, 30, 255)
    bgra[:, 32:] = (255, 0, 255, 0)  # a colour hidden under full transparency
    picture = Picture(av.VideoFrame.from_ndarray(bgra, format="bgra"))
    got = write(picture, RGB, "fast", (64, 64)) * 255
    np.testing.assert_allclose(got[:, :, 8], np.broadcast_to([[30], [20], [10]], (3, 64)), atol=1)
    np.testing.assert_allclose(got[:, :, 56], 114, atol=1)


def test_scratch_of_one_writer_survives_changing_sizes() -> None:
    writer = SlotWriter(replace(RGB, resize="stretch"))
    for size in ((320, 180), (640, 360), (322, 178), (320, 180)):
        bgr = scene(*size)
        buffer = ArrayBuffer(np.zeros((1, 3, 96, 96), np.float32))
        writer.write(Picture(as_frame(bgr, "yuv420p")), fit(*size, 96, 96, "stretch"), buffer, 0)
        expected = cv2.resize(bgr, (96, 96))[:, :, ::-1].transpose(2, 0, 1)
        np.testing.assert_allclose(buffer.slots[0] * 255, expected, atol=10)


def write_into(picture: Picture, box: Letterbox, scaling: str) -> npt.NDArray[np.float64]:
    buffer = ArrayBuffer(np.zeros(slot_shape(RGB, 1, box.shape), RGB.dtype))
    SlotWriter(RGB, scaling).write(picture, box, buffer, 0)  # type: ignore[arg-type]
    return buffer.slots[0].astype(np.float64) * 255


@pytest.mark.parametrize("scaling", ["fast", "exact"])
@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
@pytest.mark.parametrize("region", [(0, 0, 96, 64), (96, 64, 96, 64), (40, 20, 100, 80)])
def test_a_region_is_written_as_the_picture_cut_out(scaling: str, rotation: int, region: Region) -> None:
    stored = scene(192, 128) if rotation in (0, 180) else scene(128, 192)
    whole = Picture(as_frame(stored, "yuv420p"), rotation)
    left, top, width, height = region
    cut = Picture(np.ascontiguousarray(whole.bgr()[top : top + height, left : left + width]))
    got = write_into(whole, fit(192, 128, 64, 64, "letterbox", region), scaling)
    expected = write_into(cut, fit(width, height, 64, 64, "letterbox"), "exact")
    assert np.abs(got - expected).mean() < (0.01 if scaling == "exact" else 1.5)


@pytest.mark.parametrize("scaling", ["fast", "exact"])
@pytest.mark.parametrize("size", [(192, 128), (128, 192), (100, 100), (40, 90)])
def test_crop_writes_the_middle_of_the_scaled_picture(scaling: str, size: tuple[int, int]) -> None:
    picture = Picture(as_frame(scene(*size), "yuv420p"))
    box = fit(*size, 64, 64, "crop")
    scaled = cv2.resize(picture.bgr(), (box.scaled_width, box.scaled_height), interpolation=cv2.INTER_LINEAR)
    middle = scaled[-box.top : 64 - box.top, -box.left : 64 - box.left, ::-1].transpose(2, 0, 1)
    assert np.abs(write_into(picture, box, scaling) - middle).mean() < (0.01 if scaling == "exact" else 1.5)
