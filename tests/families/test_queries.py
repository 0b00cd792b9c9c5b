"""Query models from the file to the answer: tiny graphs that return known tensors, run by both CPU runtimes."""

import json

import cv2
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import vidette
from tests.families import published_queries as published
from tests.families.test_reference import HERE
from vidette.errors import DecodeError, ModelError
from vidette.families import FAMILIES, recognise
from vidette.families.base import Thresholds
from vidette.families.coco import COCO_91
from vidette.onnxfile import read_signature
from vidette.pixels.letterbox import fit
from vidette.pixels.preprocess import Extra, Preprocess
from vidette.signature import Signature, Tensor

WIDTH, HEIGHT = 150, 130
SIDE = 64
QUERIES, CLASSES = 40, 5
NAMES = ["cat", "dog", "cow", "hen", "pig"]
IMAGENET = Preprocess(
    mean=(0.485 * 255, 0.456 * 255, 0.406 * 255),
    scale=(1 / (0.229 * 255), 1 / (0.224 * 255), 1 / (0.225 * 255)),
    resize="stretch",
    antialias=True, width=SIDE, height=SIDE, batch=1, size=SIDE,
)  # fmt: skip
PLAIN = Preprocess(resize="stretch", antialias=True, width=SIDE, height=SIDE, batch=1, size=SIDE)


def boxes(rng, queries=QUERIES):
    return np.concatenate([rng.uniform(0, 1, (queries, 2)), rng.uniform(0.05, 0.6, (queries, 2))], 1).astype(np.float32)


def logits(rng, classes=CLASSES, queries=QUERIES):
    return rng.normal(-1.5, 2, (queries, classes)).astype(np.float32)


def graph(path, tensors, *, picture="images", sizes=False, metadata=None):
    """Write a model that answers with these tensors whatever it sees; `boxes` multiplied by `orig_target_sizes`."""
    inputs = [helper.make_tensor_value_info(picture, TensorProto.FLOAT, [1, 3, SIDE, SIDE])]
    nodes = [helper.make_node("ReduceMin", [picture], ["least"], keepdims=0)]
    nodes += [helper.make_node("Sub", ["least", "least"], ["nothing"])]
    if sizes:
        inputs.insert(0, helper.make_tensor_value_info("orig_target_sizes", TensorProto.INT64, ["n", 2]))
        nodes += [helper.make_node("Cast", ["orig_target_sizes"], ["wh"], to=TensorProto.FLOAT)]
        nodes += [helper.make_node("Concat", ["wh", "wh"], ["whwh"], axis=1)]
    outputs, weights = [], []
    for name, value in tensors.items():
        value = np.asarray(value)[None]
        kind = helper.np_dtype_to_tensor_dtype(value.dtype)
        weights.append(numpy_helper.from_array(value, f"{name}_value"))
        if sizes and name == "boxes":
            nodes.append(helper.make_node("Mul", [f"{name}_value", "whwh"], [name]))
        elif kind == TensorProto.FLOAT:
            nodes.append(helper.make_node("Add", [f"{name}_value", "nothing"], [name]))
        else:
            nodes.append(helper.make_node("Identity", [f"{name}_value"], [name]))
        outputs.append(helper.make_tensor_value_info(name, kind, list(value.shape)))
    model = helper.make_model(
        helper.make_graph(nodes, "m", inputs, outputs, weights), opset_imports=[helper.make_opsetid("", 17)]
    )
    model.ir_version = 8
    helper.set_model_props(model, metadata or {})
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())
    return path


@pytest.fixture(params=["onnx", "openvino"])
def run(request, tmp_path):
    picture = tmp_path / "picture.png"
    cv2.imwrite(str(picture), np.random.default_rng(0).integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8))

    def one(model, **settings):
        (result,) = vidette.run(picture, model=model, runtime=request.param, precision="f32", **settings)
        return result.predictions

    return one


def same(found, expected, names):
    xyxy, scores, classes = expected[:3]
    assert len(found) == len(scores) > 3
    np.testing.assert_allclose(found.xyxy, xyxy, atol=0.01)
    np.testing.assert_allclose(found.confidence, scores, atol=1e-5)
    np.testing.assert_array_equal(found.class_id, classes)
    assert [found.label(i) for i in range(len(found))] == [names[c] for c in classes]


