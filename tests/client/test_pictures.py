"""Pictures in every form as they are sent, and answers as they come back."""

import base64
import io
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from vidette.client import EncodingError, InvalidInputFormatError, VisualisationResponseFormat, answers
from vidette.client.aliases import resolve
from vidette.client.pictures import encoded, file_bytes
from vidette.client.transport import Transport


def sent(picture: Any, largest: tuple[int, int] | None = None) -> tuple[bytes, float | None]:
    (made,) = Transport(1).run(encoded(picture, largest))
    return base64.b64decode(made.base64), made.scale


def pixels(data: bytes) -> Any:
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)


def test_a_file_keeps_its_bytes(folder: Path) -> None:
    for name in ("a.jpg", "b.png"):
        path = folder / "pictures" / name
        assert sent(path) == sent(str(path)) == sent(path.read_bytes()) == (path.read_bytes(), None)
        assert sent(path, (96, 64)) == (path.read_bytes(), None)


def test_text_is_sent_as_it_is() -> None:
    for text in ("AAAA", "AAAA\nAAA=", "data:image/jpeg;base64,AAAA", "A" * 10_000):
        assert Transport(1).run(encoded(text))[0].base64 == text


@pytest.mark.parametrize("given", [3, None, object(), {"image": 1}])
def test_what_is_no_picture(given: Any) -> None:
    with pytest.raises(InvalidInputFormatError, match=r"is no picture"):
        sent(given)


def test_a_mistyped_path_is_told() -> None:
    with pytest.raises(InvalidInputFormatError, match=r"no/such\.jpg: no such file"):
        sent("no/such.jpg")
    with pytest.raises(InvalidInputFormatError, match="cannot be read"):
        sent(Path("/no/such"))
    with pytest.raises(InvalidInputFormatError, match="cannot be read"):
        sent("/")


@pytest.mark.parametrize("shape", [(4, 6), (4, 6, 1), (4, 6, 3), (4, 6, 4)])
def test_arrays(shape: tuple[int, ...]) -> None:
    data, scale = sent(np.full(shape, 128, np.uint8))
    assert scale is None
    assert pixels(data).shape[:2] == (4, 6)
    assert data.startswith(b"\x89PNG" if shape[2:] == (4,) else b"\xff\xd8")


def test_views_of_arrays_are_taken_as_they_look() -> None:
    picture = np.zeros((16, 32, 3), np.uint8)
    picture[:, :16] = (255, 0, 0)
    data, _ = sent(picture[:, ::-1])
    assert pixels(data)[8, 28, 0] > 200


@pytest.mark.parametrize(
    "array", [np.zeros((4, 6, 3), complex), np.zeros(3, np.uint8), np.zeros((4, 6, 2), np.uint8), np.array("x")]
)
def test_arrays_that_are_no_pictures(array: Any) -> None:
    with pytest.raises(InvalidInputFormatError, match="is no picture"):
        sent(array)


@pytest.mark.parametrize(("value", "level"), [(np.float32(99.6), 100), (np.int16(300), 255), (-7.0, 0)])
def test_other_numbers_are_stored_as_opencv_stores_them(value: Any, level: int) -> None:
    data, _ = sent(np.full((8, 8, 3), value))
    assert (pixels(data) == level).all()


def test_values_up_to_1_would_be_a_black_picture() -> None:
    with pytest.raises(InvalidInputFormatError, match="do not exceed 1: multiply by 255"):
        sent(np.full((8, 8, 3), 0.5, np.float32))


@pytest.mark.parametrize("mode", ["1", "L", "RGB", "CMYK", "RGBA", "P", "LA", "I;16"])
def test_images_of_every_mode(mode: str) -> None:
    data, _ = sent(Image.new(mode, (6, 4)))
    assert Image.open(io.BytesIO(data)).size == (6, 4)


@pytest.mark.parametrize("form", ["array", "image", "file", "text"])
def test_made_smaller(form: str) -> None:
    """The smaller of the two ratios holds for both sides."""
    across = np.broadcast_to(np.linspace(0, 255, 200)[None, :, None], (100, 200, 3)).astype(np.uint8)
    png = bytes(cv2.imencode(".png", across)[1])
    given: Any = {
        "array": across, "image": Image.fromarray(across), "file": png, "text": base64.b64encode(png).decode()
    }[form]  # fmt: skip
    data, scale = sent(given, (100, 80))
    assert scale == 0.5
    assert pixels(data).shape == (50, 100, 3)
    assert np.abs(pixels(data).astype(int) - across[::2, ::2]).max() <= 6
    assert sent(given, (200, 100))[1] is None


