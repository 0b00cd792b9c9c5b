"""What a model saw, drawn onto the picture: one module per kind of answer, `pen.py` for what they share."""

import numpy as np

from vidette.drawing import areas, classification, detections, semantic
from vidette.drawing.pen import pen_for
from vidette.frame import Bgr
from vidette.predictions import Predictions
from vidette.predictions.classification import Classification
from vidette.predictions.detections import Detections
from vidette.predictions.semantic import SemanticMap


def prepare() -> None:
    """Load and compile what drawing needs: a second or more that the first picture would have to wait otherwise."""
    pen_for(640, 360)
    scene, nowhere = np.zeros((1, 1, 3), np.uint8), np.zeros(4)
    for grid in (np.zeros((1, 1), np.uint8), np.zeros((1, 1), np.uint16)):
        areas.fill(scene, grid, nowhere, {})


def annotate(bgr: Bgr, predictions: Predictions) -> Bgr:
    """A copy of the picture with what was found: colours go by class, the same in every kind of answer.

    Detections are boxes (oriented ones as they lie), masks, skeletons and labels such as `person 0.87`; a
    classification is a list of its classes at the top left; a semantic map is a colour over each class and a legend.
    What is not finite or lies outside the picture is left out.

    `bgr` is (height, width, 3) uint8 and stays as it is; line width and text size follow its size.
    """
    scene = bgr.copy()
    if not len(predictions) or not scene.size:
        return scene
    pen = pen_for(scene.shape[1], scene.shape[0])
    match predictions:
        case Detections():
            detections.draw(scene, predictions, pen)
        case Classification():
            classification.draw(scene, predictions, pen)
        case SemanticMap():
            semantic.draw(scene, predictions, pen)
    return scene
