"""Ultralytics segmentation: recognised, refused where it contradicts itself, decoded to the pixel."""

import numpy as np
import pytest

from tests.families.answers import raw
from tests.families.signatures import YOLO, signature
from tests.families.test_reference import Whole, iou, picture
from tests.kernels import twin, twin_masks
from vidette.errors import DecodeError, ModelError
from vidette.families import recognise
from vidette.families.base import Thresholds
from vidette.pixels.letterbox import fit
from vidette.predictions.masks import Outline

SEGMENT = YOLO | {"task": "segment"}
IMAGE = (1, 3, 64, 96)
PLACES = 96 // 8 * 64 // 8 + 96 // 16 * 64 // 16 + 96 // 32 * 64 // 32
PROTOTYPES = (1, 5, 16, 24)
ANY = (None, None, None)
MAPS = (None, 32, None, None)
END = SEGMENT | {"end2end": "True"}

CLAIMS = {
    "8": (False, signature((1, 7 + 32, 8400), (1, 32, 160, 160), metadata=SEGMENT)),
    "8, nothing declared": (False, signature(ANY, MAPS, image=(None, 3, None, None), metadata=SEGMENT)),
    "8, prototypes first": (False, signature((1, 32, 160, 160), (1, 7 + 32, 8400), metadata=SEGMENT)),
    "8, no metadata": (False, signature((1, 84 + 32, 8400), (1, 32, 160, 160))),
    "8, forced": (
        False,
        signature((1, 39, 9), (1, 32, 7, 5), sidecar={"family": "ultralytics-segment", "labels": ["a", "b", "c"]}),
    ),
    "26": (True, signature((1, 300, 38), (1, 32, 160, 160), metadata=END)),
    "26, nothing declared": (True, signature(ANY, MAPS, image=(None, 3, None, None), metadata=END)),
    "26 raw": (False, signature((1, 7 + 32, 8400), (1, 32, 160, 160), metadata=SEGMENT | {"end2end": "False"})),
    "26, no metadata": (True, signature((1, 300, 38), (1, 32, 160, 160))),
    "nms": (True, signature((1, 300, 38), (1, 32, 160, 160), metadata=SEGMENT | {"args": "{'nms': True}"})),
}


@pytest.mark.parametrize("case", CLAIMS)
def test_claims(case):
    finished, given = CLAIMS[case]
    claim = recognise(given)
    assert (claim.family, claim.task, claim.decoder.finished) == ("ultralytics-segment", "segmentation", finished)
    assert claim.labels == (("cat", "dog", "cow") if "names" in given.metadata else claim.labels)
    assert claim.why
    assert "\n" not in claim.why


def test_stride_and_size_are_the_exporters():
    metadata = SEGMENT | {"stride": "64", "imgsz": "[320, 512]"}
    claim = recognise(signature(ANY, MAPS, image=(None, 3, None, None), metadata=metadata))
    assert (claim.preprocess.stride, claim.preprocess.size, claim.preprocess.resize) == (64, 512, "letterbox")


LIES = {
    "masks without prototypes": (signature((1, 39, 8400), metadata=SEGMENT), "without prototypes"),
    "too few numbers": (signature((1, 36, 8400), (1, 32, 160, 160), metadata=SEGMENT), "36 numbers"),
    "other prototypes": (signature((1, 300, 38), (1, 16, 160, 160), metadata=END), "16 prototypes"),
    "not finished": (signature((1, 39, 8400), (1, 32, 160, 160), metadata=END), "8400 numbers"),
    "names": (signature((1, 44, 8400), (1, 32, 160, 160), metadata=SEGMENT), "3 names but the model has 8 classes"),
    "task": (signature((1, 39, 8400), (1, 32, 160, 160), metadata=YOLO), "task `detect`"),
}


@pytest.mark.parametrize("case", LIES)
def test_what_contradicts_itself_is_refused_at_load(case):
    given, says = LIES[case]
    with pytest.raises(ModelError) as error:
        recognise(given)
    assert says in str(error.value)
    assert "\n" not in str(error.value)


def test_other_outputs_are_left_to_others():
    for prototypes in ((1, 32, 160, 161), (1, 32, 640, 640), (1, None, 160, 160)):
        with pytest.raises(ModelError, match="no family fits"):
            recognise(signature((1, 39, 8400), prototypes))


# ------------------------------------------------------------------ decoding


def outputs(rng, finished):
    prototypes = rng.normal(size=PROTOTYPES[1:]).astype(np.float32)
    corner, size = rng.uniform(0, 70, (50, 2)), rng.uniform(4, 40, (50, 2))
    if finished:
        scores, classes = rng.random((50, 1)), rng.integers(0, 3, (50, 1))
        rows = np.concatenate([corner, corner + size, scores, classes, rng.normal(size=(50, 5))], axis=1)
        return rows.astype(np.float32), prototypes
    head = rng.normal(size=(12, PLACES)).astype(np.float32)
    head[:4] = rng.uniform(0, 90, (4, PLACES))
    head[4:7] = rng.random((3, PLACES)) ** 4
    return head, prototypes


