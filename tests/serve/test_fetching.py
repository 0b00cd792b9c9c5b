"""What a client can make the server fetch: the open internet at most, checked where it is connected to."""

import asyncio
import ipaddress
import socket
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, ClassVar

import pytest

pytest.importorskip("fastapi")

from vidette.serve.errors import RequestError
from vidette.serve.fetching import Fetcher, is_public
from vidette.server_settings import FetchConfig


class Peer(BaseHTTPRequestHandler):
    hits: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        Peer.hits.append(self.path)
        if self.path.startswith("/to?"):
            self.send_response(302)
            self.send_header("Location", self.path[4:])
            self.end_headers()
        elif self.path == "/large":
            self.send_response(200)
            self.end_headers()
            for _ in range(64):
                self.wfile.write(b"x" * 65536)
        elif self.path == "/silent":
            self.server.shutdown_request(self.request)  # type: ignore[arg-type]
        elif self.path == "/missing":
            self.send_error(404)
        else:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"picture")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def peer() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Peer)
    Thread(target=server.serve_forever, daemon=True).start()
    Peer.hits.clear()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def fetch(url: str, **config: Any) -> bytes:
    async def once() -> bytes:
        fetcher = Fetcher(FetchConfig.model_validate(config))
        try:
            return await fetcher.fetch(url)
        finally:
            await fetcher.close()

    return asyncio.run(once())


def refusal(url: str, **config: Any) -> str:
    with pytest.raises(RequestError) as caught:
        fetch(url, **config)
    assert caught.value.status == 400
    return caught.value.message


@pytest.mark.parametrize(
    ("text", "public"),
    [
        ("93.184.216.34", True), ("2606:2800:220:1:248:1893:25c8:1946", True),
        ("127.0.0.1", False), ("10.1.2.3", False), ("172.16.0.1", False), ("192.168.1.1", False),
        ("169.254.169.254", False), ("100.64.0.1", False), ("0.0.0.0", False), ("224.0.0.1", False),
        ("255.255.255.255", False), ("198.18.0.1", False), ("::1", False), ("::", False), ("fe80::1", False),
        ("fd00::1", False), ("ff02::1", False), ("::ffff:127.0.0.1", False), ("::ffff:93.184.216.34", True),
        ("64:ff9b::7f00:1", False), ("2002:7f00:1::", False), ("::127.0.0.1", False),
    ],
)  # fmt: skip
def test_which_addresses_are_public(text: str, public: bool) -> None:
    assert is_public(ipaddress.ip_address(text)) is public


def test_this_machine_is_not_fetched_from_unless_it_is_listed(peer: str) -> None:
    assert "server: fetch:" in refusal(f"{peer}/a.jpg")
    assert Peer.hits == []
    assert fetch(f"{peer}/a.jpg", hosts=["127.0.0.0/8"]) == b"picture"
    assert fetch(f"{peer}/a.jpg", policy="allow", hosts=["127.0.0.1"]) == b"picture"
    assert "are off" in refusal(f"{peer}/a.jpg", policy="off", hosts=["127.0.0.1"])


@pytest.mark.parametrize("host", ["localhost", "127.1", "2130706433", "0x7f.1", "[::1]", "[::ffff:127.0.0.1]"])
def test_other_spellings_of_this_machine(peer: str, host: str) -> None:
    refusal(peer.replace("127.0.0.1", host) + "/a.jpg")
    assert Peer.hits == []


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "ftp://a/b", "http://", "gopher://a", "http://u:p@a/b", "x", "http://a:99999/"]
)
def test_other_kinds_of_urls(url: str) -> None:
    assert "u:p" not in refusal(url)


def test_the_address_that_was_checked_is_the_one_connected_to(peer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that resolves to a public address first and to this machine afterwards gains nothing."""
    answers = iter(["93.184.216.34"] + ["127.0.0.1"] * 9)
    asked: list[str] = []

    async def getaddrinfo(self: Any, host: str, port: int, **_: Any) -> list[Any]:
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 0, "", (next(answers), port))]

    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", getaddrinfo)
    refusal(peer.replace("127.0.0.1", "rebinding.test") + "/a.jpg", timeout="500ms")
    assert asked == ["rebinding.test"]
    assert Peer.hits == []


def test_redirects_pass_the_same_gate(peer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    port = peer.rpartition(":")[2]
    only = {"policy": "allow", "hosts": ["127.0.0.1"]}
    assert fetch(f"{peer}/to?{peer}/a.jpg", **only) == b"picture"
    refusal(f"{peer}/to?http://127.0.0.2:{port}/secret", **only)
    assert "/secret" not in Peer.hits
    refusal(f"{peer}/to?file:///etc/passwd", **only)
    assert "redirects" in refusal(f"{peer}/to?/to?/to?/to?/to?/to?/to?/a", **only)


def test_size_and_status(peer: str) -> None:
    listed = {"hosts": ["127.0.0.1"]}
    assert "larger than 1MB" in refusal(f"{peer}/large", max_size="1MB", **listed)
    assert "answered 404" in refusal(f"{peer}/missing", **listed)
    assert "cannot be reached" in refusal(f"{peer}/silent", **listed)


def test_a_peer_that_says_nothing_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        assert "within 200ms" in refusal(f"http://127.0.0.1:{port}/", timeout="200ms", hosts=["127.0.0.1"])


def test_slow_hosts_do_not_hold_up_others() -> None:
    async def scenario() -> bytes:
        released = asyncio.Event()

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            if b"/slow" in await reader.readline():
                await released.wait()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\nConnection: close\r\n\r\npicture")
            writer.close()

        peer = await asyncio.start_server(answer, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{peer.sockets[0].getsockname()[1]}"
        fetcher = Fetcher(FetchConfig.model_validate({"hosts": ["127.0.0.1"]}))
        slow = [asyncio.create_task(fetcher.fetch(f"{url}/slow")) for _ in range(20)]
        await asyncio.sleep(0.1)
        try:
            async with asyncio.timeout(5):
                return await fetcher.fetch(f"{url}/quick")
        finally:
            released.set()
            await asyncio.gather(*slow)
            await fetcher.close()
            peer.close()

    assert asyncio.run(scenario()) == b"picture"
