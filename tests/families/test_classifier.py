import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.families.signatures import signature
from vidette.errors import DecodeError, ModelError
from vidette.families import recognise
from vidette.families.base import Thresholds
from vidette.families.classifier import Classifier, Scores
from vidette.pixels.letterbox import fit
from vidette.signature import Signature, Tensor

REFERENCE = Path(__file__).parent / "reference"
IMAGE = (None, 3, 224, 224)
LAST = (None, 224, 224, 3)
ULTRALYTICS = {"task": "classify", "imgsz": "[224, 224]", "stride": "1", "names": "{0: 'cat', 1: 'dog', 2: 'cow'}"}
BOX = fit(100, 80, 224, 224, "crop")
OPEN = Thresholds(confidence=0.0)


def given_file(*output, op="", image=IMAGE, names=("images", "output0"), dtype="float32", **more):
    told = signature(output, image=image, dtype=dtype, **more)
    return replace(
        told,
        inputs=(replace(told.inputs[0], name=names[0]),),
        outputs=(replace(told.outputs[0], name=names[1], op=op),),
    )


CLAIMS = {
    "ultralytics": (given_file(1, 3, op="Softmax", metadata=ULTRALYTICS), "none", "crop", 1, 0),
    "ultralytics, oblong": (
        given_file(1, 3, op="Softmax", image=(1, 3, 128, 256), metadata=ULTRALYTICS), "none", "stretch", 1, 0,
    ),
    "ultralytics, any size": (
        given_file(None, None, op="Softmax", image=(None, 3, None, None), metadata=ULTRALYTICS), "none", "crop", 1, 0,
    ),
    "yolov5": (given_file(1, 2, metadata={"names": "['a', 'b']", "stride": "32"}), "softmax", "crop", 1, 123.675),
    "paddle": (given_file(None, 2, op="Softmax", metadata={"character": "0\n90"}), "none", "crop", 0.875, 123.675),
    "hugging face": (given_file(None, 7, names=("pixel_values", "logits")), "softmax", "stretch", 1, 127.5),
    "open_nsfw": (
        given_file(None, 2, op="Softmax", image=LAST, names=("input_0", "4195")), "none", "stretch", 0.875, 104,
    ),
    "keras": (given_file(None, 5, op="Softmax", image=LAST), "none", "stretch", 1, 127.5),
    "torchvision": (given_file(1, 1000, op="Gemm"), "softmax", "crop", 0.875, 123.675),
    "torch without flatten": (given_file(1, 1000, 1, 1, op="Conv"), "softmax", "crop", 0.875, 123.675),
    "log-softmax": (given_file(1, 9, op="LogSoftmax"), "softmax", "crop", 0.875, 123.675),
    "labels beside it": (given_file(1, 2, sidecar={"labels": ["a", "b"]}), "softmax", "crop", 0.875, 123.675),
    "forced": (given_file(1, 512, sidecar={"family": "classifier"}), "softmax", "crop", 0.875, 123.675),
    "grey": (given_file(None, 7, op="Softmax", image=(None, 224, 224, 1)), "none", "stretch", 1, 127.5),
    "bytes": (given_file(1, 1000, dtype="uint8"), "softmax", "crop", 0.875, 0),
}  # fmt: skip


@pytest.mark.parametrize("case", CLAIMS)
def test_claims_and_says_how_pictures_go_in(case):
    told, activation, resize, margin, mean = CLAIMS[case]
    claim = recognise(told)
    assert (claim.family, claim.task) == ("classifier", "classification")
    assert claim.decoder.activation == activation
    assert (claim.preprocess.resize, claim.preprocess.margin) == (resize, margin)
    assert claim.preprocess.mean[0] == pytest.approx(mean)
    assert claim.defaults.confidence == 0.0
    assert not claim.decoder.multi_label
    assert claim.preprocess.size == max(told.inputs[0].shape[2] or 224, told.inputs[0].shape[1] or 224, *BOX.shape)
    assert "\n" not in claim.why


def test_preprocessing_is_that_of_the_exporter():
    nsfw = recognise(CLAIMS["open_nsfw"][0])
    assert (nsfw.preprocess.colour, nsfw.preprocess.scale) == ("bgr", (1, 1, 1))
    assert nsfw.labels == ("sfw", "nsfw")
    assert recognise(replace(CLAIMS["open_nsfw"][0], sidecar={"labels": ["a", "b"]})).labels == ("a", "b")
    torch = recognise(CLAIMS["torchvision"][0]).preprocess
    np.testing.assert_allclose(torch.scale, [1 / 58.395, 1 / 57.12, 1 / 57.375])
    assert recognise(CLAIMS["bytes"][0]).preprocess.scale == (1, 1, 1)
    whole = replace(CLAIMS["bytes"][0], inputs=(Tensor("images", IMAGE, "int32"),))
    assert recognise(whole).preprocess.scale == (1, 1, 1)
    assert recognise(CLAIMS["paddle"][0]).labels == ("0", "90")


