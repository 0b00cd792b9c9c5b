"""The signature reader against the `onnx` package, and what people put where an ONNX file belongs."""

import os
import re
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from vidette.errors import ModelError
from vidette.onnxfile import read_signature
from vidette.onnxopen import open_shapes
from vidette.signature import Tensor

FETCHED = Path(os.environ.get("VIDETTE_TEST_MODELS", "~/.cache/vidette-test-models")).expanduser()


def conv_model(
    input_shape: list[int | str], dtype: int = TensorProto.FLOAT, output_shape: list[int | str] | None = None
):
    """A 1x1 convolution whose weight is listed as an input too, as files of IR version 3 do."""
    weight = numpy_helper.from_array(np.ones((2, 3, 1, 1), helper.tensor_dtype_to_np_dtype(dtype)), "weight")
    graph = helper.make_graph(
        [helper.make_node("Conv", ["images", "weight"], ["out"])],
        "conv",
        [
            helper.make_tensor_value_info("images", dtype, input_shape),
            helper.make_tensor_value_info("weight", dtype, [2, 3, 1, 1]),
        ],
        [helper.make_tensor_value_info("out", dtype, output_shape or [input_shape[0], 2, *input_shape[2:]])],
        [weight],
        value_info=[helper.make_tensor_value_info("out", dtype, None)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13), helper.make_opsetid("com.example", 7)])
    helper.set_model_props(model, {"stride": "32", "names": "{0: 'größe'}"})
    model.ir_version = 8
    return model


def save(model: onnx.ModelProto, path: Path) -> Path:
    path.write_bytes(model.SerializeToString())
    return path


def tensors(values, weights: set[str]) -> tuple[Tensor, ...]:
    """What the `onnx` package reads, as ours."""
    return tuple(
        Tensor(
            value.name,
            tuple(dim.dim_value if dim.dim_value > 0 else None for dim in value.type.tensor_type.shape.dim),
            str(helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)),
        )
        for value in values
        if value.name not in weights
    )


@pytest.mark.parametrize("dtype", [TensorProto.FLOAT, TensorProto.FLOAT16])
@pytest.mark.parametrize("shape", [[1, 3, 32, 48], ["batch", 3, "height", "width"], [-1, 3, 300, 70000]])
def test_reads_what_a_model_declares(tmp_path, dtype, shape):
    signature = read_signature(save(conv_model(shape, dtype), tmp_path / "m.onnx"))
    expected = tuple(size if isinstance(size, int) and size > 0 else None for size in shape)
    name = {TensorProto.FLOAT: "float32", TensorProto.FLOAT16: "float16"}[dtype]
    assert signature.inputs == (Tensor("images", expected, name),)  # without its weight
    assert signature.outputs == (Tensor("out", (expected[0], 2, *expected[2:]), name),)
    assert signature.metadata == {"stride": "32", "names": "{0: 'größe'}"}
    assert signature.ops == {"Conv"}
    assert signature.opset == 13
    assert signature.sidecar == {}


def _fetched() -> list[Path]:
    return sorted(FETCHED.glob("*.onnx")) or [FETCHED / "no-models.onnx"]


