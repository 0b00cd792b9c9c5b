"""What is special to OpenVINO: its precision, and that it talks to nobody."""

import json
import subprocess
import sys
import threading
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from onnx import TensorProto

from tests.runtimes import models
from vidette.elsewhere import Elsewhere
from vidette.errors import ModelError
from vidette.giving_way import giving_way
from vidette.runtimes import openvino
from vidette.runtimes.base import Wish
from vidette.runtimes.openvino import OpenVino, default_precision

_QUIET = """
import json, sys, threading
talk = []
sys.addaudithook(lambda event, arguments: talk.append(event) if event.startswith("socket.") else None)
sys.path.insert(0, sys.argv[2])
from pathlib import Path
from tests.runtimes import models
from vidette.runtimes.base import Wish
from vidette.runtimes.openvino import Exporter, OpenVino
model = models.model_file(Path(sys.argv[1]))
runtime = OpenVino()
plan = runtime.plan(model, Wish(cores=2))
session = runtime.open(model, plan)
buffer = session.buffer((16, 24))
session.run(buffer, 1)
Exporter(model, plan)((16, 24), (16, 24))  # what another process does for it
telemetry = [name for name in sys.modules if "telemetry" in name]
print(json.dumps({
    "talk": talk,
    "telemetry": telemetry,
    "threads": [thread.name for thread in threading.enumerate()],
    "converter": "openvino.tools.ovc" in sys.modules,
}))
"""


def test_it_talks_to_nobody_and_loads_no_telemetry(tmp_path, pytestconfig):
    model = models.conv(tmp_path / "m.onnx")
    command = [sys.executable, "-c", _QUIET, str(model), str(pytestconfig.rootpath)]
    answer = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert json.loads(answer.stdout) == {"talk": [], "telemetry": [], "threads": ["MainThread"], "converter": False}
    assert answer.stderr == ""


def test_what_the_user_imported_before_stays(tmp_path):
    code = "import openvino.tools.ovc, sys; from vidette.runtimes import openvino as ours; ours.default_precision(); "
    code += "assert sys.modules['openvino.tools.ovc']; import openvino; assert openvino.convert_model"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_the_plan_says_what_really_runs(tmp_path):
    model = models.model_file(models.conv(tmp_path / "m.onnx"))
    runtime = OpenVino()
    session = runtime.open(model, runtime.plan(model, Wish(cores=2)))
    assert session.plan.precision == default_precision()
    session.buffer((16, 24))
    assert session.plan.precision == default_precision()


def test_a_precision_that_this_cpu_lacks_is_an_error(tmp_path, monkeypatch):
    really = openvino._check_options({"INFERENCE_PRECISION_HINT": "f16"})
    if really == "f16":  # this CPU has it: let the library answer like one that has not
        really = "bf16"
        monkeypatch.setattr(openvino, "_check_options", lambda options: really)
    model = models.model_file(models.conv(tmp_path / "m.onnx", (1, 3, 16, 24)))
    runtime = OpenVino()
    with pytest.raises(ModelError, match=f"precision: f16: OpenVINO runs in {really}"):
        runtime.plan(model, Wish(precision="f16", cores=1))


def test_options_are_handed_on(tmp_path):
    model = models.model_file(models.conv(tmp_path / "m.onnx", (1, 3, 16, 24)))
    runtime = OpenVino()
    assert runtime.plan(model, Wish(options={"NUM_STREAMS": 3})).options["NUM_STREAMS"] == 3
    with pytest.raises(ModelError, match=r"options: .*NO_SUCH_OPTION"):
        runtime.plan(model, Wish(options={"NO_SUCH_OPTION": 1}))


def test_accuracy_is_the_precision_of_the_file(tmp_path):
    model = models.model_file(models.conv(tmp_path / "m.onnx"))
    runtime = OpenVino()
    session = runtime.open(model, runtime.plan(model, Wish(options={"EXECUTION_MODE_HINT": "ACCURACY"})))
    session.buffer((16, 24))
    assert session.plan.precision == "f32"


def test_stop_cancels_the_run_under_way(tmp_path):
    session = _open(models.conv(tmp_path / "m.onnx"))
    buffer = session.buffer((16, 24))
    running, cancelled = threading.Event(), threading.Event()

    class Request:
        """Runs until it is cancelled."""

        def infer(self, share_outputs):
            running.set()
            cancelled.wait(20)
            raise RuntimeError("Infer Request was canceled")

        cancel = staticmethod(cancelled.set)

    buffer.request = Request()
    errors = []

    def call():
        try:
            session.run(buffer, 1)
        except ModelError as error:
            errors.append(str(error))

    thread = threading.Thread(target=call)
    thread.start()
    running.wait()
    session.stop()
    assert cancelled.is_set()
    thread.join()
    assert errors == ["m: stopped"]


