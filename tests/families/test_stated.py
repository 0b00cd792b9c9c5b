"""What a sidecar states of the input goes over the family's own, and must not contradict the file."""

import numpy as np
import pytest

from tests.families.signatures import YOLO, signature
from vidette.errors import ModelError
from vidette.families import recognise
from vidette.families.stated import with_input
from vidette.pixels.preprocess import Preprocess

OPEN = (None, 3, None, None)


def stated(image=(1, 3, 640, 640), file_dtype="float32", **given) -> Preprocess:
    sidecar = {"family": "ultralytics", "input": given}
    return recognise(signature((1, 7, None), image=image, dtype=file_dtype, metadata=YOLO, sidecar=sidecar)).preprocess


def value(preprocess: Preprocess, pixel: float) -> np.ndarray:
    return (pixel - np.array(preprocess.mean)) * np.array(preprocess.scale)


IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({}, [200 / 255] * 3),
        ({"mean": IMAGENET[0], "std": IMAGENET[1]}, [(200 / 255 - m) / s for m, s in zip(*IMAGENET, strict=True)]),
        ({"mean": (127.5,) * 3, "std": (128.0,) * 3}, [72.5 / 128] * 3),
        ({"mean": (104.0, 117.0, 123.0)}, [96, 83, 77]),
        ({"mean": (0.5,) * 3}, [200 / 255 - 0.5] * 3),
        ({"std": (255.0,) * 3}, [200 / 255] * 3),
        ({"scale": 1.0}, [200] * 3),
        ({"scale": 1 / 128, "mean": (1.0,) * 3}, [200 / 128 - 1] * 3),
        ({"scale": 1.0, "mean": (0.5,) * 3, "std": (0.5,) * 3}, [399] * 3),  # said outright, whatever it looks like
    ],
)
def test_normalisation(given, wanted):
    np.testing.assert_allclose(value(stated(**given), 200), wanted)


def test_the_familys_numbers_move_with_their_colours():
    rgb = Preprocess(mean=(1, 2, 3), scale=(4, 5, 6))
    given = signature((1, 7, 8400), sidecar={"input": {"colour": "bgr"}})
    bgr = with_input(rgb, given)
    assert (bgr.colour, bgr.mean, bgr.scale) == ("bgr", (3, 2, 1), (6, 5, 4))


def test_the_rest_goes_over_the_familys():
    found = stated(
        OPEN, resize="crop", antialias=True, margin=0.875, pad=0, stride=16, size=512, colour="bgr", layout="nchw"
    )
    assert (found.resize, found.margin, found.pad, found.stride, found.size) == ("crop", 0.875, 0, 16, 512)
    assert (found.width, found.height, found.colour, found.antialias) == (None, None, "bgr", True)


def test_one_size_for_a_file_that_says_it_takes_any():
    found = stated(OPEN, size=(320, 256))
    assert (found.width, found.height, found.size) == (320, 256, 320)


def test_a_layout_for_a_file_that_leaves_its_channels_open():
    anything = (None, None, None, None)
    with pytest.raises(ModelError, match="does not look like it"):
        stated(anything)
    assert stated(anything, layout="nhwc").layout == "nhwc"
    assert stated(anything, layout="nchw").layout == "nchw"


@pytest.mark.parametrize(
    ("file", "given", "says"),
    [
        ({}, {"layout": "nhwc"}, r"input\.layout: .* 640 channels as nhwc: write nchw"),
        ({}, {"dtype": "uint8"}, r"input\.dtype: says uint8, but the file's input is float32"),
        ({}, {"size": 320}, r"input\.size: says 320, but the file fixes 640x640"),
        ({}, {"size": (640, 480)}, r"input\.size: says 640x480, but the file fixes 640x640"),
        ({"file_dtype": "uint8"}, {"mean": (0.5,) * 3}, r"input\.mean: the file takes bytes"),
        ({"file_dtype": "uint8"}, {"std": (255.0,) * 3}, r"input\.std: the file takes bytes"),
    ],
)
def test_contradictions(file, given, says):
    with pytest.raises(ModelError, match=says):
        stated(**file, **given)


def test_bytes_may_say_that_nothing_is_done_to_them():
    assert value(stated(file_dtype="uint8", mean=(0.0,) * 3, scale=1.0), 200).tolist() == [200] * 3


GREY = (1, 1, 640, 640)


def test_a_file_of_one_channel_gets_the_mean_of_the_familys_numbers():
    found = recognise(signature((1, 1000), image=(1, 1, 224, 224))).preprocess
    assert (found.colour, found.channels, found.layout) == ("grey", 1, "nchw")
    assert found.mean == pytest.approx((0.449 * 255,))
    assert found.scale == pytest.approx((1 / (0.226 * 255),))
    assert stated(GREY).identity == "grey, pixel / 255, letterbox on 114, nchw float32"
    assert stated((1, 640, 640, 1), "uint8").identity == "grey, pixel, letterbox on 114, nhwc uint8"


def test_numbers_for_one_channel_and_one_number_for_three():
    found = stated(GREY, colour="grey", mean=(0.5,), std=(0.25,))
    np.testing.assert_allclose(value(found, 200), [(200 / 255 - 0.5) / 0.25])
    np.testing.assert_allclose(value(stated(mean=(0.5,), std=(0.25,)), 200), [(200 / 255 - 0.5) / 0.25] * 3)


@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
def test_grey_opens_one_channel_where_the_file_leaves_them_open(layout):
    found = stated((None, None, None, None), layout=layout, colour="grey")
    assert (found.channels, found.layout, found.width) == (1, layout, None)


@pytest.mark.parametrize(
    ("image", "given", "says"),
    [
        (GREY, {"colour": "bgr"}, r"input\.colour: says bgr, but the file's input has one channel: write grey"),
        ((1, 3, 640, 640), {"colour": "grey"}, r"input\.colour: says grey, .* has three channels: write rgb or bgr"),
        (GREY, {"mean": IMAGENET[0]}, r"input\.mean: has 3 numbers, but the file's input has one channel: write one"),
        (GREY, {"std": IMAGENET[1]}, r"input\.std: has 3 numbers"),
    ],
)
def test_contradictions_about_channels(image, given, says):
    with pytest.raises(ModelError, match=says):
        stated(image, **given)


def test_identity():
    assert stated().identity == "rgb, pixel / 255, letterbox on 114, nchw float32"
    other = stated(mean=IMAGENET[0], std=(0.5,) * 3, colour="bgr", resize="crop", margin=0.875)
    assert other.identity == (
        "bgr, (pixel - 123.675) / 127.5, (pixel - 116.28) / 127.5, (pixel - 103.53) / 127.5, "
        "crop by 0.875, nchw float32"
    )
