"""Health, readiness, numbers, streams; methods, headers and mistakes of our own."""

import json
import logging
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import httpx
import pytest

from tests.conftest import make_job
from tests.serve.conftest import Serve, encoded
from tests.serve.waiting import wait_for
from vidette.job import ModelRequest
from vidette.serve import answering, operations
from vidette.serve.registry import Registry


def test_streams_say_what_they_do(serve: Serve, detector: Any) -> None:
    job = make_job(detector, {"cam": "testsrc:", "gone": "missing.mp4"}, mode="live", runtime="onnx")
    keys = [{"name": "a", "key": "k1"}, {"name": "b", "key": "k2", "scopes": ["stream"]}]
    running = serve(models={"m": detector}, job=job, keys=keys)
    url = f"{running.url}/streams"
    assert httpx.get(url).status_code == 401
    assert httpx.get(url, params={"api_key": "k1"}).status_code == 403

    def told() -> dict[str, Any]:
        return {stream["id"]: stream for stream in httpx.get(url, params={"api_key": "k2"}).json()["streams"]}

    wait_for(lambda: told()["cam"]["results"] > 2 and told()["gone"]["state"] == "failed")
    cam = told()["cam"]
    assert (cam["state"], cam["model"], cam["mode"]) == ("running", "m", "live")
    assert cam["fps"] > 0
    assert "missing.mp4" in told()["gone"]["error"]
    frames = 'vidette_stream_frames_total{end="result",stream="cam"}'
    assert frames in httpx.get(f"{running.url}/metrics").text


def test_without_cameras_there_are_no_streams(serve: Serve) -> None:
    assert httpx.get(f"{serve().url}/streams").json() == {"streams": []}


def test_a_mistake_of_ours_is_one_line_and_no_traceback(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise ValueError("s3cret of the client\nand more")

    monkeypatch.setattr(answering, "replace", broken)
    url = serve(keys=[{"name": "a", "key": "k1"}]).url
    headers = {"X-Request-ID": "r7", "Origin": "http://page"}
    answer = httpx.post(f"{url}/tiny/1?api_key=k1", content=encoded(), headers=headers)
    assert answer.status_code == 500
    assert answer.json()["message"].startswith("Internal error.")
    assert answer.headers["access-control-allow-origin"] == "*"

    def errors() -> list[logging.LogRecord]:
        return [record for record in caplog.records if record.levelno >= logging.ERROR]

    wait_for(errors)
    (record,) = errors()
    assert record.name == "vidette.serve"
    assert record.getMessage().startswith("request r7: POST /{dataset}/{version}: ValueError in test_operations.py:")
    assert "k1" not in caplog.text
    assert "s3cret" not in caplog.text + answer.text
    assert "vidette_http_unforeseen_total 1.0" in httpx.get(f"{url}/metrics").text
    assert httpx.get(f"{url}/healthz").status_code == 200


def test_head_and_options(serve: Serve) -> None:
    url = serve().url
    whole = httpx.get(f"{url}/info")
    head = httpx.head(f"{url}/info")
    assert head.status_code == 200
    assert head.content == b""
    assert head.headers["content-length"] == whole.headers["content-length"]
    with httpx.Client() as client:  # the connection stays usable
        assert [client.head(f"{url}/info").status_code for _ in range(3)] == [200] * 3
        assert client.head(f"{url}/a/b/c").status_code == 404
    options = httpx.options(f"{url}/model/add")
    assert (options.status_code, options.headers["allow"]) == (204, "POST")


def test_request_ids_of_clients_are_taken_when_they_are_harmless(serve: Serve) -> None:
    url = serve().url
    for given in ("abc-1.2_3:4", "x" * 128):
        assert httpx.get(f"{url}/info", headers={"X-Request-ID": given}).headers["x-request-id"] == given
    for given in ("", "a b", 'a"b', "x" * 129, "<script>"):
        assert len(httpx.get(f"{url}/info", headers={"X-Request-ID": given}).headers["x-request-id"]) == 32


def test_answers_are_not_kept_nor_guessed(serve: Serve) -> None:
    headers = httpx.get(f"{serve().url}/info").headers
    assert (headers["x-content-type-options"], headers["cache-control"]) == ("nosniff", "no-store")
    assert "server" not in headers


def test_as_many_requests_as_connections(serve: Serve) -> None:
    running = serve(limits={"connections": 2})
    running.server.under_way += 2  # as if two were being answered
    answer = httpx.post(f"{running.url}/tiny/1", content=encoded())
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "1"
    assert isinstance(answer.json()["message"], str)
    assert httpx.get(f"{running.url}/healthz").status_code == 200
    running.server.under_way -= 2
    assert httpx.post(f"{running.url}/tiny/1", content=encoded()).status_code == 200


def test_bytes_of_all_bodies_together_are_bounded(serve: Serve) -> None:
    running = serve(limits={"bodies": "1MB"})
    running.server.under_way_bytes += 1_000_000
    answer = httpx.post(f"{running.url}/tiny/1", content=encoded())
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) >= 1
    running.server.under_way_bytes -= 1_000_000
    assert httpx.post(f"{running.url}/tiny/1", content=encoded()).status_code == 200
    wait_for(lambda: running.server.under_way_bytes == 0)


def test_the_page_is_whole_by_itself(serve: Serve) -> None:
    page = httpx.get(serve().url)
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert not re.search(r"""(src|href)=["']?(https?:)?//""", page.text)


@pytest.mark.skipif(shutil.which("node") is None, reason="needs node")
def test_the_lines_to_copy_ask_for_paths_that_are_served(detector: Path) -> None:
    ids = ["door", "a/b", "coco/3", "a/b/c", "a/b/3", "x/y/1", "my model"]
    text = (Path(operations.__file__).parent / "page" / "index.html").read_text()
    function = text[text.index("function hosted") : text.index("function snippets")]
    script = f"{function}; console.log(JSON.stringify({json.dumps(ids)}.map(hosted)))"
    told = subprocess.run(["node", "-e", script], capture_output=True, text=True, check=True, timeout=60).stdout
    registry = Registry([ModelRequest(id, detector) for id in ids], {}, {}, {})
    assert [registry.find(unquote(path)).id for path in json.loads(told)] == ids
    registry.close()


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_pages_load_nothing_from_elsewhere(serve: Serve, path: str) -> None:
    text = httpx.get(f"{serve().url}{path}").text
    assert not re.findall(r"(?:src|href)=[\"'](?:https?:)?//", text)
    assert "<title>Vidette" in text
