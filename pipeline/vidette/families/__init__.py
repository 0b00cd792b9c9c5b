"""Model families: how a file is recognised and how its outputs become detections.

A family is one file with a class of two members, `name` and `recognise`, and one line in `FAMILIES`. A third party's
package adds one through the entry-point group `vidette.families`: the entry is such a class, or an object of it.
"""

import difflib
from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import entry_points
from typing import Any

from vidette.errors import ModelError
from vidette.families import explaining, tasks
from vidette.families.base import Family, Recognised
from vidette.families.blazeface import BlazeFace
from vidette.families.boxes_and_scores import BoxesAndScores
from vidette.families.centerface import CenterFace
from vidette.families.centernet import CenterNet
from vidette.families.classifier import Classifier
from vidette.families.darknet import Darknet
from vidette.families.detr import Detr
from vidette.families.efficientpose import EfficientPose
from vidette.families.end_to_end import EndToEnd
from vidette.families.faceboxes import FaceBoxes
from vidette.families.fastestdet import FastestDet
from vidette.families.heatmaps import HeatMaps
from vidette.families.landmarks import MediaPipeLandmarks
from vidette.families.movenet import MoveNet
from vidette.families.nanodet import NanoDet
from vidette.families.objectness import Objectness
from vidette.families.objectness_segmentation import ObjectnessSegmentation
from vidette.families.picodet import PicoDet
from vidette.families.posenet import PoseNet
from vidette.families.rfdetr import RfDetr
from vidette.families.rtdetr import RtDetr
from vidette.families.scrfd import Scrfd
from vidette.families.semantic import Semantic
from vidette.families.simcc import SimCC
from vidette.families.ssd import Ssd
from vidette.families.stated import in_grey, with_input, with_layout
from vidette.families.tensorflow import TensorFlow
from vidette.families.ultralytics import Ultralytics
from vidette.families.ultralytics_oriented import UltralyticsOriented
from vidette.families.ultralytics_pose import UltralyticsPose
from vidette.families.ultralytics_segmentation import UltralyticsSegmentation
from vidette.families.yolox import Yolox
from vidette.families.yunet import YuNet
from vidette.sidecar import where
from vidette.signature import Signature

FAMILIES: tuple[Family, ...] = (
    Ultralytics(),
    UltralyticsPose(),
    UltralyticsOriented(),
    UltralyticsSegmentation(),
    Objectness(),
    ObjectnessSegmentation(),
    Yolox(),
    EndToEnd(),
    CenterFace(),
    Classifier(),
    RtDetr(),
    Detr(),
    RfDetr(),
    Semantic(),
    NanoDet(),
    PicoDet(),
    FastestDet(),
    Ssd(),
    BoxesAndScores(),
    Darknet(),
    CenterNet(),
    TensorFlow(),
    FaceBoxes(),
    MoveNet(),
    SimCC(),
    HeatMaps(),
    YuNet(),
    Scrfd(),
    BlazeFace(),
    MediaPipeLandmarks(),
    PoseNet(),
    EfficientPose(),
)


def families() -> tuple[Family, ...]:
    """The families of this package, then those of others. Raises ModelError when one of theirs cannot be loaded."""
    others = []
    for entry in entry_points(group="vidette.families"):
        try:
            loaded: Any = entry.load()
            others.append(loaded() if isinstance(loaded, type) else loaded)
        except Exception as error:  # foreign code at import: whatever it raises, the user must learn whose it is
            raise ModelError(
                f"family {entry.name} ({entry.value}) cannot be loaded: {error}; fix or remove it"
            ) from error
    return (*FAMILIES, *others)


def recognise(signature: Signature, known: Sequence[Family] | None = None) -> Recognised:
    """The one family that claims a model; the sidecar's `family` asks only that one, and its `input` has the last word.

    Raises ModelError when none claims it, more than one does, or the sidecar names an unknown family or contradicts
    the file.
    """
    known = families() if known is None else known
    signature = tasks.settled(with_layout(signature))
    asked = _asked(signature, known)
    try:
        claims = [claim for family in asked if (claim := family.recognise(signature))]
    except ModelError as error:
        raise explaining.contradicted(signature, known, error) from None
    if not claims:
        raise explaining.nothing_fits(signature, known)
    if len(claims) > 1:
        reasons = "; ".join(f"{claim.family} ({claim.why})" for claim in claims)
        raise ModelError(
            f"more than one family fits: {reasons}: write `family: {claims[0].family}` into the sidecar YAML"
        )
    preprocess = in_grey(claims[0].preprocess, signature)
    return replace(claims[0], preprocess=with_input(preprocess, signature))


def _asked(signature: Signature, known: Sequence[Family]) -> Sequence[Family]:
    wanted = signature.sidecar.get("family")
    if wanted is None:
        return known
    asked = [family for family in known if family.name == wanted]
    if not asked:
        names = [family.name for family in known]
        near = difflib.get_close_matches(str(wanted), names, 1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(names)}"
        raise ModelError(f"{where(signature.sidecar, 'family')}: {wanted} is unknown; {hint}")
    return asked


def candidates(signature: Signature, known: Sequence[Family] | None = None) -> list[str]:
    """Names of the families that would take a model, by its shapes, if its sidecar said so; the likely ones first."""
    known = families() if known is None else known
    bare = tasks.unnamed(signature)
    found = [claim.family for claim in tasks.looks(signature, known).values()]
    for family in known:
        try:
            forced = tasks.settled(replace(bare, sidecar={"family": family.name}))
            if family.name not in found and family.recognise(forced):
                found.append(family.name)
        except ModelError:
            continue  # its shapes are another's
    return found
