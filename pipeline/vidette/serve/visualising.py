"""A client's picture with what was found in it, as JPEG."""

import cv2

from vidette.drawing import annotate
from vidette.frame import Picture
from vidette.predictions import Predictions

QUALITY = 90


def jpeg(picture: Picture, predictions: Predictions, stroke: int = 1, labels: bool = False) -> bytes:
    """The drawn picture at its own size."""
    _, data = cv2.imencode(".jpg", annotate(picture.bgr(), predictions), [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    return bytes(data)
