import base64
import contextlib
import json
import logging
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler

import pytest

from tests.peers.http import Receiver, hang_up, ok, status
from tests.peers.mosquitto import free_port
from tests.sinks.results import result, run_of
from vidette.errors import ConfigError, SinkError
from vidette_sinks.http import HttpSettings, HttpSink


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.close()


@contextlib.contextmanager
def opened(url: str, **settings) -> Iterator[HttpSink]:
    sink = HttpSink(HttpSettings(url=url, **settings))
    sink.open(run_of())
    yield sink
    sink.close()


def test_each_result_is_one_post_over_one_connection(receiver):
    with opened(f"http://127.0.0.1:{receiver.port}/hook?x=1") as sink:
        for seq in range(10):
            sink.write(result(seq))
    assert [json.loads(body)["seq"] for body in receiver.bodies] == list(range(10))
    assert receiver.headers[0]["content-type"] == "application/json"
    assert len(receiver.clients) == 1


@pytest.mark.parametrize("code", [301, 400, 401, 404, 500, 503])
def test_other_answers_lose_the_record_once_and_say_which(receiver, code):
    receiver.answer = status(code, b"some text", location="http://127.0.0.1:1/")
    with opened(f"http://127.0.0.1:{receiver.port}/hook?key=canary") as sink:
        with pytest.raises(SinkError, match=f"/hook: the server answered {code}") as caught:
            sink.write(result())
        assert len(receiver.bodies) == 1, "it was sent again"
        assert "canary" not in str(caught.value)
        receiver.answer = ok
        sink.write(result())


def test_a_hang_up_without_answer_is_not_tried_again(receiver):
    receiver.answer = hang_up
    with opened(f"http://127.0.0.1:{receiver.port}") as sink:
        with pytest.raises(SinkError, match="is the server running there"):
            sink.write(result())
        assert len(receiver.bodies) == 1
        receiver.answer = ok
        sink.write(result())


def test_a_dripping_answer_meets_the_deadline(receiver):
    over = threading.Event()

    def drip(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("content-length", "1000000")
        handler.end_headers()
        while not over.wait(0.02):
            handler.wfile.write(b"x")

    receiver.answer = drip
    with opened(f"http://127.0.0.1:{receiver.port}", timeout_s=0.3) as sink:
        with pytest.raises(SinkError, match=r"no whole answer within 0\.3 s"):
            sink.write(result())
        receiver.answer = ok
        sink.write(result())
    over.set()


def test_a_huge_answer_is_not_read_to_its_end(receiver):
    receiver.answer = status(200, bytes(50_000_000))
    with opened(f"http://127.0.0.1:{receiver.port}") as sink:
        sink.write(result())
        receiver.answer = ok
        sink.write(result())
    assert len(receiver.bodies) == 2


def test_a_silent_server_holds_nobody_back():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        with opened(f"http://127.0.0.1:{silent.getsockname()[1]}", timeout_s=0.2) as sink:
            with pytest.raises(SinkError, match=r"no whole answer within 0\.2 s"):
                sink.write(result())
            ending = time.monotonic()
        assert time.monotonic() - ending < 1


def test_nobody_there():
    with opened(f"http://127.0.0.1:{free_port()}/") as sink, pytest.raises(SinkError, match="is the server running"):
        sink.write(result())


def test_credentials_go_to_the_server_and_nowhere_else(receiver, caplog):
    caplog.set_level(logging.DEBUG)
    receiver.answer = status(401)
    url = f"http://me:canary%2F1@127.0.0.1:{receiver.port}/hook?key=canary3"
    with opened(url, headers={"X-Key": "canary2"}) as sink:
        with pytest.raises(SinkError) as caught:
            sink.write(result())
        shown = f"{sink.name} {caught.value!r} {sink._settings!r} {caplog.text}"
    assert receiver.headers[0]["authorization"] == "Basic " + base64.b64encode(b"me:canary/1").decode()
    assert receiver.headers[0]["x-key"] == "canary2"
    assert "canary" not in shown


def test_headers_that_http_cannot_carry():
    sink = HttpSink(HttpSettings(url="http://127.0.0.1:1", headers={"X-Key": "canary\u20ac"}))
    with pytest.raises(SinkError, match="characters that HTTP does not allow") as caught:
        sink.open(run_of())
    assert "canary" not in str(caught.value)


def test_settings_of_a_url():
    settings = HttpSink.from_target("https://u:p@host:8443/a?b=c")
    assert (settings.url, settings.user, settings.secret()) == ("https://host:8443/a?b=c", "u", "p")
    assert HttpSink(settings).name == "https://host:8443/a"
    with pytest.raises(ConfigError, match="not a URL with host and port"):
        HttpSink.from_target("http://")