def test_a_thin_picture_keeps_a_row() -> None:
    data, scale = sent(np.zeros((1, 4000, 3), np.uint8), (1000, 1000))
    assert scale == 0.25
    assert pixels(data).shape[:2] == (1, 1000)


def test_a_turned_file_is_upright_when_it_is_made_smaller() -> None:
    with io.BytesIO() as file:
        exif = Image.Exif()
        exif[274] = 6
        Image.new("RGB", (200, 100)).save(file, "JPEG", exif=exif)
        data, scale = sent(file.getvalue(), (50, 100))
    assert scale == 0.5
    assert pixels(data).shape == (100, 50, 3)


@pytest.mark.parametrize("data", [b"", b"not a picture"])
def test_files_that_cannot_be_made_smaller(data: bytes) -> None:
    with pytest.raises(EncodingError):
        sent(data, (10, 10))


def test_names_of_files(folder: Path) -> None:
    assert file_bytes(folder / "pictures" / "a.jpg")[0] == "a.jpg"
    assert file_bytes(np.zeros((4, 6, 3), np.uint8))[0] == "picture.jpg"
    assert file_bytes(np.zeros((4, 6, 4), np.uint8))[0] == "picture.png"
    assert file_bytes(b"x") == ("file", b"x")


def test_coordinates_are_those_of_the_picture_given() -> None:
    row = {"x": 10.0, "y": 20.0, "width": 4.0, "height": 2.0, "confidence": 0.5}
    points = {**row, "points": [{"x": 1.0, "y": 2.0}]}
    skeleton = {**row, "keypoints": [{"x": 3.0, "y": 4.0, "confidence": 0.5}]}
    # an answer may mix shapes: each prediction is read for itself
    result = {"image": {"width": 50, "height": 25}, "predictions": [row, points, skeleton]}
    scaled = answers.finished(result, 0.5, VisualisationResponseFormat.BASE64)
    assert scaled["image"] == {"width": 100, "height": 50}
    assert scaled["predictions"] == [
        {"x": 20.0, "y": 40.0, "width": 8.0, "height": 4.0, "confidence": 0.5},
        {"x": 20.0, "y": 40.0, "width": 8.0, "height": 4.0, "confidence": 0.5, "points": [{"x": 2.0, "y": 4.0}]},
        {"x": 20.0, "y": 40.0, "width": 8.0, "height": 4.0, "confidence": 0.5,
         "keypoints": [{"x": 6.0, "y": 8.0, "confidence": 0.5}]},
    ]  # fmt: skip


@pytest.mark.parametrize(
    "result",
    [
        {"is_stub": True, "image": {"width": 1, "height": 1}},
        {"predictions": {"cat": {"confidence": 0.9}}, "predicted_classes": ["cat"]},
        {"predictions": [{"class": "cat", "confidence": 0.9}], "top": "cat"},
        {},
    ],
)
def test_what_has_no_coordinates_stays(result: dict[str, Any]) -> None:
    assert answers.finished(dict(result), 0.5, VisualisationResponseFormat.BASE64) == result


def test_cells_of_a_mask_stay_cells() -> None:
    result = {
        "mask_metadata": {"coordinate_system": "mask_grid", "width": 10, "height": 10},
        "original_image": {"width": 20, "height": 30},
        "predictions": [{"x": 1.0}],
    }
    scaled = answers.finished(result, 0.5, VisualisationResponseFormat.BASE64)
    assert scaled["predictions"] == [{"x": 1.0}]
    assert scaled["original_image"] == {"width": 40, "height": 60}
    assert (scaled["mask_metadata"]["scale_x"], scaled["mask_metadata"]["scale_y"]) == (4, 6)


def test_anomaly_maps() -> None:
    values = np.arange(6, dtype="<f4").reshape(2, 3)
    sent_map = {"shape": [2, 3], "dtype": "float32", "data": base64.b64encode(values.tobytes()).decode()}
    found = answers.finished({"anomaly_map": sent_map}, None, VisualisationResponseFormat.BASE64)["anomaly_map"]
    assert found.tolist() == values.tolist()
    with pytest.raises(EncodingError, match="anomaly map"):
        answers.finished({"anomaly_map": {**sent_map, "shape": [5]}}, None, VisualisationResponseFormat.BASE64)


def test_known_names() -> None:
    assert resolve("yolov8n-640") == "coco/3"
    assert resolve("yolo11n-640") == resolve("yolov11n-640") == "coco/25"
    assert resolve("rfdetr-2xlarge") == "coco/48"
    assert resolve("paligemma-3b-ft-ocrvqa-448") == "paligemma-pretrains/19"
    assert resolve("my/7") == "my/7"
