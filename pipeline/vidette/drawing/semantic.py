"""A semantic map as colours over the picture and a legend."""

from vidette.drawing.areas import fill
from vidette.drawing.pen import Pen
from vidette.frame import Bgr
from vidette.predictions.semantic import SemanticMap

_OPACITY = 0.5


def draw(scene: Bgr, found: SemanticMap, pen: Pen) -> None:
    """Lay its colour over each class of `class_id`, and list them with the part of the picture that they cover.

    A class named `background` is what is left when nothing was found: it stays as it is. 1080p costs 1 ms where the
    map is coarse, 5 ms where it has a sample for each pixel.
    """
    shown = [i for i in range(len(found)) if found.label(i).strip("_").lower() != "background"]
    if not shown:
        return
    class_id = found.class_id[shown]
    fill(scene, found.classes, found.extent, {i: (pen.colour(i), _OPACITY) for i in class_id.tolist()})
    shares = [f"{share:.0%}" if share >= 0.01 else "<1%" for share in found.shares[shown]]
    pen.list(scene, class_id, [f"{found.label(i)} {share}" for i, share in zip(shown, shares, strict=True)])
