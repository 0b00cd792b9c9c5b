"""MoveNet, SimCC, heat maps, YuNet, SCRFD and BlazeFace: recognised, and decoded as published."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.conftest import Collecting, make_job
from tests.families.signatures import signature
from tests.families.test_reference import picture
from tests.kernels import twin
from tests.kernels import twin_keypoints as published
from vidette.errors import DecodeError, ModelError
from vidette.families import FAMILIES, recognise
from vidette.families.base import Thresholds
from vidette.frame import Picture
from vidette.onnxfile import read_signature
from vidette.pixels.letterbox import fit
from vidette.pixels.slot import ArrayBuffer, SlotWriter
from vidette.predictions.skeletons import COCO_17, FACE_5, FACE_6
from vidette.signature import Signature, Tensor

REFERENCE = Path(__file__).parent / "reference"
STRIDES = (8, 16, 32)
YUNET = [f"{kind}_{stride}" for kind in ("cls", "obj", "bbox", "kps") for stride in STRIDES]


def named(given: Signature, *names: str) -> Signature:
    outputs = [Tensor(name, output.shape, output.dtype) for name, output in zip(names, given.outputs, strict=True)]
    return replace(given, outputs=tuple(outputs))


def movenet_one(**more):
    return signature((1, 1, 17, 3), image=(1, 192, 192, 3), dtype="int32", **more)


def movenet_several(**more):
    return signature((1, 6, 56), image=(1, None, None, 3), dtype="int32", **more)


def simcc(count=17, **more):
    given = signature((None, count, 384), (None, count, 512), image=(None, 3, 256, 192), **more)
    return named(given, "simcc_x", "simcc_y")


def heatmaps(count=17, **more):
    return named(signature((None, count, 64, 48), image=(None, 3, 256, 192), **more), "heatmaps")


def yunet(width=96, height=64, **more):
    rows = [height // s * (width // s) for s in STRIDES]
    shapes = [(1, n, columns) for columns in (1, 1, 4, 10) for n in rows]
    return named(signature(*shapes, image=(1, 3, height, width), **more), *YUNET)


def scrfd(landmarks=True, batch=True, width=96, height=64, strides=STRIDES, anchors=2, **more):
    rows = [height // s * (width // s) * anchors for s in strides]
    shapes = [(n, columns) for columns in ((1, 4, 10) if landmarks else (1, 4)) for n in rows]
    return signature(*(((1, *s) if batch else s) for s in shapes), image=(1, 3, height, width), **more)


def blazeface(size=128, rows=(512, 384), **more):
    shapes = [(1, n, columns) for columns in (1, 16) for n in rows]
    return signature(*shapes, image=(1, size, size, 3), **more)


GIVEN = {
    "movenet": (movenet_one(), movenet_several()),
    "simcc": (simcc(),),
    "heatmaps": (heatmaps(),),
    "yunet": (yunet(), yunet(640, 640)),
    "scrfd": (
        scrfd(),
        scrfd(landmarks=False),
        scrfd(batch=False),
        scrfd(width=256, height=128, strides=(8, 16, 32, 64, 128), anchors=1),
    ),
    "blazeface": (blazeface(), blazeface(256), blazeface(128, (896,)), blazeface(192, (2304,))),
}
CASES = [(family, given) for family, several in GIVEN.items() for given in several]


def zeros(given):
    return [np.zeros([size or 1 for size in output.shape[1:]], np.float32) for output in given.outputs]


def sized(claim):
    how = claim.preprocess
    return fit(150, 130, how.width or 96, how.height or 64, how.resize)


# ------------------------------------------------------------------ recognised


@pytest.mark.parametrize(("family", "given"), CASES)
def test_recognised(family, given):
    claim = recognise(given)
    assert claim.family == family
    assert claim.labels in (("person",), ("face",))
    landmarks = family != "scrfd" or any(output.shape[-1] == 10 for output in given.outputs)
    assert claim.task == ("keypoints" if landmarks else "detection")


def test_input_as_the_authors_have_it():
    how = recognise(movenet_one()).preprocess
    assert (how.layout, how.dtype, how.scale, how.pad, how.resize) == ("nhwc", "int32", (1, 1, 1), 0, "letterbox")
    how = recognise(movenet_several()).preprocess
    assert (how.size, how.stride, how.resize, how.width) == (256, 32, "topleft", None)
    for given in (simcc(), heatmaps()):
        how = recognise(given).preprocess
        assert how.mean == pytest.approx((123.675, 116.28, 103.53))
        assert how.scale == pytest.approx((1 / 58.395, 1 / 57.12, 1 / 57.375))
    how = recognise(yunet()).preprocess
    assert (how.colour, how.scale, how.mean, how.resize) == ("bgr", (1, 1, 1), (0, 0, 0), "topleft")
    how = recognise(scrfd()).preprocess
    assert (how.colour, how.scale, how.mean, how.resize) == ("rgb", (1 / 128,) * 3, (127.5,) * 3, "topleft")
    how = recognise(blazeface()).preprocess
    assert (how.scale, how.mean) == (pytest.approx((1 / 127.5,) * 3), (127.5,) * 3)


def test_integers_are_written_as_the_pixels_are():
    claim = recognise(movenet_one())
    pixels = np.random.default_rng(1).integers(0, 256, (192, 192, 3), np.uint8)
    buffer = ArrayBuffer(np.zeros((1, 192, 192, 3), np.int32))
    SlotWriter(claim.preprocess).write(Picture(pixels, 0), fit(192, 192, 192, 192, "letterbox"), buffer, 0)
    np.testing.assert_array_equal(buffer.slots[0], pixels[:, :, ::-1])


def test_skeletons():
    assert recognise(movenet_one()).decoder.skeleton is COCO_17
    assert recognise(yunet()).decoder.skeleton is FACE_5
    assert recognise(blazeface()).decoder.skeleton is FACE_6
    assert recognise(simcc(133)).decoder.skeleton.name == "points-133"
    own = recognise(simcc(3, sidecar={"keypoints": ["a", "b", "c"], "skeleton": [(0, 1), (1, 2)]})).decoder.skeleton
    assert (own.points, own.bones) == (("a", "b", "c"), ((0, 1), (1, 2)))
    with pytest.raises(ModelError, match="2 keypoints, but the model has 3"):
        recognise(simcc(3, sidecar={"keypoints": ["a", "b"]}))


def test_which_axis_is_which():
    assert recognise(named(simcc(), "simcc_y", "simcc_x")).decoder.x == 1
    assert recognise(named(simcc(), "a", "b")).decoder.x == 0
    swapped = signature((1, 17, 512), (1, 17, 384), image=(1, 3, 256, 192))
    assert recognise(swapped).decoder.x == 1


def test_how_heat_is_refined():
    assert recognise(heatmaps()).decoder.refine == "quarter"
    assert recognise(replace(heatmaps(), ops=frozenset({"Softmax"}))).decoder.refine == "udp"
    assert recognise(heatmaps(sidecar={"refine": "dark"})).decoder.refine == "dark"


@pytest.mark.parametrize(
    "given",
    [
        signature((1, 150, 64, 48), image=(1, 3, 256, 192)),  # maps of classes
        signature((1, 17, 64, 64), image=(1, 3, 256, 256)),
        signature((1, 17, 384), (1, 18, 512), image=(1, 3, 256, 192)),
        signature((1, 17, 300), (1, 17, 500), image=(1, 3, 256, 192)),
        signature((1, 8400, 56), image=(1, 640, 640, 3)),
        named(signature(*[(1, 9, 1)] * 12, image=(1, 3, 64, 96)), *[f"x{i}" for i in range(12)]),
        signature(*[output.shape for output in scrfd().outputs], image=(1, 3, 64, 128)),
        signature((1, 512, 1), (1, 100, 1), (1, 512, 16), (1, 100, 16), image=(1, 128, 128, 3)),
    ],
)
def test_left_to_others(given):
    assert not any(family.recognise(given) for family in FAMILIES if family.name in GIVEN)


def test_sides_are_multiples_of_the_coarsest_stride():
    assert recognise(GIVEN["scrfd"][3]).preprocess.stride == 128


def test_labels_of_others_are_none_of_our_business():
    given = signature((1, 7, 8400), image=(1, 3, 640, 640), sidecar={"labels": ["a", "b", "c"]})
    assert recognise(given).family == "ultralytics"


# ------------------------------------------------------------------ decoded as published


def back(points, box):
    rx, ry, left, top = box.inverse
    return (np.asarray(points, np.float64)[..., :2] - (left, top)) * (rx, ry)


def test_movenet_one_person():
    claim, box = recognise(movenet_one()), fit(150, 130, 192, 192, "letterbox")
    head = np.random.default_rng(3).random((1, 17, 3)).astype(np.float32)
    answer = claim.decoder([head], box, claim.defaults)
    expected = back(head[0, :, [1, 0]].T * 192, box)
    np.testing.assert_allclose(answer.keypoints[0, :, :2], expected, atol=1e-3)
    np.testing.assert_array_equal(answer.keypoints[0, :, 2], head[0, :, 2])
    sure = head[0, :, 2] > 0.3
    inside = expected[sure].clip(0, (150, 130))
    np.testing.assert_allclose(answer.xyxy[0], [*inside.min(axis=0), *inside.max(axis=0)], atol=1e-3)
    assert answer.confidence[0] == pytest.approx(head[0, sure, 2].mean())
    assert answer.skeleton is COCO_17
    assert not len(claim.decoder([head], box, replace(claim.defaults, confidence=0.99)))


def test_movenet_several_people():
    claim, box = recognise(movenet_several()), fit(150, 130, 256, 224, "topleft")
    head = np.random.default_rng(3).random((6, 56)).astype(np.float32)
    answer = claim.decoder([head], box, Thresholds(confidence=0.3))
    expected = sorted(published.several(head, 0.3, 256, 224), key=lambda person: -person[1])
    assert len(answer) == len(expected) > 2
    for k, (corners, score, points) in enumerate(expected):
        np.testing.assert_allclose(answer.xyxy[k], twin.to_source(box_of(corners), box), atol=1e-2)
        np.testing.assert_allclose(answer.keypoints[k, :, :2], back(points, box), atol=1e-2)
        np.testing.assert_allclose(answer.keypoints[k, :, 2], np.array(points)[:, 2], atol=1e-6)
        assert answer.confidence[k] == pytest.approx(score)


def box_of(corners):
    x1, y1, x2, y2 = corners
    return [min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)]


def test_simcc():
    claim, box = recognise(simcc()), fit(150, 130, 192, 256, "letterbox")
    rng = np.random.default_rng(4)
    across, down = rng.random((17, 384)).astype(np.float32), rng.random((17, 512)).astype(np.float32)
    answer = claim.decoder([across, down], box, claim.defaults)
    expected = published.simcc(across, down, 192, 256)
    np.testing.assert_allclose(answer.keypoints[0, :, :2], back(expected, box), atol=1e-3)
    np.testing.assert_allclose(answer.keypoints[0, :, 2], expected[:, 2], atol=1e-6)
    turned = recognise(named(simcc(), "simcc_y", "simcc_x"))
    np.testing.assert_array_equal(turned.decoder([down, across], box, claim.defaults).keypoints, answer.keypoints)


@pytest.mark.parametrize("refine", ["quarter", "dark", "udp"])
def test_heatmaps(refine):
    claim, box = recognise(heatmaps(sidecar={"refine": refine})), fit(150, 130, 192, 256, "letterbox")
    rng = np.random.default_rng(4)
    y, x = np.mgrid[:64, :48]
    maps = np.stack([np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / 8) for cx, cy in rng.uniform(0, 47, (17, 2))])
    maps = maps.astype(np.float32)
    answer = claim.decoder([maps], box, claim.defaults)
    expected = published.heatmaps(maps, refine, 192, 256)
    np.testing.assert_allclose(answer.keypoints[0, :, :2], back(expected, box), atol=0.02)
    np.testing.assert_allclose(answer.keypoints[0, :, 2], expected[:, 2], atol=1e-6)


def face_outputs(given, rng):
    """Random numbers in the places of a family, scores rare enough for suppression to have an effect, not to rule."""
    outputs = []
    for output in given.outputs:
        shape = output.shape[1:] if len(output.shape) == 3 else output.shape
        low, high = (0.0, 1.0) if shape[-1] == 1 else (0.0, 2.0)
        outputs.append(rng.uniform(low, high, shape).astype(np.float32))
    return outputs


def face_levels(family, outputs, box, confidence):
    width, height = box.input_width, box.input_height
    if family == "yunet":
        groups = [outputs[level::3] for level in range(3)]
        return [published.yunet(*g, confidence, s, width // s) for g, s in zip(groups, STRIDES, strict=True)]
    if family == "scrfd":
        count = 3 if len(outputs) < 10 else 5
        strides, anchors = ((8, 16, 32), 2) if count == 3 else ((8, 16, 32, 64, 128), 1)
        groups = [outputs[level::count] for level in range(count)]
        groups = [g if len(g) == 3 else [*g, np.empty((len(g[0]), 0))] for g in groups]
        return [published.scrfd(*g, confidence, s, width // s, anchors) for g, s in zip(groups, strides, strict=True)]
    scores, values = outputs[: len(outputs) // 2], outputs[len(outputs) // 2 :]
    scores, values = np.concatenate(scores), np.concatenate(values)
    parts = [(0, 512, 16, 2), (512, 896, 8, 6)] if len(scores) == 896 else [(0, 2304, 48, 1)]
    return [
        published.blazeface(scores[a:b], values[a:b], confidence, across, each, width, height)
        for a, b, across, each in parts
    ]


FACES = [(family, given) for family, given in CASES if family in ("yunet", "scrfd", "blazeface")]


@pytest.mark.parametrize(("family", "given"), FACES)
def test_faces(family, given):
    claim = recognise(given)
    box = sized(claim)
    outputs = face_outputs(given, np.random.default_rng(6))
    limits = replace(claim.defaults, confidence=0.7)
    found = [face for level in face_levels(family, outputs, box, np.float32(0.7)) for face in level]
    candidates = np.array([[*corners, score, 0] for corners, score, _ in found]).T
    kept = twin.suppress(candidates, limits.iou, False, 300, 3000)
    if twin.close_calls(candidates[:, :400], limits.iou):
        pytest.fail("choose another seed: float32 may decide otherwise")
    answer = claim.decoder(outputs, box, limits)
    assert len(answer) == len(kept) > 0
    for k, i in enumerate(kept):
        corners, score, points = found[i]
        np.testing.assert_allclose(answer.xyxy[k], twin.to_source(corners, box), atol=0.01)
        assert answer.confidence[k] == pytest.approx(score, abs=1e-6)
        if points:
            np.testing.assert_allclose(answer.keypoints[k, :, :2], back(points, box), atol=0.01)
    assert (answer.keypoints is None) == (claim.task == "detection")


# ------------------------------------------------------------------ bad outputs, nothing found


@pytest.mark.parametrize(("family", "given"), CASES)
def test_nothing_nan_and_other_shapes(family, given):
    claim = recognise(given)
    box = sized(claim)
    whole = [np.zeros(output.shape, np.float32) for output in given.outputs] if claim.one_by_one else zeros(given)
    if family == "blazeface":
        whole = [np.full_like(output, -9) for output in whole]
    answer = claim.decoder(whole, box, claim.defaults)
    assert len(answer) == 0
    if claim.task == "keypoints":
        assert answer.keypoints.shape == (0, len(claim.decoder.skeleton.points), 3)
    sure = [np.ones_like(output) for output in whole]
    assert not len(claim.decoder(sure, box, replace(claim.defaults, classes=(1,))))
    for place in range(len(whole)):
        broken = [output.copy() for output in sure]
        broken[place][:] = np.nan
        with pytest.raises(DecodeError) as error:
            claim.decoder(broken, box, claim.defaults)
        assert error.value.code == "nan"
        short = whole[place][..., :-1] if family == "movenet" else whole[place][:-1]
        for wrong in (whole[place][None], short, whole[place].reshape(-1)):
            with pytest.raises(DecodeError) as error:
                claim.decoder([*whole[:place], wrong, *whole[place + 1 :]], box, claim.defaults)
            assert error.value.code == "shape"


@pytest.mark.parametrize(("family", "given"), FACES)
def test_the_answer_owns_its_memory(family, given):
    claim = recognise(given)
    outputs = face_outputs(given, np.random.default_rng(6))
    answer = claim.decoder(outputs, sized(claim), claim.defaults)
    before = answer.xyxy.copy(), None if answer.keypoints is None else answer.keypoints.copy()
    for output in outputs:
        output[:] = -1
    np.testing.assert_array_equal(answer.xyxy, before[0])
    if before[1] is not None:
        np.testing.assert_array_equal(answer.keypoints, before[1])


# ------------------------------------------------------------------ whole runs


def constant_model(path, image, dtype, outputs):
    """A graph that returns the same numbers whatever it sees."""
    graph = helper.make_graph(
        [helper.make_node("Identity", [f"{name}_value"], [name]) for name in outputs],
        "constant",
        [helper.make_tensor_value_info("input", dtype, image)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, value.shape) for name, value in outputs.items()],
        [numpy_helper.from_array(value, f"{name}_value") for name, value in outputs.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), str(path))
    return path


def test_a_file_without_a_batch_axis_runs_one_by_one(tmp_path, run):
    rng = np.random.default_rng(7)
    given = scrfd(batch=False)
    values = [rng.random(output.shape).astype(np.float32) for output in given.outputs]
    outputs = {f"o{i}": value for i, value in enumerate(values)}
    model = constant_model(tmp_path / "scrfd.onnx", (1, 3, 64, 96), TensorProto.FLOAT, outputs)
    cv2.imwrite(str(tmp_path / "a.png"), rng.integers(0, 256, (130, 150, 3), np.uint8))
    sink = Collecting()
    run(make_job(model, {"s": str(tmp_path / "a.png")}, [sink]))
    claim = recognise(read_signature(model))
    expected = claim.decoder(values, fit(150, 130, 96, 64, "topleft"), claim.defaults)
    (result,) = sink.results
    assert len(expected)
    np.testing.assert_array_equal(result.predictions.xyxy, expected.xyxy)
    np.testing.assert_array_equal(result.predictions.keypoints, expected.keypoints)


def test_a_model_of_integers_runs(tmp_path, run):
    head = np.random.default_rng(7).random((1, 1, 17, 3)).astype(np.float32)
    model = constant_model(tmp_path / "m.onnx", (1, 192, 192, 3), TensorProto.INT32, {"points": head})
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((130, 150, 3), np.uint8))
    sink = Collecting()
    run(make_job(model, {"s": str(tmp_path / "a.png")}, [sink]))
    assert sink.results[0].predictions.keypoints.shape == (1, 17, 3)


# ------------------------------------------------------------------ real models, other people's answers


@pytest.mark.fetched
@pytest.mark.parametrize("name", ["movenet-lightning", "movenet-thunder", "movenet-multipose", "blazeface-front-128"])
def test_real_models(name, fetched):
    onnxruntime = pytest.importorskip("onnxruntime")
    claim = recognise(read_signature(fetched(f"{name}.onnx")))
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(fetched(f"{name}.onnx")), options, providers=["CPUExecutionProvider"])
    reference = json.loads((REFERENCE / f"{name}.json").read_text())
    compared = 0
    for which, facts in reference["pictures"].items():
        pixels = picture(which, fetched)
        same = hashlib.sha256(pixels.tobytes()).hexdigest() == facts["bgr_sha256"]
        (expected,) = facts["runs"].values()
        how = claim.preprocess
        size = how.width or 256, how.height or 256  # the reference stretched the picture
        box = fit(pixels.shape[1], pixels.shape[0], *size, "stretch")
        values = cv2.resize(pixels, size, interpolation=cv2.INTER_LINEAR)[None, :, :, ::-1].astype(np.float32)
        values = (values - np.float32(how.mean)) * np.float32(how.scale)
        feed = {session.get_inputs()[0].name: np.ascontiguousarray(values.astype(how.dtype))}
        limits = replace(claim.defaults, confidence=0.5 if name.startswith("blaze") else 0.2)
        answer = claim.decoder([output[0] for output in session.run(None, feed)], box, limits)
        points = np.array(expected["keypoints"])
        if which == "coffee.png" and len(points):  # the answer for a cup has no point that counts
            assert points[..., 2].max() < 0.3
            points = points[:0]
        assert len(answer) == len(points), which
        if len(points):
            away = np.abs(answer.keypoints[..., : points.shape[2]] - points).max(axis=(0, 1))
            assert away[:2].max() < (0.5 if same else 3), which
            if points.shape[2] == 3:
                assert away[2] < (0.005 if same else 0.05), which
        if expected["xyxy"]:
            np.testing.assert_allclose(answer.xyxy, expected["xyxy"], atol=0.5 if same else 3, err_msg=which)
        compared += len(points)
    assert compared > 1
