"""`vidette serve` as an operator meets it: its lines, its refusals, its end."""

import base64
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.serve.conftest import encoded
from tests.serve.waiting import wait_for
from vidette.cli import main
from vidette.errors import ConfigError
from vidette.serve.server import Server
from vidette.server_settings import ServerConfig
from vidette.site import SiteFile

PICTURE = base64.b64encode(encoded())


class Process:
    """`vidette serve` in a process of its own; `lines` is what it says."""

    def __init__(self, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "vidette", "serve", *arguments], stderr=subprocess.PIPE, text=True
        )
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(line.rstrip())

    def url(self) -> str:
        wait_for(lambda: self.lines and " answers " in self.lines[0])
        url = self.lines[0].split()[1]
        wait_for(lambda: answers(f"{url}/readiness") == 200)
        return url

    def end(self) -> int:
        code = self.process.wait(30)
        self._reader.join(10)
        return code


def answers(url: str) -> int:
    try:
        return httpx.get(url).status_code
    except httpx.HTTPError:
        return 0


Start = Callable[..., Process]


@pytest.fixture
def start() -> Iterator[Start]:
    running: list[Process] = []

    def begin(*arguments: str) -> Process:
        running.append(Process(*arguments))
        return running[-1]

    yield begin
    for each in running:
        each.process.kill()
        each.end()


def test_it_says_where_what_and_for_whom_and_ends_with_the_signals_code(start: Start, detector: Path) -> None:
    server = start("--port", "0", "--model", f"tiny/1={detector}")
    url = server.url()
    assert re.fullmatch(
        r"vidette: http://127\.0\.0\.1:\d+ answers this machine; keys are not asked for", server.lines[0]
    )
    assert httpx.post(f"{url}/tiny/1", content=PICTURE).status_code == 200
    assert any(re.match(r"vidette: model tiny/1: ultralytics on .* callers x .*; loaded in", x) for x in server.lines)
    server.process.send_signal(signal.SIGTERM)
    assert server.end() == 143
    assert not any("Traceback" in line or "uvicorn" in line for line in server.lines)


def test_ctrl_c_answers_what_was_accepted_and_counts_the_camera(start: Start, detector: Path, tmp_path: Path) -> None:
    """A request whose body is half there counts as accepted: the rest may still come."""
    site = tmp_path / "site.yaml"
    site.write_text(
        f"models: {{tiny: {{path: {detector}}}}}\nstreams: {{cam: {{url: 'testsrc:', mode: live}}}}\n"
        "sinks: [{type: jsonl, path: out.jsonl}]\nserver: {port: 0}\n"
    )
    server = start(str(site))
    port = int(server.url().rpartition(":")[2])
    wait_for(lambda: (tmp_path / "out.jsonl").exists() and (tmp_path / "out.jsonl").stat().st_size > 1000)
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.settimeout(30)
        body = b'{"model_id": "tiny", "image": {"type": "base64", "value": "%s"}}' % PICTURE
        head = f"POST /infer/object_detection HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        connection.sendall(head + body[:9])
        wait_for(lambda: "vidette_http_requests_open 2.0" in httpx.get(f"http://127.0.0.1:{port}/metrics").text)
        server.process.send_signal(signal.SIGINT)
        wait_for(lambda: answers(f"http://127.0.0.1:{port}/readiness") == 503)
        assert answers(f"http://127.0.0.1:{port}/model/registry") == 503
        connection.sendall(body[9:])
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
    assert answer.startswith(b"HTTP/1.1 200")
    assert b"connection: close" in answer
    assert server.end() == 130
    (line,) = [line for line in server.lines if line.startswith("stream cam: ")]
    decoded, results = (int(number) for number in re.findall(r"(\d+) (?:decoded|results)", line))
    dropped = sum(int(number) for number in re.findall(r"(\d+) dropped", line))
    assert decoded == results + dropped
    assert len((tmp_path / "out.jsonl").read_text().splitlines()) == results


