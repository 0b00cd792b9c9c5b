"""A client's picture with what was found in it, as JPEG, as Roboflow's server draws it.

Boxes, outlines and points are as thick as the client asks; names stand on the colour of their class. Shapes as in
https://github.com/roboflow/inference (inference/core/utils/visualisation.py), colours as in all our drawings.
"""

import cv2
import numpy as np

from vidette.drawing import annotate
from vidette.drawing.pen import Pen, pen_for
from vidette.frame import Bgr, Picture
from vidette.predictions import Predictions
from vidette.predictions.classification import Classification
from vidette.predictions.detections import Detections

QUALITY, CLASSIFIED_QUALITY = 90, 75
_FAR = 30_000  # pixels: OpenCV draws in 16 bits of them


def jpeg(picture: Picture, predictions: Predictions, stroke: int = 1, labels: bool = False) -> bytes:
    """The drawn picture at its own size.

    stroke   width of lines, and radius of points, in pixels
    labels   whether `name 0.87` is written at each object; a classifier's best class always is
    """
    scene = picture.bgr()
    quality = QUALITY
    match predictions:
        case Detections():
            scene = scene.copy()
            _objects(scene, predictions, stroke, labels)
        case Classification():
            scene = scene.copy()
            _banner(scene, predictions)
            quality = CLASSIFIED_QUALITY
        case _:
            scene = annotate(scene, predictions)
    return bytes(cv2.imencode(".jpg", scene, [cv2.IMWRITE_JPEG_QUALITY, quality])[1])


def _objects(scene: Bgr, found: Detections, stroke: int, labels: bool) -> None:
    pen = _pen(scene)
    for i, (x1, y1, x2, y2) in enumerate(found.xyxy.round().astype(int).tolist()):
        colour = pen.colour(int(found.class_id[i]))
        if found.masks is not None:
            _outline(scene, [part.points for part in found.masks.polygons(i)], colour, stroke)
        if found.corners is not None:
            _outline(scene, [found.corners[i]], colour, stroke)
        else:
            cv2.rectangle(scene, (x1, y1), (x2, y2), colour, stroke)
        for x, y, _ in found.keypoints[i].tolist() if found.keypoints is not None else ():
            if abs(x) < _FAR and abs(y) < _FAR:
                cv2.circle(scene, (round(x), round(y)), stroke, colour, cv2.FILLED)
    if labels and len(found):
        texts = [f"{found.label(i)} {confidence:.2f}" for i, confidence in enumerate(found.confidence)]
        pen.tags(scene, found.xyxy[:, :2], found.class_id, texts)


def _outline(scene: Bgr, lines: list[np.ndarray], colour: tuple[int, int, int], stroke: int) -> None:
    points = [np.nan_to_num(line).clip(-_FAR, _FAR).round().astype(np.int32) for line in lines]
    cv2.polylines(scene, points, isClosed=True, color=colour, thickness=stroke, lineType=cv2.LINE_AA)


def _banner(scene: Bgr, found: Classification) -> None:
    if len(found):
        pen = _pen(scene)
        count = len(found) if found.multi_label else 1
        class_id, confidence = found.class_id[:count], found.confidence[:count]
        texts = [f"{number} - {found.label(i)} {confidence[i]:.2f}" for i, number in enumerate(class_id)]
        pen.list(scene, class_id, texts)


def _pen(scene: Bgr) -> Pen:
    return pen_for(scene.shape[1], scene.shape[0])
