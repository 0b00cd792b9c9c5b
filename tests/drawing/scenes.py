"""Grey pictures to draw on, and what was drawn."""

import numpy as np

GREY = 90


def scene(width: int = 640, height: int = 360) -> np.ndarray:
    return np.full((height, width, 3), GREY, np.uint8)


def drawn(picture: np.ndarray) -> np.ndarray:
    """(height, width) bool, the pixels that are not as they were."""
    return (picture != GREY).any(axis=2)
