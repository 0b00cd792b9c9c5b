"""What the keypoints of a model are called and how they are joined, by sidecar, metadata or their number."""

from collections.abc import Sequence
from typing import Any

from vidette.errors import ModelError
from vidette.families import reading
from vidette.predictions.skeletons import SKELETONS, Skeleton, by_count
from vidette.sidecar import where
from vidette.signature import Signature


def skeleton(signature: Signature, count: int, usual: Skeleton | None = None) -> Skeleton:
    """Names and bones of `count` keypoints.

    The sidecar's `keypoints` and `skeleton` go before metadata of these names (Ultralytics' exporter writes names as
    `kpt_names`). `skeleton` may be a known one such as `coco-17`, or pairs of names or numbers. What nobody tells is
    `usual`, else as usual for so many points.
    Raises ModelError when there are more or fewer names than points, or a bone has an end that is none.
    """
    usual = usual or by_count(count)
    joined = _told(signature, "skeleton")
    known = SKELETONS.get(joined) if isinstance(joined, str) else None
    names, told = _names(signature)
    if names is None:
        names, told = (known or usual).points, _where(signature)
    if len(names) != count:
        raise ModelError(
            f"{told} names {len(names)} keypoints, but the model has {count}: correct it, or write `keypoints: [...]` "
            "into the YAML beside the model"
        )
    points = tuple(str(name) for name in names)
    if known:
        return Skeleton(known.name, points, known.bones)
    if isinstance(joined, list | tuple):
        return Skeleton("own", points, _bones(joined, points, _where(signature)))
    return usual if points == usual.points else Skeleton("own", points)


def _told(signature: Signature, key: str) -> Any:
    """What the sidecar says under a key, else metadata: a Python literal, or the text where it is none."""
    if key in signature.sidecar:
        return signature.sidecar[key]
    text = signature.metadata.get(key)
    return text and (reading.literal(text) or text)


def _where(signature: Signature) -> str:
    return where(signature.sidecar, "skeleton") if "skeleton" in signature.sidecar else "metadata `skeleton`"


def _names(signature: Signature) -> tuple[Sequence[Any] | None, str]:
    """Names and who told them."""
    stated = signature.sidecar.get("keypoints")
    if isinstance(stated, list):
        return stated, where(signature.sidecar, "keypoints")
    for key in ("keypoints", "kpt_names"):
        names = reading.literal(signature.metadata.get(key, ""))
        if isinstance(names, dict):  # one list for each class
            names = next(iter(names.values()), None)
        if isinstance(names, list | tuple) and names:
            return names, f"metadata `{key}`"
    return None, ""


def _bones(joined: Sequence[Any], points: Sequence[str], told: str) -> tuple[tuple[int, int], ...]:
    """Pairs of point numbers, of pairs of numbers or names."""
    bones = []
    for pair in joined:
        ends = [_number(end, points) for end in pair] if isinstance(pair, list | tuple) else []
        if len(ends) != 2 or None in ends:
            raise ModelError(
                f"{told}: {pair} joins no two of {len(points)} keypoints, {', '.join(points[:5])} ...: write pairs of "
                "their names, or numbers from 0, such as [[0, 1], [1, 2]], into the YAML beside the model"
            )
        bones.append((ends[0] or 0, ends[1] or 0))
    return tuple(bones)


def _number(end: Any, points: Sequence[str]) -> int | None:
    if isinstance(end, str) and end in points:
        return points.index(end)
    return end if type(end) is int and 0 <= end < len(points) else None
