"""Pushing to GStreamer's server, and to servers that misbehave."""

import contextlib
import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest

from tests.peers.gst_rtsp import GstRtspServer
from tests.peers.mosquitto import free_port
from tests.peers.relay import Relay
from tests.sinks.results import detections, grey, result, run_of, write_until_error
from vidette.errors import ConfigError, SinkError
from vidette.frame import Picture
from vidette_sinks._network import Backoff
from vidette_sinks.rtsp import RtspSettings, RtspSink

PASSWORD = "canary:/@1"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[GstRtspServer]:
    server = GstRtspServer(tmp_path, "cam", "other")
    yield server
    server.close()


@contextlib.contextmanager
def opened(url: str, streams=("cam",), **settings) -> Iterator[RtspSink]:
    sink = RtspSink(RtspSettings(url=url, **settings))
    sink.open(run_of(streams))
    yield sink
    sink.close()


def level(seq: int) -> int:
    return 40 + seq * 7 % 180


def received(path: Path, wanted: int) -> list[np.ndarray]:
    """What the server has written; waits until `wanted` pictures are there."""
    deadline = time.monotonic() + 20
    while True:
        pictures = []
        with contextlib.suppress(av.FFmpegError, OSError, IndexError), av.open(str(path)) as container:
            pictures = [frame.to_ndarray(format="bgr24") for frame in container.decode(video=0)]
        if len(pictures) >= wanted:
            return pictures
        assert time.monotonic() < deadline, f"{len(pictures)} of {wanted} pictures arrived"
        time.sleep(0.05)


def test_every_picture_arrives_in_order_with_what_was_found(server, tmp_path):
    with opened(f"rtsp://127.0.0.1:{server.port}/cam") as sink:
        for seq in range(60):
            sink.write(result(seq, grey(level(seq)), predictions=detections(seq % 2)))
        pictures = received(tmp_path / "cam.ts", 60)
    corners = [round(float(picture[200:, 200:].mean())) for picture in pictures]
    assert corners == pytest.approx([level(seq) for seq in range(60)], abs=2)
    boxed = [bool(np.abs(p[20:45, 8:13].astype(int) - level(seq)).max() > 60) for seq, p in enumerate(pictures)]
    assert boxed == [bool(seq % 2) for seq in range(60)]


def test_streams_have_paths_of_their_own(server, tmp_path):
    with opened(f"rtsp://127.0.0.1:{server.port}", ("cam", "other")) as sink:
        for seq in range(10):
            sink.write(result(seq, grey(60), predictions=detections(0)))
            sink.write(result(seq, grey(160), stream="other", predictions=detections(0)))
        for name, expected in (("cam", 60), ("other", 160)):
            assert received(tmp_path / f"{name}.ts", 10)[5].mean() == pytest.approx(expected, abs=2)


def test_where_the_name_goes():
    def url(target: str, streams: tuple[str, ...]) -> str:
        with opened(target, streams) as sink:
            return sink._url("a b/c")

    assert url("rtsp://h/live", ("x",)) == "rtsp://h/live"
    assert url("rtsp://h/live/", ("x", "y")) == "rtsp://h/live/a%20b%2Fc"
    assert url("rtsp://h/{stream}/live", ("x",)) == "rtsp://h/a%20b%2Fc/live"


def test_user_and_password(tmp_path, caplog):
    caplog.set_level(logging.DEBUG)
    server = GstRtspServer(tmp_path, "cam", login=("me", PASSWORD))
    with opened(f"rtsp://me:canary%3A%2F%401@127.0.0.1:{server.port}/cam") as sink:
        for seq in range(10):
            sink.write(result(seq, grey(100)))
        received(tmp_path / "cam.ts", 10)
        assert "canary" not in sink.name
    with opened(f"rtsp://me:canary2@127.0.0.1:{server.port}/cam") as sink:
        with pytest.raises(SinkError, match=f"rtsp://127.0.0.1:{server.port}/cam: .*401 Unauthorized") as caught:
            sink.write(result(0, grey(100)))
        assert "canary" not in f"{caught.value!r} {caught.value.__cause__!r} {sink._settings!r} {caplog.text}"
    server.close()


def test_a_path_that_is_not_there_and_the_pause_after_it(server):
    with opened(f"rtsp://127.0.0.1:{server.port}/nobody") as sink:
        with pytest.raises(SinkError, match="404"):
            sink.write(result(0, grey(100)))
        with pytest.raises(SinkError, match="no connection; tried again in"):
            sink.write(result(1, grey(100)))


def test_nobody_there():
    with (
        opened(f"rtsp://127.0.0.1:{free_port()}/cam") as sink,
        pytest.raises(SinkError, match="/cam: Connection refused"),
    ):
        sink.write(result(0, grey(100)))


def test_a_cut_connection_is_made_anew(server, tmp_path):
    relay = Relay(server.port)
    with opened(f"rtsp://127.0.0.1:{relay.port}/cam") as sink:
        sink.write(result(0, grey(50)))
        relay.cut()
        write_until_error(sink, (result(seq, grey(50)) for seq in range(1, 1000)))
        sink._backoffs["cam"] = Backoff()  # as if the pause were over
        for seq in range(1000, 1010):
            sink.write(result(seq, grey(200), predictions=detections(0)))
        assert received(tmp_path / "cam.ts", 10)[0].mean() == pytest.approx(200, abs=2)
    relay.close()


def noise(seq: int) -> Picture:
    return Picture(np.random.default_rng(seq).integers(0, 255, (480, 640, 3), np.uint8))


def test_a_frozen_server_costs_pictures_and_never_the_end(server):
    with opened(f"rtsp://127.0.0.1:{server.port}/cam", crf=0, timeout_s=0.4) as sink:
        sink.write(result(0, noise(0)))
        os.kill(server.pid, signal.SIGSTOP)
        written, error = write_until_error(sink, (result(seq, noise(seq)) for seq in range(1, 1000)))
        assert written, "it failed before its socket was full"
        assert "no progress within 0.4 s" in str(error)


def test_a_frozen_server_does_not_hold_close(server):
    with opened(f"rtsp://127.0.0.1:{server.port}", ("cam", "other"), crf=0, timeout_s=30) as sink:
        sink.write(result(0, noise(0)))
        sink.write(result(0, noise(0), stream="other"))
        os.kill(server.pid, signal.SIGSTOP)
        ending = time.monotonic()
    assert time.monotonic() - ending < 1


@pytest.mark.parametrize("drip", [b"", b"R"])
def test_a_server_that_does_not_answer_or_drips(drip):
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as silent:

        def serve() -> None:
            connection = silent.accept()[0]
            with contextlib.suppress(OSError):
                while not over.wait(0.05):
                    connection.sendall(drip)
            connection.close()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        port = silent.getsockname()[1]
        with opened(f"rtsp://127.0.0.1:{port}/cam", timeout_s=0.5) as sink:
            began = time.monotonic()
            with pytest.raises(SinkError, match="/cam: "):
                sink.write(result(0, grey(100)))
            assert time.monotonic() - began < 5
        over.set()
        thread.join()


def test_settings_of_a_url():
    settings = RtspSink.from_target("rtsp://u:p@host:8554/{stream}")
    assert (settings.url, settings.user, settings.secret()) == ("rtsp://host:8554/{stream}", "u", "p")
    with pytest.raises(ConfigError, match=r"rtsp://host:port/x: .*not a URL"):
        RtspSink.from_target("rtsp://u:canary@host:port/x")