@pytest.mark.parametrize(
    "told",
    [
        given_file(1, 192, op="Mul"),  # an embedding
        given_file(1, 2, op="Softmax", image=(None, 3, None, None)),  # of a text line of any width
        given_file(1, 3, metadata=ULTRALYTICS | {"task": "detect"}),
        given_file(1, 1000, image=(1, 4, 64, 64)),
        given_file(1, 1000, 7, 7),
        replace(given_file(1, 1000), outputs=(Tensor("o", (1, 1000), "int64"),)),
        signature((1, 1000), (1, 512), image=IMAGE),
    ],
)  # fmt: skip
def test_leaves_others_alone(told):
    assert Classifier().recognise(told) is None


def test_several_labels_may_hold_where_the_graph_ends_in_sigmoid_or_the_sidecar_says_so():
    for told, activation in (
        (given_file(1, 4, op="Sigmoid"), "none"),
        (given_file(1, 1000, sidecar={"multi_label": True}), "sigmoid"),
        (given_file(1, 1000, sidecar={"activation": "sigmoid"}), "sigmoid"),
    ):
        claim = recognise(told)
        assert claim.decoder.multi_label
        assert claim.decoder.activation == activation
        assert claim.defaults.confidence == 0.5
        assert "multi-label" in claim.why
    assert not recognise(given_file(1, 4, op="Sigmoid", sidecar={"multi_label": False})).decoder.multi_label


@pytest.mark.parametrize(
    ("told", "words"),
    [
        (given_file(1, 4, op="Softmax", sidecar={"activation": "softmax"}), "activation: the graph ends in Softmax"),
        (given_file(1, 4, op="Softmax", sidecar={"multi_label": True}), "multi_label: softmax lets classes exclude"),
        (given_file(1, 4, op="Softmax", sidecar={"output": "scores"}), "output: scores is none of output0"),
        (given_file(1, 4, op="Softmax", sidecar={"labels": ["a", "b"]}), "has 2 names but the model has 4 classes"),
        (given_file(1, 4, op="Softmax", metadata=ULTRALYTICS), "has 3 names but the model has 4 classes"),
    ],
)  # fmt: skip
def test_what_contradicts_the_graph_is_told_at_load(told, words):
    with pytest.raises(ModelError, match=words):
        recognise(told)


def test_one_of_several_outputs():
    told = Signature(
        (Tensor("input", LAST, "float32"),),
        (
            Tensor("gender", (None, 1), "float32", "Sigmoid"), Tensor("embedding", (None, 8), "float32"),
            Tensor("age", (None, 3), "float32", "Softmax"),
        ),
        sidecar={"output": "age"},
    )  # fmt: skip
    answer = recognise(told).decoder([np.ones(1), np.ones(8), np.array([0.1, 0.7, 0.2])], BOX, OPEN)
    assert answer.class_id.tolist() == [1, 2, 0]


def softmax(numbers):
    powers = [np.exp(float(n) - max(map(float, numbers))) for n in numbers]
    return np.array(powers) / sum(powers)


@given(
    count=st.sampled_from([1, 2, 5, 1000]), kind=st.sampled_from(["none", "softmax", "sigmoid"]),
    confidence=st.sampled_from([0.0, 0.01, 0.5]), top_k=st.sampled_from([1, 5, 2000]),
    spread=st.sampled_from([0.0, 1.0, 100.0, 1e30]), ties=st.booleans(), half=st.booleans(), seed=st.integers(0, 999),
)  # fmt: skip
@settings(deadline=None, max_examples=100)
def test_equals_its_twin(count, kind, confidence, top_k, spread, ties, half, seed):
    rng = np.random.default_rng(seed)
    numbers = rng.random(count) if kind == "none" else rng.normal(size=count) * spread
    numbers = np.rint(numbers * 4) / 4 if ties else numbers
    numbers = numbers.clip(-6e4, 6e4).astype(np.float16) if half else numbers.astype(np.float32)
    wanted = tuple(range(0, count, 2)) if seed % 2 else None
    limits = Thresholds(confidence=confidence, top_k=top_k, classes=wanted)
    answer = Scores((), kind)([numbers], BOX, limits)
    exact = numbers.astype(np.float64)
    with np.errstate(over="ignore"):
        expected = {"none": exact, "softmax": softmax(exact), "sigmoid": 1 / (1 + np.exp(-exact))}[kind]
    np.testing.assert_allclose(answer.scores, expected, rtol=1e-6, atol=1e-37)
    order = sorted(range(count), key=lambda i: -answer.scores[i])
    order = [i for i in order if answer.scores[i] > np.float32(confidence) and (wanted is None or i in wanted)][:top_k]
    assert answer.class_id.tolist() == order
    assert answer.scores.dtype == np.float32
    assert answer.class_id.dtype == np.int32
    if kind == "softmax":
        assert answer.scores.sum() == pytest.approx(1)
        assert wanted or len(answer) > 0 or confidence > 0


