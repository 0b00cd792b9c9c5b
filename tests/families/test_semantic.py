import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.families.signatures import signature
from vidette.errors import DecodeError, ModelError
from vidette.families import recognise
from vidette.families.base import Thresholds
from vidette.families.semantic import ClassNumbers, Maps, Matte, Semantic
from vidette.pixels.letterbox import fit
from vidette.signature import Tensor

REFERENCE = Path(__file__).parent / "reference"
IMAGE = (1, 3, 320, 320)
LAST = (1, 256, 256, 3)
ULTRALYTICS = {"task": "semantic", "imgsz": "[320, 320]", "stride": "32", "names": "{0: 'road', 1: 'sky', 2: 'car'}"}
ANY = (None, 3, None, None)


def given_file(*output, op="", kind="float32", image=IMAGE, names=("images", "output0"), **more):
    told = signature(output, image=image, **more)
    return replace(
        told,
        inputs=(replace(told.inputs[0], name=names[0]),),
        outputs=(Tensor(names[1], output, kind, op),),
    )


HF = ("pixel_values", "logits")
NUMBERS = {"kind": "uint8", "op": "ArgMax", "metadata": ULTRALYTICS}
CLAIMS = {
    "ultralytics": (given_file(1, 320, 320, **NUMBERS), ClassNumbers, "letterbox", 0),
    "ultralytics, any size": (given_file(None, None, None, image=ANY, **NUMBERS), ClassNumbers, "letterbox", 0),
    "ultralytics, logits": (given_file(1, 3, 320, 320, metadata=ULTRALYTICS), Maps, "letterbox", 0),
    "argmax with a channel": (given_file(1, 1, 320, 320, kind="int64", op="ArgMax"), ClassNumbers, "stretch", 123.675),
    "argmax at an eighth": (given_file(1, 40, 40, kind="int32", op="ArgMax"), ClassNumbers, "stretch", 123.675),
    "segformer": (given_file(None, 150, 80, 80, names=HF), Maps, "stretch", 123.675),
    "segformer, any size": (given_file(None, 150, None, None, image=ANY, names=HF), Maps, "stretch", 123.675),
    "torchvision": (given_file(1, 21, 320, 320, names=("input", "out")), Maps, "stretch", 123.675),
    "as fine as the input": (given_file(1, 19, 320, 320), Maps, "stretch", 123.675),
    "labels beside it": (given_file(1, 2, 80, 80, sidecar={"labels": ["a", "b"]}), Maps, "stretch", 127.5),
    "channels last": (given_file(1, 256, 256, 21, image=LAST), Maps, "stretch", 127.5),
    "selfie": (given_file(1, 256, 256, 1, image=LAST, op="Sigmoid"), Matte, "stretch", 0),
    "meet": (given_file(1, 144, 256, 2, image=(1, 144, 256, 3), op="Add"), Maps, "stretch", 0),
    "modnet": (given_file(None, 1, None, None, image=ANY, op="Sigmoid"), Matte, "stretch", 127.5),
    "forced": (given_file(1, 1, 320, 320, sidecar={"family": "semantic"}), Matte, "stretch", 127.5),
}  # fmt: skip


@pytest.mark.parametrize("case", CLAIMS)
def test_claims_and_says_how_pictures_go_in(case):
    told, decoder, resize, mean = CLAIMS[case]
    claim = recognise(told)
    assert (claim.family, claim.task) == ("semantic", "semantic")
    assert isinstance(claim.decoder, decoder)
    assert claim.preprocess.resize == resize
    assert claim.preprocess.mean[0] == pytest.approx(mean)
    assert "\n" not in claim.why
    if decoder is Matte or case == "meet":
        assert claim.labels == ("background", "person")


def test_activations():
    def activation(*output, **more):
        return recognise(given_file(*output, **more)).decoder.activation

    assert activation(1, 9, 320, 320) == "softmax"
    assert activation(1, 9, 320, 320, op="Softmax") == "none"
    assert activation(1, 9, 320, 320, op="Sigmoid") == "none"
    assert activation(1, 9, 320, 320, sidecar={"activation": "sigmoid"}) == "sigmoid"
    assert activation(1, 1, 320, 320, sidecar={"family": "semantic"}) == "sigmoid"
    assert activation(1, 1, 320, 320, op="Clip") == "none"


