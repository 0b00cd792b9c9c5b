"""Whatever is sent: an answer that the API document knows, never 500, never a hang, no memory kept."""

import base64
import gc
import json
import tracemalloc
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from starlette.datastructures import QueryParams

from tests.serve.conftest import Running, Serve, encoded
from tests.serve.waiting import at_once
from vidette.serve import openapi
from vidette.serve.base64_pictures import decoding
from vidette.serve.dialects.roboflow_hosted import read_query
from vidette.serve.errors import RequestError

PICTURE = encoded()
TEXT = base64.b64encode(PICTURE)
_OFF = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]


def examples(count: int) -> settings:
    """So many, however long each takes."""
    return settings(max_examples=count, deadline=None, suppress_health_check=_OFF)


TIMEOUT_S = 20


@pytest.fixture(scope="module")
def server(tasks: Running) -> Running:
    return tasks


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    with httpx.Client(timeout=TIMEOUT_S) as client:
        yield client


def known(document: dict[str, Any]) -> dict[str, Any]:
    """The document for a server of which the model `det/1` is known: paths and bodies reach further than 404."""
    document = deepcopy(document)
    for path in document["paths"].values():
        for operation in path.values():
            for parameter in operation.get("parameters", ()):
                only = {"dataset": "det", "version": "1", "model": "det/1", "project": "det"}.get(parameter["name"])
                if only is not None:
                    parameter["schema"] = {"enum": [only]}
    document["components"]["schemas"]["InferRequest"]["properties"]["model_id"] = {"enum": ["det/1"]}
    picture = {"enum": [TEXT.decode(), TEXT.decode()[:-40], "data:image/png;base64," + TEXT.decode()]}
    document["components"]["schemas"]["ImageObject"]["properties"] |= {"type": {"enum": ["base64"]}, "value": picture}
    return document


@pytest.mark.timeout(300)
def test_every_route_answers_as_its_document_says(server: Running) -> None:
    schemathesis = pytest.importorskip("schemathesis")
    from schemathesis.checks import not_a_server_error
    from schemathesis.specs.openapi import checks as of

    checks = [not_a_server_error, of.status_code_conformance, of.content_type_conformance,
              of.response_schema_conformance, of.response_headers_conformance]  # fmt: skip
    document = httpx.get(f"{server.url}/openapi.json").json()
    tested = 0
    for text in (document, known(document)):
        for result in schemathesis.openapi.from_dict(text).get_all_operations():
            operation = result.ok()

            @examples(12)
            @given(case=operation.as_strategy())
            def ask(case: Any) -> None:
                response = case.call(base_url=server.url, timeout=TIMEOUT_S)
                case.validate_response(response, checks=checks)

            ask()
            tested += 1
    assert tested == 2 * sum(len(methods) for methods in document["paths"].values())


def test_the_document_names_what_there_is(server: Running) -> None:
    document = httpx.get(f"{server.url}/openapi.json").json()
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    assert len({operation["operationId"] for operation in operations}) == len(operations)
    assert all(operation["summary"] for operation in operations)
    alike = ("/infer/", "/vidette")
    assert [path for path in document["paths"] if path not in openapi._ROUTES and not path.startswith(alike)] == []
    names = {parameter["name"] for parameter in document["paths"]["/{dataset}/{version}"]["post"]["parameters"]}
    assert {"confidence", "overlap", "classes", "format", "image"} <= names
    assert httpx.get(f"{server.url}/docs").status_code == 200


KINDS = st.sampled_from(
    ["", "application/json", "application/x-www-form-urlencoded", "text/plain", "image/jpeg", "multipart/form-data",
     "multipart/form-data; boundary=x", "multipart/form-data; boundary=", "\x7f", "application/json; charset=nonsense"]
)  # fmt: skip
PATHS = st.sampled_from(
    ["/det/1", "/infer/object_detection", "/", "/predict", "/model/add", "/model/remove", "/api/models/det/1/predict"]
)
PART = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\n'
BODIES = st.one_of(
    st.binary(max_size=300),
    st.builds(lambda at, by: TEXT[:at] + by + TEXT[at:], st.integers(0, len(TEXT)), st.binary(max_size=9)),
    st.builds(lambda at: PICTURE[:at], st.integers(0, len(PICTURE))),
    st.builds(
        lambda a, b: PART + a + b"\r\n--x" + b, st.binary(max_size=99), st.sampled_from([b"--\r\n", b"\r\n", b""])
    ),
    st.recursive(
        st.one_of(st.none(), st.booleans(), st.floats(), st.text(max_size=9), st.integers()),
        lambda inner: st.one_of(
            st.lists(inner, max_size=3),
            st.dictionaries(st.sampled_from(["model_id", "image", "type", "value", "confidence"]), inner, max_size=3),
        ),
        max_leaves=9,
    ).map(lambda value: json.dumps(value).encode()),
)


