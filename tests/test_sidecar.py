import pytest

from vidette.errors import ModelError
from vidette.sidecar import load_sidecar


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


def test_no_sidecar_and_an_empty_one(tmp_path):
    assert load_sidecar(tmp_path / "m.onnx") == {}
    assert sidecar(tmp_path, "# nothing yet\n") == {}


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("family: yolox\nlabels: 7\n", 2, "list of names"),
        ("labels: {cat: 0}\n", 1, "list of names"),
        ("\n\nlabels: nowhere.txt\n", 3, "nowhere.txt"),
        ("family: yolox\nlabels: [cat\n", 3, "not YAML"),
        ("- cat\n- dog\n", 1, "mapping"),
    ],
)
def test_errors_name_file_and_line(tmp_path, text, line, says):
    with pytest.raises(ModelError, match=rf"m\.yaml:{line}: .*{says}"):
        sidecar(tmp_path, text)
