"""Lines of a sidecar that the recognised family does not use: whoever wrote them expects something of them."""

from vidette.families import FAMILIES
from vidette.families.base import Recognised
from vidette.sidecar import where
from vidette.signature import Signature

_OF = {
    "refine": ("heatmaps",),
    "multi_label": ("classifier",),
    "activation": ("classifier", "semantic", "detr"),
    "output": ("classifier", "semantic"),
}
"""Keys that only some families read."""


def unused(signature: Signature, recognised: Recognised) -> str | None:
    """One line that names the keys and where they stand; None where all are used."""
    sidecar, family = signature.sidecar, recognised.family
    keys = [(key,) for key, readers in _OF.items() if key in sidecar and family not in readers]
    if getattr(recognised.decoder, "skeleton", None) is None:
        keys += [(key,) for key in ("keypoints", "skeleton") if key in sidecar]
    told = [where(sidecar, *key) for key in keys]
    if "margin" in sidecar.get("input", {}) and recognised.preprocess.resize not in ("crop", "stretch"):
        told.append(f"{where(sidecar, 'input', 'margin')} (only with resize: crop or stretch)")
    if not told or family not in {known.name for known in FAMILIES}:  # what others' families read is theirs to say
        return None
    return f"{', '.join(told)}: not used for this model, which is {family}: take it out, or correct `family`"
