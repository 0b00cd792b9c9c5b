"""GStreamer's RTSP server as a peer: starts `gst_rtsp_server.py` under the system's Python."""

import subprocess
from pathlib import Path

import pytest

_PYTHON = "/usr/bin/python3"
_SCRIPT = Path(__file__).with_name("gst_rtsp_server.py")


class GstRtspServer:
    """Takes what is pushed to `/NAME` into `folder/NAME.ts`."""

    def __init__(self, folder: Path, *names: str, login: tuple[str, str] | None = None) -> None:
        command = [_PYTHON, str(_SCRIPT), str(folder), ",".join(names), *(login or ())]
        try:
            self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        except FileNotFoundError:
            pytest.skip(f"{_PYTHON} is missing")
        assert self._process.stdout is not None
        port = self._process.stdout.readline().strip()
        if not port:
            self._process.wait()
            pytest.skip("GStreamer's RTSP server is missing: apt install python3-gi gir1.2-gst-rtsp-server-1.0")
        self.port = int(port)
        self.pid = self._process.pid

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()
