import itertools
import threading

import cv2
import numpy as np
import pytest

from vidette.errors import SourceError
from vidette.frame import Picture
from vidette.sources.synthetic import TestPicture, read_number


def pixels(source):
    return [frame.picture.bgr() for frame in source.frames()]


def test_the_same_in_every_run(opened):
    first, second = (list(opened("testsrc:?size=160x90&frames=5&rate=10").frames()) for _ in range(2))
    assert [frame.pts_s for frame in first] == [0, 0.1, 0.2, 0.3, 0.4]
    assert all((a.picture.bgr() == b.picture.bgr()).all() for a, b in zip(first, second, strict=True))
    assert not (first[0].picture.bgr() == first[1].picture.bgr()).all()


@pytest.mark.parametrize("number", [0, 1, 255, 4096, 0xABCDEF, 0xFFFFFF])
@pytest.mark.parametrize("size", [(64, 48), (161, 121), (640, 360), (1920, 1080)])
def test_the_number_is_in_the_pixels(number, size):
    assert read_number(Picture(TestPicture(*size).draw(number)).bgr()) == number


@pytest.mark.parametrize("scale", [0.2, 0.33, 0.5, 1.4])
def test_the_number_survives_scaling_and_lossy_coding(scale):
    bgr = cv2.resize(Picture(TestPicture(640, 360).draw(123456)).bgr(), None, fx=scale, fy=scale)
    _, jpeg = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, 30])
    assert read_number(cv2.imdecode(jpeg, 1)) == 123456


def test_a_picture_without_a_number_says_so():
    with pytest.raises(ValueError, match="no frame number"):
        read_number(np.random.default_rng(3).integers(0, 256, (100, 100, 3), np.uint8))


def test_without_a_count_it_goes_on_until_stopped(opened):
    stop = threading.Event()
    frames = opened("testsrc:?size=64x48", stop=stop).frames()
    for number in range(500):
        assert next(frames).seq == number
    stop.set()
    assert list(frames) == []


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("testsrc:?siz=1x1", "no parameter 'siz'; there are size, rate, frames"),
        ("testsrc:?size=640", "size=640"),
        ("testsrc:?size=8x8", "size=8x8"),
        ("testsrc:?rate=0", "rate=0"),
        ("testsrc:?rate=nan", "rate=nan"),
        ("testsrc:?frames=-3", "frames=-3"),
        ("testsrc:640x360", "testsrc:\\?size=640x360&rate=30"),
        ("sample:?size=x", "size=x"),
        ("sample:?zoom=3", "no parameter 'zoom'"),
    ],
)
def test_wrong_parameters_are_named(opened, url, text):
    with pytest.raises(SourceError, match=text) as error:
        opened(url)
    assert error.value.code == "parameter"


def test_sample_moves_and_is_the_same_in_every_run(opened):
    first, second = (pixels(opened("sample:?size=160x120&frames=12&rate=2")) for _ in range(2))
    assert len(first) == 12
    assert all((a == b).all() for a, b in zip(first, second, strict=True))
    assert all(np.abs(a.astype(int) - b).mean() > 2 for a, b in itertools.pairwise(first))


def test_sample_is_a_photograph_of_300_frames(opened):
    source = opened("sample:")
    assert (source.facts.width, source.facts.height, source.facts.fps, source.facts.frames) == (640, 480, 30, 300)
    bgr = next(source.frames()).picture.bgr()
    blue, red = bgr[200, 600].astype(int)[[0, 2]]  # the blue background at the right
    assert blue > red + 60


def test_sample_without_the_photograph(opened, monkeypatch):
    monkeypatch.setattr("vidette.sources.sample.find_spec", lambda name: None)
    with pytest.raises(SourceError, match="pip install matplotlib"):
        opened("sample:")