@pytest.mark.parametrize(
    "told",
    [
        given_file(1, 17, 80, 80),  # heat of 17 joints
        given_file(1, 3, 320, 320),  # another picture
        given_file(1, 1, 320, 320, op="Relu"),  # depth
        given_file(1, 1, 80, 80, op="Sigmoid"),  # heat
        given_file(1, 320, 320),  # depth
        given_file(None, 1, None, None, image=ANY, op="Sigmoid", names=("x", "sigmoid_0.tmp_0")),  # where text is
        given_file(1, 19, 111, 111),
        given_file(1, 320, 320, kind="uint8", metadata={"task": "detect"}),
        given_file(1, 9, kind="int64"),
        signature((1, 19, 320, 320), (1, 2, 9, 9), image=IMAGE),
    ],
)
def test_leaves_others_alone(told):
    assert Semantic().recognise(told) is None


@pytest.mark.parametrize(
    ("told", "words"),
    [
        (given_file(1, 9, 320, 320, op="Softmax", sidecar={"activation": "softmax"}), "ends in Softmax already"),
        (given_file(1, 1, 320, 320, op="Clip", sidecar={"activation": "softmax"}), "is 1 everywhere: write sigmoid"),
        (given_file(1, 1, 320, 320, op="Clip", sidecar={"labels": ["a", "b", "c"]}), "3 names, but the model tells"),
        (given_file(1, 9, 320, 320, metadata=ULTRALYTICS), "has 3 names but the model has 9 classes"),
    ],
)
def test_what_contradicts_the_graph_is_told_at_load(told, words):
    with pytest.raises(ModelError, match=words):
        recognise(told)


def test_names_of_a_matte():
    assert recognise(given_file(1, 1, 320, 320, op="Clip", sidecar={"labels": ["cat"]})).labels == ("background", "cat")
    assert recognise(given_file(1, 1, 320, 320, op="Clip", sidecar={"labels": ["a", "b"]})).labels == ("a", "b")


# ------------------------------------------------------------------ decoding


WIDE = fit(64, 32, 32, 32, "letterbox")  # 8 rows of padding above and below


def test_padding_is_cut_off_and_the_rest_is_the_picture():
    numbers = np.full((32, 32), 2, np.uint8)
    numbers[8:24] = 0
    numbers[8:24, 16:] = 1
    numbers[8:12, :16] = 1
    answer = ClassNumbers(("a", "b", "c"))([numbers], WIDE, Thresholds())
    assert answer.classes.shape == (16, 32)
    np.testing.assert_allclose(answer.extent, [0, 0, 64, 32])
    assert answer.class_id.tolist() == [1, 0]
    np.testing.assert_allclose(answer.shares, [0.625, 0.375])
    assert answer.confidence.tolist() == [1, 1]
    dense = answer.dense(64, 32)
    assert dense.shape == (32, 64)
    assert (dense[:, 32:] == 1).all()
    assert (dense[8:, :32] == 0).all()
    only = ClassNumbers(("a", "b", "c"))([numbers], WIDE, Thresholds(classes=(0, 2)))
    assert only.class_id.tolist() == [0]
    np.testing.assert_array_equal(only.classes, answer.classes)


def test_samples_over_the_edge_of_the_padding_are_kept_and_lie_where_they_were():
    box = fit(64, 40, 32, 32, "letterbox")  # the picture covers rows 6 to 26 of the input
    head = np.zeros((2, 8, 8), np.float32)  # rows of 4 pixels: 6.5 of them
    head[1, 3:] = 5
    answer = Maps((), "softmax", last=False)([head], box, Thresholds())
    assert answer.classes.shape == (6, 8)
    np.testing.assert_allclose(answer.extent, [0, -4, 64, 44])
    assert (answer.dense(64, 40)[:12] == 0).all()
    assert (answer.dense(64, 40)[12:] == 1).all()


