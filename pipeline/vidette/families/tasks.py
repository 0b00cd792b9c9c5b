"""The task that metadata name beside what the outputs look like: they can contradict each other, and files be mended.

`task` is a word of Ultralytics' exporter. A sidecar that names a family settles it, whatever the metadata say.
"""

from collections.abc import Sequence
from dataclasses import replace

from vidette.errors import ModelError
from vidette.families.base import Family, Recognised
from vidette.families.reading import literal
from vidette.signature import Signature

WORDS = {
    "detect": ("ultralytics", "end-to-end", "objectness", "rt-detr"),
    "pose": ("ultralytics-pose",),
    "segment": ("ultralytics-segment", "objectness-segment"),
    "obb": ("ultralytics-obb",),
    "classify": ("classifier",),
    "semantic": ("semantic",),
}
"""The families whose files may have each word as `task`."""

_PEOPLE = "[17, 3]"  # COCO's keypoints: what a pose model has whose metadata do not say


def settled(signature: Signature) -> Signature:
    """The signature with the task of the family that the sidecar names in place of another one in the metadata."""
    word = next((word for word, names in WORDS.items() if signature.sidecar.get("family") in names), None)
    return signature if word is None else told(signature, word)


def told(signature: Signature, word: str) -> Signature:
    """The signature as if its metadata named this task; unchanged where they name none."""
    if signature.metadata.get("task", word) == word:
        return signature
    return replace(signature, metadata={**signature.metadata, "task": word})


def unnamed(signature: Signature) -> Signature:
    """The signature without the class names of its metadata."""
    return replace(signature, metadata={key: value for key, value in signature.metadata.items() if key != "names"})


def classes(signature: Signature) -> int | None:
    """How many class names the metadata list; None where they list none."""
    names = literal(signature.metadata.get("names", ""))
    return len(names) if isinstance(names, dict | list | tuple) else None


def believable(claim: Recognised, signature: Signature) -> bool:
    """Whether a file without names has as many classes as a claim counts: more than the smaller side of the largest
    output were read off the places."""
    sides = [min((size for size in output.shape[1:] if size), default=0) for output in signature.outputs]
    return classes(signature) is not None or len(claim.labels) <= max(sides)


def looks(signature: Signature, known: Sequence[Family]) -> dict[str, Recognised]:
    """What the outputs look like when `task` is any other word than that of the metadata: {word: claim}."""
    found: dict[str, Recognised] = {}
    if not any(size for output in signature.outputs for size in output.shape[1:]):
        return found  # nothing is declared, so everything fits
    for word in WORDS:
        changed = told(signature, word)
        if changed is signature:
            continue
        if word == "pose" and "kpt_shape" not in changed.metadata:
            if not classes(signature):
                continue  # whatever is left beside 51 numbers could be classes
            changed = replace(changed, metadata={**changed.metadata, "kpt_shape": _PEOPLE})
        for family in known:
            try:
                claim = family.recognise(changed)
            except ModelError:
                continue  # it contradicts itself as that
            if claim and claim.family in WORDS[word] and believable(claim, changed):
                found.setdefault(word, claim)
    return found
