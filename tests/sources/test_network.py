import functools
import http.server
import socket
import threading

import av
import pytest

from tests.media import delivered, write_clip
from vidette.errors import SourceError
from vidette.sources import packets
from vidette.sources.network import NetworkSource


class _Handler(http.server.SimpleHTTPRequestHandler):
    def do_GET(self):
        if "private" in self.path:
            self.send_error(401)
        else:
            super().do_GET()

    def log_message(self, *args):
        pass


@pytest.fixture
def server(tmp_path):
    handler = functools.partial(_Handler, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as httpd:
        thread = threading.Thread(target=httpd.serve_forever)
        thread.start()
        yield f"127.0.0.1:{httpd.server_port}"
        httpd.shutdown()
        thread.join()


@pytest.mark.parametrize("name", ["a.mkv", "a.ts", "a.mp4"])
def test_a_file_behind_http_is_read_whole(tmp_path, server, opened, name):
    options = {"movflags": "faststart"} if name == "a.mp4" else {}
    written = write_clip(tmp_path / name, 30, container_options=options)
    found = delivered(opened(f"http://{server}/{name}").frames())
    assert [number for _, number in found] == [number for _, number in written]


@pytest.mark.parametrize(
    ("path", "code"), [("none.mp4", "missing"), ("private.mp4", "denied"), ("notes.txt", "not-a-video")]
)
def test_what_the_server_says(tmp_path, server, opened, path, code):
    (tmp_path / "notes.txt").write_bytes(b"\x01\x02\x03" * 999)
    with pytest.raises(SourceError) as error:
        opened(f"http://user:secret@{server}/{path}?token=hidden")
    assert error.value.code == code
    text = str(error.value)
    assert "secret" not in text
    assert "hidden" not in text
    assert text.startswith(f"http://{server}/{path}?token=***: ")


@pytest.mark.parametrize("scheme", ["http", "rtsp", "tcp"])
def test_nobody_listens(opened, scheme):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        with pytest.raises(SourceError, match="connection refused") as error:
            opened(f"{scheme}://user:secret@127.0.0.1:{port}/x.mp4")
    assert error.value.code == "refused"
    assert "secret" not in repr(error.value)
    assert error.value.__cause__ is None  # FFmpeg's own text holds the URL


def test_a_server_that_never_answers(opened, monkeypatch):
    monkeypatch.setattr("vidette.sources.network._OPEN_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(SourceError, match="no answer") as error:
        opened(f"rtsp://127.0.0.1:{silent.getsockname()[1]}/x")
    assert error.value.code == "timeout"


class _Silence:
    """A container whose server went quiet: each read times out, as RTSP does."""

    read_timeout = 0.5

    def __init__(self, clock, events):
        self.clock, self.events = clock, iter(events)

    def demux(self, stream):
        for event in self.events:
            if event == "silence":
                self.clock[0] += self.read_timeout
                raise av.error.ExitError(1, "Immediate exit requested")
            if event == "broken":
                raise av.error.OSError(5, "Input/output error")
            yield event


@pytest.fixture
def clock(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(packets.time, "monotonic", lambda: now[0])
    return now


def test_reading_goes_on_after_a_silence(clock):
    container = _Silence(clock, [1, 2, *["silence"] * 15, 3, *["silence"] * 15, 4])
    assert list(packets.live_packets(container, None, threading.Event(), "cam")) == [1, 2, 3, 4]


def test_silence_beyond_the_limit_is_a_failure(clock):
    container = _Silence(clock, [1, *["silence"] * 30])
    with pytest.raises(SourceError, match="no data for 10 s") as error:
        list(packets.live_packets(container, None, threading.Event(), "cam"))
    assert error.value.code == "stalled"


def test_a_slow_consumer_is_no_silence(clock):
    reader = packets.live_packets(_Silence(clock, [1, "silence", 2]), None, threading.Event(), "cam")
    assert next(reader) == 1
    clock[0] += 60
    assert next(reader) == 2


def test_a_broken_connection_is_no_silence(clock):
    with pytest.raises(av.error.OSError):
        list(packets.live_packets(_Silence(clock, [1, "broken"]), None, threading.Event(), "cam"))


def test_stop_is_seen_within_one_silence(clock):
    stop = threading.Event()
    reader = packets.live_packets(_Silence(clock, [1, *["silence"] * 30]), None, stop, "cam")
    assert next(reader) == 1
    stop.set()
    assert list(reader) == []
    assert clock[0] <= 0.5


def test_only_video_files_behind_http_are_lossless():
    assert NetworkSource.default_mode("https://h/film.MP4?x=1") == "lossless"
    assert NetworkSource.default_mode("https://h/live.m3u8") == "live"
    assert NetworkSource.default_mode("rtsp://h/film.mp4") == "live"
