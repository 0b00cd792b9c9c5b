"""The client's side of publishing one H.264 stream to an RTSP server, interleaved in one TCP connection.

ANNOUNCE, SETUP, RECORD, TEARDOWN of RFC 2326 (interleaving: §10.12), the description of RFC 4566 and RFC 6184 §8.2,
authentication of RFC 2617 with the hashes of RFC 7616. PyAV has a muxer for all this; but it connects and says goodbye
while it holds the GIL, without any deadline, so that one server that hangs would stop every stream of the process. Here
the socket is ours: each call has a deadline and no other thread waits.
"""

import base64
import hashlib
import os
import select
import socket
import time
from collections.abc import Iterable
from urllib.parse import urlsplit
from urllib.request import parse_http_list, parse_keqv_list

_HASHES = {"MD5": hashlib.md5, "SHA-256": hashlib.sha256}
_LONGEST_HEAD = 65536
_TRACK = "streamid=0"


class RtspError(Exception):
    """The server refused, or answered what is not RTSP; the text is for people."""


class RtspPush:
    """An open connection that takes RTP packets. Used by one thread.

    The constructor connects and announces the stream. It and `send` raise RtspError and OSError; `timeout_s` bounds
    each of them (but for name servers), and running out of it raises TimeoutError.
    """

    def __init__(self, url: str, user: str | None, password: str, first: bytes, timeout_s: float) -> None:
        """`url` is without user-info; `first` is the first access unit with its parameter sets (H.264, Annex B)."""
        self._url = url
        self._login = None if user is None else (user, password)
        self._challenge: dict[str, str] | None = None
        self._challenges_answered = 0
        self._session = ""
        self._sequence = 0
        self._timeout_s = timeout_s
        deadline = time.monotonic() + timeout_s
        parts = urlsplit(url)
        self._socket = socket.create_connection((parts.hostname, parts.port or 554), timeout_s)
        try:
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._incoming = select.poll()
            self._incoming.register(self._socket, select.POLLIN)
            sdp = describe(first, self._socket.getsockname()[0])
            self._request("ANNOUNCE", url, deadline, {"Content-Type": "application/sdp"}, sdp)
            transport = "RTP/AVP/TCP;unicast;interleaved=0-1;mode=record"
            answer = self._request("SETUP", f"{url.rstrip('/')}/{_TRACK}", deadline, {"Transport": transport})
            session, _, parameters = answer.get("session", "").partition(";")
            self._session = session.strip()
            timeout = parameters.strip().removeprefix("timeout=")
            self._alive_every = (int(timeout) if timeout.isdecimal() else 60) / 2
            self._request("RECORD", url, deadline, {"Range": "npt=0.000-"})
        except BaseException:  # the connection must not outlive a constructor that failed
            self._socket.close()
            raise
        self._alive_next = time.monotonic() + self._alive_every

    def send(self, packets: Iterable[bytes]) -> None:
        """Send RTP and RTCP packets."""
        while self._incoming.poll(0):  # receiver reports and answers to OPTIONS; nobody needs them
            if not self._socket.recv(65536):
                raise ConnectionResetError("the server hung up")
        data = bytearray()
        for packet in packets:
            data += b"$%c%b%b" % (_channel(packet), len(packet).to_bytes(2), packet)
        if time.monotonic() > self._alive_next:
            self._alive_next = time.monotonic() + self._alive_every
            data += self._head("OPTIONS", self._url, {})
        self._socket.settimeout(self._timeout_s)
        self._socket.sendall(data)

    def close(self, timeout_s: float) -> None:
        """Say goodbye within that time, or hang up."""
        deadline = time.monotonic() + timeout_s
        try:
            self._limit(deadline)
            self._socket.sendall(self._head("TEARDOWN", self._url, {}))
            self._socket.shutdown(socket.SHUT_WR)
            while True:  # until the server hangs up: an answer left unread would make of our end a reset, and that
                self._receive(deadline)  # takes away from the server what it has not read yet
        except OSError:
            pass  # it has hung up; or it is gone or does not read, and needs no goodbye
        finally:
            self._socket.close()

    def _head(self, method: str, url: str, headers: dict[str, str]) -> bytes:
        self._sequence += 1
        lines = {"CSeq": str(self._sequence), "User-Agent": "Vidette", **headers}
        if self._session:
            lines["Session"] = self._session
        if self._login and self._challenge:
            self._challenges_answered += 1
            lines["Authorization"] = authorization(
                self._challenge, *self._login, method, url, self._challenges_answered
            )
        text = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        return f"{method} {url} RTSP/1.0\r\n{text}\r\n".encode()

    def _request(
        self, method: str, url: str, deadline: float, headers: dict[str, str], body: bytes = b""
    ) -> dict[str, str]:
        if body:
            headers = {**headers, "Content-Length": str(len(body))}
        for may_ask in (True, False):
            self._limit(deadline)
            self._socket.sendall(self._head(method, url, headers) + body)
            status, answer = self._answer(deadline)
            if not (may_ask and self._login and status.startswith("401")):
                break
            self._challenge = _parse_challenge(answer.get("www-authenticate", ""))
            self._challenges_answered = 0
        if not status.startswith("2"):
            raise RtspError(f"the server answered {status} to {method}")
        return answer

    def _answer(self, deadline: float) -> tuple[str, dict[str, str]]:
        received = b""
        while b"\r\n\r\n" not in received:
            received += self._receive(deadline)
            if len(received) > _LONGEST_HEAD or not b"RTSP/1.0 ".startswith(received[:9]):
                raise RtspError("what answers there is no RTSP server")
        head, _, body = received.partition(b"\r\n\r\n")
        status, *lines = head.decode("utf-8", "replace").split("\r\n")
        headers: dict[str, str] = {}
        for line in lines:
            name, _, value = line.partition(":")
            if name.lower() == "www-authenticate" and "digest" in headers.get("www-authenticate", "").lower():
                continue  # servers offer Basic too: Digest keeps the password to itself
            headers[name.strip().lower()] = value.strip()
        length = headers.get("content-length", "0")
        while len(body) < (min(int(length), _LONGEST_HEAD) if length.isdecimal() else 0):
            body += self._receive(deadline)
        return status.partition(" ")[2], headers

    def _receive(self, deadline: float) -> bytes:
        self._limit(deadline)
        data = self._socket.recv(4096)
        if not data:
            raise ConnectionResetError("the server hung up")
        return data

    def _limit(self, deadline: float) -> None:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._socket.settimeout(left)


