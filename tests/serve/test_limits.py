"""Keys, rates, bounds: what is refused, with which status, and never with a secret."""

import base64
import hashlib
import logging
import re
import time
from collections.abc import Iterator

import httpx
import pytest

from tests.serve.conftest import Serve, encoded
from vidette.errors import ConfigError
from vidette.serve.errors import RequestError
from vidette.serve.rates import Rates
from vidette.server_settings import RateConfig, ServerConfig, refuse_open_door

KEY, OTHER = "s3cret-key", "0ther-key"
KEYS = [
    {"name": "cam", "key": KEY},
    {"name": "boss", "sha256": hashlib.sha256(OTHER.encode()).hexdigest(), "scopes": ["infer", "manage"]},
]
PICTURE = base64.b64encode(encoded())


def test_a_key_is_taken_in_all_its_forms(serve: Serve) -> None:
    url = serve(keys=KEYS).url
    image = {"type": "base64", "value": PICTURE.decode()}
    forms = [
        httpx.post(f"{url}/tiny/1", params={"api_key": KEY}, content=PICTURE),
        httpx.post(f"{url}/tiny/1", headers={"Authorization": f"bearer {KEY}"}, content=PICTURE),
        httpx.post(f"{url}/tiny/1", headers={"x-api-key": OTHER}, content=PICTURE),
        httpx.post(f"{url}/infer/object_detection", json={"model_id": "tiny/1", "image": image, "api_key": KEY}),
        httpx.post(f"{url}/", headers={"x-api-key": KEY}, files={"file": encoded()}),
    ]
    assert [answer.status_code for answer in forms] == [200] * 5


@pytest.mark.parametrize("given", ["wrong", "", "None", "null", KEY.upper(), KEY + "x"])
def test_other_keys_are_401_and_not_told(serve: Serve, given: str, caplog: pytest.LogCaptureFixture) -> None:
    url = serve(keys=KEYS).url
    for answer in (
        httpx.post(f"{url}/tiny/1", params={"api_key": given}, content=PICTURE),
        httpx.get(f"{url}/model/registry", params={"api_key": given}),
        httpx.post(f"{url}/?api_key={given}"),
    ):
        assert answer.status_code == 401
        assert KEY not in answer.text + caplog.text
        assert len(given) < 5 or given not in answer.text + caplog.text


def test_a_wrong_explicit_key_is_not_saved_by_a_right_one_elsewhere(serve: Serve) -> None:
    url = serve(keys=KEYS).url
    assert httpx.get(f"{url}/model/registry?api_key=wrong", headers={"x-api-key": KEY}).status_code == 401


def test_scopes(serve: Serve) -> None:
    url = serve(keys=KEYS).url
    assert httpx.post(f"{url}/model/clear", headers={"x-api-key": KEY}).status_code == 403
    assert httpx.post(f"{url}/model/clear", headers={"x-api-key": OTHER}).json()["models"] == []


def test_health_needs_no_key(serve: Serve) -> None:
    url = serve(keys=KEYS).url
    assert [httpx.get(f"{url}{path}").status_code for path in ("/healthz", "/readiness", "/info", "/metrics")] == [
        200
    ] * 4


def test_without_keys_only_this_machine_is_answered() -> None:
    refuse_open_door(ServerConfig.model_validate({"host": "127.0.0.1"}))
    refuse_open_door(ServerConfig.model_validate({"host": "0.0.0.0", "keys": KEYS}))
    refuse_open_door(ServerConfig.model_validate({"host": "0.0.0.0", "auth": "none"}))
    with pytest.raises(ConfigError, match="auth: none"):
        refuse_open_door(ServerConfig.model_validate({"host": "0.0.0.0"}))


def test_bodies_and_pictures_are_bounded(serve: Serve) -> None:
    url = serve(limits={"body": "20kB", "pixels": 10_000}).url
    assert httpx.post(f"{url}/tiny/1", content=b"A" * 30_000).status_code == 413
    assert httpx.post(f"{url}/tiny/1", content=iter([b"A" * 9000] * 4)).status_code == 413
    assert httpx.post(f"{url}/", files={"file": b"A" * 30_000}).status_code in (413, 200, 400)
    large = base64.b64encode(encoded(size=(200, 200)))
    answer = httpx.post(f"{url}/tiny/1", content=large)
    assert answer.status_code == 400
    assert "pixels" in answer.json()["message"]


@pytest.mark.parametrize("path", ["/tiny/1", "/infer/object_detection", "/"])
def test_a_slow_line_neither_ends_in_504_nor_keeps_a_model(serve: Serve, path: str) -> None:
    running = serve(limits={"deadline": "700ms"})
    request = {
        "/tiny/1": httpx.Request("POST", f"{running.url}/tiny/1", content=PICTURE),
        "/infer/object_detection": httpx.Request(
            "POST", f"{running.url}/infer/object_detection",
            json={"model_id": "tiny/1", "image": {"type": "base64", "value": PICTURE.decode()}},
        ),
        "/": httpx.Request("POST", f"{running.url}/", files={"file": encoded()}, data={"model": "tiny/1"}),
    }[path]  # fmt: skip
    body = request.read()
    held = running.server.registry.find("tiny/1")
    busy = []

    def slowly() -> Iterator[bytes]:
        yield body[:20]
        for at in (20, 40):
            time.sleep(0.5)
            busy.append(held.busy)
            yield body[at : at + 20 if at == 20 else None]

    answer = httpx.post(
        request.url, content=slowly(), headers={"content-type": request.headers.get("content-type", "")}
    )
    assert answer.status_code == 200, answer.text
    assert busy == [0, 0]


