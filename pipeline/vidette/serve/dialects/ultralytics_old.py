"""Rows as Ultralytics HUB answered before 2024: coordinates are parts of the picture's width and height.

Layout: the public examples of https://github.com/ultralytics/hub at that time.
"""

from typing import Any


def row(found: dict[str, Any], width: int, height: int) -> dict[str, Any]:
    """A row of today's answers -> class, name, confidence, and xcenter, ycenter, width, height of boxes, `obb`
    [x, y] * 4 of oriented ones, `segment` [x, y, ...], `keypoints` [x, y, visible, ...]."""
    kept = ("class", "name", "confidence", "pixel_ratio")
    old: dict[str, Any] = {name: found[name] for name in kept if name in found}
    box = found.get("box")
    if box is not None and "x3" in box:
        old["obb"] = [box[f"{axis}{n}"] / size for n in range(1, 5) for axis, size in (("x", width), ("y", height))]
    elif box is not None:
        x1, y1, x2, y2 = (box[name] for name in ("x1", "y1", "x2", "y2"))
        old["xcenter"], old["ycenter"] = (x1 + x2) / 2 / width, (y1 + y2) / 2 / height
        old["width"], old["height"] = (x2 - x1) / width, (y2 - y1) / height
    if "segments" in found:
        corners = zip(found["segments"]["x"], found["segments"]["y"], strict=True)
        old["segment"] = [number for x, y in corners for number in (x / width, y / height)]
    if "keypoints" in found:
        seen = found["keypoints"]
        points = zip(seen["x"], seen["y"], seen.get("visible", [1.0] * len(seen["x"])), strict=True)
        old["keypoints"] = [number for x, y, visible in points for number in (x / width, y / height, visible)]
    return old