def test_what_a_cropped_picture_does_not_show_is_void():
    box = fit(64, 32, 32, 32, "crop")
    answer = ClassNumbers(())([np.zeros((1, 32, 32), np.uint8)], box, Thresholds())
    np.testing.assert_allclose(answer.extent, [16, 0, 48, 32])
    dense = answer.dense(64, 32)
    assert (dense[:, 16:48] == 0).all()
    assert (dense[:, :16] == answer.void).all()
    assert answer.dense_scores(64, 32).sum() == 32 * 32


def naive(head, softmax):
    """Each pixel by itself, in float64."""
    head = head.astype(np.float64)
    shares = np.exp(head - head.max(0)) if softmax else head
    shares = shares / shares.sum(0) if softmax else shares
    return head.argmax(0), shares.max(0)


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize(("kind", "count"), [("softmax", 5), ("none", 5), ("sigmoid", 300)])
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_maps_equal_the_naive_answer(last, kind, count, dtype):
    rng = np.random.default_rng(count)
    head = (rng.random((count, 16, 16)) if kind == "none" else rng.normal(size=(count, 16, 16)) * 4).astype(dtype)
    given_head = np.ascontiguousarray(head.transpose(1, 2, 0)) if last else head
    answer = Maps(tuple(map(str, range(count))), kind, last)([given_head], WIDE, Thresholds())
    classes, scores = naive(head, kind == "softmax")
    if kind == "sigmoid":
        scores = 1 / (1 + np.exp(-scores))
    np.testing.assert_array_equal(answer.classes, classes[4:12])
    np.testing.assert_allclose(answer.scores, scores[4:12], atol=1e-6)
    assert answer.classes.dtype == (np.uint8 if count <= 256 else np.uint16)
    counts = np.bincount(classes[4:12].reshape(-1), minlength=count)
    assert sorted(answer.class_id.tolist()) == np.flatnonzero(counts).tolist()
    np.testing.assert_allclose(answer.shares, counts[answer.class_id] / (8 * 16))
    assert (np.diff(answer.shares) <= 0).all()
    for i, index in enumerate(answer.class_id):
        assert answer.confidence[i] == pytest.approx(scores[4:12][classes[4:12] == index].mean(), abs=1e-6)
        np.testing.assert_array_equal(answer.masks().crop(i), classes[4:12] == index)


@pytest.mark.parametrize("shape", [(32, 32), (1, 32, 32), (32, 32, 1)])
@pytest.mark.parametrize("kind", ["none", "sigmoid"])
def test_mattes(shape, kind):
    numbers = np.random.default_rng(0).random((32, 32)).astype(np.float32)
    given_map = numbers if kind == "none" else np.log(numbers / (1 - numbers))
    answer = Matte(("background", "person"), kind)([given_map.reshape(shape)], WIDE, Thresholds(confidence=0.3))
    seen = numbers[8:24]
    np.testing.assert_array_equal(answer.classes, seen > 0.3)
    np.testing.assert_allclose(answer.scores, np.where(seen > 0.3, seen, 1 - seen), atol=1e-5)
    assert answer.label(0) == "person"


def test_zeros_are_the_first_class_everywhere():
    for decoder, output in (
        (Maps((), "softmax", last=False), np.zeros((4, 32, 32), np.float32)),
        (ClassNumbers(()), np.zeros((32, 32), np.int64)),
        (Matte(("background", "person"), "none"), np.zeros((32, 32), np.float32)),
    ):
        answer = decoder([output], WIDE, Thresholds(confidence=0.5))
        assert answer.class_id.tolist() == [0]
        assert answer.shares.tolist() == [1]
    assert len(ClassNumbers(())([np.zeros((32, 32), np.int64)], WIDE, Thresholds(classes=(3,)))) == 0


