"""What every request passes, and what happens when its client goes."""

import base64
import socket
import threading
from pathlib import Path
from typing import Any

import httpx

from tests.serve.conftest import Serve, encoded
from tests.serve.waiting import wait_for


def test_paths_with_two_slashes_are_what_they_mean(serve: Serve) -> None:
    url = serve().url
    assert httpx.get(f"{url}//info").json()["name"] == "Vidette"
    body = base64.b64encode(encoded())
    assert httpx.post(f"{url}//tiny/1", content=body).status_code == 200


def test_request_ids_and_times(serve: Serve) -> None:
    url = serve().url
    answer = httpx.get(f"{url}/info", headers={"X-Request-ID": "abc"})
    assert answer.headers["x-request-id"] == "abc"
    assert float(answer.headers["x-processing-time"]) >= 0
    assert len(httpx.get(f"{url}/info").headers["x-request-id"]) == 32


def test_browsers_may_ask_from_everywhere(serve: Serve) -> None:
    url = serve().url
    preflight = {"Origin": "http://page", "Access-Control-Request-Method": "POST"}
    assert httpx.options(f"{url}/tiny/1", headers=preflight).status_code == 200
    answer = httpx.get(f"{url}/info", headers={"Origin": "http://page"})
    assert answer.headers["access-control-allow-origin"] == "*"


def test_unknown_paths_and_methods_are_json(serve: Serve) -> None:
    url = serve().url
    for answer in (httpx.get(f"{url}/a/b/c"), httpx.delete(f"{url}/info")):
        assert answer.status_code in (404, 405)
        assert isinstance(answer.json()["message"], str)


def test_a_model_asked_by_one_part_is_told_both(serve: Serve, detector: Path) -> None:
    url = serve(models={"tiny": detector}).url
    for ask in (httpx.get, httpx.post):
        answer = ask(f"{url}/tiny/?confidence=40")
        assert answer.status_code == 404
        assert answer.json()["message"] == "Not Found; the hosted API has two parts: a model `tiny` is asked as /tiny/1"
    assert httpx.post(f"{url}/tiny/1", content=encoded()).status_code == 200
    assert httpx.get(f"{url}/a/b/c").json()["message"] == "Not Found"
    assert httpx.put(f"{url}/tiny").json()["message"] == "Not Found"


def test_a_client_that_has_gone_leaves_the_queue(serve: Serve) -> None:
    running = serve()
    held = running.server.registry.find("tiny/1")
    lane: Any = held.lane
    release = threading.Event()
    plain = lane.model.session.run

    def slow(*args: Any, **kwargs: Any) -> Any:
        release.wait(20)
        return plain(*args, **kwargs)

    lane.model.session.run = slow
    callers = lane.plan.callers
    body = base64.b64encode(encoded())
    head = f"POST /tiny/1 HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    connections = []
    for _ in range(callers + 3):
        connection = socket.create_connection(("127.0.0.1", running.port))
        connection.sendall(head + body)
        connections.append(connection)
        wait_for(lambda: held.busy == len(connections))
    wait_for(lambda: held.desk is not None and held.desk.waiting == 3)
    for connection in connections[callers:]:
        connection.close()
    wait_for(lambda: held.busy == callers)
    before = lane.batches
    release.set()
    for connection in connections[:callers]:
        assert b"200 OK" in connection.recv(100)
        connection.close()
    wait_for(lambda: held.busy == 0 and lane.active == 0)
    assert lane.batches - before == callers