@examples(300)
@example("/det/1", "multipart/form-data; boundary=x", PART + PICTURE + b"\r\n--x--\r\n")
@example("/infer/object_detection", "application/json", b"[" * 100_000)
@example("/det/1", "application/json", b'{"image":' * 50_000)
@example("/det/1", "", b"%" * 100_000)
@example("/det/1", "", b" " * 100_000 + TEXT)
@example("/det/1", "", b"data:" * 50_000)
@given(path=PATHS, kind=KINDS, body=BODIES)
def test_any_body_is_answered(server: Running, client: httpx.Client, path: str, kind: str, body: bytes) -> None:
    answer = client.post(f"{server.url}{path}", content=body, headers={"Content-Type": kind})
    assert answer.status_code < 500
    if answer.status_code != 200:
        message = answer.json()["message"]
        assert "\n" not in message
        assert len(message) < 1000


@examples(300)
@given(text=st.one_of(st.binary(max_size=200), st.text(max_size=99).map(str.encode)))
def test_base64_is_bytes_or_400(text: bytes) -> None:
    try:
        assert isinstance(at_once(decoding(text)), bytes)
    except RequestError as error:
        if error.status != 400:
            raise


@given(raw=st.binary(max_size=30), line=st.sampled_from([19, 60, 76]), padded=st.booleans(), safe=st.booleans())
def test_every_form_of_base64_is_the_same_picture(raw: bytes, line: int, padded: bool, safe: bool) -> None:
    picture = b"\x89PNG\r\n\x1a\n" + raw
    text = base64.urlsafe_b64encode(picture) if safe else base64.b64encode(picture)
    text = text if padded else text.rstrip(b"=")
    broken = b"\n".join(text[at : at + line] for at in range(0, len(text), line))
    for form in (text, broken, b"data:image/png;name=a;base64," + text, text.replace(b"=", b"%3D")):
        assert at_once(decoding(form)) == picture


NAMES = ("confidence", "overlap", "classes", "max_detections", "stroke", "labels", "format", "keypoint_confidence",
         "mask_decode_mode", "tradeoff_factor", "response_mask_format", "disable_preproc_auto_orient")  # fmt: skip
VALUES = st.one_of(
    st.text(max_size=9),
    st.floats().map(str),
    st.integers().map(str),
    st.sampled_from(["True", "best", "rle", "1e999", "-0", "٣", "1_0"]),
)


@examples(500)
@given(query=st.lists(st.tuples(st.sampled_from(NAMES), VALUES), max_size=6))
def test_any_query_is_read_or_refused(query: list[tuple[str, str]]) -> None:
    try:
        found = read_query(QueryParams(query))
    except RequestError as error:
        if error.status not in (400, 422):
            raise
    else:
        assert found.confidence is None or 0 <= found.confidence <= 1
        assert found.overlap is None or 0 <= found.overlap <= 1
        assert found.max_detections is None or found.max_detections >= 1


def test_memory_stays_flat(serve: Serve) -> None:
    """A thousand requests that fail in all ways, and as many that do not, leave nothing behind."""
    running = serve(rate={"requests": 1_000_000, "window": "1h"})
    bad = [("/tiny/1", b"nonsense"), ("/none/1", TEXT), ("/infer/object_detection", b"{"), ("/predict", PICTURE)]

    def many(rounds: int) -> None:
        with httpx.Client(timeout=TIMEOUT_S) as client:
            for _ in range(rounds):
                for path, body in [*bad, ("/tiny/1", TEXT)]:
                    client.post(running.url + path, content=body)

    many(20)
    tracemalloc.start()
    try:
        many(20)
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        many(100)
        gc.collect()
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert grown < 200_000
