import re
from dataclasses import replace
from importlib.metadata import EntryPoint

import pytest

import vidette.families
from tests.families.signatures import YOLO, centerface, signature
from vidette.errors import ModelError
from vidette.families import candidates, recognise
from vidette.families.base import Recognised
from vidette.pixels.preprocess import Preprocess

OPEN = (None, 3, None, None)
ANY = (None, None, None)
NAMED = {"names": "['cat', 'dog', 'cow']"}
LABELS = {"labels": ["cat", "dog", "cow"]}

CLAIMS = {
    "v8": ("ultralytics", signature((1, 7, 8400), metadata=YOLO)),
    "v8 dynamic": ("ultralytics", signature((None, 7, None), image=OPEN, metadata=YOLO)),
    "v8 nothing declared": ("ultralytics", signature(ANY, image=OPEN, metadata=YOLO)),
    "v8 two classes": ("ultralytics", signature((1, 6, 8400), metadata=YOLO | {"names": "{0: 'a', 1: 'b'}"})),
    "v8 without metadata": ("ultralytics", signature((1, 84, 8400))),
    "v8 without metadata, oblong": ("ultralytics", signature((1, 84, 5040), image=(1, 3, 384, 640))),
    "v8 with four strides": ("ultralytics", signature((1, 84, 8500))),
    "v8 with a stride of four": ("ultralytics", signature((1, 84, 8500), image=(1, 3, 320, 320))),
    "v8 forced": ("ultralytics", signature((1, 84, None), image=OPEN, sidecar={"family": "ultralytics"})),
    "v5": ("objectness", signature((1, 25200, 85))),
    "v5 with maps": ("objectness", signature((1, 25200, 85), (1, 3, 80, 80, 85), (1, 3, 40, 40, 85))),
    "v5 dynamic": ("objectness", signature((None, None, 8), image=OPEN, metadata=NAMED)),
    "v7 dynamic": ("objectness", signature((None, None, 8), image=OPEN, sidecar=LABELS)),
    "v5 one class": ("objectness", signature((1, 25200, 6))),
    "v5 with maps of four axes": ("objectness", signature((1, 25200, 6), *[(1, 18, n, n) for n in (80, 40, 20)])),
    "yolop": ("objectness", signature((1, 25200, 6), (1, 2, 640, 640), (1, 2, 640, 640))),
    "v5 forced": ("objectness", signature((1, None, 85), image=OPEN, sidecar={"family": "objectness"})),
    "yolox": ("yolox", signature((1, 8400, 85))),
    "yolox one class": ("yolox", signature((1, 3549, 6), image=(1, 3, 416, 416))),
    "yolox forced": ("yolox", signature((1, None, 85), image=OPEN, sidecar={"family": "yolox"})),
    "v10": ("end-to-end", signature((1, 300, 6), metadata=YOLO)),
    "26": ("end-to-end", signature((None, 300, 6), image=OPEN, metadata=YOLO | {"end2end": "True"})),
    "26 nothing declared": ("end-to-end", signature(ANY, image=OPEN, metadata=YOLO | {"end2end": "True"})),
    "26 raw": ("ultralytics", signature((1, 7, 8400), metadata=YOLO | {"end2end": "False"})),
    "nms": ("end-to-end", signature((1, 300, 6), metadata=YOLO | {"end2end": "False", "args": "{'nms': True}"})),
    "finished, no metadata": ("end-to-end", signature((1, 100, 6))),
    "rows forced": ("end-to-end", signature((1, 8400, 6), sidecar={"family": "end-to-end"})),
    "centerface": ("centerface", centerface()),
    "centerface honest": ("centerface", centerface(480, 800, 1)),
    "grey": ("ultralytics", signature((1, 84, 8400), image=(1, 1, 640, 640))),
    "grey, channels last": ("ultralytics", signature((1, 84, 8400), image=(None, 640, 640, 1))),
    "grey forced": ("yolox", signature((1, None, 85), image=(1, 1, None, None), sidecar={"family": "yolox"})),
}

STRANGERS = {
    "segmentation without a class": signature((1, 36, 8400), (1, 32, 160, 160)),
    "yolo of unknown shape": signature((1, None, 85), image=OPEN),
    "not a picture": signature((1, 84, 8400), image=(1, 640, 640)),
    "four channels": signature((1, 84, 8400), image=(1, 4, 640, 640)),
    "integers": signature((1, 84, 8400), dtype="int64"),
    "maps of other sizes": signature((1, 1, 9, 9), (1, 2, 9, 9), (1, 2, 9, 9), (1, 10, 9, 9), image=(1, 3, 32, 32)),
}


