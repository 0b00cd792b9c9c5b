"""Answers made ready for the caller: pictures decoded, coordinates of the picture that was given."""

import base64
import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from vidette.client.configuration import VisualisationResponseFormat
from vidette.client.errors import EncodingError, HTTPClientError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

T = TypeVar("T")


def unwrapped(results: list[T]) -> T | list[T]:
    """The one result, or the list of several."""
    return results[0] if len(results) == 1 else results


def as_objects(answer: Any, count: int) -> list[dict[str, Any]]:
    """One object per picture that was sent; raises HTTPClientError where the server answered something else."""
    results = answer if isinstance(answer, list) else [answer]
    if len(results) != count or not all(isinstance(result, dict) for result in results):
        raise HTTPClientError(f"the server answered {len(results)} results to {count} pictures, or no JSON objects")
    return results


def finished(result: dict[str, Any], scale: float | None, wanted: VisualisationResponseFormat) -> dict[str, Any]:
    """A result as the caller gets it.

    scale     by how much the picture was made smaller before it was sent
    wanted    what a drawn picture becomes
    """
    if result.get("visualization") is not None:
        result["visualization"] = picture_from_text(result["visualization"], wanted)
    if isinstance(result.get("anomaly_map"), Mapping):
        result["anomaly_map"] = _anomaly_map(result["anomaly_map"])
    return result if scale is None or result.get("is_stub") else _rescaled(result, scale)


def picture_from_text(text: str, wanted: VisualisationResponseFormat) -> Any:
    """Base64 text, a BGR array or a PIL image; raises EncodingError."""
    if wanted is VisualisationResponseFormat.BASE64:
        return text
    return picture_from_bytes(_decoded(text), wanted)


def picture_from_bytes(data: bytes, wanted: VisualisationResponseFormat) -> Any:
    """The same from the bytes of a picture file."""
    if wanted is VisualisationResponseFormat.BASE64:
        return base64.b64encode(data).decode("ascii")
    if wanted is VisualisationResponseFormat.PILLOW:
        from PIL import Image, UnidentifiedImageError

        try:
            return Image.open(io.BytesIO(data))
        except UnidentifiedImageError as error:
            raise EncodingError("the server's picture is none that PIL knows") from error
    return _pixels(data)


def workflow_outputs(value: Any, wanted: VisualisationResponseFormat) -> Any:
    """Every picture of a workflow's outputs, `{"type": "base64", "value": ...}`, as `wanted`; the rest as it is."""
    if isinstance(value, list):
        return [workflow_outputs(each, wanted) for each in value]
    if not isinstance(value, dict):
        return value
    if value.get("type") == "base64":
        return picture_from_text(value["value"], wanted)
    return {name: workflow_outputs(each, wanted) for name, each in value.items()}


def one_per_row(answers: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Embeddings of several pictures in one answer as one answer per picture; raises HTTPClientError."""
    try:
        return [{**answer, "embeddings": [row]} for answer in answers for row in answer["embeddings"]]
    except (KeyError, TypeError):
        raise HTTPClientError("the server answered no embeddings") from None


def depth(result: dict[str, Any]) -> dict[str, Any]:
    """`normalized_depth` as float32 in 0..1 where the server sent a PNG of 8 or 16 bits; lists stay lists."""
    sent = result.get("normalized_depth")
    if isinstance(sent, str):
        import numpy as np

        pixels = _pixels(_decoded(sent))
        if pixels.dtype not in (np.uint8, np.uint16):
            raise EncodingError(f"the server's depth map has {pixels.dtype} instead of 8 or 16 bits")
        result["normalized_depth"] = pixels.astype(np.float32) / np.iinfo(pixels.dtype).max
    return result


def _rescaled(result: dict[str, Any], scale: float) -> dict[str, Any]:
    """Coordinates and sizes of the picture that was given."""
    grid = result.get("mask_metadata")
    if isinstance(grid, dict) and grid.get("coordinate_system") == "mask_grid" and "original_image" in result:
        # `allow_reduced_mask_resolution`: coordinates are cells of the mask, only their size in pixels changes
        original = result["original_image"] = _enlarged(result["original_image"], scale)
        grid["scale_x"], grid["scale_y"] = original["width"] / grid["width"], original["height"] / grid["height"]
        return result
    if "image" in result:
        result["image"] = _enlarged(result["image"], scale)
    predictions = result.get("predictions")
    for prediction in predictions if isinstance(predictions, list) else ():
        for point in (prediction, *prediction.get("points", ()), *prediction.get("keypoints", ())):
            for name in ("x", "y", "width", "height"):
                if name in point:
                    point[name] /= scale
    return result


def _enlarged(size: dict[str, Any], scale: float) -> dict[str, Any]:
    return {"width": round(size["width"] / scale), "height": round(size["height"] / scale)}


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text)
    except ValueError as error:
        raise EncodingError("the server's picture is no base64 text") from error


def _pixels(data: bytes) -> "npt.NDArray[np.uint8]":
    import cv2
    import numpy as np

    pixels: npt.NDArray[np.uint8] | None = None
    if data:  # OpenCV raises an error of its own for nothing
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None:
        raise EncodingError("the server's picture cannot be decoded")
    return pixels


def _anomaly_map(sent: Mapping[str, Any]) -> "npt.NDArray[np.float32]":
    """(height, width) float32 at the model's input size, sent row by row, little-endian."""
    import numpy as np

    try:
        return np.frombuffer(_decoded(sent["data"]), "<f4").reshape(sent["shape"]).astype(np.float32)
    except (KeyError, TypeError, ValueError) as error:
        raise EncodingError("the server's anomaly map is not float32 of the shape it names") from error