def test_rt_detr_of_ultralytics(run, tmp_path):
    rng = np.random.default_rng(1)
    scores = published.sigmoid(logits(rng)).astype(np.float32)
    older = np.concatenate([boxes(rng), scores], axis=1)
    head = np.concatenate([older[:, :4], scores.max(1)[:, None], scores.argmax(1)[:, None]], axis=1)
    told = {"task": "detect", "names": str(dict(enumerate(NAMES))), "imgsz": "[64, 64]"}
    expected = published.of_ultralytics(older, 0.25, WIDTH, HEIGHT)
    new = graph(
        tmp_path / "new.onnx", {"output0": head.astype(np.float32)},
        metadata=told | {"head": "RTDETRDecoder", "end2end": "False"},
    )  # fmt: skip
    old = graph(tmp_path / "old.onnx", {"output0": older}, metadata=told)
    for model in (new, old):
        same(run(model, confidence=0.25), expected, NAMES)


@pytest.mark.parametrize("order", [("labels", "boxes", "scores"), ("scores", "labels", "boxes")])
def test_exports_of_rt_detrs_authors_d_fine_and_deim(run, tmp_path, order):
    rng = np.random.default_rng(2)
    raw = logits(rng), boxes(rng)
    labels, unit, scores = published.deployed(*raw, (1, 1))
    tensors = {"labels": labels.astype(np.int64), "boxes": unit.astype(np.float32), "scores": scores.astype(np.float32)}
    model = graph(tmp_path / "m.onnx", {name: tensors[name] for name in order}, sizes=True)
    (tmp_path / "m.yaml").write_text(f"labels: [{', '.join(NAMES)}]")
    expected = published.pairs(*raw, 0.5, WIDTH, HEIGHT)
    same(run(model, confidence=0.5), expected, NAMES)
    only = run(model, confidence=0.5, classes=["hen"])
    assert set(only.class_id) == {3}
    assert len(only) == (expected[2] == 3).sum()


def test_a_letterbox_for_d_fine(run, tmp_path):
    """As its demo does it: boxes lie in the padded square, and come back out of it."""
    box = fit(WIDTH, HEIGHT, SIDE, SIDE, "letterbox")
    unit = np.array([[box.left, box.top, box.left + box.scaled_width, box.top + box.scaled_height]], np.float32) / SIDE
    tensors = {"labels": np.zeros(1, np.int64), "boxes": unit, "scores": np.ones(1, np.float32)}
    model = graph(tmp_path / "m.onnx", tensors, sizes=True)
    (tmp_path / "m.yaml").write_text("input: {resize: letterbox, pad: 0}")
    np.testing.assert_allclose(run(model).xyxy, [[0, 0, WIDTH, HEIGHT]], atol=0.01)


def test_rf_detr(run, tmp_path):
    rng = np.random.default_rng(3)
    raw = logits(rng, 91), boxes(rng)
    raw[0][:] -= 3
    model = graph(tmp_path / "m.onnx", {"dets": raw[1], "labels": raw[0]}, picture="input")
    same(run(model, confidence=0.3), published.pairs(*raw, 0.3, WIDTH, HEIGHT), COCO_91)
    claim = recognise(read_signature(model))
    assert (claim.family, claim.task, claim.preprocess) == ("rf-detr", "detection", IMAGENET)