@pytest.mark.parametrize(
    ("decoder", "output", "code"),
    [
        (Maps((), "softmax", last=False), np.full((2, 32, 32), np.nan, np.float32), "nan"),
        (Maps((), "none", last=False), np.full((2, 32, 32), 7, np.float32), "range"),
        (Maps(("a",), "softmax", last=False), np.zeros((2, 32, 32), np.float32), "shape"),
        (Maps((), "softmax", last=False), np.zeros((2, 0, 32), np.float32), "shape"),
        (Maps((), "softmax", last=False), np.zeros((32, 32), np.float32), "shape"),
        (Matte(("a", "b"), "none"), np.full((32, 32), np.nan, np.float32), "nan"),
        (Matte(("a", "b"), "sigmoid"), np.full((32, 32), np.nan, np.float32), "nan"),
        (Matte(("a", "b"), "none"), np.full((32, 32), -9, np.float32), "range"),
        (Matte(("a", "b"), "none"), np.zeros((2, 32, 32), np.float32), "shape"),
        (ClassNumbers(("a", "b")), np.full((32, 32), 2, np.uint8), "range"),
        (ClassNumbers(()), np.full((32, 32), -1, np.int64), "range"),
        (ClassNumbers(()), np.zeros((3, 32, 32), np.uint8), "shape"),
    ],
)
def test_what_makes_no_sense_is_told(decoder, output, code):
    with pytest.raises(DecodeError) as error:
        decoder([output], WIDE, Thresholds(confidence=0.5))
    assert error.value.code == code


# ------------------------------------------------------------------ beside other people's answers


def answers(name, pictures, fetched):
    from vidette.onnxfile import read_signature

    onnxruntime = pytest.importorskip("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    path = fetched(name)
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    claim = recognise(read_signature(path))
    how = claim.preprocess
    for which in pictures:
        pixels = cv2.imread(str(fetched(f"media/{which}")), cv2.IMREAD_COLOR)
        height, width = pixels.shape[:2]
        box = fit(width, height, how.width, how.height, how.resize)
        canvas = np.full((*box.shape, 3), how.pad, np.uint8)
        inner = cv2.resize(pixels, (box.scaled_width, box.scaled_height), interpolation=cv2.INTER_LINEAR)
        canvas[box.top : box.top + box.scaled_height, box.left : box.left + box.scaled_width] = inner
        values = canvas[None, :, :, ::-1].astype(np.float32) * np.float32(how.scale[0])
        values = np.ascontiguousarray(values.transpose(0, 3, 1, 2) if how.layout == "nchw" else values)
        outputs = session.run(None, {session.get_inputs()[0].name: values})
        yield which, (width, height), claim.decoder([output[0] for output in outputs], box, claim.defaults)


def reference(name):
    pictures = json.loads((REFERENCE / f"{name}.json").read_text())["pictures"]
    return {which: facts["runs"] for which, facts in pictures.items() if "@" not in which}


@pytest.mark.fetched
def test_classes_cover_as_many_pixels_as_with_ultralytics(fetched):
    """Only counts are known; where both round a pixel's place otherwise, edges move by half a pixel of the picture."""
    expected = reference("random-yolo26n-sem")
    for which, size, answer in answers("random/yolo26n-sem.onnx", expected, fetched):
        run = expected[which]["square-iou0.45"]
        counts = np.bincount(answer.dense(*size).reshape(-1), minlength=19)
        wanted = np.array([run["classes"].get(str(i), 0) for i in range(19)])
        assert list(answer.dense(*size).shape) == run["shape"]
        assert set(answer.class_id.tolist()) == set(map(int, run["classes"]))
        assert np.abs(counts - wanted).sum() < 0.01 * wanted.sum(), which


@pytest.mark.fetched
def test_selfie(fetched):
    expected = reference("selfie")
    for which, _, answer in answers("selfie.onnx", expected, fetched):
        run = expected[which]["stretch"]
        assert (answer.classes == 1).mean() == pytest.approx(run["share_above_0.5"], abs=1e-4)
        alpha = np.where(answer.classes == 1, answer.scores, 1 - answer.scores)
        assert alpha.mean() == pytest.approx(run["mean"], abs=1e-4)
        small = cv2.resize(alpha, (16, 16), interpolation=cv2.INTER_AREA)
        np.testing.assert_allclose(small, run["grid16"], atol=1e-3)
        assert set(answer.class_id.tolist()) == {0, 1}
