"""A classifier's answer as a list at the top left."""

from vidette.drawing.pen import Pen
from vidette.frame import Bgr
from vidette.predictions.classification import Classification


def draw(scene: Bgr, found: Classification, pen: Pen) -> None:
    """A line such as `cat 0.87` for each class that counts, best first."""
    texts = [f"{found.label(i)} {confidence:.2f}" for i, confidence in enumerate(found.confidence)]
    pen.list(scene, found.class_id, texts)