@pytest.mark.fetched
@pytest.mark.parametrize("path", _fetched(), ids=lambda path: path.stem)
def test_equals_the_onnx_package_on_real_models(path):
    if not path.is_file():
        pytest.skip(f"no models in {FETCHED}: make fetch")
    model = onnx.load(path)
    weights = {tensor.name for tensor in model.graph.initializer}
    signature = read_signature(path)
    assert signature.inputs == tensors(model.graph.input, weights)
    assert signature.outputs == tensors(model.graph.output, set())
    assert signature.metadata == {entry.key: entry.value for entry in model.metadata_props}
    assert signature.ops == {node.op_type for node in model.graph.node}
    assert signature.opset == next(entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx"))


def test_opened_shapes_run_at_sizes_that_were_not_declared():
    import onnxruntime as ort

    closed = conv_model([10, 3, 32, 32], output_shape=[10, 2, 8, 8])
    opened = open_shapes(closed.SerializeToString(), {0: "batch", 2: "height", 3: "width"})
    model = onnx.load_from_string(opened)
    onnx.checker.check_model(model)
    assert [dim.dim_param or dim.dim_value for dim in model.graph.input[0].type.tensor_type.shape.dim] == [
        "batch", 3, "height", "width",
    ]  # fmt: skip
    assert model.graph.input[1] == closed.graph.input[1]  # the weight keeps its shape
    assert not model.graph.value_info
    assert model.metadata_props == closed.metadata_props
    image = np.full((2, 3, 8, 16), 2, np.float32)
    (out,) = ort.InferenceSession(opened, providers=["CPUExecutionProvider"]).run(None, {"images": image})
    np.testing.assert_array_equal(out, np.full((2, 2, 8, 16), 6, np.float32))


def error_of(path: Path) -> str:
    with pytest.raises(ModelError) as caught:
        read_signature(path)
    message = str(caught.value)
    assert "\n" not in message
    assert path.name in message
    return message


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "empty"),
        (b"<!DOCTYPE html><html><body>Not found", "web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:12\nsize 7\n", "git lfs pull"),
        (b"person\nbicycle\n", "text file"),
        (b"\xff\xfe\x00garbage\x80" * 40, "not an ONNX model"),
        (b"\x08\x07\x12\x03abc", "not an ONNX model"),  # a message without a graph
        (b"PK\x03\x04" + bytes(22) + b"yolo/data.pkl", "PyTorch weights"),
    ],
)
def test_says_what_is_wrong_with_a_file_called_onnx(tmp_path, content, says):
    path = tmp_path / "m.onnx"
    path.write_bytes(content)
    assert says in error_of(path)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("yolo11n.pt", b"PK\x03\x04rest", "PyTorch weights"),
        ("yolo11n.torchscript", b"PK\x03\x04rest", "TorchScript"),
        ("yolo11n.engine", b"\xa4\x02\x00\x00{}", "TensorRT engine"),
        ("yolo11n.tflite", b"\x1c\x00\x00\x00TFL3", "TensorFlow Lite"),
        ("yolo11n.xml", b"<?xml version='1.0'?><net/>", "OpenVINO model"),
    ],
)
def test_another_format_is_answered_with_the_exporters_lines(tmp_path, name, content, says):
    path = tmp_path / name
    path.write_bytes(content)
    message = error_of(path)
    assert says in message
    assert 'from ultralytics import YOLO; YOLO("yolo11n.pt").export(format="onnx", dynamic=True)' in message


def test_a_missing_file_and_a_folder(tmp_path):
    assert "no such" in error_of(tmp_path / "nowhere.onnx")
    folder = tmp_path / "yolo11n_openvino_model"
    folder.mkdir()
    (folder / "yolo11n.xml").touch()
    assert "OpenVINO model" in error_of(folder)


def test_every_truncation_is_noticed(tmp_path):
    content = conv_model([1, 3, 32, 32]).SerializeToString()
    path = tmp_path / "m.onnx"
    whole = read_signature(save(conv_model([1, 3, 32, 32]), path))
    for length in range(1, len(content)):
        path.write_bytes(content[:length])
        try:
            assert read_signature(path) != whole  # what was cut off at a field's end was metadata or an operator set
        except ModelError as error:
            assert re.search("cut short|not an ONNX|without inputs|text file", str(error)), length  # noqa: PT017
    path.write_bytes(content[: len(content) // 2])
    assert "cut short" in error_of(path)


def test_weights_in_a_missing_second_file(tmp_path):
    path = tmp_path / "m.onnx"
    onnx.save(conv_model([1, 3, 32, 32]), path, save_as_external_data=True, location="m.onnx.data", size_threshold=0)
    read_signature(path)
    (tmp_path / "m.onnx.data").unlink()
    assert "m.onnx.data" in error_of(path)


def test_outputs_say_which_operator_they_come_out_of(tmp_path):
    shape = [1, 3, 4, 4]
    nodes = [
        helper.make_node("Softmax", ["images"], ["scores"], axis=1),
        helper.make_node("Transpose", ["scores"], ["turned"]),
        helper.make_node("Identity", ["turned"], ["a"]),
        helper.make_node("Split", ["images"], ["x", "b"], axis=2),
        helper.make_node("Identity", ["c"], ["c"]),  # goes round in circles
    ]
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in ("images", "a", "b", "c")]
    graph = helper.make_graph(nodes, "ends", [values[0]], [*values[1:], values[0]])
    signature = read_signature(save(helper.make_model(graph), tmp_path / "ends.onnx"))
    assert [output.op for output in signature.outputs] == ["Softmax", "Split", "Identity", ""]
    assert signature.inputs[0].op == ""