@pytest.mark.parametrize("case", CLAIMS)
def test_claims(case):
    family, given = CLAIMS[case]
    claim = recognise(given)
    assert claim.family == family
    assert claim.task == ("keypoints" if family == "centerface" else "detection")
    assert claim.why
    assert "\n" not in claim.why


@pytest.mark.parametrize("case", STRANGERS)
def test_leaves_others_alone_and_says_what_would_help(case):
    with pytest.raises(ModelError) as error:
        recognise(STRANGERS[case])
    text = str(error.value)
    assert "\n" not in text
    for part in ("images", "output0", "family: ultralytics|", "labels: ["):
        assert part in text


@pytest.mark.parametrize(
    ("lie", "output", "says"),
    [
        ({"task": "obb"}, (1, 6, 9, 9), "its metadata say task `obb` and 3 classes, but no family fits"),
        ({"task": "knitting"}, (1, 9, 9, 9), "its metadata say task `knitting` and 3 classes, but no family fits"),
        ({"names": "{0: 'a', 1: 'b'}"}, (1, 84, 8400), "its metadata name 2 classes, the output has 80: .*80 names"),
        ({"names": "{0: 'a'}"}, (1, 7, 8400), "its metadata name 1 class, the output has 3: "),
        ({"names": "{0: 'a'}"}, (1, 8400, 7), "its metadata say task `detect` and 1 class, but no family fits"),
    ],
)
def test_metadata_that_lie_are_told(lie, output, says):
    with pytest.raises(ModelError, match=f"{says}.*{re.escape(str(output))}"):
        recognise(signature(output, metadata=YOLO | lie))


@pytest.mark.parametrize("case", [case for case in CLAIMS if case.startswith("grey")])
def test_whatever_colours_the_family_feeds_one_channel_gets_grey(case):
    preprocess = recognise(CLAIMS[case][1]).preprocess
    assert (preprocess.colour, len(preprocess.mean), len(preprocess.scale)) == ("grey", 1, 1)


def test_candidates_are_those_that_a_sidecar_could_name():
    given = signature((1, None, 85), image=OPEN, metadata={"names": "['one']"})
    found = candidates(given)
    assert {"ultralytics", "objectness", "yolox"} <= set(found)
    assert not {"centerface", "classifier", "semantic", "ssd"} & set(found)
    assert candidates(signature((1, 84, 8400), image=(1, 4, 640, 640))) == []


def test_the_sidecar_corrects_metadata_that_lie():
    given = signature(
        (1, 7, 8400), metadata=YOLO | {"names": "{0: 'a', 1: 'b'}"}, sidecar=LABELS | {"family": "ultralytics"}
    )
    assert recognise(given).labels == ("cat", "dog", "cow")


def test_the_message_lists_what_the_file_says():
    with pytest.raises(
        ModelError, match=r"images float32 \(\?, 3, \?, \?\).*output0 float32 \(1, \?, 85\).*author, rank"
    ):
        recognise(signature((1, None, 85), image=OPEN, metadata={"rank": "1", "author": "me"}))


def test_the_message_names_the_outputs_to_choose_from():
    several = signature((None, 1), (None, 1024), (None, 100), image=(None, 224, 224, 3))
    with pytest.raises(ModelError, match=r"add `output: output0\|output1\|output2`"):
        recognise(several)
    assert recognise(replace(several, sidecar={"output": "output2"})).family == "classifier"
    with pytest.raises(ModelError) as error:
        recognise(signature((None, 192), image=(None, 112, 112, 3)))
    assert "add `output" not in str(error.value)


@pytest.mark.parametrize(
    ("sidecar", "words"),
    [
        ({"family": "yolo-x"}, "did you mean yolox"),
        ({"family": 7}, "there are ultralytics, "),
        ({"family": "centerface"}, "does not look like it"),
    ],
)
def test_a_wrong_word_in_the_sidecar(sidecar, words):
    with pytest.raises(ModelError, match=words):
        recognise(signature((1, 84, 8400), sidecar=sidecar))


