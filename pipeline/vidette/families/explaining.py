"""Why no family takes a file, in one line: what it says, what it looks like, and the line that settles it."""

from collections.abc import Mapping, Sequence

from vidette.errors import ModelError
from vidette.families import tasks
from vidette.families.base import Family, Recognised
from vidette.families.classifier import Classifier
from vidette.families.reading import picture_input
from vidette.sidecar import where
from vidette.signature import Signature, Tensor

_TOLD = 12
"""Inputs or outputs that a message lists; some graphs have hundreds."""

_BESIDE = "a YAML file beside it, named like the model"


def contradicted(signature: Signature, known: Sequence[Family], error: ModelError) -> ModelError:
    """The error of the family that a file's `task` led to, or that this word is wrong, where another fits the names."""
    return (_other_task(signature, tasks.looks(signature, known)) if tasks.classes(signature) else None) or error


def nothing_fits(signature: Signature, known: Sequence[Family]) -> ModelError:
    """The error for a file that no family claims."""
    says = describe(signature)
    if "family" in signature.sidecar:
        wanted = signature.sidecar["family"]
        return ModelError(
            f"{where(signature.sidecar, 'family')}: {wanted}, but the model does not look like it: {says}"
        )
    lie = (
        _other_task(signature, tasks.looks(signature, known))
        or _misnamed(signature, known)
        or _other_task(signature, tasks.looks(tasks.unnamed(signature), known))
        or _embedding(signature)
    )
    if lie:
        return lie
    names = "|".join(family.name for family in known)
    return ModelError(
        f"{_claim(signature)}no family fits this model: {says}; if it is one of them, say so in a YAML file beside it, "
        f"named like the model: `family: {names}` and `labels: [name, ...]`{_choice(signature)}"
    )


def _other_task(signature: Signature, looks: Mapping[str, Recognised]) -> ModelError | None:
    """The error when the metadata name one task and the outputs look like others."""
    if not looks or "family" in signature.sidecar:
        return None
    count = tasks.classes(signature)
    likeness, lines = [], []
    for word, claim in looks.items():
        likeness.append(f"`{word}`{f' of {_classes(len(claim.labels))}' if claim.labels else ''}")
        wrong = bool(claim.labels) and count is not None and len(claim.labels) != count
        labels = f" and `labels: [...]` ({len(claim.labels)} names)" if wrong else ""
        lines.append(f"`family: {claim.family}`{labels}")
    return ModelError(
        f"{_claim(signature)}its outputs look like task {' or '.join(likeness)}: write {' or '.join(lines)} into "
        f"{_BESIDE}; {describe(signature)}"
    )


def _misnamed(signature: Signature, known: Sequence[Family]) -> ModelError | None:
    """The error when a family would claim a model whose metadata had other class names."""
    told = tasks.classes(signature)
    if told is None:
        return None
    bare = tasks.unnamed(signature)
    try:
        claims = [claim for family in known if (claim := family.recognise(bare))]
    except ModelError:
        return None
    if len(claims) != 1 or not tasks.believable(claims[0], bare):
        return None
    count = len(claims[0].labels)
    return ModelError(
        f"its metadata name {_classes(told)}, the output has {count}: correct the metadata, or write "
        f"`family: {claims[0].family}` and `labels: [...]` ({count} names) into {_BESIDE}; {describe(signature)}"
    )


def _embedding(signature: Signature) -> ModelError | None:
    """The error for one long vector about a picture of which nothing says that it rates classes."""
    output = signature.outputs[0]
    size = output.shape[1] if len(output.shape) > 1 and set(output.shape[2:]) <= {1} else None
    if len(signature.outputs) != 1 or picture_input(signature) is None or not output.dtype.startswith("float"):
        return None
    if size is None or size < 64 or size % 32 or signature.metadata.keys() & {"task", "names", "character"}:
        return None
    return ModelError(
        f"its output ({size} numbers for a picture, without names) looks like an embedding, by which faces or "
        "pictures are compared, not detected or classified: Vidette has no such task; if they are classes, write "
        f"`family: {Classifier.name}` and `labels: [...]` ({size} names) into {_BESIDE}; {describe(signature)}"
    )


def _choice(signature: Signature) -> str:
    """Where several outputs rate whole pictures: how a classifier's is chosen."""
    rows = [output.name for output in signature.outputs if len(output.shape) == 2]
    if "output" in signature.sidecar or len(rows) < 2 or len(rows) != len(signature.outputs):
        return ""
    return f"; a classifier's scores are one of its outputs: add `output: {'|'.join(rows[:_TOLD])}`"


def _classes(count: int) -> str:
    return f"{count} class{'es' * (count != 1)}"


def _claim(signature: Signature) -> str:
    """What the metadata say and nothing bears out: they can lie."""
    told = [f"task `{signature.metadata['task']}`"] if "task" in signature.metadata else []
    if (count := tasks.classes(signature)) is not None:
        told.append(_classes(count))
    return f"its metadata say {' and '.join(told)}, but " if told else ""


def describe(signature: Signature) -> str:
    """Inputs, outputs and metadata keys in one line."""
    keys = ", ".join(sorted(signature.metadata)) or "none"
    return f"inputs {_tensors(signature.inputs)}; outputs {_tensors(signature.outputs)}; metadata {keys}"


def _tensors(tensors: Sequence[Tensor]) -> str:
    more = f" and {len(tensors) - _TOLD} more" if len(tensors) > _TOLD else ""
    told = [
        f"{t.name} {t.dtype} ({', '.join('?' if size is None else str(size) for size in t.shape)})"
        for t in tensors[:_TOLD]
    ]
    return ", ".join(told) + more
