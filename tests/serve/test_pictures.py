"""Bytes of a client become a picture: how much of it is unpacked."""

import asyncio

import pytest

from tests.serve.test_odd_pictures import pil
from vidette.serve.pictures import PictureReader


@pytest.mark.parametrize(("exact", "unpacked"), [(False, (300, 400)), (True, (1200, 1600))])
def test_a_large_jpeg_is_unpacked_as_small_as_is_enough_unless_exact(exact: bool, unpacked: tuple[int, int]) -> None:
    reader = PictureReader(10_000_000, 10_000_000, exact)
    try:
        picture, _ = asyncio.run(reader.read(pil("RGB", (1600, 1200), "JPEG"), 400))
    finally:
        reader.close()
    assert picture.pixels.shape[:2] == unpacked
    assert (picture.width, picture.height) == (1600, 1200)  # what coordinates mean
