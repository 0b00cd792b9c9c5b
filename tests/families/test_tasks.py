"""Files whose metadata name another task than their outputs have, or none that there is: told, with what mends it."""

import re
from dataclasses import replace

import pytest

from tests.families.signatures import YOLO, signature
from vidette.errors import ModelError
from vidette.families import candidates, recognise

MAPS = (1, 32, 160, 160)
POINTS = {"kpt_shape": "[17, 3]"}
END = {"end2end": "True"}
EIGHTY = {"names": str({i: f"c{i}" for i in range(80)})}

FILES = {
    "detect": ("ultralytics", "detect", [(1, 7, 8400)], {}),
    "segment": ("ultralytics-segment", "segment", [(1, 39, 8400), MAPS], {}),
    "pose": ("ultralytics-pose", "pose", [(1, 58, 8400)], POINTS),
    "pose of nobody's word": ("ultralytics-pose", "pose", [(1, 58, 8400)], {}),
    "obb": ("ultralytics-obb", "obb", [(1, 8, 8400)], {}),
    "classify": ("classifier", "classify", [(1, 3)], {}),
    "semantic": ("semantic", "semantic", [(1, 3, 640, 640)], {}),
    "finished": ("end-to-end", "detect", [(1, 300, 6)], END),
    "finished, 80 names": ("end-to-end", "detect", [(1, 300, 6)], END | EIGHTY),
    "finished segment": ("ultralytics-segment", "segment", [(1, 300, 38), MAPS], END),
    "finished pose": ("ultralytics-pose", "pose", [(1, 300, 57)], END | POINTS),
    "finished obb": ("ultralytics-obb", "obb", [(1, 300, 7)], END),
    "dynamic segment": ("ultralytics-segment", "segment", [(None, None, None), (None, 32, None, None)], {}),
}
"""what it is: (family, its task, outputs, metadata besides the names)"""

WORDS = ("detect", "segment", "pose", "obb", "classify", "semantic", "knitting")


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize("case", FILES)
def test_a_task_that_the_outputs_do_not_have_is_told_and_the_line_settles_it(case, word):
    family, task, shapes, metadata = FILES[case]
    given = signature(*shapes, metadata=YOLO | metadata | {"task": word})
    if word == task:
        assert recognise(given).family == family
        return
    with pytest.raises(ModelError) as error:
        recognise(given)
    text = str(error.value)
    assert text.startswith(f"its metadata say task `{word}` and ")
    assert f"its outputs look like task `{task}`" in text
    assert f"`family: {family}`" in text
    assert "output0 float32" in text
    assert "\n" not in text
    assert text.count("`family: ") == 1
    mended = recognise(replace(given, sidecar={"family": family}))
    assert mended.family == candidates(given)[0] == family
    assert "metadata says task" not in mended.why
    assert mended == recognise(
        signature(*shapes, metadata=YOLO | metadata | {"task": task}, sidecar={"family": family})
    )


@pytest.mark.parametrize(
    ("shapes", "task", "says", "labels"),
    [
        ([(1, 39 + 5, 8400), MAPS], "detect", "look like task `segment` of 8 classes", 8),
        ([(1, 1000)], "detect", "look like task `classify` of 1000 classes", 1000),
        (
            [(1, 12, 8400)],
            "classify",
            "look like task `detect` of 8 classes or `obb` of 7 classes: write `family: ultralytics` and "
            "`labels: [...]` (8 names) or `family: ultralytics-obb` and `labels: [...]` (7 names)",
            8,
        ),
    ],
)
def test_task_and_names_may_both_lie(shapes, task, says, labels):
    with pytest.raises(ModelError, match=re.escape(says)) as error:
        recognise(signature(*shapes, metadata=YOLO | {"task": task}))
    assert f"`labels: [...]` ({labels} names)" in str(error.value)


@pytest.mark.parametrize(
    ("shapes", "metadata", "says"),
    [
        ([(1, 12, 8400)], {}, "its metadata name 3 classes, the output has 8: .*`family: ultralytics` and `labels:"),
        ([(1, 44, 8400), MAPS], {"task": "segment"}, "`names` has 3 names but the model has 8 classes: .*`labels:"),
        ([(1, 12, 8400)], {"task": "obb"}, "`names` has 3 names but the model has 7 classes: .*`labels:"),
        ([(1, 8)], {"task": "classify"}, "`names` has 3 names but the model has 8 classes: .*`labels:"),
        ([(1, 57, 8400)], POINTS | {"task": "pose"}, "other 50 are not 17 keypoints of 3 numbers; correct `labels`"),
        ([(1, 300, 56)], END | POINTS | {"task": "pose"}, "other 50 are not 17 keypoints of 3 numbers; correct"),
        ([(1, 39, 8400)], {"task": "segment"}, "cannot be made without prototypes; export the model with both"),
        ([(1, 300, 38)], END | {"task": "segment"}, "cannot be made without prototypes; export the model with both"),
        ([(None, None, None)], {"task": "pose"}, "write `keypoints: 17`"),
        ([(1, 8400, 7)], {}, "its metadata say task `detect` and 3 classes, but no family fits"),
    ],
)
def test_what_is_wrong_within_the_task_that_is_told_stays_the_message(shapes, metadata, says):
    with pytest.raises(ModelError, match=says) as error:
        recognise(signature(*shapes, metadata=YOLO | metadata))
    assert "\n" not in str(error.value)
    assert "look like" not in str(error.value)


EMBEDDING = (
    r"its output \({} numbers .*looks like an embedding, .*Vidette has no such task; .*`family: classifier` and "
)


@pytest.mark.parametrize("shape", [(1, 128), (None, 192), (1, 512), (1, 512, 1, 1)])
@pytest.mark.parametrize("image", [(1, 3, 112, 112), (None, 160, 160, 3)])
def test_an_embedding_is_called_one(shape, image):
    given = signature(shape, image=image)
    with pytest.raises(ModelError, match=EMBEDDING.format(shape[1])) as error:
        recognise(given)
    assert "\n" not in str(error.value)
    names = [f"c{i}" for i in range(shape[1])]
    assert recognise(replace(given, sidecar={"labels": names})).family == "classifier"


@pytest.mark.parametrize(
    "given",
    [
        signature((1, 100), image=(1, 3, 112, 112)),
        signature((1, 32), image=(1, 3, 112, 112)),
        signature((1, 128, 7, 7), image=(1, 3, 112, 112)),
        signature((1, 128), (1, 128), image=(1, 3, 112, 112)),
        signature((1, 128), image=(1, 80, 3000)),
    ],
)
def test_other_vectors_are_not(given):
    with pytest.raises(ModelError, match="no family fits") as error:
        recognise(given)
    assert "embedding" not in str(error.value)