@pytest.mark.parametrize("masks", ["accurate", "fast"])
def test_rf_detr_with_masks(run, tmp_path, masks):
    rng = np.random.default_rng(4)
    raw = logits(rng), boxes(rng)
    cells = rng.normal(-1, 1, (QUERIES, 16, 16)).astype(np.float32)
    cells = cv2.GaussianBlur(cells.transpose(1, 2, 0), (5, 5), 0)  # blobs, as masks are
    cells = np.ascontiguousarray(cells.transpose(2, 0, 1)) + np.float32(0.9)
    told = {"class_id_to_name": dict(enumerate(NAMES)), "means": [0.5, 0.5, 0.5], "stds": [0.25, 0.25, 0.25]}
    tensors = {"dets": raw[1], "labels": raw[0], "masks": cells}
    model = graph(tmp_path / "m.onnx", tensors, picture="input", metadata={"rfdetr_inference": json.dumps(told)})
    claim = recognise(read_signature(model))
    assert (claim.task, claim.preprocess.mean, claim.preprocess.scale) == ("segmentation", (127.5,) * 3, (4 / 255,) * 3)
    found = run(model, confidence=0.3, masks=masks)
    *expected, queries = published.pairs(*raw, 0.3, WIDTH, HEIGHT)
    same(found, expected, NAMES)
    assert len(found.masks) == len(found)
    whole = published.masks(cells[queries], WIDTH, HEIGHT)
    for index, wanted in enumerate(whole):
        crop, (left, top, right, bottom) = found.masks.crop(index), found.masks.extents[index]
        if masks == "accurate":
            ours = np.zeros((HEIGHT, WIDTH), bool)
            ours[int(top) : int(bottom), int(left) : int(right)] = crop
            assert (ours != wanted).sum() <= 1  # float32 against float64
        else:
            assert crop.sum() == (cells[queries[index]] > 0).sum()
            area = crop.sum() * (right - left) * (bottom - top) / crop.size
            assert area == pytest.approx(crop.sum() * WIDTH * HEIGHT / 256)


def test_detr(run, tmp_path):
    rng = np.random.default_rng(5)
    raw = logits(rng, CLASSES + 1), boxes(rng)
    model = graph(tmp_path / "m.onnx", {"logits": raw[0], "pred_boxes": raw[1]}, picture="pixel_values")
    (tmp_path / "m.yaml").write_text(f"labels: [{', '.join(NAMES)}]")
    same(run(model, confidence=0.5), published.exclusive(*raw, 0.5, WIDTH, HEIGHT), NAMES)
    (tmp_path / "m.yaml").write_text("activation: sigmoid")
    expected = published.pairs(*raw, 0.5, WIDTH, HEIGHT)
    same(run(model, confidence=0.5), expected, "012345")
    scores = published.sigmoid(raw[0]).astype(np.float32)
    model = graph(tmp_path / "done.onnx", {"logits": scores, "pred_boxes": raw[1]}, picture="pixel_values")
    (tmp_path / "done.yaml").write_text("activation: none")
    same(run(model, confidence=0.5), expected, "012345")


def test_deformable_detr(run, tmp_path):
    rng = np.random.default_rng(6)
    raw = logits(rng, 91) - 3, boxes(rng)
    tensors = {"last_hidden_state": np.zeros((QUERIES, 8), np.float32), "logits": raw[0], "pred_boxes": raw[1]}
    model = graph(tmp_path / "m.onnx", tensors, picture="pixel_values")
    same(run(model, confidence=0.3), published.pairs(*raw, 0.3, WIDTH, HEIGHT), COCO_91)


# ------------------------------------------------------------------ what is recognised, and by what


def described(outputs, *, image=(1, 3, 640, 640), extra=(), metadata=None, sidecar=None, ops=(), picture="images"):
    return Signature(
        (Tensor(picture, image, "float32"), *extra),
        tuple(Tensor(name, shape, kind) for name, (shape, kind) in outputs.items()),
        metadata or {}, sidecar or {}, frozenset(ops),
    )  # fmt: skip


def raw(count, queries=300, first="logits", second="pred_boxes"):
    return {first: ((None, queries, count), "float32"), second: ((None, queries, 4), "float32")}


def triple(kind="int64", batch=None):
    return {
        "labels": ((batch, 300), kind), "boxes": ((batch, 300, 4), "float32"), "scores": ((batch, 300), "float32")
    }  # fmt: skip


def rows(*shape, names="{0: 'a', 1: 'b', 2: 'c'}", sidecar=None, image=(1, 3, 640, 640), **told):
    """What Ultralytics' exporter writes."""
    metadata = {"task": "detect", "names": names, "imgsz": "[640, 640]"} | told
    return described({"output0": (shape, "float32")}, image=image, metadata=metadata, sidecar=sidecar)


TARGETS = Tensor("orig_target_sizes", (None, 2), "int64")
HF = {"picture": "pixel_values", "image": (None, None, None, None)}

