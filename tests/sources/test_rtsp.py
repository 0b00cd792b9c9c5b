"""RTSP against GStreamer's server, run by the system's Python; skips where that is missing."""

import subprocess
import threading

import pytest

from tests.media import write_clip
from vidette.errors import SourceError
from vidette.sources.synthetic import read_number

PYTHON = "/usr/bin/python3"

SERVER = """
import sys
import gi
gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer

Gst.init(None)
server = GstRtspServer.RTSPServer()
server.set_address("127.0.0.1")
server.set_service("0")
factory = GstRtspServer.RTSPMediaFactory()
factory.set_launch(f'( filesrc location="{sys.argv[1]}" ! matroskademux ! h264parse ! rtph264pay name=pay0 )')
server.get_mount_points().add_factory("/clip", factory)
server.attach(None)
print(server.get_bound_port(), flush=True)
GLib.MainLoop().run()
"""


@pytest.fixture
def address(tmp_path):
    write_clip(tmp_path / "clip.mkv", 50, options={"preset": "ultrafast", "tune": "zerolatency", "g": "10"})
    command = [PYTHON, "-c", SERVER, str(tmp_path / "clip.mkv")]
    try:
        server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    except FileNotFoundError:
        pytest.skip(f"{PYTHON} is missing")
    port = server.stdout.readline().strip()
    if not port:
        server.wait()
        pytest.skip("GStreamer's RTSP server is missing: apt install python3-gi gir1.2-gst-rtsp-server-1.0")
    try:
        yield f"rtsp://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait()
        server.stdout.close()


def test_every_frame_in_order(address, opened):
    source = opened(f"{address}/clip", mode="live")
    frames = list(source.frames())
    assert [read_number(frame.picture.bgr()) for frame in frames] == list(range(50))
    times = [frame.pts_s for frame in frames[1:]]  # the first may have none: it was probed before its time was known
    assert times == sorted(set(times))
    assert times[-1] - times[0] == pytest.approx(48 / 25, abs=0.01)


def test_stop_ends_the_stream(address, opened):
    stop = threading.Event()
    frames = opened(f"{address}/clip", mode="live", stop=stop).frames()
    next(frames)
    stop.set()
    assert len(list(frames)) <= 1


def test_an_unknown_path(address, opened):
    with pytest.raises(SourceError) as error:
        opened(f"{address}/other")
    assert error.value.code == "missing"
