"""What both CPU runtimes owe to the engine: the same answers, memory that is not shared, errors that help."""

import threading
import weakref
from dataclasses import replace

import numpy as np
import pytest
from onnx import TensorProto

from tests.runtimes import models
from tests.runtimes.models import F32, fill, twin
from vidette.errors import ModelError
from vidette.runtimes.base import Wish
from vidette.runtimes.cpu import OnnxCpu
from vidette.runtimes.openvino import OpenVino


@pytest.fixture(params=[OpenVino, OnnxCpu], ids=lambda runtime: runtime.name)
def runtime(request):
    return request.param()


def opened(runtime, model, wish=F32):
    return runtime.open(model, runtime.plan(model, wish))


def test_is_available(runtime):
    assert runtime.available() is None


@pytest.mark.parametrize("shape", [(1, 3, 16, 24), ("n", 3, "h", "w"), (1, 3, "h", "w"), ("n", 3, 16, 24)])
def test_equals_float64(runtime, tmp_path, shape):
    session = opened(runtime, models.model_file(models.conv(tmp_path / "m.onnx", shape)))
    buffer = session.buffer((16, 24))
    assert buffer.slots.shape == (1, 3, 16, 24)
    assert buffer.padded == [None]
    for seed in range(2):  # a buffer is used again and again
        expected = twin(fill(buffer, seed))
        boxes, total = session.run(buffer, 1)  # in the order of the file
        np.testing.assert_allclose(boxes, expected, atol=1e-4)
        np.testing.assert_allclose(total, expected.sum(axis=1, keepdims=True), atol=1e-4)
    assert session.plan.precision == "f32"


def test_float16(runtime, tmp_path):
    session = opened(runtime, models.model_file(models.conv(tmp_path / "m.onnx", dtype=TensorProto.FLOAT16)))
    buffer = session.buffer((16, 24))
    expected = twin(fill(buffer))
    np.testing.assert_allclose(session.run(buffer, 1)[0], expected, atol=1e-2)


def test_uint8_nhwc(runtime, tmp_path):
    session = opened(runtime, models.model_file(models.nhwc_uint8(tmp_path / "m.onnx"), layout="nhwc"))
    buffer = session.buffer((16, 24))
    assert buffer.slots.dtype == np.uint8
    expected = twin(fill(buffer, scale=1))
    np.testing.assert_allclose(session.run(buffer, 1)[0], expected, rtol=1e-5, atol=1e-3)


def test_quantised(runtime, tmp_path):
    session = opened(runtime, models.model_file(models.quantised(tmp_path / "m.onnx")))
    buffer = session.buffer((16, 24))
    expected = twin(fill(buffer))
    np.testing.assert_allclose(session.run(buffer, 1)[0], expected, atol=0.05)


def test_fixed_batch(runtime, tmp_path):
    model = models.model_file(models.conv(tmp_path / "m.onnx", (4, 3, 16, 24)))
    session = opened(runtime, model)
    assert session.plan.ladder == (4,)
    buffer = session.buffer((16, 24))
    expected = twin(fill(buffer))
    np.testing.assert_allclose(session.run(buffer, 2)[0][:2], expected[:2], atol=1e-4)


def test_a_declaration_that_lies_is_opened(runtime, tmp_path):
    path = models.conv(tmp_path / "m.onnx", (10, 3, 32, 32), declared=[10, 5, 8, 8])
    model = replace(models.model_file(path, batch=None, height=None, width=None), dynamic=True)
    session = opened(runtime, model)
    buffer = session.buffer((16, 24))
    expected = twin(fill(buffer))
    np.testing.assert_allclose(session.run(buffer, 1)[0], expected, atol=1e-4)


def test_several_sizes(runtime, tmp_path):
    session = opened(runtime, models.model_file(models.conv(tmp_path / "m.onnx")))
    buffers = [session.buffer((8, 8 * width)) for width in (1, 2, 3, 4, 5, 6, 7)]  # more than are compiled
    inputs = [fill(buffer, seed) for seed, buffer in enumerate(buffers)]
    for buffer, pixels in zip(buffers, inputs, strict=True):
        np.testing.assert_allclose(session.run(buffer, 1)[0], twin(pixels), atol=1e-4)