DECODER = {"head": "RTDETRDecoder", "end2end": "False"}
CLAIMS = {
    "ultralytics": ("rt-detr", rows(1, 300, 6, **DECODER), "none"),
    "ultralytics, head not told": ("rt-detr", rows(1, 300, 6, end2end="False", args="{'nms': None}"), "none"),
    "nms is not": ("end-to-end", rows(1, 300, 6, end2end="False", args="{'nms': True}"), ""),
    "ultralytics, older": ("rt-detr", rows(1, 300, 7), "none"),
    "ultralytics, older, named": (
        "rt-detr",
        rows(1, 300, 6, names="['a', 'b']", description="Ultralytics rtdetr-l model"),
        "none",
    ),
    "ultralytics, dynamic": ("rt-detr", rows(None, 300, None, image=(None, 3, None, None), **DECODER), "none"),
    "forced": ("rt-detr", rows(1, 300, 6, sidecar={"family": "rt-detr"}), "none"),
    "yolo26 is not": ("end-to-end", rows(1, 300, 6, head="Detect", end2end="True"), ""),
    "v10 is not": ("end-to-end", rows(1, 300, 6), ""),
    "d-fine": ("rt-detr", described(triple(), extra=(TARGETS,)), "none"),
    "d-fine, sizes first": (
        "rt-detr",
        Signature((TARGETS, Tensor("images", (None, 3, 640, 640), "float32")), described(triple()).outputs),
        "none",
    ),
    "rf-detr": ("rf-detr", described(raw(91, 300, "labels", "dets")), "sigmoid"),
    "rf-detr, own classes": ("rf-detr", described(raw(4, 300, "labels", "dets")), "sigmoid"),
    "rf-detr, masks": (
        "rf-detr",
        described(raw(91, 200, "labels", "dets") | {"masks": ((1, 200, 108, 108), "float32")}),
        "sigmoid",
    ),
    "detr": ("detr", described(raw(92, 100), extra=(Tensor("pixel_mask", (None, 64, 64), "int64"),), **HF), "softmax"),
    "detr, facebook": ("detr", described(raw(92, 100, "pred_logits"), image=(None, 3, None, None)), "softmax"),
    "deformable": ("detr", described(raw(91), ops=("GridSample",), **HF), "sigmoid"),
    "rt-detr, hugging face": ("detr", described(raw(80, None), ops=("TopK", "GridSample"), **HF), "sigmoid"),
    "own classes, names": ("detr", described(raw(3), sidecar={"labels": ["a", "b"]}, **HF), "softmax"),
    "own classes, as many names": ("detr", described(raw(3), sidecar={"labels": ["a", "b", "c"]}, **HF), "sigmoid"),
    "own classes, by the graph": ("detr", described(raw(3), ops=("GridSample",), **HF), "sigmoid"),
    "own classes, table transformer": ("detr", described(raw(3, 15), ops=("Conv",), **HF), "softmax"),
    "stated": ("detr", described(raw(92), sidecar={"activation": "sigmoid"}, **HF), "sigmoid"),
}


@pytest.mark.parametrize("case", CLAIMS)
def test_exactly_one_family_claims(case):
    family, signature, activation = CLAIMS[case]
    claims = {
        f.name: claim for f in FAMILIES if "family" not in signature.sidecar and (claim := f.recognise(signature))
    }
    claim = recognise(signature)
    assert list(claims) in ([family], [])
    assert claim.family == family
    assert claim.why
    assert "\n" not in claim.why
    if activation:
        assert getattr(claim.decoder, "activation", "none") == activation


STRANGERS = {
    "torchvision": described(
        {"boxes": ((None, 4), "float32"), "labels": ((None,), "int64"), "scores": ((None,), "float32")}
    ),
    "mmdeploy": described({"dets": ((1, 100, 5), "float32"), "labels": ((1, 100), "int64")}),
    "mmdeploy, labels of another rank": described({"dets": ((1, 100, 4), "float32"), "labels": ((1, 100, 1), "int64")}),
    "a model of keypoints": described(raw(3, 300, "labels", "dets") | {"keypoints": ((1, 300, 17, 8), "float32")}),
    "another second input": described(triple(), extra=(Tensor("prompt", (None, 2), "int64"),)),
    "other outputs": described({"a": ((1, 300), "float32"), "b": ((1, 300), "float32")}, extra=(TARGETS,)),
    "masks only": described({"logits": ((1, 100, 134), "float32"), "masks": ((1, 100, 9, 9), "float32")}),
    "as many queries": described({"logits": ((1, 100, 3), "float32"), "pred_boxes": ((1, 99, 4), "float32")}),
}


