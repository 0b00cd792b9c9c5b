"""PoseNet and EfficientPose: recognised, and decoded as published."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from tests.families.signatures import signature
from vidette.errors import DecodeError, ModelError
from vidette.families import recognise
from vidette.frame import Picture
from vidette.onnxfile import read_signature
from vidette.pixels.letterbox import fit
from vidette.pixels.slot import ArrayBuffer, SlotWriter
from vidette.predictions.skeletons import COCO_17, MPII_16


def posenet(height=97, width=65, stride=16, channels=(32, 17, 32, 34)):
    grid = (height - 1) // stride + 1, (width - 1) // stride + 1
    return signature(*[(1, *grid, count) for count in channels], image=(1, height, width, 3))


def efficientpose(name="upscaled_confs/BiasAdd:0", ops=()):
    given = signature((1, None, None, None), image=(1, 96, 64, 3))
    return replace(given, outputs=(replace(given.outputs[0], name=name),), ops=frozenset(ops))


def published_posenet(heat, offsets, stride):
    """Point by point: x, y in input pixels, score."""
    points = []
    for k in range(17):
        row, column = np.unravel_index(heat[:, :, k].argmax(), heat.shape[:2])
        y = row * stride + float(offsets[row, column, k])
        x = column * stride + float(offsets[row, column, 17 + k])
        points.append((x, y, 1 / (1 + np.exp(-float(heat[row, column, k])))))
    return np.array(points)


def published_efficientpose(maps, width, height):
    """Point by point: x, y in input pixels, score."""
    points = []
    for k in range(16):
        row, column = np.unravel_index(maps[:, :, k].argmax(), maps.shape[:2])
        points.append((column / maps.shape[1] * width, row / maps.shape[0] * height, maps[row, column, k]))
    return np.array(points, np.float64)


def same(answer, expected, box):
    """The answer is the one person whose points, in input pixels, these are."""
    rx, ry, left, top = box.inverse
    assert len(answer) == 1
    np.testing.assert_allclose(answer.keypoints[0, :, :2], (expected[:, :2] - (left, top)) * (rx, ry), atol=2e-3)
    np.testing.assert_allclose(answer.keypoints[0, :, 2], expected[:, 2].clip(0, 1), atol=1e-5)
    sure = expected[:, 2] > 0.3
    assert answer.confidence[0] == pytest.approx(expected[sure, 2].mean(), abs=1e-5)


def test_recognised():
    claim = recognise(posenet())
    assert (claim.family, claim.task, claim.labels) == ("posenet", "keypoints", ("person",))
    assert claim.decoder.skeleton is COCO_17
    assert (claim.decoder.heat, claim.decoder.offsets, claim.decoder.stride) == (1, 3, 16)
    assert recognise(posenet(257, 129, 32, (17, 34))).decoder.stride == 32
    claim = recognise(efficientpose())
    assert (claim.family, claim.task, claim.labels) == ("efficientpose", "keypoints", ("person",))
    assert claim.decoder.skeleton is MPII_16


def test_input_as_the_authors_have_it():
    for given in (posenet(), efficientpose()):
        how = recognise(given).preprocess
        assert (how.mean, how.scale) == ((127.5,) * 3, pytest.approx((1 / 127.5,) * 3))
        assert (how.layout, how.colour, how.resize, how.pad) == ("nhwc", "rgb", "letterbox", 0)
    assert recognise(efficientpose(ops=("Sigmoid",))).preprocess.mean == pytest.approx((123.675, 116.28, 103.53))


@pytest.mark.parametrize(
    "given",
    [
        posenet(96, 64),  # the grid of an input that is no pixel larger than a multiple
        posenet(channels=(17, 33)),
        posenet(channels=(17, 34, 5)),
        efficientpose("confs"),
    ],
)
def test_left_to_others(given):
    with pytest.raises(ModelError, match="no family fits"):
        recognise(given)


def test_posenet():
    claim, box, rng = recognise(posenet()), fit(150, 130, 65, 97, "letterbox"), np.random.default_rng(5)
    outputs = [rng.normal(0, 3, output.shape[1:]).astype(np.float32) for output in posenet().outputs]
    same(claim.decoder(outputs, box, claim.defaults), published_posenet(outputs[1], outputs[3], 16), box)


@pytest.mark.parametrize("grid", [(96, 64), (48, 32)])
def test_efficientpose(grid):
    claim, box = recognise(efficientpose()), fit(150, 130, 64, 96, "letterbox")
    maps = np.random.default_rng(5).uniform(-0.2, 1, (*grid, 16)).astype(np.float32)
    same(claim.decoder([maps], box, claim.defaults), published_efficientpose(maps, 64, 96), box)


def test_nothing_nan_and_other_shapes():
    box = fit(150, 130, 65, 97, "letterbox")
    for given, shapes in ((posenet(), [(7, 5, n) for n in (32, 17, 32, 34)]), (efficientpose(), [(96, 64, 16)])):
        claim = recognise(given)
        assert not len(claim.decoder([np.full(shape, -9, np.float32) for shape in shapes], box, claim.defaults))
        with pytest.raises(DecodeError) as error:
            claim.decoder([np.full(shape, np.nan, np.float32) for shape in shapes], box, claim.defaults)
        assert error.value.code == "nan"
        for wrong in ([(*shape[:2], shape[2] + 1) for shape in shapes], [shape[1:] for shape in shapes]):
            with pytest.raises(DecodeError) as error:
                claim.decoder([np.zeros(shape, np.float32) for shape in wrong], box, claim.defaults)
            assert error.value.code == "shape"


@pytest.mark.fetched
@pytest.mark.parametrize("name", ["posenet", "efficientpose"])
def test_real_models(name, fetched):
    onnxruntime = pytest.importorskip("onnxruntime")
    claim = recognise(read_signature(fetched(f"{name}.onnx")))
    assert claim.family == name
    session = onnxruntime.InferenceSession(str(fetched(f"{name}.onnx")), providers=["CPUExecutionProvider"])
    pixels = np.ascontiguousarray(cv2.imread(str(fetched("media/bus.jpg")))[390:910, 40:250])  # one standing man
    side = claim.preprocess.width
    box = fit(pixels.shape[1], pixels.shape[0], side, side, claim.preprocess.resize)
    buffer = ArrayBuffer(np.zeros((1, side, side, 3), np.float32))
    SlotWriter(claim.preprocess).write(Picture(pixels, 0), box, buffer, 0)
    outputs = [output[0] for output in session.run(None, {session.get_inputs()[0].name: buffer.slots})]
    answer = claim.decoder(outputs, box, claim.defaults)
    if name == "posenet":
        same(answer, published_posenet(outputs[1], outputs[3], 16), box)
    else:
        same(answer, published_efficientpose(outputs[0], side, side), box)
    names = claim.decoder.skeleton.points
    y = {point: answer.keypoints[0, names.index(point), 1] for point in names}
    head = "nose" if name == "posenet" else "head_top"
    assert y[head] < y["left_shoulder"] < y["left_hip"] < y["left_knee"] < y["left_ankle"]
    assert answer.confidence[0] > 0.5
