import json
import os
import subprocess
import sys

import pytest

from tests.sinks.results import result, run_of
from vidette.errors import SinkError
from vidette_sinks._files import LineFile
from vidette_sinks.stdout import StdoutSettings, StdoutSink


def test_lines_come_out_behind_what_was_printed(capfd):
    sink = StdoutSink(StdoutSettings())
    print("first")
    sink.open(run_of())
    sink.write(result(4))
    sink.close()
    first, record = capfd.readouterr().out.splitlines()
    assert first == "first"
    assert json.loads(record)["seq"] == 4


def test_a_reader_that_went_away_is_one_clear_error():
    reader, writer = os.pipe()
    os.close(reader)
    file = LineFile("standard output", writer)
    with pytest.raises(SinkError, match="standard output: the reader has closed the pipe"):
        file.write(b"{}\n")
    file.close()


WRITER = """
from tests.sinks.results import result, run_of
from vidette.errors import SinkError
from vidette_sinks.stdout import StdoutSettings, StdoutSink
sink = StdoutSink(StdoutSettings())
sink.open(run_of())
try:
    while True:
        sink.write(result())
except SinkError:
    sink.close()
"""


def test_head_ends_a_process_without_noise():
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
    )
    assert writer.stdout is not None
    assert writer.stderr is not None
    assert json.loads(writer.stdout.readline())["stream"] == "cam"
    writer.stdout.close()
    assert writer.stderr.read() == b""
    assert writer.wait() == 0
    writer.stderr.close()