def _channel(packet: bytes) -> int:
    # RTCP shares the port with RTP here; its packet types are 192 to 223 (RFC 5761 §4)
    return 1 if 192 <= packet[1] <= 223 else 0


def describe(first: bytes, host: str) -> bytes:
    """The session description of an H.264 stream, with the parameter sets of its first access unit (Annex B)."""
    units = [unit.rstrip(b"\0") for unit in first.split(b"\0\0\1")[1:]]
    sps = next((unit for unit in units if unit[0] & 31 == 7), b"")
    pps = next((unit for unit in units if unit[0] & 31 == 8), b"")
    sets = ",".join(base64.b64encode(unit).decode() for unit in (sps, pps))
    family = "IP6" if ":" in host else "IP4"
    lines = [
        "v=0",
        f"o=- 0 0 IN {family} {host}",
        "s=Vidette",
        f"c=IN {family} {host}",
        "t=0 0",
        "m=video 0 RTP/AVP 96",
        "a=rtpmap:96 H264/90000",
        f"a=fmtp:96 packetization-mode=1;profile-level-id={sps[1:4].hex()};sprop-parameter-sets={sets}",
        f"a=control:{_TRACK}",
    ]
    return "".join(f"{line}\r\n" for line in lines).encode()


def _parse_challenge(header: str) -> dict[str, str]:
    scheme, _, rest = header.partition(" ")
    try:
        parameters = parse_keqv_list(parse_http_list(rest))
    except ValueError:
        parameters = {}
    return {**{name.lower(): value for name, value in parameters.items()}, "scheme": scheme.lower()}


def authorization(challenge: dict[str, str], user: str, password: str, method: str, url: str, count: int) -> str:
    """The header that answers a challenge (its parameters and `scheme`) for the `count`th time. Raises RtspError."""
    if challenge["scheme"] == "basic":
        return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
    algorithm = challenge.get("algorithm", "MD5").upper()
    if challenge["scheme"] != "digest" or algorithm not in _HASHES or "nonce" not in challenge:
        raise RtspError("the server asks for a kind of authentication that is not known here")

    def digest(text: str) -> str:
        return _HASHES[algorithm](text.encode()).hexdigest()

    realm, nonce = challenge.get("realm", ""), challenge["nonce"]
    fields = {"username": user, "realm": realm, "nonce": nonce, "uri": url}
    secret, request = digest(f"{user}:{realm}:{password}"), digest(f"{method}:{url}")
    plain = ""
    if "auth" in (kind.strip() for kind in challenge.get("qop", "").split(",")):
        own = os.urandom(8).hex()
        fields["cnonce"] = own
        plain = f", qop=auth, nc={count:08x}"
        fields["response"] = digest(f"{secret}:{nonce}:{count:08x}:{own}:auth:{request}")
    else:
        fields["response"] = digest(f"{secret}:{nonce}:{request}")
    if "opaque" in challenge:
        fields["opaque"] = challenge["opaque"]
    if "algorithm" in challenge:
        plain += f", algorithm={algorithm}"
    return "Digest " + ", ".join(f'{name}="{value}"' for name, value in fields.items()) + plain
