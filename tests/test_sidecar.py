import pytest

from vidette.errors import ModelError
from vidette.sidecar import Sidecar, load_sidecar, where


def sidecar(tmp_path, text):
    (tmp_path / "m.yaml").write_text(text, encoding="utf-8")
    return load_sidecar(tmp_path / "m.onnx")


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        ("[cat, 7, dog]", ["cat", "7", "dog"]),
        ("{0: cat, 2: dog}", ["cat", "1", "dog"]),
        ("names.txt", ["cat", "big dog"]),
    ],
)
def test_labels_become_a_list(tmp_path, labels, names):
    (tmp_path / "names.txt").write_text("cat\n\n big dog \n", encoding="utf-8")
    assert sidecar(tmp_path, f"family: yolox\nlabels: {labels}\n") == {"family": "yolox", "labels": names}


def test_names_of_points_that_are_not_listed_wait_for_the_model(tmp_path):
    assert sidecar(tmp_path, "skeleton: [[nose, 2]]\n") == {"skeleton": [("nose", 2)]}


def test_no_sidecar_and_an_empty_one(tmp_path):
    assert load_sidecar(tmp_path / "m.onnx") == {}
    assert sidecar(tmp_path, "# nothing yet\n") == {}


def test_everything(tmp_path):
    found = sidecar(
        tmp_path,
        """
family: ultralytics
labels: [person]
input:
  layout: nhwc
  dtype: uint8
  colour: bgr
  mean: 127.5
  std: [58.4, 57.1, 57.4]
  scale: 1/128
  resize: crop
  margin: 224/256
  pad: 0
  size: 640x480
  stride: 16
keypoints: [nose, left, right]
skeleton: [[nose, left], [0, 2]]
activation: sigmoid
multi_label: true
""",
    )
    assert found == {
        "family": "ultralytics",
        "labels": ["person"],
        "input": {
            "layout": "nhwc",
            "dtype": "uint8",
            "colour": "bgr",
            "mean": (127.5,),
            "std": (58.4, 57.1, 57.4),
            "scale": 1 / 128,
            "resize": "crop",
            "margin": 0.875,
            "pad": 0,
            "size": (640, 480),
            "stride": 16,
        },
        "keypoints": ["nose", "left", "right"],
        "skeleton": [(0, 1), (0, 2)],
        "activation": "sigmoid",
        "multi_label": True,
    }


def test_every_way_to_resize_can_be_named(tmp_path):
    for word in ("letterbox", "topleft", "stretch", "crop"):
        assert sidecar(tmp_path, f"input: {{resize: {word}}}\n") == {"input": {"resize": word}}


def test_one_channel(tmp_path):
    found = sidecar(tmp_path, "input: {colour: grey, mean: [0.5], std: 0.25}\n")
    assert found == {"input": {"colour": "grey", "mean": (0.5,), "std": (0.25,)}}


def test_where_a_key_stands(tmp_path):
    found = sidecar(tmp_path, "family: yolox\ninput:\n  # grey\n  pad: 0\n")
    assert isinstance(found, Sidecar)
    assert where(found, "input", "pad") == f"{tmp_path / 'm.yaml'}:4: input.pad"
    assert where({"family": "x"}, "family") == "the sidecar's family"


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("family: yolox\nlabels: 7\n", 2, "labels: must be a list of names"),
        ("labels: {cat: 0}\n", 1, "list of names"),
        ("labels: []\n", 1, "list of names"),
        ("\n\nlabels: nowhere.txt\n", 3, "nowhere.txt"),
        ("family: yolox\nlabels: [cat\n", 3, "not YAML"),
        ("when: 2026-13-45\n", "", "not YAML"),
        ("- cat\n- dog\n", 1, "mapping"),
        ("family: yolox\nlabel: [a]\n", 2, "label: unknown; did you mean labels"),
        ("family: 7\n", 1, "family: must be a name"),
        ("input: stretch\n", 1, "input: must be a mapping"),
        ("input:\n  resise: crop\n", 2, r"input\.resise: unknown; did you mean resize"),
        ("input:\n  resize: leterbox\n", 2, r"input\.resize: 'leterbox' is none of .*did you mean letterbox"),
        ("input:\n  layout: NCHW\n", 2, r"input\.layout: .*did you mean nchw"),
        ("input:\n\n  mean: [1, 2]\n", 3, r"input\.mean: .*a list of three"),
        ("input: {mean: [a, b, c]}\n", 1, r"input\.mean"),
        ("input: {mean: []}\n", 1, r"input\.mean"),
        ("input: {colour: gray}\n", 1, r"input\.colour: .*did you mean grey"),
        ("input: {mean: .nan}\n", 1, r"input\.mean"),
        ("input: {std: 0}\n", 1, r"input\.std: .*above 0"),
        ("input: {scale: 1/0}\n", 1, r"input\.scale"),
        ("input: {scale: -1}\n", 1, r"input\.scale"),
        ("input: {pad: 256}\n", 1, r"input\.pad: 256 is no whole number of 0 to 255"),
        ("input: {pad: true}\n", 1, r"input\.pad"),
        ("input: {margin: 1.5}\n", 1, r"input\.margin"),
        ("input: {size: 0}\n", 1, r"input\.size"),
        ("input: {size: 640 x 480}\n", 1, r"input\.size: .*WIDTHxHEIGHT"),
        ("input: {dtype: float}\n", 1, r"input\.dtype: .*did you mean float"),
        ("keypoints: 0\n", 1, "keypoints"),
        ("skeleton: coco17\n", 1, "skeleton: .*did you mean coco-17"),
        ("skeleton: 3\n", 1, "skeleton: must be"),
        ("keypoints: 5\nskeleton: coco-17\n", 2, "coco-17 has 17 points, but keypoints says 5"),
        ("keypoints: [nose, chin]\nskeleton: [[nose, shin]]\n", 2, "no keypoint 'shin'; did you mean chin"),
        ("keypoints: 2\nskeleton: [[0, 2]]\n", 2, "no keypoint 2"),
        ("activation: softmaxx\n", 1, "activation: .*did you mean softmax"),
        ("multi_label: 1\n", 1, "multi_label: 1 is neither true nor false"),
    ],
)
def test_errors_name_file_line_and_field(tmp_path, text, line, says):
    with pytest.raises(ModelError, match=rf"m\.yaml{f':{line}' if line else ''}: .*{says}") as error:
        sidecar(tmp_path, text)
    assert "\n" not in str(error.value)
