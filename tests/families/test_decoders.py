import numpy as np
import pytest

from tests.families.signatures import YOLO, centerface, signature
from tests.kernels import twin
from vidette.errors import DecodeError
from vidette.families import recognise
from vidette.families.base import Thresholds
from vidette.kernels import masks, nms, pose, rotated
from vidette.pixels.letterbox import fit
from vidette.predictions.detections import Detections

PLACES = 96 // 8 * 64 // 8 + 96 // 16 * 64 // 16 + 96 // 32 * 64 // 32
IMAGE = (1, 3, 64, 96)


def boxes(rng, shape):
    return rng.uniform(-10, 100, shape)


def columns(rng):
    head = rng.random((7, PLACES)).astype(np.float32) ** 3
    head[:4] = boxes(rng, (4, PLACES))
    return head


def rows(rng):
    head = rng.random((3 * PLACES, 8)).astype(np.float32)
    head[:, :4] = boxes(rng, (3 * PLACES, 4))
    return head


def grid(rng):
    head = rng.random((PLACES, 8)).astype(np.float32)
    head[:, :4] = rng.uniform(-2, 2, (PLACES, 4))
    return head


def finished(rng):
    head = rng.random((50, 6)).astype(np.float32)
    head[:, :4] = boxes(rng, (50, 4))
    head[:, 5] = rng.integers(0, 3, 50)
    return head


ALL = np.ones(3, bool)
FAMILIES = {
    "ultralytics": (
        signature((1, 7, PLACES), image=IMAGE, metadata=YOLO),
        columns,
        lambda h, c: twin.columns(h, ALL, c),
    ),
    "objectness": (signature((1, 3 * PLACES, 8), image=IMAGE), rows, lambda h, c: twin.rows(h, ALL, c)),
    "yolox": (
        signature((1, PLACES, 8), image=IMAGE),
        grid,
        lambda h, c: twin.rows(h, ALL, c, (8, 16, 32), 96, 64),
    ),
    "end-to-end": (
        signature((1, 50, 6), image=IMAGE, metadata=YOLO),
        finished,
        lambda h, c: twin.objects(h, ALL, True, c),
    ),
}


@pytest.fixture(params=FAMILIES)
def family(request):
    given, make, slow = FAMILIES[request.param]
    claim = recognise(given)
    assert claim.family == request.param
    return claim, make, slow


def placed(claim):
    return fit(150, 130, 96, 64, claim.preprocess.resize)


def expected(claim, slow, head, limits):
    """The whole family again, from the twins."""
    found = np.reshape(slow(head, limits.confidence), (-1, 6)).T
    iou = 1.0 if claim.family == "end-to-end" else limits.iou
    kept = twin.suppress(found, iou, limits.agnostic, limits.max_detections, limits.max_candidates)
    if claim.family == "yolox":  # one ratio for both axes: 150x130 would exactly fill 73.8x64
        back = [[min(max(v * 130 / 64, 0), (150, 130)[side % 2]) for side, v in enumerate(found[:4, i])] for i in kept]
    else:
        back = [twin.to_source(found[:4, i], placed(claim)) for i in kept]
    return back, found[4, kept], found[5, kept]


@pytest.mark.parametrize(
    "limits",
    [
        Thresholds(),
        Thresholds(confidence=0.6, iou=0.7),
        Thresholds(agnostic=True),
        Thresholds(max_detections=5),
        Thresholds(max_candidates=9),
        Thresholds(confidence=0.999999),
    ],
)
def test_equals_the_twin(family, limits):
    claim, make, slow = family
    head = make(np.random.default_rng(5))
    answer = claim.decoder([head], placed(claim), limits)
    xyxy, confidence, class_id = expected(claim, slow, head, limits)
    assert len(answer) == len(confidence)
    np.testing.assert_allclose(answer.xyxy, np.reshape(xyxy, (-1, 4)), atol=0.02)
    np.testing.assert_allclose(answer.confidence, confidence, atol=1e-6)
    np.testing.assert_array_equal(answer.class_id, class_id)
    assert answer.cut == max(0, len(slow(head, limits.confidence)) - limits.max_candidates)
    assert answer.labels == claim.labels


def test_only_wanted_classes(family):
    claim, make, _ = family
    head = make(np.random.default_rng(5))
    answer = claim.decoder([head], placed(claim), Thresholds(classes=(2, 77)))
    everything = claim.decoder([head], placed(claim), Thresholds())
    assert set(answer.class_id) == {2}
    assert len(answer) == (everything.class_id == 2).sum()


def test_nothing_found_is_an_answer(family):
    claim, make, _ = family
    answer = claim.decoder([make(np.random.default_rng(5))], placed(claim), Thresholds(confidence=1.0))
    none = Detections.none(claim.labels)
    for field in ("xyxy", "confidence", "class_id"):
        assert getattr(answer, field).shape == getattr(none, field).shape
        assert getattr(answer, field).dtype == getattr(none, field).dtype


def test_the_answer_owns_its_memory(family):
    claim, make, _ = family
    head = make(np.random.default_rng(5))
    answer = claim.decoder([head], placed(claim), Thresholds())
    before = answer.xyxy.copy(), answer.confidence.copy()
    head[:] = -1
    np.testing.assert_array_equal(answer.xyxy, before[0])
    np.testing.assert_array_equal(answer.confidence, before[1])