@pytest.mark.parametrize("case", STRANGERS)
def test_leaves_others_alone(case):
    ours = {"rt-detr", "detr", "rf-detr"}
    assert not [f.name for f in FAMILIES if f.name in ours and f.recognise(STRANGERS[case])]


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        ("ultralytics", Preprocess(resize="stretch", width=640, height=640, batch=1)),
        ("ultralytics, dynamic", Preprocess(resize="stretch", width=640, height=640)),
        (
            "d-fine",
            Preprocess(
                resize="stretch",
                antialias=True,
                width=640,
                height=640,
                batch=1,
                extras=(Extra("orig_target_sizes", "int64", "size"),),
            ),
        ),
        ("rt-detr, hugging face", Preprocess(resize="stretch", antialias=True, width=640, height=640)),
    ],
)
def test_preprocessing(case, expected):
    assert recognise(CLAIMS[case][1]).preprocess == expected


def test_detr_keeps_the_pictures_shape():
    prepared = recognise(CLAIMS["detr"][1]).preprocess
    assert (prepared.width, prepared.height, prepared.size, prepared.resize) == (None, None, 1333, "stretch")
    assert prepared.extras == (Extra("pixel_mask", "int64", "mask", (64, 64)),)
    assert prepared.mean == pytest.approx((123.675, 116.28, 103.53))
    assert prepared.scale == pytest.approx((1 / 58.395, 1 / 57.12, 1 / 57.375))


def test_a_size_for_those_that_take_any():
    stated = described(raw(80), sidecar={"input": {"size": 512}}, **HF)
    prepared = recognise(stated).preprocess
    assert (prepared.width, prepared.height) == (512, 512)


def test_the_numbering_of_coco():
    assert len(COCO_91) == 91
    assert (COCO_91[0], COCO_91[1], COCO_91[12], COCO_91[13], COCO_91[90]) == (
        "0", "person", "12", "stop sign", "toothbrush"
    )  # fmt: skip
    assert sum(not name.isdecimal() for name in COCO_91) == 80
    assert all(name == str(i) for i, name in enumerate(COCO_91) if name.isdecimal())
    assert recognise(CLAIMS["rf-detr"][1]).labels == COCO_91
    assert recognise(CLAIMS["detr"][1]).labels == COCO_91


@pytest.mark.parametrize(
    ("signature", "words"),
    [
        (described(raw(9), sidecar={"labels": ["a", "b"]}, **HF), "2 labels, but the model has 9 logits"),
        (
            described(raw(3), sidecar={"labels": ["a", "b", "c"], "activation": "softmax"}, **HF),
            "3 labels.*the last for no object",
        ),
        (described(raw(None), **HF), "how many classes"),
        (described(raw(9, 300, "labels", "dets"), sidecar={"labels": ["a"]}), "1 names, but the model has 9 logits"),
        (described(raw(None, 300, "labels", "dets")), "how many classes"),
    ],
)
def test_contradictions_are_told_at_load(signature, words):
    with pytest.raises(ModelError, match=words):
        recognise(signature)


@pytest.mark.parametrize(
    "text", ["{", "[]", "[" * 100_000, '{"class_id_to_name": {"-1": "x", "a": 2}}', '{"means": 3}']
)
def test_metadata_of_rf_detr_that_are_nonsense(text):
    claim = recognise(described(raw(3, 300, "labels", "dets"), metadata={"rfdetr_inference": text}))
    assert claim.labels == ("0", "1", "2")
    assert claim.preprocess.mean == pytest.approx((123.675, 116.28, 103.53))


@pytest.mark.parametrize("case", [case for case, (family, *_) in CLAIMS.items() if family != "end-to-end"])
def test_other_shapes_and_numbers_that_are_none(case):
    _, signature, _ = CLAIMS[case]
    claim = recognise(signature)
    letterbox = fit(WIDTH, HEIGHT, 640, 640, "stretch")
    sizes = [[side or 3 for side in output.shape[1:]] for output in signature.outputs]
    if case == "ultralytics, dynamic":
        sizes = [[300, 6]]
    elif None in signature.outputs[0].shape[1:] and len(sizes) == 2:
        sizes = [[300, 80], [300, 4]]
    ones = [np.ones(size, np.float32) for size in sizes]
    with pytest.raises(DecodeError) as error:
        claim.decoder([one[None] for one in ones], letterbox, Thresholds())
    assert error.value.code == "shape"
    with pytest.raises(DecodeError) as error:
        claim.decoder([np.full_like(one, np.nan) for one in ones], letterbox, Thresholds())
    assert error.value.code == "nan"
    answer = claim.decoder([np.zeros_like(one) for one in ones], letterbox, Thresholds(confidence=0.99))
    assert len(answer) == 0
    assert answer.xyxy.shape == (0, 4)
    assert (answer.masks is None) == (claim.task != "segmentation")