def test_two_callers_at_once_get_their_own_answers(runtime, tmp_path):
    session = opened(runtime, models.model_file(models.conv(tmp_path / "m.onnx")))
    start = threading.Barrier(2)
    wrong, buffers = [], []

    def call(seed: int) -> None:
        start.wait()
        buffer = session.buffer((16, 24))
        buffers.append(buffer)
        for turn in range(50):
            expected = twin(fill(buffer, 100 * seed + turn))
            outputs = session.run(buffer, 1)
            if not np.allclose(outputs[0], expected, atol=1e-4):
                wrong.append((seed, turn))

    threads = [threading.Thread(target=call, args=(seed,)) for seed in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert not np.shares_memory(buffers[0].slots, buffers[1].slots)
    one, other = session.run(buffers[0], 1), session.run(buffers[1], 1)
    assert not np.shares_memory(one[0], other[0])


def test_outputs_outlast_the_other_buffers_run(runtime, tmp_path):
    session = opened(runtime, models.model_file(models.conv(tmp_path / "m.onnx")))
    first, second = session.buffer((16, 24)), session.buffer((16, 24))
    expected = twin(fill(first, 1))
    fill(second, 2)
    outputs = session.run(first, 1)
    session.run(second, 1)
    np.testing.assert_allclose(outputs[0], expected, atol=1e-4)


def test_a_size_that_the_graph_refuses_names_it_and_a_remedy(runtime, tmp_path):
    session = opened(runtime, models.model_file(models.only_at_16(tmp_path / "m.onnx"), size=16))
    buffer = session.buffer((16, 16))
    session.run(buffer, 1)
    with pytest.raises(ModelError, match=r"m\.onnx: does not run at 32x24 \(try `input: 16x16`\)") as caught:
        session.run(session.buffer((24, 32)), 1)
    assert "\n" not in str(caught.value)
    session.run(buffer, 1)  # the others go on


def test_a_size_that_the_file_excludes(runtime, tmp_path):
    session = opened(runtime, models.model_file(models.conv(tmp_path / "m.onnx", (1, 3, 16, 24))))
    with pytest.raises(ModelError, match=r"does not run at 24x8 .*the file fixes 24x16"):
        session.buffer((8, 24))


def test_a_damaged_file(runtime, tmp_path, capfd):
    path = models.conv(tmp_path / "m.onnx", (1, 3, 16, 24))
    model = models.model_file(path)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(ModelError, match=r"m\.onnx: .* cannot (load|read) it") as caught:
        opened(runtime, model)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_an_operator_that_nobody_knows(runtime, tmp_path):
    path = models.conv(tmp_path / "m.onnx", (1, 3, 16, 24))
    model = models.model_file(path)
    path.write_bytes(path.read_bytes().replace(b"Relu", b"Rely"))
    with pytest.raises(ModelError, match="Rely"):
        opened(runtime, model)


def test_stop_ends_a_run_under_way(runtime, tmp_path):
    session = opened(runtime, models.model_file(models.slow(tmp_path / "m.onnx")))
    buffer = session.buffer((512, 512))
    runs, error = [], []
    running = threading.Event()

    def call() -> None:
        try:
            while True:
                running.set()
                session.run(buffer, 1)
                runs.append(1)
        except ModelError as failure:
            error.append(str(failure))

    thread = threading.Thread(target=call)
    thread.start()
    running.wait()
    session.stop()
    thread.join(20)
    assert not thread.is_alive()
    assert error == ["m: stopped"]
    assert len(runs) <= 1  # at most the one that was ending
    with pytest.raises(ModelError, match="stopped"):
        session.run(buffer, 1)


def test_closing_lets_the_session_go(runtime, tmp_path):
    session = opened(runtime, models.model_file(models.conv(tmp_path / "m.onnx")))
    buffer = session.buffer((16, 24))
    gone = weakref.ref(session)
    session.close()
    del session, buffer
    assert gone() is None  # by reference count alone


@pytest.mark.parametrize(("mode", "callers", "threads"), [("throughput", 3, 1), ("latency", 1, 3), ("adaptive", 3, 1)])
def test_plan(runtime, tmp_path, mode, callers, threads):
    model = models.model_file(models.conv(tmp_path / "m.onnx"))
    plan = runtime.plan(model, Wish(mode=mode, cores=3))
    assert (plan.callers, plan.permits, plan.threads, plan.ladder) == (callers, callers, threads, (1,))
    assert (plan.runtime, plan.device, plan.mode) == (runtime.name, "cpu", mode)
    assert plan.wide == (3 if mode == "adaptive" else 0)


def test_alone_or_not_the_answer_is_the_same(runtime, tmp_path):
    model = models.model_file(models.conv(tmp_path / "m.onnx"))
    session = runtime.open(model, runtime.plan(model, Wish(mode="adaptive", cores=2, precision="f32")))
    buffer = session.buffer((40, 56))
    fill(buffer, 7)
    usual = [np.array(output) for output in session.run(buffer, 1)]
    for ours, theirs in zip(session.run(buffer, 1, alone=True), usual, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)
    session.stop()
    with pytest.raises(ModelError):
        session.run(buffer, 1, alone=True)
    session.close()


def test_a_device_that_it_is_not(runtime, tmp_path):
    model = models.model_file(models.conv(tmp_path / "m.onnx"))
    with pytest.raises(ModelError, match="device: cuda"):
        runtime.plan(model, Wish(device="cuda"))


def test_onnx_runtime_refuses_other_precisions(tmp_path):
    model = models.model_file(models.conv(tmp_path / "m.onnx"))
    with pytest.raises(ModelError, match="precision: bf16"):
        OnnxCpu().plan(model, Wish(precision="bf16"))


def test_the_two_agree(tmp_path):
    model = models.model_file(models.conv(tmp_path / "m.onnx"))
    answers = []
    for runtime in (OpenVino(), OnnxCpu()):
        session = opened(runtime, model)
        buffer = session.buffer((40, 56))
        fill(buffer, 7)
        answers.append([np.array(output) for output in session.run(buffer, 1)])
    for ours, theirs in zip(*answers, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-4)


@pytest.mark.fetched
@pytest.mark.parametrize(("name", "opened_sizes"), [("yolo11n.onnx", False), ("centerface.onnx", True)])
def test_the_two_agree_on_real_models(fetched, name, opened_sizes):
    model = models.model_file(fetched(name), batch=None, height=None, width=None)
    answers = []
    for runtime in (OpenVino(), OnnxCpu()):
        session = opened(runtime, replace(model, dynamic=opened_sizes))
        buffer = session.buffer((96, 160))
        fill(buffer, 7)
        answers.append([np.array(output) for output in session.run(buffer, 1)])
    for ours, theirs in zip(*answers, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-4, rtol=1e-4)


def test_session_options_of_onnx_runtime(tmp_path):
    model = models.model_file(models.conv(tmp_path / "m.onnx"))
    plan = OnnxCpu().plan(model, Wish(options={"session.disable_prepacking": 1}))
    assert plan.options["session.disable_prepacking"] == "1"
    OnnxCpu().open(model, plan).close()
    with pytest.raises(ModelError, match="options: NOPE: is no session option"):
        OnnxCpu().plan(model, Wish(options={"NOPE": 1}))