def test_compiled_sizes_are_bounded(tmp_path):
    session = _open(models.conv(tmp_path / "m.onnx"))
    for width in range(1, 20):
        session.buffer((8, 8 * width))
    assert len(session._compiled) == 5  # four sizes, and one model for all others


@pytest.fixture
def beside(monkeypatch):
    """Loading beside models that answer; the children that it made, `broken` after so many questions."""
    children = []

    class Counted(Elsewhere):
        broken = None

        def __init__(self, *args):
            self.asked = 0
            super().__init__(*args)
            children.append(self)

        def ask(self, *args):
            if self.asked == Counted.broken:
                self._child.terminate()
                self._child.wait()
            self.asked += 1
            return super().ask(*args)

    monkeypatch.setattr(openvino, "Elsewhere", Counted)
    with giving_way(lambda: False):
        yield SimpleNamespace(children=children, kind=Counted)


@pytest.mark.parametrize("dtype", [TensorProto.FLOAT, TensorProto.FLOAT16])
def test_compiled_elsewhere_it_answers_the_same(tmp_path, beside, dtype, monkeypatch):
    path = models.conv(tmp_path / "m.onnx", dtype=dtype)
    with monkeypatch.context() as patch:
        patch.setattr(openvino, "current", lambda: None)
        here = _open(path, mode="adaptive")
    there = _open(path, mode="adaptive")
    assert len(beside.children) == 1
    assert there._network is None
    noise = np.random.default_rng(3).integers(0, 256, (1, 3, 32, 40))
    for shape in ((16, 24), (32, 40)):
        answers = []
        for session in (here, there):
            buffer = session.buffer(shape)
            buffer.slots[...] = noise[:, :, : shape[0], : shape[1]]
            answers += [[np.array(out) for out in session.run(buffer, 1, alone=alone)] for alone in (False, True)]
        assert np.abs(answers[0][0]).max() > 0
        for left, right in ((0, 2), (1, 3)):
            assert all(np.array_equal(a, b) for a, b in zip(answers[left], answers[right], strict=True))
        assert here.plan == there.plan
    assert beside.children[0].asked == 3  # once to read it, once for each shape: both plans are made of one
    assert there._network is None


def test_compiled_elsewhere_its_errors_are_the_same(tmp_path, beside, monkeypatch):
    path = models.only_at_16(tmp_path / "m.onnx")
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(path.read_bytes()[:-40])
    lines = {"here": [], "there": []}
    for where, found in lines.items():
        with monkeypatch.context() as patch:
            if where == "here":
                patch.setattr(openvino, "current", lambda: None)
            with pytest.raises(ModelError) as refused:
                _open(path).buffer((24, 40))
            found.append(str(refused.value))
            model = replace(models.model_file(path), path=broken)
            with pytest.raises(ModelError) as refused:
                OpenVino().open(model, OpenVino().plan(model, Wish(cores=2)))
            found.append(str(refused.value))
    assert lines["here"] == lines["there"]
    assert "does not run at 40x24" in lines["there"][0]
    assert "cannot read it" in lines["there"][1]


@pytest.mark.parametrize("broken", [0, 1])
def test_where_the_other_process_dies_it_is_compiled_here(tmp_path, beside, broken, caplog):
    beside.kind.broken = broken
    session = _open(models.conv(tmp_path / "m.onnx"))
    for shape in ((16, 24), (32, 40)):
        session.run(session.buffer(shape), 1)
    assert session._network is not None
    assert [record.getMessage() for record in caplog.records] == [
        "model m is compiled in this process, beside its answers: the process that was to do it ended with -15"
    ]


def test_after_loading_sizes_are_compiled_here(tmp_path):
    with giving_way(lambda: False):
        session = _open(models.conv(tmp_path / "m.onnx"))
    session.run(session.buffer((16, 24)), 1)
    assert session._elsewhere is None
    assert session._network is not None


def _open(path, mode="throughput"):
    model = models.model_file(path)
    runtime = OpenVino()
    return runtime.open(model, runtime.plan(model, Wish(cores=2, mode=mode)))
