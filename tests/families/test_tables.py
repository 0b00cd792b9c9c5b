"""Grid and anchor detectors: what is claimed, and the same objects as the published post-processing finds."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.families import published
from tests.families.constant import make_constant
from tests.families.signatures import YOLO, signature
from tests.families.test_reference import iou, picture
from tests.kernels import twin
from vidette.errors import DecodeError, ModelError
from vidette.families import recognise
from vidette.families.base import Thresholds
from vidette.families.detr import Detr
from vidette.families.tensorflow import TensorFlow
from vidette.frame import Picture
from vidette.job import ModelRequest
from vidette.models import load
from vidette.onnxfile import read_signature
from vidette.pixels.letterbox import fit
from vidette.pixels.preprocess import slot_shape
from vidette.pixels.slot import ArrayBuffer, SlotWriter
from vidette.signature import Tensor

HERE = Path(__file__).parent
RNG = np.random.default_rng
CLASSES = 5


def few(rng, shape):
    """Scores of which some are high."""
    return (rng.random(shape) ** 6).astype(np.float32)


def corners(rng, count, size):
    a, b = rng.uniform(0, 1, (2, count, 2)) * size
    return np.concatenate([np.minimum(a, b), np.maximum(a, b)], 1).astype(np.float32)


def spread(rng, rows, bins):
    return rng.normal(0, 2, (1, rows, 4 * bins)).astype(np.float32)


def logits(rng, shape):
    return rng.normal(-3, 2.5, shape).astype(np.float32)


def nanodet(rng):
    cells = {8: 96, 16: 24, 32: 6}
    scores = {f"cls_{s}": logits(rng, (1, n, CLASSES)) for s, n in cells.items()}
    return {**{f"dis_{s}": spread(rng, n, 11) for s, n in cells.items()}, **scores}


def nanodet_plus(rng):
    return {"output": np.concatenate([few(rng, (1, 128, CLASSES)), spread(rng, 128, 8)], 2)}


def picodet(rng):
    cells = (96, 24, 6, 2)
    scores = {f"scores_{i}": few(rng, (1, n, CLASSES)) for i, n in enumerate(cells)}
    return {**scores, **{f"boxes_{i}": spread(rng, n, 8) for i, n in enumerate(cells)}}


def fastestdet(rng):
    parts = (1, 4, CLASSES)
    return {"output": [rng.normal(0, 3, (1, channels, 4, 6)).astype(np.float32) for channels in parts]}


def yolo_nas(rng):
    return {"boxes": corners(rng, 126, (96, 64))[None], "scores": few(rng, (1, 126, CLASSES))}


def pp_yoloe(rng):
    return {"boxes": corners(rng, 126, (96, 64))[None], "scores": few(rng, (1, CLASSES, 126))}


def damo_yolo(rng):
    return {"scores": few(rng, (1, 126, CLASSES)), "boxes": corners(rng, 126, (96, 64))[None]}


def darknet(rng):
    return {"boxes": corners(rng, 378, (1, 1))[None, :, None], "confs": few(rng, (1, 378, CLASSES))}


def pytorch_ssd(rng):
    background = np.array([6, *[0] * CLASSES])
    scores = published.softmax(rng.normal(0, 2, (1, 3000, 1 + CLASSES)) + background).astype(np.float32)
    return {"scores": scores, "boxes": corners(rng, 3000, (1, 1))[None]}


def torchvision(places):
    def make(rng):
        background = np.array([9, *[0] * CLASSES])
        return {
            "bbox_regression": rng.normal(0, 1.5, (1, places, 4)).astype(np.float32),
            "cls_logits": (rng.normal(0, 2, (1, places, 1 + CLASSES)) + background).astype(np.float32),
        }

    return make


def tensorflow_ssd(rng, places=1917):
    return {
        "raw_outputs/box_encodings": rng.normal(0, 1.5, (1, places, 4)).astype(np.float32),
        "raw_outputs/class_predictions": rng.normal(-6, 2, (1, places, 1 + CLASSES)).astype(np.float32),
    }


def ssd_with_anchors(rng):
    boxes = rng.uniform(0.05, 0.9, (1, 60, 4)).astype(np.float32)
    raw = tensorflow_ssd(rng, 60)
    raw["raw_outputs/class_predictions"] += 4
    return {"anchors": boxes, **raw}


def tensorflow(rng):
    count = 20
    return {
        "num_detections": np.array([count], np.float32),
        "detection_scores": np.sort(rng.random((1, 30)).astype(np.float32))[:, ::-1].copy(),
        "detection_classes": rng.integers(1, 1 + CLASSES, (1, 30)).astype(np.float32),
        "detection_boxes": corners(rng, 30, (1, 1))[None],
    }


def automl(rng):
    rows = np.zeros((1, 100, 7), np.float32)
    rows[0, :, 1:5] = corners(rng, 100, (64, 96))
    rows[0, :, 5] = np.sort(rng.random(100))[::-1]
    rows[0, :, 6] = rng.integers(1, 1 + CLASSES, 100)
    return {"detections": rows}


def faceboxes(rng):
    scores = rng.random((1, 50)).astype(np.float32)
    return {"scores": scores, "boxes": corners(rng, 50, (1, 1))[None], "num_boxes": np.array([30], np.int32)}


def centernet(rng):
    rows = np.zeros((1, 100, 6), np.float32)
    rows[0, :, :4] = corners(rng, 100, (96, 64))
    rows[0, :, 4] = rng.random(100)
    rows[0, :, 5] = rng.integers(0, CLASSES, 100)
    maps = {"tower_0/wh": np.zeros((1, 16, 24, 4), np.float32)}
    return maps | {"tower_0/keypoints": np.zeros((1, 16, 24, CLASSES), np.float32), "tower_0/detections": rows}


NCHW, NHWC = ("float32", (1, 3, 64, 96)), ("float32", (1, 64, 96, 3))
BYTES, ANY = ("uint8", (1, 64, 96, 3)), ("uint8", (1, None, None, 3))
SIGMOID = {f"cls_{stride}": "Sigmoid" for stride in (8, 16, 32)}
# what: (family, the picture's input, outputs, the operators they end with, their authors' code)
CASES = {
    "nanodet": ("nanodet", NCHW, nanodet, SIGMOID, published.nanodet),
    "nanodet-plus": ("nanodet", NCHW, nanodet_plus, {}, published.nanodet_plus),
    "picodet": ("picodet", NCHW, picodet, {}, published.picodet),
    "fastestdet": (
        "fastestdet", NCHW, fastestdet, {("output", 0): "Sigmoid", ("output", 2): "Softmax"}, published.fastestdet
    ),
    "yolo-nas": ("boxes-and-scores", NCHW, yolo_nas, {}, published.yolo_nas),
    "pp-yoloe": ("boxes-and-scores", NCHW, pp_yoloe, {}, published.pp_yoloe),
    "damo-yolo": ("boxes-and-scores", NCHW, damo_yolo, {}, published.yolo_nas),
    "darknet": ("darknet", NCHW, darknet, {}, published.darknet),
    "pytorch-ssd": ("ssd", ("float32", (1, 3, 300, 300)), pytorch_ssd, {}, published.pytorch_ssd),
    "ssd300": ("ssd", ("float32", (1, 3, 300, 300)), torchvision(8732), {}, published.torchvision_ssd),
    "ssdlite320": ("ssd", ("float32", (1, 3, 320, 320)), torchvision(3234), {}, published.torchvision_ssd),
    "tensorflow ssd": ("ssd", ("float32", (1, 300, 300, 3)), tensorflow_ssd, {}, published.tensorflow_ssd),
    "ssd with anchors": ("ssd", NHWC, ssd_with_anchors, {}, published.tensorflow_ssd),
    "tensorflow": ("tensorflow", BYTES, tensorflow, {}, published.tensorflow),
    "tensorflow of any size": ("tensorflow", ANY, tensorflow, {}, published.tensorflow),
    "automl": ("tensorflow", BYTES, automl, {}, published.automl),
    "faceboxes": ("faceboxes", BYTES, faceboxes, {}, published.faceboxes),
    "centernet": ("centernet", NHWC, centernet, {}, published.centernet),
}  # fmt: skip


def write(path, case, outputs, factor=False):
    _, image, _, last, _ = CASES[case]
    inputs = {"image": image} | ({"scale_factor": ("float32", (1, 2))} if factor else {})
    return make_constant(path, inputs, outputs, last, "scale_factor" if factor else None)


def agrees(answer, expected, letterbox):
    assert len(answer) == len(expected) > 2
    assert answer.class_id.tolist() == [label for *_, label in expected]
    np.testing.assert_allclose(answer.confidence, [score for _, score, _ in expected], atol=2e-5)
    np.testing.assert_allclose(answer.xyxy, [twin.to_source(box, letterbox) for box, *_ in expected], atol=0.05)


@pytest.mark.parametrize("runtime", ["onnx", "openvino"])
@pytest.mark.parametrize("case", CASES)
def test_as_published(case, runtime, tmp_path):
    family, (_, shape), make, _, theirs = CASES[case]
    outputs = make(RNG(3))
    path = write(tmp_path / "model.onnx", case, outputs, factor=case == "pp-yoloe")
    model = load(ModelRequest("m", path, runtime=runtime, device="cpu", precision="f32"), "latency")
    try:
        assert model.family == family
        letterbox = model.letterbox(150, 130)
        buffer = model.session.buffer(letterbox.shape)
        answer = model.decoder([rows[0] for rows in model.session.run(buffer, 1)], letterbox, model.limits)
    finally:
        model.session.close()
    limits = model.limits
    size = letterbox.input_width, letterbox.input_height
    if None not in shape:
        assert letterbox.shape == (shape[2:] if shape[1] == 3 else shape[1:3])
    agrees(answer, theirs(outputs, size, limits.confidence, limits.iou)[: limits.max_detections], letterbox)


# ------------------------------------------------------------------ recognising

IMAGE = (1, 3, 416, 416)
PLUS = (1, 3598, 80 + 32)  # NanoDet-Plus at 416: 52, 26, 13 and 7 cells across


def named(*outputs, image=(1, None, None, 3), dtype="uint8", **others):
    given = signature(*(shape for _, shape in outputs), image=image, dtype=dtype, **others)
    return replace(given, outputs=tuple(Tensor(name, shape, "float32") for name, shape in outputs))


def tables(cells, columns, wide, image=IMAGE, **others):
    return signature(*[(1, n, columns) for n in cells], *[(1, n, wide) for n in cells], image=image, **others)


def mapped(channels, op="Concat", ops=("Sigmoid", "Softmax", "Concat"), cells=22, **others):
    given = signature((1, channels, cells, cells), image=(1, 3, 352, 352), **others)
    return replace(given, outputs=(replace(given.outputs[0], op=op),), ops=frozenset(ops))


TF = [("detection_boxes", (1, 100, 4)), ("detection_scores", (1, 100)), ("detection_classes", (1, 100))]
FACES = [("boxes:0", (None, 200, 4)), ("a/scores", (None, 200)), ("num_boxes", (None,))]
CLAIMS = {
    "nanodet": ("nanodet", tables((2704, 676, 169), 80, 44), 80),
    "nanodet, reg_max 7": ("nanodet", tables((2704, 676, 169), 80, 32), 80),
    "nanodet-plus": ("nanodet", signature(PLUS, image=IMAGE), 80),
    "nanodet-plus at 320": ("nanodet", signature((1, 2125, 112), image=(1, 3, 320, 320)), 80),
    "nanodet-plus, named": ("nanodet", signature((1, 3598, 34), image=IMAGE, sidecar={"labels": ["a", "b"]}), 2),
    "nanodet-plus, any size": (
        "nanodet", signature((1, None, 112), image=(1, 3, None, None), sidecar={"family": "nanodet"}), 80
    ),
    "nanodet in one table": (
        "nanodet", signature((1, 3549, 112), image=IMAGE, sidecar={"family": "nanodet"}), 80
    ),
    "yolox stays": ("yolox", signature((1, 3549, 112), image=IMAGE), 107),
    "picodet": ("picodet", tables((7600, 1900, 475, 130), 10, 32, (1, 3, 800, 608)), 10),
    "fastestdet": ("fastestdet", mapped(85), 80),
    "yolo-nas": ("boxes-and-scores", signature((1, 8400, 4), (1, 8400, 80)), 80),
    "yolo-nas, four classes": ("boxes-and-scores", signature((1, 8400, 4), (1, 8400, 4)), 4),
    "damo-yolo": ("boxes-and-scores", signature((1, 8400, 80), (1, 8400, 4)), 80),
    "pp-yoloe": ("boxes-and-scores", signature((1, 8400, 4), (1, 80, 8400)), 80),
    "darknet": ("darknet", signature((1, 10647, 1, 4), (1, 10647, 80), image=IMAGE), 80),
    "faces of pytorch-ssd": ("ssd", signature((1, 4420, 2), (1, 4420, 4), image=(1, 3, 240, 320)), 1),
    "tensorflow": ("tensorflow", named(*TF[::-1], ("num_detections", (1,))), 0),
    "tensorflow, scoped": ("tensorflow", named(*((f"a/b/{name}:0", shape) for name, shape in TF)), 0),
    "automl": ("tensorflow", named(("detections:0", (1, 100, 7)), image=(1, 512, 512, 3)), 0),
    "faceboxes": ("faceboxes", named(*FACES), 1),
    "centernet": (
        "centernet", signature((1, 128, 128, 4), (1, 128, 128, 80), (1, 100, 6), image=(1, 512, 512, 3)), 0
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CLAIMS)
def test_claims(case):
    family, given, classes = CLAIMS[case]
    claim = recognise(given)
    assert claim.family == family
    assert claim.task == "detection"
    assert claim.why
    assert "\n" not in claim.why
    assert len(claim.labels) == classes


# what: (colour, a grey pixel of 127.5 becomes, resize, confidence, overlap): the authors' own
PREPARED = {
    "nanodet": ("bgr", (0.418, 0.195, 0.065), "stretch", 0.35, 0.6),
    "nanodet-plus": ("bgr", (0.418, 0.195, 0.065), "stretch", 0.35, 0.6),
    "picodet": ("rgb", (0.065, 0.196, 0.418), "stretch", 0.4, 0.5),
    "fastestdet": ("bgr", (0.5,) * 3, "stretch", 0.65, 0.45),
    "yolo-nas": ("rgb", (0.5,) * 3, "letterbox", 0.25, 0.7),
    "damo-yolo": ("rgb", (127.5,) * 3, "topleft", 0.25, 0.7),
    "pp-yoloe": ("rgb", (0.5,) * 3, "stretch", 0.25, 0.7),
    "darknet": ("rgb", (0.5,) * 3, "stretch", 0.4, 0.6),
    "faces of pytorch-ssd": ("rgb", (0.5 / 128,) * 3, "stretch", 0.25, 0.5),
    "tensorflow": ("rgb", (127.5,) * 3, "stretch", 0.25, 0.45),
    "faceboxes": ("rgb", (127.5,) * 3, "stretch", 0.5, 0.45),
    "centernet": ("rgb", (127.5,) * 3, "stretch", 0.3, 0.45),
}


@pytest.mark.parametrize("case", PREPARED)
def test_pictures_are_prepared_as_in_training(case):
    claim = recognise(CLAIMS[case][1])
    preprocess = claim.preprocess
    colour, values, resize, confidence, overlap = PREPARED[case]
    assert (preprocess.colour, preprocess.resize) == (colour, resize)
    grey = [(127.5 - mean) * scale for mean, scale in zip(preprocess.mean, preprocess.scale, strict=True)]
    assert grey == pytest.approx(values, abs=0.002)
    assert (claim.defaults.confidence, claim.defaults.iou) == (confidence, overlap)


STRANGERS = {
    "tables whose rows are no grid": tables((2704, 676, 168), 80, 44),
    "tables that are all alike": tables((2704, 676, 169), 44, 44),
    "tables of two kinds, neither distances": tables((2704, 676, 169), 80, 30),
    "five tables": signature(*[(1, n, 80) for n in (2704, 676, 169, 49, 9)], image=IMAGE),
    "a map out of a convolution": mapped(85, op="Conv"),
    "a map of an eighth": mapped(85, cells=44),
    "a map without a softmax": mapped(85, ops=("Sigmoid", "Concat")),
    "boxes of no grid": signature((1, 8399, 4), (1, 8399, 80)),
    "boxes and others' scores": signature((1, 8400, 4), (1, 8399, 80)),
    "boxes and scores, any size": signature((1, None, 4), (1, None, 80), image=(1, 3, None, None)),
    "darknet of two lengths": signature((1, 10647, 1, 4), (1, 10000, 80), image=IMAGE),
    "anchors at another size": signature((1, 8732, 4), (1, 8732, 91), image=(1, 3, 512, 512)),
    "no classes": named(*TF[:2]),
    "seven columns, channels first": signature((1, 100, 7), image=IMAGE),
    "rows beside maps of an eighth": signature((1, 64, 64, 4), (1, 100, 6), image=(1, 512, 512, 3)),
}


@pytest.mark.parametrize("case", STRANGERS)
def test_leaves_others_alone(case):
    with pytest.raises(ModelError, match="no family fits"):
        recognise(STRANGERS[case])


def test_query_heads_are_not_boxes_and_scores():
    claim = Detr().recognise(
        named(("dets", (1, 300, 4)), ("labels", (1, 300, 91)), image=(1, 3, 560, 560), dtype="float32")
    )
    assert claim is None or claim.family == "detr"


def test_operators_tell_scores_from_distances_where_sizes_do_not():
    shapes = [(1, n, 32) for n in (2704, 676, 169) for _ in range(2)]
    given = signature(*shapes, image=IMAGE)
    ops = ["Split", "Sigmoid"] * 3
    given = replace(given, outputs=tuple(replace(o, op=op) for o, op in zip(given.outputs, ops, strict=True)))
    assert recognise(given).decoder.scores == (1, 3, 5)


def test_names_of_paddle():
    given = tables((7600, 1900, 475, 130), 2, 32, (1, 3, 800, 608), metadata={"character": "text\ntable"})
    claim = recognise(given)
    assert claim.labels == ("text", "table")
    assert claim.preprocess.colour == "rgb"
    assert claim.preprocess.mean == pytest.approx((123.675, 116.28, 103.53))


@pytest.mark.parametrize("case", ["nanodet", "fastestdet", "yolo-nas", "pp-yoloe", "darknet", "picodet", "faceboxes"])
def test_names_that_do_not_fit_are_told(case):
    _, given, _ = CLAIMS[case]
    with pytest.raises(ModelError, match="has 3 names but the model has"):
        recognise(replace(given, sidecar={"labels": ["a", "b", "c"]}))


def test_names_that_do_not_fit_one_table_are_told():
    _, given, _ = CLAIMS["nanodet-plus"]
    with pytest.raises(ModelError, match="3 labels do not fit 112 columns"):
        recognise(replace(given, sidecar={"labels": ["a", "b", "c"], "family": "nanodet"}))


@pytest.mark.parametrize("family", sorted({family for family, *_ in CASES.values()}))
def test_the_sidecar_forces_only_what_can_be(family):
    with pytest.raises(ModelError, match="does not look like it"):
        recognise(signature((1, 1000), image=(1, 3, 224, 224), metadata={}, sidecar={"family": family}))


def test_metadata_of_another_exporter_are_left_alone():
    for case in ("automl", "tensorflow"):
        _, given, _ = CLAIMS[case]
        assert TensorFlow().recognise(given)
        assert TensorFlow().recognise(replace(given, metadata=YOLO)) is None


# ------------------------------------------------------------------ decoding what is odd


def decoded(case, change=None, limits=None, **sidecar):
    _, image, make, last, _ = CASES[case]
    outputs = make(RNG(3))
    given = named(*((name, np.shape(value)) for name, value in outputs.items()), image=image[1], dtype=image[0])
    given = replace(
        given,
        outputs=tuple(replace(tensor, op=last.get(tensor.name, "")) for tensor in given.outputs),
        sidecar=sidecar,
    )
    claim = recognise(given)
    rows = []
    for name, value in outputs.items():
        if last.get(name) == "Sigmoid":
            value = published.sigmoid(value).astype(np.float32)
        rows.append(value[0].copy())
    if change:
        rows = change(rows)
    width, height = claim.preprocess.width or 96, claim.preprocess.height or 64
    box = fit(150, 130, width, height, claim.preprocess.resize)
    return claim, claim.decoder(rows, box, limits or claim.defaults)


SIMPLE = [case for case in CASES if case != "fastestdet"]  # its output is joined by operators


@pytest.mark.parametrize("case", SIMPLE)
def test_nothing_found_is_an_answer(case):
    _, answer = decoded(case, limits=Thresholds(confidence=1.0))
    assert answer.xyxy.shape == (0, 4)
    assert answer.keypoints is None


@pytest.mark.parametrize("case", [case for case in SIMPLE if case != "faceboxes"])
def test_only_wanted_classes(case):
    claim, everything = decoded(case)
    _, answer = decoded(case, limits=replace(claim.defaults, classes=(2,)))
    assert set(answer.class_id) == {2}
    assert len(answer) == (everything.class_id == 2).sum()


@pytest.mark.parametrize("case", SIMPLE)
def test_numbers_that_are_none(case):
    def broken(rows):
        return [np.full_like(o, np.nan) if o.dtype.kind == "f" and o.ndim else o for o in rows]

    with pytest.raises(DecodeError) as error:
        decoded(case, broken)
    assert error.value.code == "nan"


@pytest.mark.parametrize("case", SIMPLE)
def test_another_shape_than_declared(case):
    with pytest.raises(DecodeError, match="expected") as error:
        decoded(case, lambda rows: [o[:-1, :-1] if o.ndim > 1 else o for o in rows])
    assert error.value.code == "shape"


def test_everything_above_the_threshold_is_bounded_and_the_cut_told():
    claim = recognise(signature((1, 8400, 4), (1, 8400, 80)))
    rng = RNG(0)
    scores = rng.uniform(0.5, 1, (8400, 80)).astype(np.float32)
    box = fit(640, 640, 640, 640, "letterbox")
    answer = claim.decoder([corners(rng, 8400, (640, 640)), scores], box, claim.defaults)
    assert answer.cut == 8400 - 3000
    assert 0 < len(answer) <= 300


# ------------------------------------------------------------------ whole models, against others' answers

WHOLE = {"nanodet": 0.6, "picodet-layout-cdla": 0.5, "centernet": 1.0}  # overlap that the reference suppressed at


@pytest.mark.fetched
@pytest.mark.parametrize("name", WHOLE)
def test_whole_models(name, fetched):
    onnxruntime = pytest.importorskip("onnxruntime")
    path = fetched(f"{name}.onnx")
    record = json.loads((HERE / "reference" / f"{name}.json").read_text())
    claim = recognise(read_signature(path))
    preprocess = claim.preprocess
    shape = preprocess.height, preprocess.width
    session = onnxruntime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    compared = 0
    for which, facts in record["pictures"].items():
        pixels = Picture(picture(which, fetched))
        height, width = pixels.bgr().shape[:2]
        same = hashlib.sha256(pixels.bgr().tobytes()).hexdigest() == facts["bgr_sha256"]
        box = fit(width, height, preprocess.width, preprocess.height, preprocess.resize)
        buffer = ArrayBuffer(np.zeros(slot_shape(preprocess, 1, shape), preprocess.dtype))
        SlotWriter(preprocess, "exact").write(pixels, box, buffer, 0)
        outputs = session.run(None, {session.get_inputs()[0].name: buffer.slots})
        for run, expected in facts["runs"].items():
            confidence = float(run.split("conf")[1].split("-")[0])
            limits = Thresholds(confidence=confidence, iou=WHOLE[name])
            answer = claim.decoder([o[0] for o in outputs], box, limits)
            wanted = np.reshape(expected["xyxy"], (-1, 4)).clip(0, [width, height] * 2)
            classes = expected.get("class_id") or [claim.labels.index(label) for label in expected["class"]]
            assert answer.class_id.tolist() == classes, which
            np.testing.assert_allclose(answer.confidence, expected["confidence"], atol=0.005 if same else 0.02)
            assert iou(answer.xyxy, wanted).min() >= (0.99 if same else 0.95), which
            compared += len(wanted)
    assert compared > 3
