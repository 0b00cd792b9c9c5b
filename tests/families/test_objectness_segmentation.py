"""Masks of YOLOv5 and YOLOv7: recognised, told from their detectors, decoded to the pixel."""

import numpy as np
import pytest

from tests.families.signatures import YOLO, signature
from tests.kernels import twin, twin_masks
from vidette.errors import DecodeError, ModelError
from vidette.families import recognise
from vidette.families.base import Thresholds
from vidette.pixels.letterbox import fit
from vidette.predictions.masks import Outline

IMAGE = (1, 3, 64, 96)
PLACES = 3 * (96 // 8 * 64 // 8 + 96 // 16 * 64 // 16 + 96 // 32 * 64 // 32)
PROTOTYPES = (1, 5, 16, 24)
MAPS = (1, 32, 160, 160)
OPEN = (None, 3, None, None)
NAMED = {"stride": "32", "names": "{0: 'cat', 1: 'dog', 2: 'cow'}"}
DYNAMIC = [(None, None, 40), (None, 32, None, None)]

CLAIMS = {
    "v5": signature((1, 25200, 117), MAPS, metadata=NAMED | {"names": str([f"c{i}" for i in range(80)])}),
    "v7, no metadata": signature((1, 25200, 117), MAPS),
    "prototypes first": signature(MAPS, (1, 25200, 40)),
    "with undecoded maps": signature((1, 25200, 40), MAPS, (1, 3, 80, 80, 40), (1, 3, 40, 40, 40)),
    "one class": signature((1, 25200, 38), MAPS),
    "four strides": signature((1, 102000, 117), (1, 32, 320, 320), image=(1, 3, 1280, 1280)),
    "oblong": signature((1, PLACES, 13), PROTOTYPES, image=IMAGE),
    "dynamic": signature(*DYNAMIC, image=OPEN, metadata=NAMED),
    "dynamic, labels": signature(*DYNAMIC, image=OPEN, sidecar={"labels": ["cat", "dog", "cow"]}),
    "forced": signature(
        (None, None, None), (None, None, None, None), image=OPEN,
        sidecar={"family": "objectness-segment", "labels": ["cat", "dog", "cow"]},
    ),
    "forced against its metadata": signature(
        *DYNAMIC, image=OPEN, metadata=YOLO | {"task": "segment"}, sidecar={"family": "objectness-segment"}
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CLAIMS)
def test_claims(case):
    claim = recognise(CLAIMS[case])
    assert (claim.family, claim.task) == ("objectness-segment", "segmentation")
    assert (claim.preprocess.resize, claim.preprocess.colour) == ("letterbox", "rgb")
    assert claim.why
    assert "\n" not in claim.why


def test_classes_and_stride():
    assert len(recognise(CLAIMS["v5"]).labels) == len(recognise(CLAIMS["v7, no metadata"]).labels) == 80
    assert recognise(CLAIMS["dynamic"]).labels == ("cat", "dog", "cow")
    assert recognise(CLAIMS["four strides"]).preprocess.stride == 64


@pytest.mark.parametrize(
    ("given", "family"),
    [
        (signature((1, 25200, 85)), "objectness"),
        (signature((1, 25200, 37), MAPS), "objectness"),  # no number would be left for a class
        (signature((1, 25200, 117), (1, 32, 640, 640)), "objectness"),  # a picture of its own, as YOLOP's
        (signature((1, 84 + 32, 8400), MAPS), "ultralytics-segment"),
        (signature((1, 300, 38), MAPS), "ultralytics-segment"),
    ],
)
def test_others_stay_what_they_are(given, family):
    assert recognise(given).family == family


@pytest.mark.parametrize(
    "given",
    [
        signature(*DYNAMIC, image=OPEN),
        signature((None, None, 40), (None, 32, 160, 161), metadata=NAMED),
        signature((1, 25200, 117), MAPS, metadata=YOLO),
    ],
)
def test_what_nothing_proves_is_left_alone(given):
    with pytest.raises(ModelError, match="no family fits"):
        recognise(given)


def test_names_that_do_not_fit_are_told():
    with pytest.raises(ModelError, match="`names` has 3 names but the model has 80 classes"):
        recognise(signature((1, 25200, 117), MAPS, metadata=NAMED))


# ------------------------------------------------------------------ decoding


def outputs(rng):
    """What a model of three classes and five prototypes returns for one picture."""
    head = rng.normal(size=(PLACES, 13)).astype(np.float32)
    head[:, :4] = rng.uniform(0, 90, (PLACES, 4))
    head[:, 4] = rng.random(PLACES)
    head[:, 5:8] = rng.random((PLACES, 3)) ** 3
    return head, rng.normal(size=PROTOTYPES[1:]).astype(np.float32)


def decoder(flipped=False):
    shapes = [(1, PLACES, 13), PROTOTYPES]
    return recognise(signature(*shapes[:: -1 if flipped else 1], image=IMAGE)).decoder


BOX = fit(150, 130, 96, 64, "letterbox")


@pytest.mark.parametrize(
    "limits",
    [Thresholds(), Thresholds(0.6, 0.7), Thresholds(classes=(1,)), Thresholds(agnostic=True), Thresholds(0.75)],
)
def test_equals_the_twin(limits):
    head, prototypes = outputs(np.random.default_rng(4))
    answer = decoder()((head, prototypes), BOX, limits)
    flipped = decoder(flipped=True)((prototypes, head), BOX, limits)
    allowed, found = limits.class_mask(3), []
    for row in head.astype(float):
        label = twin.best(row[5:8])
        score = row[4] * row[5 + label]
        if row[4] > limits.confidence and score > limits.confidence and allowed[label]:
            found.append([*twin.corners(*row[:4]), score, label, *row[8:]])
    found = np.reshape(found, (-1, 11))
    kept = twin.suppress(found.T, limits.iou, limits.agnostic, 300, 3000)
    expected = []
    for i, sums in zip(kept, twin_masks.published(found[kept, 6:], prototypes, BOX), strict=True):
        box = twin.to_source(found[i, :4], BOX)
        mask = (sums > 0) & twin_masks.in_box(box, 150, 130)
        if mask.any():
            expected.append((box, found[i, 4], found[i, 5], mask))
    assert len(expected) > 3
    assert len(answer) == len(expected) == len(answer.masks)
    assert answer.labels == ("0", "1", "2")
    np.testing.assert_array_equal(answer.xyxy, flipped.xyxy)
    for i, (box, confidence, label, mask) in enumerate(expected):
        np.testing.assert_allclose(answer.xyxy[i], box, atol=0.01)
        assert abs(answer.confidence[i] - confidence) < 1e-6
        assert answer.class_id[i] == label
        assert (answer.masks.dense(i, 150, 130) ^ mask).sum() <= 2, "pixels whose sum is all but 0"


def test_nothing_found_has_masks_too():
    outline = Outline(3.0, "largest")
    answer = decoder()(outputs(np.random.default_rng(5)), BOX, Thresholds(confidence=1.0, outline=outline))
    assert (len(answer), len(answer.masks), answer.masks.outline) == (0, 0, outline)
    assert answer.xyxy.shape == (0, 4)


def test_half_precision_and_the_answer_owns_its_memory():
    half = [array.astype(np.float16) for array in outputs(np.random.default_rng(5))]
    wide = [array.astype(np.float32) for array in half]
    one, two = (decoder()(arrays, BOX, Thresholds()) for arrays in (half, wide))
    for array in (*half, *wide):
        array[:] = -1
    assert len(one)
    np.testing.assert_array_equal(one.xyxy, two.xyxy)
    np.testing.assert_array_equal(one.masks.bits, two.masks.bits)
    assert (one.confidence > 0.25).all()


@pytest.mark.parametrize("where", [4, slice(5, 8), slice(8, None), "prototypes"])
def test_numbers_that_are_none(where):
    head, prototypes = outputs(np.random.default_rng(5))
    if where == "prototypes":
        prototypes[:] = np.nan
    else:
        head[:, where] = np.nan
    with pytest.raises(DecodeError) as error:
        decoder()((head, prototypes), BOX, Thresholds())
    assert error.value.code == "nan"


@pytest.mark.parametrize(
    "wrong",
    [
        lambda h, p: (h[None], p),
        lambda h, p: (h[0], p),
        lambda h, p: (h[:, :-1], p),
        lambda h, p: (h, p[:-1]),
        lambda h, p: (h, p[0]),
        lambda h, p: (h[:0, :0], p[:0]),
    ],
)
def test_another_shape_than_declared(wrong):
    with pytest.raises(DecodeError, match=r"returned \(") as error:
        decoder()(wrong(*outputs(np.random.default_rng(5))), BOX, Thresholds())
    assert error.value.code == "shape"
