"""Stopping and starting cameras by HTTP: states, epochs, files that go on, and what it costs nobody else."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import Collecting, make_job
from tests.serve.conftest import Running, Serve, encoded
from tests.serve.waiting import wait_for
from tests.test_stream import Hanging, consecutive, hanging
from vidette.engine import DRAIN_S
from vidette.serve import streams as control
from vidette.serve.openapi import _SCHEMAS
from vidette.sink import sink_for_target

__all__ = ["hanging"]  # a fixture

SOURCE = "testsrc:?size=320x192&rate=200"


class Operator:
    """Who asks for `/streams`."""

    def __init__(self, running: Running, **headers: str) -> None:
        self._client = httpx.Client(base_url=running.url, headers=headers, timeout=30)

    def get(self, id: str) -> Any:
        answer = self._client.get(f"/streams/{id}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, id: str, action: str, **headers: str) -> httpx.Response:
        return self._client.post(f"/streams/{id}/{action}", headers=headers)

    def did(self, id: str, action: str) -> Any:
        answer = self.post(id, action)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def refused(self, id: str, action: str) -> str:
        answer = self.post(id, action)
        assert answer.status_code == 409, answer.text
        message: str = answer.json()["message"]
        return message

    def close(self) -> None:
        self._client.close()


@pytest.fixture
def operator() -> Iterator[Callable[..., Operator]]:
    made: list[Operator] = []

    def make(running: Running, **headers: str) -> Operator:
        made.append(Operator(running, **headers))
        return made[-1]

    yield make
    for each in made:
        each.close()


def adds_up(told: dict[str, Any]) -> bool:
    ends = told["results"] + sum(told["dropped"].values()) + sum(told["failed"].values())
    return bool(told["decoded"] == ends + told["in_flight"] and told["in_flight"] >= 0)


def test_a_stream_is_stopped_started_and_restarted_and_its_files_go_on(
    serve: Serve, detector: Path, tmp_path: Path, operator: Callable[..., Operator]
) -> None:
    cls, settings = sink_for_target(str(tmp_path / "all.jsonl"))
    kept = Collecting()
    job = make_job(detector, {"cam": SOURCE}, [cls(settings), kept], mode="live", runtime="onnx")
    running = serve(models={"m": detector}, job=job)
    ask = operator(running)
    wait_for(lambda: ask.get("cam")["results"] > 5)
    first = ask.get("cam")
    assert first.keys() == set(_SCHEMAS["Stream"]["required"])
    assert (first["state"], first["reason"], first["epoch"], first["source"]) == ("running", None, 0, SOURCE)
    assert "is running" in ask.refused("cam", "start")

    stopped = ask.did("cam", "stop")
    assert (stopped["state"], stopped["reason"], stopped["in_flight"]) == ("stopped", None, 0)
    assert adds_up(stopped)
    assert ask.get("cam") == stopped  # nothing moves any more, nor does its time
    assert 'vidette_stream_running{stream="cam"} 0.0' in httpx.get(f"{running.url}/metrics").text
    assert "stopped already" in ask.refused("cam", "stop")

    assert ask.did("cam", "start")["epoch"] == 1
    wait_for(lambda: ask.get("cam")["results"] > stopped["results"] + 5)
    restarted = ask.did("cam", "restart")
    assert (restarted["state"], restarted["epoch"]) == ("running", 2)
    wait_for(lambda: any(result.epoch == 2 for result in kept.results))
    ask.did("cam", "stop")
    assert ask.did("cam", "restart")["epoch"] == 3  # as `start`
    wait_for(lambda: any(result.epoch == 3 for result in kept.results))
    last = ask.did("cam", "stop")
    assert adds_up(last)
    assert kept.closed == 0
    running.stop()
    lines = [json.loads(line) for line in (tmp_path / "all.jsonl").read_text().splitlines()]
    names = [(line["epoch"], line["seq"]) for line in lines]
    assert len(names) == last["results"] == len(kept.results)
    assert names == sorted(set(names))
    assert {epoch for epoch, _ in names} == {0, 1, 2, 3}
    assert kept.closed == 1


def test_neighbours_and_clients_notice_nothing(serve: Serve, detector: Path, operator: Callable[..., Operator]) -> None:
    sink = Collecting()
    job = make_job(detector, {"cam": "testsrc:?size=320x192", "other": "testsrc:?size=320x192"}, [sink], runtime="onnx")
    running = serve(models={"m": detector}, job=job)
    ask = operator(running)
    statuses: list[int] = []
    done = threading.Event()

    def client() -> None:
        with httpx.Client(timeout=60) as session:
            while not done.is_set():
                statuses.append(session.post(f"{running.url}/m/1", content=encoded()).status_code)

    asking = threading.Thread(target=client)
    asking.start()
    for round in range(10):
        before = ask.get("other")["results"]
        assert adds_up(ask.get("cam"))
        assert ask.did("cam", "restart")["epoch"] == round + 1
        wait_for(lambda before=before: ask.get("other")["results"] > before)
    wait_for(lambda: len(statuses) > 5)
    done.set()
    asking.join()
    assert set(statuses) == {200}
    other = ask.get("other")
    assert (other["state"], other["epoch"], other["error"], other["dropped"]) == ("running", 0, None, {})
    running.stop()
    for id, epochs in (("other", 1), ("cam", 11)):
        assert consecutive([(result.epoch, result.seq) for result in sink.of(id)], epochs)
    assert running.server.engine is not None
    assert all(adds_up(told) and told["in_flight"] == 0 for told in running.server.engine.report()["streams"])


def test_a_camera_that_hangs_is_stopped_and_never_has_two_threads(
    serve: Serve, detector: Path, operator: Callable[..., Operator], hanging: Callable[..., list[Hanging]]
) -> None:
    sources = hanging(3)
    running = serve(models={"m": detector}, job=make_job(detector, {"cam": SOURCE}, [Collecting()], runtime="onnx"))
    ask = operator(running)
    wait_for(lambda: sources and sources[0].hangs.is_set() and ask.get("cam")["results"] == 3)
    assert "not returned yet; try again later" in ask.refused("cam", "restart")  # answered while the source hangs
    hung = ask.get("cam")
    assert (hung["state"], hung["reason"], hung["epoch"]) == ("stopped", "its source has not returned yet", 0)
    assert "stopped already" in ask.refused("cam", "stop")
    assert "not returned yet; try again later" in ask.refused("cam", "start")
    assert [thread.name for thread in threading.enumerate()].count("vidette:decode:cam") == len(sources) == 1
    sources[0].release.set()
    wait_for(lambda: ask.get("cam")["reason"] is None)
    after = ask.get("cam")
    assert (after["decoded"], after["results"], after["dropped"]) == (4, 3, {"stopped": 1})
    assert ask.did("cam", "start")["epoch"] == 1
    wait_for(lambda: ask.get("cam")["results"] == 6)
    sources[1].release.set()


def test_a_stop_leaves_time_for_its_answer() -> None:
    assert control.STOP_S <= DRAIN_S < 2


def test_streams_that_end_or_fail_can_be_started_again(
    serve: Serve, detector: Path, operator: Callable[..., Operator]
) -> None:
    secret = "http://user:pa55@127.0.0.1:9/gone?token=t0ken"
    job = make_job(detector, {"short": f"{SOURCE}&frames=4", "gone": secret}, [Collecting()], runtime="onnx")
    running = serve(models={"m": detector}, job=job)
    ask = operator(running)
    wait_for(lambda: ask.get("short")["state"] == "ended" and ask.get("gone")["state"] == "failed")
    gone = ask.get("gone")
    assert gone["reason"] == gone["error"]
    assert "refused" in gone["reason"]
    assert not any(part in json.dumps(gone) for part in ("user", "pa55", "t0ken"))
    assert "has ended by itself" in ask.refused("short", "stop")
    assert "has failed" in ask.refused("gone", "stop")
    assert ask.did("short", "start")["epoch"] == 1
    assert ask.did("gone", "restart")["epoch"] == 1
    wait_for(lambda: ask.get("short")["results"] == 8 and ask.get("gone")["state"] == "failed")
    wait_for(lambda: ask.get("short")["state"] == "ended")
    short = ask.get("short")
    assert (short["decoded"], short["results"], short["in_flight"]) == (8, 8, 0)
    assert short["fps"] == ask.get("short")["fps"]


def test_only_streams_of_the_site_file_are_known(
    serve: Serve, detector: Path, operator: Callable[..., Operator]
) -> None:
    job = make_job(detector, {"front door": SOURCE, "hall/left": SOURCE}, [Collecting()], mode="live", runtime="onnx")
    ask = operator(serve(models={"m": detector}, job=job))
    for id in ("front%20dor", "testsrc%3A"):
        for answer in (ask._client.get(f"/streams/{id}"), ask.post(id, "start"), ask.post(id, "stop")):
            assert answer.status_code == 404
            hint = "did you mean 'front door'?" if id == "front%20dor" else "streams here: front door, hall/left"
            assert answer.json()["message"].endswith(hint)
    assert ask.did("front%20door", "stop")["state"] == "stopped"
    assert ask.did("hall%2Fleft", "stop")["state"] == "stopped"
    assert (
        ask._client.post("/streams/front%20door/start", json={"url": "http://127.0.0.1:1/"}).json()["source"] == SOURCE
    )


def test_without_cameras_every_stream_is_unknown(serve: Serve, operator: Callable[..., Operator]) -> None:
    answer = operator(serve()).post("cam", "start")
    assert (answer.status_code, answer.json()["message"]) == (404, "there is no stream 'cam'; streams here: none")


def test_the_scope_stream_is_needed(serve: Serve, detector: Path, operator: Callable[..., Operator]) -> None:
    keys = [{"name": n, "key": n, "scopes": [n]} for n in ("infer", "manage", "stream")]
    job = make_job(detector, {"cam": SOURCE}, [Collecting()], mode="live", runtime="onnx")
    running = serve(models={"m": detector}, job=job, keys=keys)
    for key, expected in (("", 401), ("wrong", 401), ("infer", 403), ("manage", 403), ("stream", 200)):
        ask = operator(running, **{"x-api-key": key})
        assert ask._client.get("/streams/cam").status_code == expected
        assert ask.post("cam", "stop", origin="http://elsewhere").status_code == expected
        if expected != 200:
            assert ask.post("nothing", "stop").status_code == expected  # who has no key learns no names
            assert running.server.streams.find("cam").state == "running"


def test_pages_of_others_control_nothing_where_nobody_needs_a_key(
    serve: Serve, detector: Path, operator: Callable[..., Operator]
) -> None:
    job = make_job(detector, {"cam": SOURCE}, [Collecting()], mode="live", runtime="onnx")
    running = serve(models={"m": detector}, job=job, cors=["*", "http://panel"])
    ask = operator(running)
    for origin in ("http://elsewhere", "null", "http://[", f"http://127.0.0.1:{running.port}1"):
        assert ask.post("cam", "stop", origin=origin).status_code == 403
    assert ask.get("cam")["state"] == "running"
    assert ask.post("cam", "stop", origin=running.url).status_code == 200
    assert ask.post("cam", "start", origin="http://panel").status_code == 200


def test_a_call_that_names_no_action_is_told_which_there_are(
    serve: Serve, detector: Path, operator: Callable[..., Operator]
) -> None:
    job = make_job(detector, {"gate": SOURCE, "hall/left": SOURCE}, [Collecting()], mode="live", runtime="onnx")
    ask = operator(serve(models={"m": detector}, job=job))._client
    for id in ("gate", "hall/left"):
        which = f"possible are POST /streams/{id}/stop, /start and /restart"
        for method, path, status, said in (
            ("POST", f"/streams/{id}", 405, "this does not say what to do; "),
            ("POST", f"/streams/{id}/bounce", 404, f"there is no stream '{id}/bounce'; "),
            ("GET", f"/streams/{id}/stop", 404, f"there is no stream '{id}/stop'; "),
        ):
            answer = ask.request(method, path)
            assert (answer.status_code, answer.json()["message"]) == (status, said + which)
            assert answer.headers.get("allow") == ("GET" if status == 405 else None)
    assert ask.post("/streams/gat").json()["message"] == "there is no stream 'gat'; did you mean 'gate'?"


def test_the_log_tells_only_actions_that_were_done(
    serve: Serve,
    detector: Path,
    operator: Callable[..., Operator],
    hanging: Callable[..., list[Hanging]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", "vidette.serve")
    sources = hanging(3)
    running = serve(models={"m": detector}, job=make_job(detector, {"cam": SOURCE}, [Collecting()], runtime="onnx"))
    ask = operator(running)

    def told() -> list[str]:
        return [record.getMessage() for record in caplog.records if record.getMessage().endswith("by anyone")]

    wait_for(lambda: sources and sources[0].hangs.is_set())
    ask.refused("cam", "restart")  # it is stopped now
    assert told() == ["stream cam: stop by anyone"]
    ask.refused("cam", "start")
    assert told() == ["stream cam: stop by anyone"]
    sources[0].release.set()
    wait_for(lambda: ask.get("cam")["reason"] is None)
    ask.did("cam", "start")
    assert told() == ["stream cam: stop by anyone", "stream cam: start by anyone"]
    wait_for(lambda: len(sources) == 2)
    sources[1].release.set()


def test_actions_on_one_stream_take_turns(serve: Serve, detector: Path, operator: Callable[..., Operator]) -> None:
    job = make_job(detector, {"cam": SOURCE}, [Collecting()], mode="live", runtime="onnx")
    running = serve(models={"m": detector}, job=job)
    ask = operator(running)
    statuses: list[int] = []

    def restart() -> None:
        statuses.append(httpx.post(f"{running.url}/streams/cam/restart", timeout=60).status_code)

    threads = [threading.Thread(target=restart) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [200] * 8
    assert ask.get("cam")["epoch"] == 8
    assert [thread.name for thread in threading.enumerate()].count("vidette:decode:cam") == 1


def test_what_a_client_began_is_finished_when_it_has_gone(
    serve: Serve,
    detector: Path,
    operator: Callable[..., Operator],
    hanging: Callable[..., list[Hanging]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(control, "STOP_S", 60.0)
    sources = hanging(3)
    running = serve(models={"m": detector}, job=make_job(detector, {"cam": SOURCE}, [Collecting()], runtime="onnx"))
    ask = operator(running)
    wait_for(lambda: sources and sources[0].hangs.is_set())
    connections = running.listener._web.server_state.connections
    assert (ask.get("cam")["state"], len(connections)) == ("running", 1)
    with socket.create_connection(("127.0.0.1", running.port)) as client:
        client.sendall(b"POST /streams/cam/restart HTTP/1.1\r\nHost: x\r\n\r\n")
        wait_for(lambda: ask.get("cam")["state"] == "stopped")
        assert len(connections) == 2
    wait_for(lambda: len(connections) == 1)
    sources[0].release.set()
    wait_for(lambda: ask.get("cam")["epoch"] == 1 and len(sources) == 2)
    sources[1].release.set()
