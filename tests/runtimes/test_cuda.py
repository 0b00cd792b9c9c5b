"""The CUDA runtime without a GPU: its plan, its errors, and its bindings on the device "cpu", which are the same calls.

With a GPU (`-m gpu`) the same answers are asked of the real provider.
"""

import ctypes
import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto

from tests.runtimes import models
from tests.runtimes.models import fill, twin
from vidette.errors import ModelError
from vidette.runtimes import cuda, onnx
from vidette.runtimes.base import Wish
from vidette.runtimes.cuda import BoundSession, Cuda

DEFAULTS = {
    "device_id": "0",
    "cudnn_conv_algo_search": "HEURISTIC",
    "arena_extend_strategy": "kSameAsRequested",
    "cudnn_conv_use_max_workspace": "1",
    "do_copy_in_default_stream": "1",
    "use_tf32": "1",
}


@pytest.fixture
def model(tmp_path):
    return models.model_file(models.conv(tmp_path / "m.onnx"))


@pytest.mark.parametrize(
    ("wish", "options", "ladder", "precision", "device", "callers"),
    [
        (Wish(), {}, (1, 2, 4, 8, 16), "tf32", "cuda:0", 3),
        (Wish(device="cuda:1", max_batch=4), {"device_id": "1"}, (1, 2, 4), "tf32", "cuda:1", 3),
        (Wish(precision="f32", max_batch=6), {"use_tf32": "0"}, (1, 2, 4, 6), "f32", "cuda:0", 3),
        (Wish(mode="latency", max_batch=1), {}, (1,), "tf32", "cuda:0", 1),
        (
            Wish(options={"enable_cuda_graph": 1, "gpu_mem_limit": 2**31}),
            {"enable_cuda_graph": "1", "gpu_mem_limit": "2147483648"},
            (1, 2, 4, 8, 16),
            "tf32",
            "cuda:0",
            3,
        ),
    ],
)
def test_plan(model, wish, options, ladder, precision, device, callers):
    plan = Cuda().plan(model, wish)
    assert plan.options == {**DEFAULTS, **options}
    assert (plan.runtime, plan.ladder, plan.precision, plan.device) == ("cuda", ladder, precision, device)
    assert (plan.callers, plan.permits) == (callers, 1)


def test_plan_of_a_file_with_a_fixed_batch_and_half_precision(tmp_path):
    path = models.conv(tmp_path / "m.onnx", (4, 3, 16, 24), TensorProto.FLOAT16)
    plan = Cuda().plan(models.model_file(path), Wish())
    assert (plan.ladder, plan.precision) == ((4,), "f16")
    with pytest.raises(ModelError, match="half=False"):
        Cuda().plan(models.model_file(path), Wish(precision="f32"))


@pytest.mark.parametrize("precision", ["f16", "bf16"])
def test_precision_is_never_changed_silently(model, precision):
    with pytest.raises(ModelError, match=f"precision: {precision}.*half=True"):
        Cuda().plan(model, Wish(precision=precision))


class Recorder:
    """A real session of the CPU provider that records the shapes it runs."""

    def __init__(self, model):
        self.session = onnx.create(model, ["CPUExecutionProvider"], 1, {}, arena=True)
        self.runs = []

    def __getattr__(self, name):
        return getattr(self.session, name)

    def run_with_iobinding(self, binding, options):
        self.session.run_with_iobinding(binding, options)
        self.runs.append((binding.get_outputs()[0].shape()[0], binding))


@pytest.fixture
def bound(model):
    def open_on_cpu(**changes):
        plan = replace(Cuda().plan(model, Wish(max_batch=4)), **changes)
        recorder = Recorder(model)
        return recorder, BoundSession(recorder, model, plan, "cpu", 0)

    return open_on_cpu


def test_a_batch_runs_in_the_next_bucket_and_all_buckets_are_warm(bound):
    recorder, session = bound()
    buffer = session.buffer((16, 24))
    assert buffer.slots.shape == (4, 3, 16, 24)
    assert [size for size, _ in recorder.runs] == [1, 2, 4]  # warm-up
    warm = {id(binding) for _, binding in recorder.runs}
    for count, bucket in ((1, 1), (2, 2), (3, 4), (4, 4)):
        expected = twin(fill(buffer, count))
        boxes, total = session.run(buffer, count)
        assert recorder.runs[-1][0] == bucket
        np.testing.assert_allclose(boxes[:count], expected[:count], atol=1e-4)
        np.testing.assert_allclose(total[:count], expected[:count].sum(axis=1, keepdims=True), atol=1e-4)
    assert {id(binding) for _, binding in recorder.runs} == warm  # nothing is bound anew


def test_a_second_buffer_shares_the_devices_memory_but_not_the_answers(bound):
    recorder, session = bound()
    first, second = session.buffer((16, 24)), session.buffer((16, 24))
    assert len(recorder.runs) == 3  # warm already
    assert not np.shares_memory(first.slots, second.slots)
    expected = twin(fill(first, 1))
    fill(second, 2)
    answer = session.run(first, 4)
    session.run(second, 4)
    np.testing.assert_allclose(answer[0], expected, atol=1e-4)


def test_memory_of_many_sizes_is_bounded(bound):
    _, session = bound()
    buffers = [session.buffer((8, 8 * width)) for width in range(1, 8)]
    assert len(session._bound) == 4
    expected = twin(fill(buffers[0]))
    np.testing.assert_allclose(session.run(buffers[0], 4)[0], expected, atol=1e-4)  # bound again