def claimed(finished):
    head = (1, 50, 11) if finished else (1, 12, PLACES)
    metadata = SEGMENT | {"end2end": str(finished)}
    return recognise(signature(head, PROTOTYPES, image=IMAGE, metadata=metadata)).decoder


@pytest.mark.parametrize("finished", [False, True])
@pytest.mark.parametrize("limits", [Thresholds(), Thresholds(0.6, 0.7), Thresholds(classes=(1,)), Thresholds(0.99999)])
def test_equals_the_twin(finished, limits):
    head, prototypes = outputs(np.random.default_rng(4), finished)
    letterbox = fit(150, 130, 96, 64, "letterbox")
    answer = claimed(finished)((head, prototypes), letterbox, limits)
    allowed = limits.class_mask(3)
    if finished:
        found = np.array(twin.objects(head, allowed, False, limits.confidence)).reshape(-1, 11)
    else:
        places = [i for i in range(PLACES) if allowed[head[4:7, i].argmax()] and head[4:7, i].max() > limits.confidence]
        boxes = twin.columns(head[:7], allowed, limits.confidence)
        found = np.concatenate([np.reshape(boxes, (-1, 6)), head[7:, places].T], axis=1)
    kept = twin.suppress(found.T, 1.0 if finished else limits.iou, False, 300, 3000)
    sums = twin_masks.published(found[kept, 6:], prototypes, letterbox)
    expected = []
    for i, whole_map in zip(kept, sums, strict=True):
        box = twin.to_source(found[i, :4], letterbox)
        mask = (whole_map > 0) & twin_masks.in_box(box, 150, 130)
        if mask.any():
            expected.append((box, found[i, 4], found[i, 5], mask))
    assert len(answer) == len(expected) == len(answer.masks)
    assert answer.labels == ("cat", "dog", "cow")
    for i, (box, confidence, label, mask) in enumerate(expected):
        np.testing.assert_allclose(answer.xyxy[i], box, atol=0.01)
        assert abs(answer.confidence[i] - confidence) < 1e-6
        assert answer.class_id[i] == label
        assert (answer.masks.dense(i, 150, 130) ^ mask).sum() <= 2, "pixels whose sum is all but 0"


@pytest.mark.parametrize("finished", [False, True])
def test_fast_is_as_coarse_as_the_prototypes(finished):
    head, prototypes = outputs(np.random.default_rng(5), finished)
    letterbox = fit(960, 640, 96, 64, "letterbox")
    fast = claimed(finished)((head, prototypes), letterbox, Thresholds(masks="fast"))
    fine = claimed(finished)((head, prototypes), letterbox, Thresholds())
    assert len(fast)
    samples = (fast.masks.extents[:, 2:] - fast.masks.extents[:, :2]) / fast.masks.sizes[:, ::-1]
    np.testing.assert_allclose(samples, 40)
    assert (fine.masks.sizes == (fine.masks.extents[:, [3, 2]] - fine.masks.extents[:, [1, 0]])).all()


def test_an_object_without_a_pixel_is_none():
    head, prototypes = outputs(np.random.default_rng(5), True)
    head[:, :5] = 10, 10, 30, 30, 0.9
    head[::2, 6:] = 0
    head[1::2, 6:] = np.abs(head[1::2, 6:])
    answer = claimed(True)((head, np.abs(prototypes)), fit(96, 64, 96, 64, "letterbox"), Thresholds())
    assert len(answer) == len(answer.masks) == 25
    assert (answer.masks.area > 0).all()


@pytest.mark.parametrize("finished", [False, True])
def test_nothing_found_has_masks_too(finished):
    head, prototypes = outputs(np.random.default_rng(5), finished)
    outline = Outline(3.0, "largest")
    limits = Thresholds(confidence=1.0, outline=outline)
    answer = claimed(finished)((head, prototypes), fit(150, 130, 96, 64, "letterbox"), limits)
    assert (len(answer), len(answer.masks), answer.masks.outline) == (0, 0, outline)


@pytest.mark.parametrize("finished", [False, True])
def test_the_answer_owns_its_memory(finished):
    letterbox = fit(150, 130, 96, 64, "letterbox")
    head, prototypes = outputs(np.random.default_rng(5), finished)
    answer = claimed(finished)((head, prototypes), letterbox, Thresholds())
    before = answer.xyxy.copy(), answer.masks.bits.copy()
    head[:], prototypes[:] = -1, -1
    claimed(finished)(outputs(np.random.default_rng(6), finished), letterbox, Thresholds())
    np.testing.assert_array_equal(answer.xyxy, before[0])
    np.testing.assert_array_equal(answer.masks.bits, before[1])


