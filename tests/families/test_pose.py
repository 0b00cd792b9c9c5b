"""Ultralytics pose: recognised, divided, decoded as a plain twin does and as Ultralytics does."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.families import answers
from tests.families.signatures import YOLO, signature
from tests.kernels import twin
from vidette.errors import DecodeError, ModelError
from vidette.families import recognise
from vidette.families.base import Thresholds
from vidette.families.ultralytics_pose import Pose
from vidette.payloads import payload
from vidette.pixels.letterbox import fit
from vidette.predictions.skeletons import COCO_17, Skeleton

POSE = YOLO | {"task": "pose", "kpt_shape": "[17, 3]", "names": "{0: 'person'}"}
OPEN = (None, 3, None, None)
OLD = {key: value for key, value in POSE.items() if key != "kpt_shape"}
STATED = {"keypoints": ["tip", "tail"], "labels": ["arrow"]}

CLAIMS = {
    "v8": (signature((1, 56, 8400), metadata=POSE), 17, 3, False),
    "80 classes": (
        signature((1, 135, 8400), metadata=POSE | {"names": str(dict(enumerate("c" * 80)))}), 17, 3, False,
    ),
    "dynamic": (signature((None, 56, None), image=OPEN, metadata=POSE), 17, 3, False),
    "nothing declared": (signature((None, None, None), image=OPEN, metadata=POSE), 17, 3, False),
    "no names": (signature((1, 56, 8400), metadata={"task": "pose", "kpt_shape": "[17, 3]"}), 17, 3, False),
    "no kpt_shape": (signature((1, 56, 8400), metadata=OLD), 17, 3, False),
    "two numbers": (signature((1, 15, 8400), metadata=OLD), 5, 2, False),
    "two numbers told": (signature((1, 17, 8400), metadata=POSE | {"kpt_shape": "(6, 2)"}), 6, 2, False),
    "two numbers by sidecar": (signature((1, 17, 8400), metadata=OLD, sidecar={"keypoints": 6}), 6, 2, False),
    "26": (signature((1, 300, 57), metadata=POSE | {"end2end": "True"}), 17, 3, True),
    "26, dynamic": (signature((None, 300, None), image=OPEN, metadata=POSE | {"end2end": "True"}), 17, 3, True),
    "nms": (signature((1, 300, 57), metadata=POSE | {"end2end": "False", "args": "{'nms': True}"}), 17, 3, True),
    "rows not told": (signature((1, 300, 57), metadata=POSE), 17, 3, True),
    "forced": (signature((1, 9, None), image=OPEN, sidecar=STATED | {"family": "ultralytics-pose"}), 2, 2, False),
    "rows forced": (signature((1, 300, 12), sidecar=STATED | {"family": "ultralytics-pose"}), 2, 3, True),
    "sidecar without a family": (signature((1, 11, 8400), sidecar=STATED), 2, 3, False),
}  # fmt: skip


@pytest.mark.parametrize("case", CLAIMS)
def test_claims(case):
    given_, count, numbers, finished = CLAIMS[case]
    claim = recognise(given_)
    assert (claim.family, claim.task) == ("ultralytics-pose", "keypoints")
    assert isinstance(claim.decoder, Pose)
    assert (len(claim.decoder.skeleton.points), claim.decoder.numbers, claim.decoder.finished) == (
        count, numbers, finished,
    )  # fmt: skip
    assert claim.why
    assert "\n" not in claim.why


@pytest.mark.parametrize(
    ("shape", "metadata", "sidecar", "words"),
    [
        ((1, 55, 8400), POSE, {}, r"55 numbers for each place, 5 of them .* other 50 are not 17 keypoints of 3"),
        ((1, 54, 8400), OLD, {}, "other 49 are not K keypoints of 2 or 3 numbers"),
        ((1, 5, 8400), OLD | {"names": "{}"}, {}, "other 0 are not K keypoints"),
        ((1, 54, 8400), POSE | {"names": "{}"}, {}, "3 of them for box and classes"),
        ((1, 56, 8400), POSE | {"names": "['a', 'b']"}, {}, "56 numbers for each place, 6 of them"),
        ((1, 300, 56), POSE | {"end2end": "True"}, {}, r"56 numbers for each object, 6 of them .* other 50"),
        ((1, 56, 8400), OLD, {"keypoints": 16}, "other 51 are not 16 keypoints of 2 or 3"),
        ((1, 56, 8400), POSE, {"keypoints": 16}, "says 16 keypoints, but the model has 17"),
        ((1, None, None), OLD, {}, "write `keypoints: 17`"),
        ((1, 56, 8400), POSE | {"kpt_shape": "seventeen"}, {}, "`kpt_shape` is 'seventeen', not two numbers"),
        ((1, 56, 8400), POSE | {"kpt_shape": "[17, 4]"}, {}, "only points of 2 or 3 numbers"),
        ((1, 56, 8400), POSE | {"kpt_names": "{0: ['nose']}"}, {}, "`kpt_names` names 1 keypoints, but .* has 17"),
        ((1, 56, 8400), POSE, {"skeleton": "face-5"}, "skeleton names 5 keypoints, but the model has 17"),
        ((1, 56, 8400), POSE, {"skeleton": [(0, 17)]}, r"\(0, 17\) joins no two of 17 keypoints"),
        ((1, 56, 8400), POSE | {"skeleton": "[[1]]"}, {}, r"\[1\] joins no two of 17"),
    ],
)
def test_what_does_not_add_up_is_told_at_load(shape, metadata, sidecar, words):
    with pytest.raises(ModelError, match=words) as error:
        recognise(signature(shape, metadata=metadata, sidecar=sidecar))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("metadata", "sidecar", "expected"),
    [
        ({}, {}, Skeleton("points-2", ("0", "1"))),
        ({"kpt_names": "{0: ['a', 'b']}"}, {}, Skeleton("own", ("a", "b"))),
        ({"keypoints": "['a', 'b']", "skeleton": "[[1, 0]]"}, {}, Skeleton("own", ("a", "b"), ((1, 0),))),
        ({"keypoints": "['a', 'b']"}, {"keypoints": ["c", "d"]}, Skeleton("own", ("c", "d"))),
        ({"skeleton": "[[1, 0]]"}, {"skeleton": [(0, 1)]}, Skeleton("own", ("0", "1"), ((0, 1),))),
    ],
)
def test_skeletons(metadata, sidecar, expected):
    claim = recognise(signature((1, 11, 8400), metadata=OLD | metadata, sidecar=sidecar))
    assert claim.decoder.skeleton == expected


def test_bones_may_be_told_by_names_that_the_model_or_its_family_gives():
    def bones(pairs, metadata=POSE, shape=(1, 56, 8400)):
        return recognise(signature(shape, metadata=metadata, sidecar={"skeleton": pairs})).decoder.skeleton.bones

    assert bones([("nose", 2), ("left_eye", "nose")]) == ((0, 2), (1, 0))
    assert bones([("b", "a")], OLD | {"keypoints": "['a', 'b']"}, (1, 11, 8400)) == ((1, 0),)
    with pytest.raises(ModelError, match=r"skeleton: \('chin', 0\) joins no two of 17 keypoints, nose, left_eye"):
        bones([("chin", 0)])


def test_seventeen_points_are_those_of_coco_and_a_name_gives_the_bones():
    assert recognise(signature((1, 56, 8400), metadata=POSE)).decoder.skeleton == COCO_17
    assert recognise(signature((1, 56, 8400), metadata=POSE | {"skeleton": "coco-17"})).decoder.skeleton == COCO_17
    names = [f"p{i}" for i in range(17)]
    for bones, sidecar in ((COCO_17.bones, {"skeleton": "coco-17"}), ((), {})):
        claim = recognise(signature((1, 56, 8400), metadata=POSE, sidecar=sidecar | {"keypoints": names}))
        assert claim.decoder.skeleton.points == tuple(names)
        assert claim.decoder.skeleton.bones == bones


PLACES = 126


def head(rng, classes, count, numbers, n=PLACES):
    values = rng.uniform(-20, 120, (4 + classes + count * numbers, n))
    values[4 : 4 + classes] = rng.random((classes, n)) ** 2
    if numbers == 3:
        values[4 + classes + 2 :: 3] = rng.random((count, n))
    return values.astype(np.float32)


def rows(values, classes):
    """The same objects as an end-to-end head returns them."""
    scores = values[4 : 4 + classes]
    box = [values[0] - values[2] / 2, values[1] - values[3] / 2, values[0] + values[2] / 2, values[1] + values[3] / 2]
    return np.concatenate([box, [scores.max(0)], [scores.argmax(0)], values[4 + classes :]]).T.astype(np.float32)


def slowly(found, extras, numbers, letterbox, limits, suppressed):
    """(N, K, 3): every object of the twins, its keypoints one by one."""
    candidates = np.reshape([row[:6] for row in found], (-1, 6)).T
    kept = twin.suppress(candidates, 1.0 if suppressed else limits.iou, limits.agnostic, limits.max_detections, 10**6)
    gain_x, gain_y = letterbox.scaled_width / letterbox.width, letterbox.scaled_height / letterbox.height
    answer = []
    for i in kept:
        points = [extras[i][k : k + numbers] for k in range(0, len(extras[i]), numbers)]
        answer.append(
            [
                [
                    (float(p[0]) - letterbox.left) / gain_x,
                    (float(p[1]) - letterbox.top) / gain_y,
                    float(p[2]) if numbers == 3 else float(candidates[4, i]),
                ]
                for p in points
            ]
        )
    return kept, np.array(answer)


@given(
    classes=st.integers(1, 4),
    count=st.integers(1, 6),
    numbers=st.sampled_from([2, 3]),
    n=st.sampled_from([0, 1, 21, 600]),
    half=st.booleans(),
    agnostic=st.booleans(),
    seed=st.integers(0, 99),
)
@settings(deadline=None, max_examples=40)
def test_both_layouts_equal_their_twin(classes, count, numbers, n, half, agnostic, seed):
    values = head(np.random.default_rng(seed), classes, count, numbers, n)
    if half:
        values = values.astype(np.float16)
    letterbox = fit(150, 130, 96, 64, "letterbox")
    limits = Thresholds(confidence=0.3, iou=0.4, agnostic=agnostic, max_detections=40)
    labels, points = tuple("abcd"[:classes]), Skeleton("own", tuple(map(str, range(count))))
    plain = values.astype(np.float32)
    places = np.flatnonzero(plain[4 : 4 + classes].max(0, initial=-1) > np.float32(0.3))
    allowed = np.ones(classes, bool)
    found = twin.columns(plain[: 4 + classes], allowed, np.float32(0.3))
    kept, expected = slowly(found, plain[4 + classes :, places].T, numbers, letterbox, limits, False)
    answer = Pose(labels, points, numbers, False)([values], letterbox, limits)
    assert len(answer) == len(kept)
    assert answer.keypoints.shape == (len(kept), count, 3)
    assert answer.keypoints.dtype == np.float32
    np.testing.assert_allclose(answer.keypoints, expected.reshape(-1, count, 3), atol=2e-3)
    finished = rows(plain, classes)
    kept, expected = slowly(
        twin.objects(finished, allowed, True, np.float32(0.3)), finished[places, 6:], numbers, letterbox, limits, True
    )
    answer = Pose(labels, points, numbers, True)([finished], letterbox, limits)
    np.testing.assert_allclose(answer.keypoints, expected.reshape(-1, count, 3), atol=2e-3)


def decoder(finished=False):
    return Pose(("person",), COCO_17, 3, finished)


def test_nothing_found_has_the_fields_of_something():
    for finished, shape in ((False, (56, 0)), (False, (56, 20)), (True, (300, 57))):
        answer = decoder(finished)([np.zeros(shape, np.float32)], fit(9, 9, 64, 64, "letterbox"), Thresholds())
        assert answer.keypoints.shape == (0, 17, 3)
        assert answer.skeleton == COCO_17
        assert payload("roboflow")(answer) == {"predictions": []}


def test_the_answer_keeps_nothing_of_the_output():
    values = np.full((56, 9), 0.9, np.float32)
    answer = decoder()([values], fit(64, 64, 64, 64, "letterbox"), Thresholds())
    before = answer.keypoints.copy()
    values[:] = 7
    np.testing.assert_array_equal(answer.keypoints, before)


def test_a_keypoint_that_is_no_number_costs_only_itself():
    values = np.full((56, 1), 0.9, np.float32)
    values[5] = np.nan
    answer = decoder()([values], fit(64, 64, 64, 64, "letterbox"), Thresholds())
    (row,) = payload("roboflow")(answer)["predictions"]
    assert [p["class_id"] for p in row["keypoints"]] == list(range(1, 17))
    values[4] = np.nan
    with pytest.raises(DecodeError, match="not numbers"):
        decoder()([values], fit(64, 64, 64, 64, "letterbox"), Thresholds())


@pytest.mark.parametrize(("finished", "shape"), [(False, (55, 9)), (False, (56,)), (True, (9, 56)), (True, (57,))])
def test_other_shapes_than_declared(finished, shape):
    with pytest.raises(DecodeError, match="the model returned"):
        decoder(finished)([np.zeros(shape, np.float32)], fit(64, 64, 64, 64, "letterbox"), Thresholds())
    with pytest.raises(DecodeError, match="the model returned"):
        Pose((), COCO_17, 3, False)([np.zeros((55, 9), np.float32)], fit(64, 64, 64, 64, "letterbox"), Thresholds())


def compare(answer, expected, size, pixels):
    """Ultralytics clips keypoints to the picture; the places of equal scores may change."""
    wanted = np.array(expected["xyxy"])
    count = len(wanted)
    assert len(answer) == expected["count"]
    np.testing.assert_allclose(answer.confidence[:count], expected["confidence"], atol=0.005)
    assert (answer.class_id[:count] == expected["class_id"]).mean() > 0.95
    seen = answer.keypoints.copy()
    seen[..., :2] = seen[..., :2].clip(0, size)
    for box, label, points in zip(wanted, expected["class_id"], expected["keypoints"], strict=False):
        near = np.flatnonzero((np.abs(answer.xyxy - box).max(1) <= pixels) & (answer.class_id == label))
        difference = np.abs(seen[near] - np.array(points)).max(axis=1)
        assert len(near)
        assert (difference <= (pixels, pixels, 0.011)).all(axis=1).any(), difference


@pytest.mark.parametrize("run", ["square-iou0.45", "square-iou0.7"])
@pytest.mark.parametrize("name", ["yolov8n-pose", "yolo26n-pose"])
def test_raw_tensors(name, run):
    compare(*answers.raw(name, run), (600, 400), 0.05)


@pytest.mark.fetched
@pytest.mark.parametrize("name", ["yolo11n-pose", "yolo26n-pose"])
def test_whole_models(name, fetched):
    for answer, expected, size in answers.whole(name, fetched):
        compare(answer, expected, size, 1.0)