@pytest.mark.parametrize(
    ("metadata", "sidecar", "labels"),
    [
        ({}, {}, ("0", "1", "2")),
        (NAMED, {}, ("cat", "dog", "cow")),
        ({"names": "{0: 'cat', 2: 'cow'}"}, {}, ("cat", "1", "cow")),
        ({}, LABELS, ("cat", "dog", "cow")),
        ({"names": "__import__('os').getcwd()"}, LABELS, ("cat", "dog", "cow")),
        ({"names": "{" * 5000}, LABELS, ("cat", "dog", "cow")),
        ({"names": "['cat', 'dog', 'cow', " + " " * 10**6 + "]"}, LABELS, ("cat", "dog", "cow")),
        ({"names": "{-1: 'cat'}"}, {}, ("0", "1", "2")),
        ({"names": "{1000000000: 'cat'}"}, {}, ("0", "1", "2")),
        ({"names": "7"}, {}, ("0", "1", "2")),
    ],
)
def test_labels(metadata, sidecar, labels):
    given = signature((1, 7, 8400), metadata=metadata, sidecar=sidecar | {"family": "ultralytics"})
    assert recognise(given).labels == labels


@pytest.mark.parametrize("shape", [(1, 7, 8400), (1, 8400, 8), (1, 25200, 8)])
def test_labels_of_another_number_are_refused(shape):
    with pytest.raises(ModelError, match="has 2 names but the model has 3 classes"):
        recognise(signature(shape, sidecar={"labels": ["a", "b"]}))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (signature((1, 7, 8400), metadata=YOLO), Preprocess(width=640, height=640, batch=1)),
        (
            signature((None, 7, None), image=OPEN, metadata=YOLO | {"imgsz": "[192, 320]", "stride": "64"}),
            Preprocess(size=320, stride=64),
        ),
        (signature((None, 7, None), image=OPEN, metadata=YOLO | {"stride": "0.5"}), Preprocess()),
        (signature((None, 300, 6), image=OPEN, metadata=YOLO | {"stride": "0", "imgsz": "0.9"}), Preprocess()),
        (signature((1, 84, 8400), dtype="float16"), Preprocess(dtype="float16", width=640, height=640, batch=1)),
        (
            signature((1, 84, 8400), dtype="uint8", image=(4, 640, 640, 3)),
            Preprocess(dtype="uint8", layout="nhwc", scale=(1, 1, 1), width=640, height=640, batch=4),
        ),
        (
            signature((1, 3549, 6), image=(1, 3, 416, 416)),
            Preprocess(
                colour="bgr", scale=(1, 1, 1), resize="topleft", width=416, height=416, batch=1, size=416, stride=32
            ),
        ),
        (centerface(), Preprocess(scale=(1, 1, 1), resize="stretch")),
        (
            centerface(480, 800, 1),
            Preprocess(scale=(1, 1, 1), resize="stretch", width=800, height=480, batch=1, size=800),
        ),
        (
            signature((1, 102000, 85), image=(1, 3, 1280, 1280)),
            Preprocess(width=1280, height=1280, batch=1, size=1280, stride=64),
        ),
    ],
)
def test_preprocessing(given, expected):
    assert recognise(given).preprocess == expected


def test_only_the_placeholder_size_of_centerface_is_opened():
    assert recognise(centerface()).dynamic
    assert not recognise(centerface(480, 800, 1)).dynamic
    assert recognise(centerface()).defaults.confidence == 0.5
    assert recognise(centerface()).defaults.iou == 0.3


class Everything:
    name = "everything"

    def recognise(self, signature):
        return Recognised(self.name, "detection", (), Preprocess(), lambda *_: None, "it takes anything")


def test_families_of_others(monkeypatch):
    entry = EntryPoint("everything", "tests.families.test_recognise:Everything", "vidette.families")
    monkeypatch.setattr(vidette.families, "entry_points", lambda group: [entry])
    assert recognise(signature((1, 10))).family == "everything"
    with pytest.raises(
        ModelError, match=r"more than one family fits: ultralytics .*everything .*takes anything.*family:"
    ):
        recognise(signature((1, 84, 8400)))
    assert recognise(signature((1, 84, 8400), sidecar={"family": "everything"})).family == "everything"
    broken = EntryPoint("broken", "no.such.module:Family", "vidette.families")
    monkeypatch.setattr(vidette.families, "entry_points", lambda group: [broken])
    with pytest.raises(ModelError, match=r"family broken .*no.such.module"):
        recognise(signature((1, 84, 8400)))
