"""What web pages of other sites may ask where nobody needs a key."""

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from starlette.requests import Request

from tests.conftest import make_job
from tests.serve.conftest import Serve
from vidette.serve.errors import RequestError
from vidette.serve.other_pages import refuse_other_pages
from vidette.server_settings import ServerConfig

GUARDED = (
    ("POST", "/model/add", b'{"model_id": "tiny/1"}'),
    ("POST", "/model/remove", b'{"model_id": "tiny/1"}'),
    ("POST", "/model/clear", b""),
    ("POST", "/streams/cam/restart", b""),
    ("POST", "/streams/cam", b""),
    ("GET", "/streams/cam", b""),
    ("GET", "/streams", b""),
)
"""What is more than asking for predictions."""

Statuses = Callable[..., list[int]]


@pytest.fixture
def statuses() -> Statuses:
    """The status of each of GUARDED, asked with these headers."""

    def ask(url: str, **headers: str) -> list[int]:
        sent = {"content-type": "text/plain", **headers}  # what a page may send without asking first
        return [httpx.request(m, url + path, content=body, headers=sent).status_code for m, path, body in GUARDED]

    return ask


DONE = [200, 200, 200, 200, 405, 200, 200]
REFUSED = [403] * len(GUARDED)


def test_pages_of_others_ask_for_predictions_only(serve: Serve, detector: Path, statuses: Statuses) -> None:
    job = make_job(detector, {"cam": "testsrc:?size=320x192&rate=50"}, mode="live", runtime="onnx")
    running = serve(models={"tiny/1": detector}, job=job, cors=["*", "http://panel"])
    port = running.port
    assert statuses(running.url, origin="http://evil.example") == REFUSED
    rebound = f"evil.example:{port}"
    assert statuses(running.url, origin=f"http://{rebound}", host=rebound) == REFUSED
    assert statuses(running.url, origin="null") == REFUSED
    assert statuses(running.url) == DONE
    assert statuses(running.url, host="behind.a.proxy") == DONE  # no page: those say their origin
    assert statuses(running.url, origin=running.url) == DONE
    assert statuses(running.url, origin=f"http://localhost:{port}", host=f"localhost:{port}") == DONE
    assert statuses(running.url, origin="http://panel") == DONE
    page = {"origin": "http://elsewhere"}
    assert httpx.get(f"{running.url}/model/registry", headers=page).status_code == 200


def test_with_keys_the_key_decides(serve: Serve, detector: Path, statuses: Statuses) -> None:
    job = make_job(detector, {"cam": "testsrc:?size=320x192&rate=50"}, mode="live", runtime="onnx")
    keys = [{"name": "all", "key": "k", "scopes": ["infer", "manage", "stream"]}]
    running = serve(models={"tiny/1": detector}, job=job, keys=keys)
    assert statuses(running.url, origin="http://elsewhere") == [401] * len(GUARDED)
    assert statuses(running.url, origin="http://elsewhere", **{"x-api-key": "k"}) == DONE


@pytest.mark.parametrize(
    ("host", "passes"),
    [
        ("localhost", True), ("LOCALHOST:9001", True), ("127.0.0.1:9001", True), ("[::1]:9001", True),
        ("192.168.1.7", True), ("vidette.lan:9001", True), ("evil.example", False),
        ("localhost.evil.example", False), ("127.0.0.1.evil.example:9001", False), ("", False),
        ("[", False), ("[::1", False),
    ],
)  # fmt: skip
def test_the_own_page_has_an_address_or_a_name_that_the_configuration_gives(host: str, passes: bool) -> None:
    config = ServerConfig.model_validate({"host": "vidette.lan"})
    for scheme in ("http", "https"):
        headers = [(b"origin", f"{scheme}://{host}".encode()), (b"host", host.encode())]
        request = Request({"type": "http", "method": "POST", "path": "/", "headers": headers})
        if passes:
            refuse_other_pages(request, config)
            continue
        with pytest.raises(RequestError, match="`server: cors`") as refused:
            refuse_other_pages(request, config)
        assert refused.value.status == 403