def test_half_precision_and_read_only_memory(family):
    claim, make, _ = family
    half = make(np.random.default_rng(5)).astype(np.float16)
    wide = half.astype(np.float32)
    wide.flags.writeable = False
    one, two = (claim.decoder([head], placed(claim), Thresholds()) for head in (half, wide))
    np.testing.assert_array_equal(one.xyxy, two.xyxy)
    assert len(one)


def test_numbers_that_are_none(family):
    claim, make, _ = family
    head = make(np.random.default_rng(5))
    with pytest.raises(DecodeError) as error:
        claim.decoder([np.full_like(head, np.nan)], placed(claim), Thresholds())
    assert error.value.code == "nan"


@pytest.mark.parametrize("wrong", [lambda h: h[None], lambda h: h[:-1, :-1], lambda h: h[0], lambda h: h[:0, :0]])
def test_another_shape_than_declared(family, wrong):
    claim, make, _ = family
    with pytest.raises(DecodeError, match=r"returned \(") as error:
        claim.decoder([wrong(make(np.random.default_rng(5)))], placed(claim), Thresholds())
    assert error.value.code == "shape"


def test_centerface_equals_the_twin():
    claim = recognise(centerface())
    rng = np.random.default_rng(2)
    maps = [rng.uniform(-1, 2, (c, 16, 24)).astype(np.float32) for c in (1, 2, 2, 10)]
    maps[0] = rng.random((1, 16, 24)).astype(np.float32)
    letterbox = fit(150, 130, 96, 64, "stretch")
    answer = claim.decoder(maps, letterbox, claim.defaults)
    found, points = twin.centres(*maps, 0.5, 4)
    kept = twin.suppress(np.transpose(found), 0.3, False, 300, 3000)
    assert len(answer) == len(kept) > 3
    np.testing.assert_allclose(answer.xyxy, [twin.to_source(found[i][:4], letterbox) for i in kept], atol=0.01)
    np.testing.assert_allclose(answer.keypoints[..., :2], np.array(points)[kept] * (150 / 96, 130 / 64), atol=0.01)
    assert (answer.keypoints[..., 2] == answer.confidence[:, None]).all()
    assert answer.label(0) == "face"


def test_centerface_finds_nothing_breaks_or_is_not_asked():
    claim = recognise(centerface())
    letterbox = fit(150, 130, 96, 64, "stretch")
    maps = [np.zeros((c, 16, 24), np.float32) for c in (1, 2, 2, 10)]
    answer = claim.decoder(maps, letterbox, claim.defaults)
    assert answer.keypoints.shape == (0, 5, 3)
    with pytest.raises(DecodeError) as error:
        claim.decoder(maps[:3], letterbox, claim.defaults)
    assert error.value.code == "shape"
    maps[0][:] = 0.9
    assert len(claim.decoder(maps, letterbox, claim.defaults))
    assert not len(claim.decoder(maps, letterbox, Thresholds(classes=(1,))))
    maps[1][0, 3, 3] = np.nan
    with pytest.raises(DecodeError) as error:
        claim.decoder(maps, letterbox, claim.defaults)
    assert error.value.code == "nan"


def test_the_worst_picture_is_bounded_and_the_cut_is_told():
    claim = recognise(signature((1, 84, 8400)))
    rng = np.random.default_rng(0)
    head = rng.uniform(0.3, 1, (84, 8400)).astype(np.float32)
    head[:4] = rng.uniform(0, 640, (4, 8400))
    answer = claim.decoder([head], fit(640, 640, 640, 640, "letterbox"), Thresholds())
    assert answer.cut == 8400 - 3000
    assert 0 < len(answer) <= 300
    assert (np.diff(answer.confidence) <= 0).all()


EMPTY = {
    "detect": [(1, 7, PLACES)],
    "pose": [(1, 58, PLACES)],
    "obb": [(1, 8, PLACES)],
    "segment": [(1, 39, PLACES), (1, 32, 16, 24)],
}


@pytest.mark.parametrize("task", EMPTY)
def test_without_candidates_no_kernel_for_them_is_called(task, monkeypatch):
    shapes = EMPTY[task]
    decoder = recognise(signature(*shapes, image=IMAGE, metadata=YOLO | {"task": task})).decoder
    calls = []
    for module, name in (
        (nms, "finish"),
        (rotated, "boxes"),
        (rotated, "finish"),
        (pose, "keypoints"),
        (masks, "assemble"),
    ):
        monkeypatch.setattr(module, name, lambda *_, name=name: calls.append(name))
    answer = decoder(
        [np.zeros(shape[1:], np.float32) for shape in shapes], fit(9, 9, 96, 64, "letterbox"), Thresholds()
    )
    assert (len(answer), calls) == (0, [])


def test_numbers_of_another_task_are_not_taken_for_scores():
    claim = recognise(signature((1, 56, PLACES), image=IMAGE))  # a pose model without its metadata
    head = np.full((56, PLACES), 0.01, np.float32)
    head[:4] = 20
    head[4, 3] = 1.004
    assert len(claim.decoder([head], placed(claim), Thresholds())) == 1
    head[5:, 3] = 40
    with pytest.raises(DecodeError, match=r"scores reach 40, .*`family: ultralytics-pose`") as error:
        claim.decoder([head], placed(claim), Thresholds())
    assert error.value.code == "range"
    told = recognise(signature((1, 56, PLACES), image=IMAGE, metadata={"task": "detect"}))
    assert len(told.decoder([head], placed(told), Thresholds())) == 1