def test_the_second_signal_ends_at_once(start: Start, detector: Path) -> None:
    server = start("--port", "0", "--model", f"tiny/1={detector}")
    port = int(server.url().rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(b"POST /tiny/1 HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n")
        wait_for(lambda: "vidette_http_requests_open 2.0" in httpx.get(f"http://127.0.0.1:{port}/metrics").text)
        server.process.send_signal(signal.SIGTERM)
        wait_for(lambda: any("once more" in line for line in server.lines))
        server.process.send_signal(signal.SIGTERM)
        assert server.end() == 143


def test_models_that_cannot_be_loaded(start: Start, detector: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.onnx").write_bytes(b"no model")
    bad = ("--model", f"bad/1={tmp_path / 'bad.onnx'}")
    server = start("--port", "0", *bad, "--model", f"tiny/1={detector}")
    url = server.url()
    assert httpx.get(f"{url}/readiness").json() == {"status": "ready", "failed": ["bad/1"]}
    assert httpx.post(f"{url}/tiny/1", content=PICTURE).status_code == 200
    alone = start("--port", "0", *bad)
    assert alone.end() == 1
    assert alone.lines[-1] == "vidette: none of the models could be loaded"
    assert any("bad.onnx" in line for line in alone.lines[:-1])


def test_a_cameras_model_that_cannot_be_loaded_ends_it(start: Start, tmp_path: Path) -> None:
    (tmp_path / "bad.onnx").write_bytes(b"no model")
    site = tmp_path / "site.yaml"
    site.write_text("models: {m: {path: bad.onnx}}\nstreams: {cam: {url: 'testsrc:'}}\nserver: {port: 0}\n")
    server = start(str(site))
    assert server.end() == 1
    assert len(server.lines) == 2
    assert "bad.onnx" in server.lines[1]


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["serve", *arguments]) == 2
    out = capsys.readouterr()
    assert out.out == ""
    return out.err


def test_addresses_that_cannot_be_had(detector: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = ("--model", f"tiny/1={detector}")
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        assert refusal(capsys, *model, "--port", port).startswith(f"vidette: --port {port}: is in use")
    assert "auth: none" in refusal(capsys, *model, "--host", "0.0.0.0")
    elsewhere = refusal(capsys, *model, "--host", "192.0.2.7", "--auth", "none", "--port", "0")
    assert elsewhere == "vidette: --host 192.0.2.7: is no address of this machine\n"
    assert "--host no.such.host.invalid" in refusal(capsys, *model, "--host", "no.such.host.invalid", "--auth", "none")
    assert refusal(capsys, *model, "--models", "missing").startswith("vidette: missing: there is no such folder")
    assert "two models are called" in refusal(capsys, *model, *model)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may take every port")
def test_a_port_for_the_privileged(detector: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "privileges" in refusal(capsys, "--model", f"tiny/1={detector}", "--port", "1")


SITE = """\
models:
  tiny/1: {path: tiny.onnx}
server:
  host: 0.0.0.0
  preload: [tiny/1, tiny/2]
  pinned: [other, one]
  aliases:
    one: tiny/1
    two: tini/1
  hub_models: {ABC: three, DEF: one}
  models_folder: missing
  tls: {certificate: a.pem, key: b.pem}
"""


def test_a_site_files_mistakes_have_file_line_and_field(detector: Path, tmp_path: Path) -> None:
    (tmp_path / "tiny.onnx").write_bytes(detector.read_bytes())
    file = tmp_path / "site.yaml"
    file.write_text(SITE)
    with pytest.raises(ConfigError) as caught:
        SiteFile(file).served()
    lines = str(caught.value).replace(f"{file}:", "").splitlines()
    assert [line.split(";")[0] for line in lines] == [
        "4: server.host: host 0.0.0.0 answers the whole network without keys: add `keys:`, or write `auth: none`",
        f"11: server.models_folder: there is no folder {tmp_path / 'missing'}",
        "9: server.aliases.two: there is no model 'tini/1'",
        "10: server.hub_models.ABC: there is no model 'three'",
        "6: server.pinned.0: there is no model 'other'",
        "5: server.preload.1: there is no model 'tiny/2'",
    ]


def test_check_looks_at_the_server_too(detector: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "tiny.onnx").write_bytes(detector.read_bytes())
    file = tmp_path / "site.yaml"
    file.write_text("models: {tiny/1: {path: tiny.onnx}}\nserver: {keys: [{name: a, key: k}], host: 0.0.0.0}\n")
    assert main(["check", str(file)]) == 0
    assert "1 models, 0 streams, 0 sinks, a server: nothing wrong" in capsys.readouterr().out
    file.write_text("models: {tiny/1: {path: tiny.onnx}}\nserver:\n  tls: {certificate: a.pem, key: b.pem}\n")
    assert main(["check", str(file)]) == 2
    assert f"{file}:3: server.tls.certificate: {tmp_path / 'a.pem'}: cannot be read" in capsys.readouterr().err
    (tmp_path / "bad.onnx").write_bytes(b"no model")
    file.write_text("models:\n  bad: {path: bad.onnx}\nserver: {}\n")
    assert main(["check", str(file)]) == 2
    assert f"{file}:2: models.bad.path: " in capsys.readouterr().err


def test_the_example_is_right(detector: Path, tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "configs" / "serve.yaml").read_text()
    (file := tmp_path / "serve.yaml").write_text(text.replace("{path: faces}", f"{{path: {detector}}}"))
    config, _, _ = SiteFile(file, {"VIDETTE_KEY": "k", "VIDETTE_ADMIN_KEY": "a"}).served()
    assert [key.name for key in config.keys] == ["cameras", "operator"]


def test_the_whole_network_is_not_answered_by_accident() -> None:
    with pytest.raises(ConfigError, match="auth: none"):
        Server(ServerConfig.model_validate({"host": "0.0.0.0"}), [], None)  # type: ignore[arg-type]