def test_graphs_have_fixed_outputs_and_an_id_per_bucket(bound, monkeypatch):
    """The CPU provider ignores the ids; that they are distinct and the addresses fixed is what CUDA asks for."""
    entries = []

    class RunOptions(onnxruntime.RunOptions):
        def add_run_config_entry(self, key, value):
            entries.append((key, value))

    monkeypatch.setattr(onnxruntime, "RunOptions", RunOptions)
    recorder, session = bound(options={**DEFAULTS, "enable_cuda_graph": "1"})
    buffer = session.buffer((16, 24))
    assert [value for _, value in entries] == ["-1", "1", "-1", "2", "-1", "3"]
    addresses = []
    for seed in (1, 2):
        expected = twin(fill(buffer, seed))
        boxes, total = session.run(buffer, 4)
        np.testing.assert_allclose(boxes, expected, atol=1e-4)
        np.testing.assert_allclose(total, expected.sum(axis=1, keepdims=True), atol=1e-4)
        addresses.append(recorder.runs[-1][1].get_outputs()[0].data_ptr())
    assert addresses[0] == addresses[1]


def test_stop_ends_runs(bound):
    _, session = bound()
    buffer = session.buffer((16, 24))
    session.stop()
    with pytest.raises(ModelError, match="m: stopped"):
        session.run(buffer, 1)


def test_host_memory_is_pinned_and_released(model):
    calls = []
    cudart = SimpleNamespace(
        cudaHostRegister=lambda address, size, flags: calls.append(("pin", address.value, size.value, flags)) or 0,
        cudaHostUnregister=lambda address: calls.append(("release", address.value)),
    )
    session = BoundSession(Recorder(model), model, Cuda().plan(model, Wish(max_batch=2)), "cpu", 0, cudart)
    buffer = session.buffer((16, 24))
    address = buffer.slots.ctypes.data
    assert calls == [("pin", address, 2 * 3 * 16 * 24 * 4, 0)]
    del buffer
    assert calls[1:] == [("release", address)]


@pytest.mark.parametrize(
    ("absent", "says"),
    [
        ("libcuda.so.1", "no NVIDIA driver"),
        ("libcudart.so.13", r"libcudart.so.13 cannot be loaded: pip install \"vidette\[gpu\]\""),
        ("libcublas.so.13", "libcublas.so.13"),
        ("libcudnn.so.9", "libcudnn.so.9"),
        (None, None),
    ],
)
def test_the_first_missing_library_is_named(monkeypatch, absent, says):
    def load(name):
        if name == absent:
            raise OSError(f"{name}: cannot open shared object file")
        return driver(devices=1)

    monkeypatch.setattr(ctypes, "CDLL", load)
    reason = cuda.missing()
    if says is None:
        assert reason is None
    else:
        with pytest.raises(ModelError, match=says):
            raise ModelError(reason)


def driver(devices):
    def count(pointer):
        pointer._obj.value = devices
        return 0

    return SimpleNamespace(cuInit=lambda flags: 0, cuDeviceGetCount=count)


def test_a_driver_without_a_gpu(monkeypatch):
    monkeypatch.setattr(ctypes, "CDLL", lambda name: driver(devices=0))
    assert "finds no GPU" in cuda.missing()


@pytest.mark.parametrize("listed", [["CPUExecutionProvider"], ["CUDAExecutionProvider", "CPUExecutionProvider"]])
def test_a_session_that_came_up_on_the_cpu_is_an_error(model, monkeypatch, capfd, listed):
    """The GPU package lists CUDA on a machine without a GPU too; its session then comes up on the CPU."""
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: listed)
    cpu = onnx.create(model, ["CPUExecutionProvider"], 1, {}, arena=True)
    monkeypatch.setattr(onnx, "create", lambda *arguments, **keywords: cpu)
    monkeypatch.setattr(Cuda, "available", lambda self: "no NVIDIA driver (libcuda.so.1)")
    runtime = Cuda()
    with pytest.raises(ModelError, match=r"device: cuda:0: no NVIDIA driver"):
        runtime.open(model, runtime.plan(model, Wish(device="cuda")))
    assert capfd.readouterr().out == ""


def test_what_preload_dlls_prints_goes_to_the_log(monkeypatch, caplog, capsys):
    caplog.set_level("INFO")
    monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: sys.stdout.write("Failed to load libfoo\n"))
    cuda._preload()
    assert "Failed to load libfoo" in caplog.text
    assert capsys.readouterr().out == ""


@pytest.mark.gpu
@pytest.mark.parametrize("options", [{}, {"enable_cuda_graph": 1}], ids=["plain", "graph"])
def test_on_a_gpu(model, options):
    runtime = Cuda()
    if runtime.available():
        pytest.skip(str(runtime.available()))
    session = runtime.open(model, runtime.plan(model, Wish(device="cuda", precision="f32", options=options)))
    assert session.plan.device == "cuda:0"
    buffer = session.buffer((16, 24))
    for count in (1, 3, 16):
        expected = twin(fill(buffer, count))
        np.testing.assert_allclose(session.run(buffer, count)[0][:count], expected[:count], atol=1e-4)
    session.close()
