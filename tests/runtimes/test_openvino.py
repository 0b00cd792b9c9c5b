"""What is special to OpenVINO: its precision, and that it talks to nobody."""

import json
import subprocess
import sys
import threading

import pytest

from tests.runtimes import models
from vidette.errors import ModelError
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
from vidette.runtimes.openvino import OpenVino
model = models.model_file(Path(sys.argv[1]))
runtime = OpenVino()
session = runtime.open(model, runtime.plan(model, Wish(cores=2)))
buffer = session.buffer((16, 24))
session.run(buffer, 1)
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


def _open(path):
    model = models.model_file(path)
    runtime = OpenVino()
    return runtime.open(model, runtime.plan(model, Wish(cores=2)))
