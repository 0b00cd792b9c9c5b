"""Model families: how a file is recognised and how its outputs become detections.

A family is one file with a class of two members, `name` and `recognise`, and one line in `FAMILIES`. A third party's
package adds one through the entry-point group `vidette.families`: the entry is such a class, or an object of it.
"""

import difflib
from collections.abc import Sequence
from importlib.metadata import entry_points
from typing import Any

from vidette.errors import ModelError
from vidette.families.base import Family, Recognised
from vidette.families.centerface import CenterFace
from vidette.families.classifier import Classifier
from vidette.families.detr import Detr
from vidette.families.end_to_end import EndToEnd
from vidette.families.objectness import Objectness
from vidette.families.semantic import Semantic
from vidette.families.rfdetr import RfDetr
from vidette.families.rtdetr import RtDetr
from vidette.families.ultralytics import Ultralytics
from vidette.families.ultralytics_oriented import UltralyticsOriented
from vidette.families.ultralytics_pose import UltralyticsPose
from vidette.families.ultralytics_segmentation import UltralyticsSegmentation
from vidette.families.yolox import Yolox
from vidette.signature import Signature, Tensor

FAMILIES: tuple[Family, ...] = (
    Ultralytics(),
    UltralyticsPose(),
    UltralyticsOriented(),
    UltralyticsSegmentation(),
    Objectness(),
    Yolox(),
    EndToEnd(),
    CenterFace(),
    RtDetr(),
    Detr(),
    RfDetr(),
    Classifier(),
    Semantic(),
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
    """The one family that claims a model; the sidecar's `family` asks only that one.

    Raises ModelError when none claims it, more than one does, or the sidecar names an unknown one.
    """
    known = families() if known is None else known
    wanted = signature.sidecar.get("family")
    if wanted is not None:
        asked = [family for family in known if family.name == wanted]
        if not asked:
            names = [family.name for family in known]
            near = difflib.get_close_matches(str(wanted), names, 1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(names)}"
            raise ModelError(f"the sidecar says `family: {wanted}`: unknown, {hint}")
    else:
        asked = list(known)
    claims = [claim for family in asked if (claim := family.recognise(signature))]
    if len(claims) == 1:
        return claims[0]
    if claims:
        reasons = "; ".join(f"{claim.family} ({claim.why})" for claim in claims)
        raise ModelError(
            f"more than one family fits: {reasons}: write `family: {claims[0].family}` into the sidecar YAML"
        )
    task = signature.metadata.get("task", "detect")
    if task != "detect":
        raise ModelError(
            f"its task is `{task}`, which is not supported yet: only detection is (exports of task "
            "`detect`, boxes with or without landmarks)"
        )
    says = describe(signature)
    if wanted is not None:
        raise ModelError(f"the sidecar says `family: {wanted}`, but the model does not look like it: {says}")
    names_ = "|".join(family.name for family in known)
    raise ModelError(
        f"no family fits this model: {says}; if it is one of them, say so in a YAML file beside it, named like the "
        f"model: `family: {names_}` and `labels: [name, ...]`"
    )


def describe(signature: Signature) -> str:
    """Inputs, outputs and metadata keys in one line."""
    keys = ", ".join(sorted(signature.metadata)) or "none"
    return f"inputs {_tensors(signature.inputs)}; outputs {_tensors(signature.outputs)}; metadata {keys}"


def _tensors(tensors: Sequence[Tensor]) -> str:
    return ", ".join(
        f"{t.name} {t.dtype} ({', '.join('?' if size is None else str(size) for size in t.shape)})" for t in tensors
    )