def test_the_answer_owns_its_memory_and_half_precision_is_the_same():
    rng = np.random.default_rng(7)
    claim = recognise(CLAIMS["rf-detr, masks"][1])
    letterbox = fit(WIDTH, HEIGHT, 640, 640, "stretch")
    given = [logits(rng, 91, 200) - 3, boxes(rng, 200), rng.normal(0, 1, (200, 108, 108)).astype(np.float32)]
    half = [value.astype(np.float16) for value in given]
    one, two = (claim.decoder(v, letterbox, Thresholds()) for v in (half, [v.astype(np.float32) for v in half]))
    np.testing.assert_array_equal(one.xyxy, two.xyxy)
    np.testing.assert_array_equal(one.masks.bits, two.masks.bits)
    kept = claim.decoder(given, letterbox, Thresholds())
    before = kept.xyxy.copy(), kept.masks.bits.copy()
    for value in given:
        value[:] = 0
    np.testing.assert_array_equal(kept.xyxy, before[0])
    np.testing.assert_array_equal(kept.masks.bits, before[1])


# ------------------------------------------------------------------ the same as Ultralytics itself


def test_raw_tensors_of_ultralytics():
    record = json.loads((HERE / "raw" / "rtdetr-v8n.json").read_text())
    with np.load(HERE / "raw" / "rtdetr-v8n.npz") as tensors:
        (head,) = (tensors[key] for key in tensors)
    given = described({"output0": (head.shape, "float32")}, image=(1, 3, *record["input"]), metadata=record["metadata"])
    claim = recognise(given)
    assert claim.preprocess.resize == record["resize"] == "stretch"
    width, height = record["width"], record["height"]
    limits = Thresholds(confidence=record["conf"], max_detections=record["max_det"])
    answer = claim.decoder([head[0]], fit(width, height, *record["input"][::-1], "stretch"), limits)
    for expected in record["runs"].values():
        wanted = np.clip(expected["xyxy"], 0, (width, height, width, height))  # theirs are not clipped
        assert len(answer) == expected["count"]
        # A random model gives many equal scores, in any order: compare as sets.
        ours = sorted(
            zip(answer.confidence.round(3).tolist(), answer.class_id.tolist(), answer.xyxy.tolist(), strict=True)
        )
        used = set()
        for box, score, label in zip(wanted, expected["confidence"], expected["class_id"], strict=True):
            near = [
                i for i, (s, c, b) in enumerate(ours)
                if i not in used and c == label and abs(s - score) < 0.001 and np.abs(np.subtract(b, box)).max() < 0.05
            ]  # fmt: skip
            assert near, (box, score, label)
            used.add(near[0])


@pytest.mark.fetched
def test_a_whole_model_of_ultralytics(fetched):
    record = json.loads((HERE / "reference" / "random-rtdetr-v8n.json").read_text())
    path = fetched("random/rtdetr-v8n.onnx")
    for name, facts in record["pictures"].items():
        picture = fetched(f"media/{name}")
        expected = facts["runs"]["square-iou0.45"]
        (result,) = vidette.run(
            picture, model=path, runtime="onnx", scaling="exact", confidence=0.1, max_detections=100
        )  # fmt: skip
        answer = result.predictions
        width, height = facts["width"], facts["height"]
        wanted = np.clip(expected["xyxy"], 0, (width, height, width, height))
        assert len(answer) == expected["count"]
        matched = 0
        for box, score, label in zip(wanted, expected["confidence"], expected["class_id"], strict=True):
            near = (
                (np.abs(answer.xyxy - box).max(1) < 2) & (np.abs(answer.confidence - score) < 0.02)
                & (answer.class_id == label)
            )  # fmt: skip
            matched += near.any()
        assert matched == len(wanted)