@pytest.mark.parametrize("kind", ["none", "softmax", "sigmoid"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_a_number_is_told(kind, value):
    with pytest.raises(DecodeError) as error:
        Scores((), kind)([np.array([0.5, value], np.float32)], BOX, OPEN)
    assert error.value.code == "nan"


def test_logits_that_are_told_to_be_scores():
    with pytest.raises(
        DecodeError, match=r"reach from -3 to 7\.5, so they are no scores yet: write `activation: softmax`"
    ):
        Scores((), "none")([np.array([-3, 7.5], np.float32)], BOX, OPEN)


def test_outputs_of_other_sizes_and_zeros():
    with pytest.raises(DecodeError, match=r"returned \(3,\); expected \(2,\)"):
        Scores(("a", "b"))([np.zeros(3, np.float32)], BOX, OPEN)
    assert len(Scores(("a", "b"))([np.zeros(2, np.float32)], BOX, OPEN)) == 0
    even = Scores(("a", "b"), "softmax")([np.zeros((2, 1, 1), np.float32)], BOX, OPEN)
    assert even.confidence.tolist() == [0.5, 0.5]
    assert [even.label(0), even.label(1)] == ["a", "b"]


def test_the_answer_does_not_share_the_runtime_s_memory():
    numbers = np.array([0.25, 0.75], np.float32)
    answer = Scores(("a", "b"))([numbers], BOX, OPEN)
    numbers[:] = 0
    assert answer.scores.tolist() == [0.25, 0.75]


# ------------------------------------------------------------------ beside other people's answers


def answers(name, pictures, fetched):
    """What the whole engine says, exact in scaling and precision."""
    import vidette

    for which in pictures:
        paths = fetched(f"media/{which}"), fetched(name)
        results = vidette.run(paths[0], model=paths[1], runtime="onnx", scaling="exact")
        yield which, next(iter(results)).predictions


def reference(name):
    pictures = json.loads((REFERENCE / f"{name}.json").read_text())["pictures"]
    return {which: facts["runs"] for which, facts in pictures.items() if "@" not in which}


@pytest.mark.fetched
@pytest.mark.parametrize("name", ["yolov8n-cls", "yolo11n-cls", "yolo26n-cls"])
def test_the_same_five_as_ultralytics(name, fetched):
    expected = reference(f"random-{name}")
    for which, answer in answers(f"random/{name}.onnx", expected, fetched):
        run = expected[which]["square-iou0.45"]
        assert answer.class_id.tolist() == run["top5"]
        np.testing.assert_allclose(answer.confidence, run["top5_confidence"], rtol=0.02, atol=1e-3)


@pytest.mark.fetched
def test_open_nsfw_scores_as_its_package(fetched):
    expected = reference("open-nsfw")
    for which, answer in answers("open-nsfw.onnx", expected, fetched):
        scores = expected[which]["stretch256-crop224"]["scores"]
        np.testing.assert_allclose(answer.scores, scores, atol=1e-3, err_msg=which)


@pytest.mark.fetched
def test_emotion_in_grey_scores_as_a_plain_calculation(fetched):
    """The preprocessing of its carrier: grey of 64x64, -1..1. Grey by other weights, of the channels in another order
    or by BT.709, is off by 0.027 to 0.11 on each of the pictures."""
    import onnxruntime
    from PIL import Image

    session = onnxruntime.InferenceSession(str(fetched("emotion.onnx")), providers=["CPUExecutionProvider"])
    pictures = ("grace_hopper.jpg", "messi5.jpg", "zidane.jpg", "bus.jpg", "coffee.png")
    for which, answer in answers("emotion.onnx", pictures, fetched):
        with Image.open(fetched(f"media/{which}")) as opened:
            small = opened.convert("RGB").resize((64, 64), Image.Resampling.BILINEAR)
        grey = np.rint(np.asarray(small, np.float64) @ [0.299, 0.587, 0.114])
        values = (grey / 255 - 0.5) * 2
        (scores,) = session.run(None, {session.get_inputs()[0].name: values[None, :, :, None].astype(np.float32)})
        np.testing.assert_allclose(answer.scores, scores[0], atol=0.01, err_msg=which)
        assert answer.class_id[0] == scores[0].argmax()


@pytest.mark.fetched
def test_pplcnet_sees_how_pages_lie_as_its_package_does(fetched):
    expected = reference("pplcnet-orientation")
    for which, answer in answers("pplcnet-orientation.onnx", expected, fetched):
        assert answer.label(0) == expected[which]["own-package"]["answer"]
