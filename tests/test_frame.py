"""Pictures under several readers at once."""

import subprocess
import sys
import threading

import av
import numpy as np

from vidette.frame import Picture


def test_readers_at_the_same_moment_share_one_conversion() -> None:
    """In a process of its own: without the lock the scaler that the frame keeps is freed under a reader's feet."""
    code = f"from {__name__} import convert_together; convert_together()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


def convert_together() -> None:
    frame = av.VideoFrame.from_ndarray(np.zeros((720, 1280, 3), np.uint8), format="bgr24").reformat(format="yuv420p")
    seen: list[int] = []
    for _ in range(60):
        picture, start = Picture(frame), threading.Barrier(4)

        def read(picture: Picture = picture, start: threading.Barrier = start) -> None:
            start.wait()
            seen.append(id(picture.bgr()))

        readers = [threading.Thread(target=read) for _ in range(4)]
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join()
        assert len(set(seen[-4:])) == 1


def test_what_a_picture_shows_is_upright() -> None:
    upright = np.zeros((40, 60, 3), np.uint8)
    upright[:20] = 255
    stored = av.VideoFrame.from_ndarray(np.ascontiguousarray(np.rot90(upright, -1)), format="bgr24")
    picture = Picture(stored, 90)
    assert (picture.width, picture.height) == (60, 40)
    np.testing.assert_array_equal(picture.bgr(), upright)
