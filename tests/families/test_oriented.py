"""Ultralytics oriented boxes: recognised, decoded as a plain twin does and as Ultralytics does."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.families import answers
from tests.families.signatures import YOLO, signature
from tests.kernels import twin, twin_rotated
from vidette.config import ModelConfig
from vidette.errors import DecodeError, ModelError
from vidette.families import recognise
from vidette.families.base import Thresholds
from vidette.families.ultralytics_oriented import Oriented
from vidette.geometry import Transform
from vidette.models import resolve_limits
from vidette.payloads import payload
from vidette.pixels.letterbox import fit
from vidette.predictions.detections import Detections

OBB = YOLO | {"task": "obb"}
OPEN = (None, 3, None, None)
FORCED = {"family": "ultralytics-obb"}

CLAIMS = {
    "v8": (signature((1, 8, 8400), metadata=OBB), False),
    "dynamic": (signature((None, 8, None), image=OPEN, metadata=OBB), False),
    "nothing declared": (signature((None, None, None), image=OPEN, metadata=OBB), False),
    "26": (signature((1, 300, 7), metadata=OBB | {"end2end": "True"}), True),
    "26, nothing declared": (signature((None, None, None), image=OPEN, metadata=OBB | {"end2end": "True"}), True),
    "nms": (signature((1, 300, 7), metadata=OBB | {"end2end": "False", "args": "{'nms': True}"}), True),
    "rows not told": (signature((1, 300, 7), metadata=OBB), True),
    "26 raw": (signature((1, 8, 8400), metadata=OBB | {"end2end": "False"}), False),
    "two classes": (signature((1, 7, 8400), metadata=OBB | {"names": "['a', 'b']"}), False),
    "forced": (signature((1, 20, 8400), sidecar=FORCED), False),
    "rows forced": (signature((1, 300, 7), sidecar=FORCED), True),
}


@pytest.mark.parametrize("case", CLAIMS)
def test_claims(case):
    given_, finished = CLAIMS[case]
    claim = recognise(given_)
    assert (claim.family, claim.task) == ("ultralytics-obb", "oriented")
    assert claim.decoder == Oriented(claim.labels, finished)
    assert claim.why
    assert "\n" not in claim.why


@pytest.mark.parametrize(
    ("shape", "metadata", "sidecar", "words"),
    [
        ((1, 9, 8400), OBB, {}, "`names` has 3 names but the model has 4 classes"),
        ((1, 5, 8400), OBB, {}, "its output has 5 where at least 6 numbers"),
        ((1, 300, 8), OBB | {"end2end": "True"}, {}, "its output has 8 where 7 numbers for each object"),
        ((1, 8, 8400), OBB | {"end2end": "True"}, {}, "its output has 8400 where 7 numbers"),
        ((1, 4, 8400), {}, FORCED, "the sidecar says so .raw head., but its output has 4"),
    ],
)
def test_what_does_not_add_up_is_told_at_load(shape, metadata, sidecar, words):
    with pytest.raises(ModelError, match=words) as error:
        recognise(signature(shape, metadata=metadata, sidecar=sidecar))
    assert "\n" not in str(error.value)


def head(rng, classes, n):
    values = rng.uniform(0, 100, (5 + classes, n))
    values[2:4] = rng.uniform(4, 50, (2, n))
    values[4:-1] = rng.random((classes, n)) ** 2
    values[-1] = rng.uniform(-2, 3, n)
    return values.astype(np.float32)


def expected(boxes, found, letterbox, limits, suppressed=False):
    candidates = np.reshape([row[:6] for row in found], (-1, 6)).T
    exact = limits.rotated_iou == "exact"
    kept = twin_rotated.suppress(
        candidates, boxes, 1.0 if suppressed else limits.iou, exact, limits.agnostic, limits.max_detections, 10**6
    )
    return candidates[:, kept], np.array([twin_rotated.to_source(boxes[:, i], letterbox) for i in kept]).reshape(
        -1, 4, 2
    )


@given(
    classes=st.integers(1, 4),
    n=st.sampled_from([0, 1, 21, 150]),
    half=st.booleans(),
    agnostic=st.booleans(),
    rotated_iou=st.sampled_from(["probabilistic", "exact"]),
    seed=st.integers(0, 99),
)
@settings(deadline=None, max_examples=30)
def test_both_layouts_equal_their_twin(classes, n, half, agnostic, rotated_iou, seed):
    values = head(np.random.default_rng(seed), classes, n)
    if half:
        values = values.astype(np.float16)
    letterbox = fit(150, 130, 96, 64, "letterbox")
    limits = Thresholds(confidence=0.3, iou=0.4, agnostic=agnostic, max_detections=40, rotated_iou=rotated_iou)
    labels = tuple("abcd"[:classes])
    plain = values.astype(np.float32)
    floor = np.float32(0.3)
    places = np.flatnonzero(plain[4:-1].max(0, initial=-1) > floor)
    boxes = plain[[0, 1, 2, 3, -1]][:, places].astype(np.float64)
    found = twin.columns(plain[:-1], np.ones(classes, bool), floor)
    scored, corners = expected(boxes, found, letterbox, limits)
    answer = Oriented(labels, False)([values], letterbox, limits)
    np.testing.assert_allclose(answer.corners, corners, atol=2e-3)
    np.testing.assert_array_equal(answer.confidence, scored[4].astype(np.float32))
    np.testing.assert_array_equal(answer.class_id, scored[5])
    enclosing = np.concatenate([corners.min(1), corners.max(1)], 1).clip(0, [150, 130, 150, 130])
    np.testing.assert_allclose(answer.xyxy, enclosing, atol=2e-3)

    scores = plain[4:-1]
    finished = np.concatenate([plain[:4], [scores.max(0), scores.argmax(0)], plain[-1:]]).T.astype(np.float32)
    found = twin.objects(finished[:, :6], np.ones(classes, bool), True, floor)
    scored, corners = expected(boxes, found, letterbox, limits, True)
    answer = Oriented(labels, True)([finished], letterbox, limits)
    np.testing.assert_allclose(answer.corners, corners, atol=2e-3)
    np.testing.assert_array_equal(answer.class_id, scored[5])


def test_what_was_cut_is_reported_and_bounds_the_work():
    values = head(np.random.default_rng(0), 1, 500)
    values[4] = 0.9
    answer = Oriented(("a",), False)([values], fit(64, 64, 64, 64, "letterbox"), Thresholds(max_candidates=100))
    assert answer.cut == 400
    assert 0 < len(answer) < 100


def test_a_user_chooses_how_overlap_is_measured(tmp_path):
    claim = recognise(signature((1, 8, 8400), metadata=OBB))
    (tmp_path / "ships.onnx").touch()
    for wanted, used in ((None, "probabilistic"), ("exact", "exact")):
        request = ModelConfig(path="ships.onnx", rotated_iou=wanted).request("ships", tmp_path)
        assert resolve_limits(request, claim).rotated_iou == used


@pytest.mark.parametrize("row", range(6))
def test_numbers_that_are_none(row):
    for value in (np.nan, np.inf):
        values = head(np.random.default_rng(0), 1, 5)
        values[4] = 0.9
        values[row, 2] = value
        with pytest.raises(DecodeError, match="not numbers"):
            Oriented(("a",), False)([values], fit(64, 64, 64, 64, "letterbox"), Thresholds())
    rows = np.full((3, 7), 0.9, np.float32)
    rows[1, 6] = np.nan
    with pytest.raises(DecodeError, match="not numbers"):
        Oriented(("a",), True)([rows], fit(64, 64, 64, 64, "letterbox"), Thresholds())


@pytest.mark.parametrize(("finished", "shape"), [(False, (7, 9)), (False, (6,)), (True, (9, 6)), (True, (7,))])
def test_other_shapes_than_declared(finished, shape):
    with pytest.raises(DecodeError, match="the model returned"):
        Oriented(("a",), finished)([np.zeros(shape, np.float32)], fit(64, 64, 64, 64, "letterbox"), Thresholds())
    with pytest.raises(DecodeError, match="the model returned"):
        Oriented((), False)([np.zeros((5, 9), np.float32)], fit(64, 64, 64, 64, "letterbox"), Thresholds())


# ------------------------------------------------------------------ what receivers get

TURNED = np.array([[10.0, 10, 8, 4, math.pi / 6], [30, 20, 4, 10, -1.5], [5, 5, 6, 3, 3.0]])


def objects(boxes=TURNED):
    corners = np.array([twin_rotated.corners(box) for box in boxes], np.float32).reshape(-1, 4, 2)
    xyxy = np.concatenate([corners.min(1), corners.max(1)], 1)
    count = len(boxes)
    return Detections(xyxy, np.full(count, 0.5, np.float32), np.zeros(count, np.int32), ["ship"], corners=corners)


def test_xywhr():
    given_ = objects()
    np.testing.assert_allclose(given_.xywhr[:, :4], TURNED[:, :4], atol=1e-5)
    np.testing.assert_allclose(given_.xywhr[:, 4], [math.pi / 6, -1.5, 3.0 - math.pi], atol=1e-5)
    assert given_.xywhr.dtype == np.float32
    assert objects(TURNED[:0]).xywhr.shape == (0, 5)
    assert Detections.none([]).xywhr is None
    turned = given_.transformed(Transform.turn(64, 48, 90)).xywhr
    np.testing.assert_allclose(turned[:, 2:4], TURNED[:, 2:4], atol=1e-5)
    np.testing.assert_allclose(np.cos(2 * (turned[:, 4] - TURNED[:, 4] + math.pi / 2)), 1, atol=1e-6)


def test_payloads():
    given_ = objects()
    (ship, *_) = payload("ultralytics")(given_)["predictions"]
    assert list(ship["box"]) == ["x1", "y1", "x2", "y2", "x3", "y3", "x4", "y4"]
    corners = np.reshape(list(ship["box"].values()), (4, 2))
    # Ultralytics begins where right and bottom meet at angle 0, and goes against the clock's hands
    np.testing.assert_allclose(corners, given_.corners[0][[2, 1, 0, 3]], atol=1e-5)
    (ship, *_) = payload("roboflow")(given_)["predictions"]
    assert [(p["x"], p["y"]) for p in ship["points"]] == [tuple(p) for p in given_.corners[0].tolist()]
    assert ship["width"] == pytest.approx(float(given_.xyxy[0, 2] - given_.xyxy[0, 0]))
    for name in ("ultralytics", "roboflow"):
        assert payload(name)(Detections.none(["ship"], oriented=True)) == {"predictions": []}


# ------------------------------------------------------------------ Ultralytics' answers


def same_corners(found, wanted):
    """Largest distance of corners in pixels, whichever of them is the first and whichever way they go round."""
    ways = [[(start + step * i) % 4 for i in range(4)] for start, step in itertools.product(range(4), (1, -1))]
    return np.min([np.abs(found[:, way] - wanted).max(axis=(1, 2)) for way in ways], axis=0)


def half_turns(angles):
    return np.abs((angles + math.pi / 2) % math.pi - math.pi / 2)


def compare(answer, expected, pixels):
    corners, boxes = np.array(expected["corners"]), np.array(expected["xywhr"])
    count = len(corners)
    assert len(answer) == expected["count"]
    np.testing.assert_allclose(answer.confidence[:count], expected["confidence"], atol=0.005)
    for i in range(count):
        of_class = np.flatnonzero(answer.class_id == expected["class_id"][i])
        distance = same_corners(answer.corners[of_class], corners[i])
        assert len(of_class)
        assert distance.min() <= pixels
        found = answer.xywhr[of_class[distance.argmin()]]
        assert twin_rotated.iou(found.tolist(), boxes[i].tolist()) > 0.99
        angle = found[4] - boxes[i, 4]
        if abs(found[2] - abs(boxes[i, 2])) > 1:  # w and h changed places
            angle += math.pi / 2
        assert half_turns(angle) < 0.01


@pytest.mark.parametrize("run", ["square-iou0.45", "square-iou0.7"])
@pytest.mark.parametrize("name", ["yolo11n-obb", "yolo26n-obb"])
def test_raw_tensors(name, run):
    compare(*answers.raw(name, run), 0.05)


@pytest.mark.fetched
@pytest.mark.parametrize("name", ["yolo11n-obb", "yolo26n-obb"])
def test_whole_models(name, fetched):
    for answer, expected_, _ in answers.whole(name, fetched):
        compare(answer, expected_, 1.0)
