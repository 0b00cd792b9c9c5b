"""Names of classes."""

from collections.abc import Sequence


def class_name(labels: Sequence[str], class_id: int) -> str:
    """`labels[class_id]`, or the number as text where there is no such label."""
    return labels[class_id] if 0 <= class_id < len(labels) else str(class_id)
