"""A scripted RTSP server on the loopback."""

import contextlib
import socket
import threading
from collections.abc import Callable


class ScriptedRtsp:
    """Answers each request with `answer(head)`, then keeps what is sent interleaved, as (channel, packet)."""

    def __init__(self, answer: Callable[[str], str]) -> None:
        self.heads: list[str] = []
        self.bodies: list[bytes] = []
        self.packets: list[tuple[int, bytes]] = []
        self.over = threading.Event()
        self._answer = answer
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError), self._listener.accept()[0] as connection, connection.makefile("rb") as file:
            while mark := file.read(1):
                if mark == b"$":
                    channel, size = file.read(1)[0], int.from_bytes(file.read(2))
                    self.packets.append((channel, file.read(size)))
                    continue
                lines = [mark + file.readline()]
                while lines[-1] != b"\r\n":
                    lines.append(file.readline())
                head = b"".join(lines).decode()
                self.heads.append(head)
                length = next((line.split()[1] for line in head.lower().splitlines() if "content-length" in line), "0")
                self.bodies.append(file.read(int(length)))
                if not (answer := self._answer(head)):
                    break
                connection.sendall(answer.replace("\n", "\r\n").encode())
        self.over.set()

    def close(self) -> None:
        """End it after what was sent is read."""
        self.over.wait(10)
        self._listener.close()


def ok(head: str) -> str:
    """200, with a session."""
    return "RTSP/1.0 200 OK\nSession: abc;timeout=60\n\n"
