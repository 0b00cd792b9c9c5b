"""What must be equal in answers that are made at different times."""

from typing import Any

TRANSIENT = ("inference_id", "time", "detection_id", "visualization", "image_path", "prediction_type")

EVERY = [("cat", 0.9, 200.0, 160.0, 200.0, 80.0), ("dog", 0.6, 440.0, 40.0, 80.0, 80.0),
         ("dog", 0.4, 560.0, 40.0, 80.0, 80.0)]  # fmt: skip
"""What tasks.detection finds: class, confidence, x, y, width, height."""


def lasting(value: Any) -> Any:
    """Without ids and times."""
    if isinstance(value, dict):
        return {name: lasting(item) for name, item in value.items() if name not in TRANSIENT}
    return [lasting(item) for item in value] if isinstance(value, list) else value


def boxes(answer: dict[str, Any]) -> list[tuple[Any, ...]]:
    """Class, confidence and box of every row."""
    rows = answer["predictions"]
    return [
        (row["class"], round(row["confidence"], 3), *(row[name] for name in ("x", "y", "width", "height")))
        for row in rows
    ]
