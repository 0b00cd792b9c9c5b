"""The wire of RTSP: what is asked, answered and sent."""

import itertools
import os
from collections.abc import Callable, Iterator

import pytest

from tests.peers.rtsp import ScriptedRtsp, ok
from tests.sinks.results import grey, result, run_of
from vidette.errors import SinkError
from vidette_sinks import _rtsp_push
from vidette_sinks._rtsp_push import RtspError, authorization, describe
from vidette_sinks.rtsp import RtspSettings, RtspSink

Push = Callable[..., tuple[ScriptedRtsp, RtspSink]]


@pytest.fixture
def push() -> Iterator[Push]:
    servers: list[ScriptedRtsp] = []

    def start(answer: Callable[[str], str], login: str = "") -> tuple[ScriptedRtsp, RtspSink]:
        server = ScriptedRtsp(answer)
        servers.append(server)
        sink = RtspSink(RtspSettings(url=f"rtsp://{login}127.0.0.1:{server.port}/cam"))
        sink.open(run_of())
        return server, sink

    yield start
    for server in servers:
        server.close()


def test_requests_and_packets(push):
    server, sink = push(ok)
    for seq in range(10):
        sink.write(result(seq, grey(90)))
    sink.close()
    server.close()
    assert [head.split()[0] for head in server.heads] == ["ANNOUNCE", "SETUP", "RECORD", "TEARDOWN"]
    assert server.heads[0].startswith(f"ANNOUNCE rtsp://127.0.0.1:{server.port}/cam RTSP/1.0\r\nCSeq: 1\r\n")
    assert f"rtsp://127.0.0.1:{server.port}/cam/streamid=0 " in server.heads[1]
    assert all("Session: abc\r\n" in head for head in server.heads[2:])
    assert b"sprop-parameter-sets=Z" in server.bodies[0]
    rtp = [packet for channel, packet in server.packets if channel == 0]
    assert len(rtp) > 10
    assert max(map(len, rtp)) <= 1400
    numbers = [int.from_bytes(packet[2:4]) for packet in rtp]
    assert all((b - a) % 65536 == 1 for a, b in itertools.pairwise(numbers))
    ends = [int.from_bytes(packet[4:8]) for packet in rtp if packet[1] & 128]
    assert {(b - a) % 2**32 for a, b in itertools.pairwise(ends)} == {3000}, "30 fps are 3000 ticks"
    assert len(ends) == 10
    reports = [packet for channel, packet in server.packets if channel == 1]
    assert reports
    assert all(packet[1] == 200 for packet in reports[:1]), "a sender report tells when it was"


def test_the_session_is_kept_alive(push):
    server, sink = push(lambda _: "RTSP/1.0 200 OK\nSession: abc;timeout=0\n\n")
    for seq in range(3):
        sink.write(result(seq, grey(90)))
    sink.close()
    server.close()
    assert [head.split()[0] for head in server.heads].count("OPTIONS") == 3


def test_a_server_that_hangs_up_while_connecting(push):
    _, sink = push(lambda head: "" if head.startswith("SETUP") else ok(head))
    with pytest.raises(SinkError, match="/cam: the server hung up"):
        sink.write(result(0, grey(90)))
    sink.close()


def test_a_refusal_names_request_and_status(push):
    _, sink = push(lambda head: "RTSP/1.0 453 Not Enough Bandwidth\n\n" if head.startswith("RECORD") else ok(head))
    with pytest.raises(SinkError, match="/cam: the server answered 453 Not Enough Bandwidth to RECORD"):
        sink.write(result(0, grey(90)))
    sink.close()


@pytest.mark.parametrize("text", ["HTTP/1.1 400 Bad Request\n\n", "220 mail.example\n", "\0" * 20])
def test_what_is_no_rtsp_server(push, text):
    _, sink = push(lambda _: text)
    with pytest.raises(SinkError, match="what answers there is no RTSP server"):
        sink.write(result(0, grey(90)))
    sink.close()


def test_digest_is_preferred_and_answered_once_per_challenge(push):
    def guarded(head: str) -> str:
        if "Authorization: Digest" in head:
            return ok(head)
        asks = 'WWW-Authenticate: Basic realm="r"\nWWW-Authenticate: Digest realm="r", nonce="n", qop="auth"\n'
        return f'RTSP/1.0 401 Unauthorized\n{asks}WWW-Authenticate: Basic realm="r"\n\n'

    server, sink = push(guarded, "me:canary@")
    sink.write(result(0, grey(90)))
    sink.close()
    server.close()
    assert [head.split()[0] for head in server.heads[:4]] == ["ANNOUNCE", "ANNOUNCE", "SETUP", "RECORD"]
    assert [f"nc=0000000{n}" in head for n, head in enumerate(server.heads[1:4], 1)] == [True] * 3
    assert "canary" not in "".join(server.heads)


def test_a_wrong_password_is_tried_once(push):
    server, sink = push(
        lambda _: 'RTSP/1.0 401 Unauthorized\nWWW-Authenticate: Digest realm="r", nonce="n"\n\n', "a:b@"
    )
    with pytest.raises(SinkError, match="the server answered 401 Unauthorized to ANNOUNCE"):
        sink.write(result(0, grey(90)))
    assert len(server.heads) == 2
    sink.close()


def test_the_example_of_rfc_2617(monkeypatch):
    monkeypatch.setattr(os, "urandom", lambda _: bytes.fromhex("0a4f113b"))
    challenge = {
        "scheme": "digest", "realm": "testrealm@host.com", "qop": "auth,auth-int",
        "nonce": "dcd98b7102dd2f0e8b11d0f600bfb0c093", "opaque": "5ccc069c403ebaf9f0171e9517f40e41",
    }  # fmt: skip
    header = authorization(challenge, "Mufasa", "Circle Of Life", "GET", "/dir/index.html", 1)
    assert 'response="6629fae49393a05397450978507c4ef1"' in header
    assert 'opaque="5ccc069c403ebaf9f0171e9517f40e41"' in header


def test_basic_and_unknown_kinds():
    assert authorization({"scheme": "basic"}, "Aladdin", "open sesame", "GET", "u", 1) == (
        "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="  # RFC 2617 §2
    )
    for challenge in ({"scheme": "bearer"}, {"scheme": "digest"}, {"scheme": "digest", "nonce": "n", "algorithm": "X"}):
        with pytest.raises(RtspError, match="authentication"):
            authorization(challenge, "a", "b", "GET", "u", 1)


def test_challenges_that_are_not_well_formed():
    for header in ("", "Digest", "Digest realm", 'Digest realm="a'):
        with pytest.raises(RtspError):
            authorization(_rtsp_push._parse_challenge(header), "a", "b", "GET", "u", 1)


def test_the_description_holds_the_parameter_sets():
    unit = b"\0\0\0\1\x67\x42\xc0\x1fabc\0\0\0\1\x68pps\0\0\1\x65picture"
    text = describe(unit, "::1").decode()
    assert "profile-level-id=42c01f;sprop-parameter-sets=Z0LAH2FiYw==,aHBwcw==" in text
    assert "c=IN IP6 ::1\r\n" in text