@pytest.mark.parametrize("finished", [False, True])
def test_half_precision_and_read_only_memory(finished):
    letterbox = fit(150, 130, 96, 64, "letterbox")
    half = [array.astype(np.float16) for array in outputs(np.random.default_rng(5), finished)]
    wide = [array.astype(np.float32) for array in half]
    for array in wide:
        array.flags.writeable = False
    one, two = (claimed(finished)(arrays, letterbox, Thresholds()) for arrays in (half, wide))
    assert len(one)
    np.testing.assert_array_equal(one.xyxy, two.xyxy)
    np.testing.assert_array_equal(one.masks.bits, two.masks.bits)


@pytest.mark.parametrize("finished", [False, True])
@pytest.mark.parametrize("where", ["scores", "coefficients", "prototypes"])
def test_numbers_that_are_none(finished, where):
    head, prototypes = outputs(np.random.default_rng(5), finished)
    columns = slice(4, 7) if where == "scores" else slice(7, None)
    if where == "prototypes":
        prototypes[:] = np.nan
    elif finished:
        head[:, 4 if where == "scores" else 6] = np.nan
    else:
        head[columns] = np.nan
    with pytest.raises(DecodeError) as error:
        claimed(finished)((head, prototypes), fit(150, 130, 96, 64, "letterbox"), Thresholds())
    assert error.value.code == "nan"


@pytest.mark.parametrize("finished", [False, True])
@pytest.mark.parametrize(
    "wrong",
    [
        lambda h, p: (h[None], p),
        lambda h, p: (h[0], p),
        lambda h, p: (h[:-1, :-1], p),
        lambda h, p: (h, p[:-1]),
        lambda h, p: (h, p[0]),
        lambda h, p: (h[:0, :0], p[:0]),
    ],
)
def test_another_shape_than_declared(finished, wrong):
    arrays = wrong(*outputs(np.random.default_rng(5), finished))
    with pytest.raises(DecodeError, match=r"returned \(") as error:
        claimed(finished)(arrays, fit(150, 130, 96, 64, "letterbox"), Thresholds())
    assert error.value.code == "shape"


# ------------------------------------------------------------------ other people's answers


def same_masks(answer, expected, width, height, tolerance):
    """Compares area, bounds and centre with what was found, and polygons with the masks themselves."""
    wrong = 0
    for i, wanted in enumerate(expected["masks"]):
        mask = answer.masks.dense(i, width, height)
        y, x = np.nonzero(mask)
        bounds = [x.min(), y.min(), x.max() + 1, y.max() + 1]
        near = max(1, tolerance * wanted["area"]) + 2
        wrong += abs(int(mask.sum()) - wanted["area"]) > near
        wrong += np.abs(np.subtract(bounds, wanted["bounds"])).max() > (0 if not tolerance else 3)
        wrong += np.abs(np.subtract([x.mean(), y.mean()], wanted["centre"])).max() > (1 if tolerance else 0.01)
        polygons = answer.masks.polygons(i)
        assert abs(sum(twin_masks.area(p.points) for p in polygons) - mask.sum()) <= 0.01 * mask.sum()
        # those that lie in another one's hole are not among the reference's outer contours
        assert sum(not p.hole for p in polygons) >= wanted["contours"] - (10 if tolerance else 0)
    return wrong


@pytest.mark.parametrize("run", ["square-iou0.45", "square-iou0.7"])
@pytest.mark.parametrize("name", ["yolo11n-seg", "yolo26n-seg"])
def test_raw_tensors(name, run):
    answer, expected = raw(name, run)
    assert len(answer) == expected["count"]
    written = slice(0, len(expected["xyxy"]))
    np.testing.assert_allclose(answer.xyxy[written], expected["xyxy"], atol=0.05)
    np.testing.assert_allclose(answer.confidence[written], expected["confidence"], atol=0.0005)
    assert answer.class_id[written].tolist() == expected["class_id"]
    assert not same_masks(answer, expected, 600, 400, 0)


@pytest.mark.fetched
def test_a_trained_model(fetched):
    model = Whole("yolo11s-seg-slider", fetched("yolo11s-seg-slider.onnx"))
    compared = 0
    for which, facts in model.reference["pictures"].items():
        pixels = picture(which, fetched)
        for run, expected in facts["runs"].items():
            limits = Thresholds(
                0.01, float(run.split("iou")[1].removesuffix("-agnostic")), run.endswith("agnostic"), max_detections=100
            )
            answer = model.answer(pixels, run, limits, "rgb")
            wanted = np.reshape(expected["xyxy"], (-1, 4))
            assert len(answer) == expected.get("count", 0), which
            if len(wanted):
                assert iou(answer.xyxy, wanted).min() >= 0.99, which
                assert not same_masks(answer, expected, *pixels.shape[1::-1], 0.02), which
            compared += len(wanted)
    assert compared > 20
