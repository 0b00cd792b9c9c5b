"""Models that see one person in a picture: their points become one object, or none."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from vidette.families import reading
from vidette.families.base import Thresholds
from vidette.kernels import heads, keypoints
from vidette.pixels.letterbox import Letterbox
from vidette.predictions.detections import Detections
from vidette.predictions.skeletons import Skeleton


def person(
    points: npt.NDArray[np.float32],
    state: int,
    letterbox: Letterbox,
    limits: Thresholds,
    labels: Sequence[str],
    skeleton: Skeleton,
    floor: float,
) -> Detections:
    """One object around the (K, 3) points, input pixels and score, that are surer than `floor`.

    Its confidence is the mean of theirs; it is found when that is above `limits.confidence`. All points are kept, also
    those that nobody should believe. Raises DecodeError.
    """
    if state == heads.OK:
        placed, xyxy, confidence, state = keypoints.person(
            points, letterbox.inverse, letterbox.width, letterbox.height, floor
        )
    if state != heads.OK:
        raise reading.not_numbers()
    wanted = limits.classes is None or 0 in limits.classes
    if not wanted or confidence[0] <= limits.confidence or limits.max_detections < 1:
        return Detections.none(labels, skeleton=skeleton)
    return Detections(xyxy, confidence, np.zeros(1, np.int32), labels, placed, skeleton=skeleton)


def peaks(
    maps: npt.NDArray[np.floating[Any]],
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], npt.NDArray[np.float32]]:
    """Where each of K maps (h, w, K) is hottest: (K,) columns, rows and values; the first of equals, or a NaN."""
    flat = maps.reshape(-1, maps.shape[2])
    places = flat.argmax(axis=0)
    rows, columns = np.divmod(places, maps.shape[1])
    return columns, rows, flat[places, np.arange(len(places))].astype(np.float32)