def test_rates_slide_and_say_when() -> None:
    now = 0.0
    rates = Rates(RateConfig.model_validate({"requests": 2, "window": "10s"}), lambda: now)
    rates.count("a")
    now = 4.0
    rates.count("a")
    rates.count("b")
    with pytest.raises(RequestError) as refused:
        rates.count("a")
    assert refused.value.status == 429
    assert refused.value.headers["Retry-After"] == "6"
    now = 10.1
    rates.count("a")


def test_callers_that_ask_no_more_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vidette.serve.rates._CALLERS", 3)
    now = 0.0
    rates = Rates(RateConfig.model_validate({"requests": 1, "window": "10s"}), lambda: now)
    for number in range(3):
        rates.count(f"old{number}")
    now = 11.0
    rates.count("new")
    assert set(rates._times) == {"new"}
    with pytest.raises(RequestError):
        rates.count("new")


def test_hubs_preset_is_100_an_hour(serve: Serve) -> None:
    config = ServerConfig.model_validate({"rate": "hub"})
    assert config.rate is not None
    assert (config.rate.requests, float(config.rate.window)) == (100, 3600.0)
    url = serve(rate={"requests": 1, "window": "1h"}).url
    assert httpx.post(f"{url}/tiny/1", content=PICTURE).status_code == 200
    answer = httpx.post(f"{url}/tiny/1", content=PICTURE)
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) > 3000
    assert httpx.get(f"{url}/model/registry").status_code == 200


def test_the_access_log_has_no_secrets(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    running = serve(keys=KEYS)
    with caplog.at_level(logging.INFO, "vidette.access"):
        httpx.post(f"{running.url}/tiny/1?api_key={KEY}", content=PICTURE, headers={"X-Request-ID": "r1"})
        running.stop()  # the line is written after the answer
    (line,) = [record.getMessage() for record in caplog.records if record.name == "vidette.access"]
    assert re.fullmatch(r'127\.0\.0\.1 cam "POST /tiny/1" 200 [\d.]+ ms r1', line)


def test_metrics_count_by_route_not_by_path(serve: Serve) -> None:
    url = serve().url
    for _ in range(2):
        httpx.post(f"{url}/tiny/1", content=PICTURE)
    httpx.post(f"{url}/other/7", content=PICTURE)
    text = httpx.get(f"{url}/metrics").text
    assert 'vidette_http_requests_total{route="/{dataset}/{version}",status="200"} 2.0' in text
    assert 'vidette_http_requests_total{route="/{dataset}/{version}",status="404"} 1.0' in text
    assert 'vidette_model_loaded{model="tiny/1"} 1.0' in text
    assert 'vidette_model_batches_total{model="tiny/1"} 2.0' in text


def test_a_full_server_refuses_before_it_reads_the_body(serve: Serve) -> None:
    running = serve(limits={"waiting": 1})
    with running.server.seat():
        for path in ("/tiny/1", "/infer/object_detection", "/predict"):
            answer = httpx.post(f"{running.url}{path}", content=b"never looked at")
            assert answer.status_code == 503
            assert answer.headers["retry-after"] == "1"
    assert httpx.post(f"{running.url}/tiny/1", content=PICTURE).status_code == 200


def test_a_full_desk_refuses_before_it_unpacks(serve: Serve) -> None:
    running = serve(limits={"waiting": 2})
    held = running.server.registry.find("tiny/1")
    held.coming = 2
    assert httpx.post(f"{running.url}/tiny/1", content=b"bm90IGEgcGljdHVyZQ==").status_code == 503
    held.coming = 0


def test_pictures_in_use_are_bounded_together(serve: Serve) -> None:
    running = serve(limits={"pixels": 10_000, "pixels_in_all": 20_000})
    reader = running.server.pictures
    large = encoded(size=(90, 100))
    one = reader._read(large, None, True)
    two = reader._read(large, None, True)
    with pytest.raises(RequestError) as refused:
        reader._read(large, None, True)
    assert refused.value.status == 503
    del one
    assert reader._read(large, None, True)[0].width == 100
    del two
    image = {"type": "base64", "value": base64.b64encode(large).decode()}
    body = {"model_id": "tiny/1", "image": [image] * 3}
    assert httpx.post(f"{running.url}/infer/object_detection", json=body).status_code == 413


def test_a_key_in_the_query_is_checked_before_the_body(serve: Serve) -> None:
    url = serve(keys=KEYS).url
    answer = httpx.post(f"{url}/infer/object_detection?api_key=wrong", content=b"{")
    assert answer.status_code == 401
