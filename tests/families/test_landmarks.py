"""MediaPipe's landmarks of one face, eye or person: recognised, and decoded as its model cards say."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from tests.families.signatures import signature
from vidette.errors import DecodeError
from vidette.families import recognise
from vidette.frame import Picture
from vidette.onnxfile import read_signature
from vidette.pixels.letterbox import fit
from vidette.pixels.slot import ArrayBuffer, SlotWriter
from vidette.predictions.skeletons import BODY_33


def face(**more):
    return signature((None, 1404), (None, 1), (None, 266), image=(None, 192, 192, 3), **more)


def eye(**more):
    return signature((None, 1, 1, 228), image=(None, 64, 64, 3), **more)


def body(**more):
    given = ((None, 117), (None, 64, 64, 39), (None, 256, 256, 1), (None, 1), (None, 195))
    return signature(*given, image=(None, 256, 256, 3), **more)


GIVEN = {"face": face(), "eye": eye(), "person": body()}


def outputs_of(given, rng):
    return [rng.uniform(0.6, 60, output.shape[1:]).astype(np.float32) for output in given.outputs]


def ended(given, op):
    return replace(given, outputs=tuple(replace(output, op=op) for output in given.outputs))


def sigmoid(logits):
    return 1 / (1 + np.exp(-np.asarray(logits, np.float64)))


def published(rows, flag, box, columns, told):
    """The points of a plain decode in source pixels, with their confidence."""
    rows = np.asarray(rows, np.float64).reshape(-1, columns)[:told]
    rx, ry, left, top = box.inverse
    sure = flag * (sigmoid(rows[:, 3]) if columns == 5 else np.ones(len(rows)))
    return np.stack([(rows[:, 0] - left) * rx, (rows[:, 1] - top) * ry, sure], axis=1)


@pytest.mark.parametrize("label", GIVEN)
def test_recognised(label):
    claim = recognise(GIVEN[label])
    assert (claim.family, claim.task, claim.labels) == ("landmarks", "keypoints", (label,))
    how = claim.preprocess
    assert (how.layout, how.colour, how.pad, how.resize) == ("nhwc", "rgb", 0, "letterbox")
    assert how.scale == pytest.approx((1 / 255,) * 3)
    assert len(claim.decoder.skeleton.points) == {"face": 468, "eye": 76, "person": 33}[label]


def test_the_user_names_them():
    claim = recognise(face(sidecar={"family": "landmarks", "labels": ["head"]}))
    assert claim.labels == ("head",)
    assert recognise(body()).decoder.skeleton is BODY_33


def test_other_sizes_are_others():
    for given in (signature((1, 1404), image=(1, 224, 224, 3)), signature((1, 195), image=(1, 192, 192, 3))):
        with pytest.raises(Exception, match="no family fits"):
            recognise(given)


@pytest.mark.parametrize("op", ["Sigmoid", "Conv"])
@pytest.mark.parametrize("label", ["face", "person"])
def test_decoded(label, op):
    given = ended(GIVEN[label], op)
    claim, rng = recognise(given), np.random.default_rng(2)
    box = fit(150, 130, claim.preprocess.width, claim.preprocess.height, "letterbox")
    outputs = outputs_of(given, rng)
    flag, place, columns = (1, 0, 3) if label == "face" else (3, 4, 5)
    outputs[flag][:] = 0.7
    if columns == 5:
        outputs[place].reshape(-1, 5)[:, 3] = rng.uniform(1, 6, 39)
    sure = 0.7 if op == "Sigmoid" else sigmoid(0.7)
    expected = published(outputs[place], sure, box, columns, 468 if label == "face" else 33)
    answer = claim.decoder(outputs, box, claim.defaults)
    np.testing.assert_allclose(answer.keypoints[0], expected, atol=1e-3)
    assert answer.confidence[0] == pytest.approx(expected[:, 2].mean(), abs=1e-5)
    inside = expected[:, :2].clip(0, (150, 130))
    np.testing.assert_allclose(answer.xyxy[0], [*inside.min(axis=0), *inside.max(axis=0)], atol=1e-3)
    outputs[flag][:] = 0.4 if op == "Sigmoid" else -0.5
    assert not len(claim.decoder(outputs, box, claim.defaults))


def test_an_eye_has_nothing_to_say_how_sure():
    claim, given = recognise(eye()), np.random.default_rng(2).uniform(0, 64, (1, 1, 228)).astype(np.float32)
    box = fit(64, 64, 64, 64, "letterbox")
    answer = claim.decoder([given], box, claim.defaults)
    np.testing.assert_allclose(answer.keypoints[0], published(given, 1.0, box, 3, 76), atol=1e-3)


@pytest.mark.parametrize("label", GIVEN)
def test_bad_outputs(label):
    given = GIVEN[label]
    claim, box = recognise(given), fit(64, 64, 64, 64, "letterbox")
    outputs = outputs_of(given, np.random.default_rng(2))
    place = claim.decoder.output
    broken = [output.copy() for output in outputs]
    broken[place].reshape(-1)[0] = np.nan
    with pytest.raises(DecodeError) as error:
        claim.decoder(broken, box, claim.defaults)
    assert error.value.code == "nan"
    for wrong in (outputs[place][..., :-1], outputs[place].reshape(-1, 1)):
        with pytest.raises(DecodeError) as error:
            claim.decoder([*outputs[:place], wrong, *outputs[place + 1 :]], box, claim.defaults)
        assert error.value.code == "shape"


# name, picture, part of it (x1, y1, x2, y2), columns, points told
REAL = [
    ("facemesh", "grace_hopper.jpg", (110, 40, 400, 330), "output_mesh", "output_faceflag", 3, 468),
    ("blazepose-lite", "bus.jpg", (40, 390, 250, 910), "ld_3d", "output_poseflag", 5, 33),
    ("iris", "grace_hopper.jpg", (180, 130, 250, 200), "Identity:0", None, 3, 76),
]


@pytest.mark.fetched
@pytest.mark.parametrize(("name", "which", "part", "rows", "flag", "columns", "told"), REAL)
def test_real_models(name, which, part, rows, flag, columns, told, fetched):
    onnxruntime = pytest.importorskip("onnxruntime")
    claim = recognise(read_signature(fetched(f"{name}.onnx")))
    session = onnxruntime.InferenceSession(str(fetched(f"{name}.onnx")), providers=["CPUExecutionProvider"])
    x1, y1, x2, y2 = part
    pixels = cv2.imread(str(fetched(f"media/{which}")))[y1:y2, x1:x2]
    side = claim.preprocess.width
    box = fit(x2 - x1, y2 - y1, side, side, claim.preprocess.resize)
    buffer = ArrayBuffer(np.zeros((1, side, side, 3), np.float32))
    SlotWriter(claim.preprocess).write(Picture(np.ascontiguousarray(pixels), 0), box, buffer, 0)
    names = [output.name for output in session.get_outputs()]
    given = session.run(None, {session.get_inputs()[0].name: buffer.slots})
    answer = claim.decoder([output[0] for output in given], box, claim.defaults)
    sure = 1.0 if flag is None else float(given[names.index(flag)].item())
    expected = published(given[names.index(rows)], sure, box, columns, told)
    assert len(answer) == 1
    np.testing.assert_allclose(answer.keypoints[0], expected, atol=0.01)
    middle = answer.keypoints[0, :, :2].mean(axis=0) / (x2 - x1, y2 - y1)
    assert (np.abs(middle - 0.5) < 0.25).all()
