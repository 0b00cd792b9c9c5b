"""Debian's mosquitto on a free port of the loopback."""

import getpass
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest

_BINARY = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")


def free_port() -> int:
    """A TCP port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Mosquitto:
    """A broker without persistence, anonymous or with one user; may be stopped and started again on its port."""

    def __init__(self, folder: Path, user: str | None = None, password: str | None = None) -> None:
        if _BINARY is None:
            pytest.skip("mosquitto is not installed")
        self.port = free_port()
        self._folder = folder
        config = f"listener {self.port} 127.0.0.1\nallow_anonymous {'false' if user else 'true'}\n"
        if user:
            passwords = folder / "passwords"
            tool = shutil.which("mosquitto_passwd")
            if tool is None:
                pytest.skip("mosquitto_passwd is not installed")
            subprocess.run([tool, "-c", "-b", passwords, user, password or ""], check=True, capture_output=True)
            # started as root it would become a user of its own, who cannot read this folder
            config += f"password_file {passwords}\nuser {getpass.getuser()}\n"
        (folder / "mosquitto.conf").write_text(config)
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        """Start, and wait until connections are taken."""
        self._process = subprocess.Popen(
            [str(_BINARY), "-c", str(self._folder / "mosquitto.conf")],
            stdout=subprocess.DEVNULL,
            stderr=(self._folder / "mosquitto.log").open("ab"),
        )
        deadline = time.monotonic() + 10
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
            except ConnectionRefusedError:
                assert self._process.poll() is None, (self._folder / "mosquitto.log").read_text()
                assert time.monotonic() < deadline, "mosquitto did not start"
                time.sleep(0.01)
            else:
                return

    def stop(self) -> None:
        """End it and with it all connections."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
