"""A large body is taken in pieces: between two of them others are answered."""

import asyncio
import base64
import binascii
import json
import re
from collections.abc import Callable, Generator
from itertools import pairwise
from typing import Any
from urllib.parse import unquote_to_bytes

import httpx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.serve.conftest import Running, Serve, encoded
from tests.serve.waiting import at_once, wait_for
from vidette.serve.base64_pictures import decoding
from vidette.serve.dialects import roboflow_v1
from vidette.serve.errors import RequestError
from vidette.serve.long_texts import LongText, without
from vidette.serve.turns import PIECE

PICTURE = (encoded() + np.random.default_rng(0).bytes(3_000_002))[:3_000_001]  # nobody reads beyond a PNG's end
TEXT = base64.b64encode(PICTURE)


def wrapped(text: bytes, by: bytes = b"\n") -> bytes:
    return by.join(text[at : at + 76] for at in range(0, len(text), 76))


def percent(text: bytes) -> bytes:
    return text.replace(b"+", b"%2B").replace(b"/", b"%2f").replace(b"=", b"%3D")


FORMS: dict[str, Callable[[bytes], bytes]] = {
    "plain": lambda text: text,
    "lines": wrapped,
    "spaces divide": lambda text: wrapped(text, b" "),
    "spaces were plus": lambda text: text.replace(b"+", b" "),
    "percent": percent,
    "percent in lines": lambda text: percent(wrapped(text, b"\r\n")),
    "percent, spaces divide": lambda text: percent(wrapped(text, b" ")),
    "without padding": lambda text: text.rstrip(b"="),
    "URL-safe": lambda text: text.replace(b"+", b"-").replace(b"/", b"_"),
    "data URI": lambda text: b"data:image/png;base64," + text,
    "quoted": lambda text: b' "' + text + b'"\n',
    "more behind its end": lambda text: text + b"AAAA",
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_a_large_picture(form: str) -> None:
    assert TEXT.endswith(b"=")
    assert at_once(decoding(FORMS[form](TEXT))) == PICTURE


def test_a_large_picture_as_it_is() -> None:
    assert at_once(decoding(PICTURE)) is PICTURE
    assert at_once(decoding(TEXT.decode())) == PICTURE


@pytest.mark.parametrize("text", [TEXT[:-4] + b"A", b"A" * (4 * PIECE + 1)])
def test_what_is_no_base64(text: bytes) -> None:
    with pytest.raises(RequestError, match="not base64"):
        at_once(decoding(text))


ESCAPES: list[Callable[[bytes], bytes]] = [
    lambda text: text,
    lambda text: text.replace(b"/", b"\\/"),
    lambda text: text.replace(b"+", b"\\u002B").replace(b"/", b"\\u002f"),
    lambda text: wrapped(text, b"\\r\\n"),
]


@pytest.mark.parametrize("number", range(len(ESCAPES)))
def test_strings_are_cut_out_of_json(number: int) -> None:
    value = ESCAPES[number](TEXT)
    body = b'{"say \\"a\\\\": "\\\\", "image": {"type": "base64", "value": "' + value + b'"}, "more": [1, "x"]}'
    rest, texts = at_once(without(body))
    ((cut, text),) = texts.items()
    assert json.loads(rest) == {
        'say "a\\': "\\", "image": {"type": "base64", "value": {"cut": cut}}, "more": [1, "x"],
    }  # fmt: skip
    assert body[text.begin : text.end] == value
    assert at_once(decoding(text.body, text.begin, text.end, escaped=True)) == PICTURE


STRINGS = st.builds(
    lambda text, times: text * times if times <= 20 else text.replace('"', "'") * times,
    st.text(min_size=1, max_size=12),
    st.sampled_from([1, 2, 20, 5000, 1 << 18]),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(STRINGS, st.integers(), st.dictionaries(st.text(max_size=3), STRINGS, max_size=2))))
def test_whatever_is_cut_out_is_what_json_has_there(values: list[Any]) -> None:
    body = json.dumps([*values, "x" * (1 << 20)]).encode()
    rest, texts = at_once(without(body))

    def back(value: Any) -> Any:
        if isinstance(value, list):
            return [back(each) for each in value]
        if isinstance(value, dict) and set(value) == {"cut"} and texts:
            text: LongText = texts[value["cut"]]
            return json.loads(b'"' + body[text.begin : text.end] + b'"')
        return {name: back(each) for name, each in value.items()} if isinstance(value, dict) else value

    assert back(json.loads(rest)) == json.loads(body)
    assert len(rest) < len(body) / 2


@pytest.mark.parametrize("junk", [b'["' + b'","' * 3_000_000, b"1" * 5_000_000, b'{"a":' * 1_000_000])
def test_large_bodies_of_something_else_are_refused(junk: bytes) -> None:
    with pytest.raises(RequestError) as refused:
        at_once(without(junk))
    assert refused.value.status == 413


def turns(work: Generator[None, None, Any]) -> int:
    return sum(1 for _ in work)


def test_escaped_quotes_are_passed_over_in_pieces() -> None:
    body = b'["' + b'\\"' * 8000 + b'", "' + TEXT + b'"]'
    assert turns(without(body)) == 8
    assert len(at_once(without(body))[1]) == 2


@pytest.mark.parametrize("texts", [b'\\"' * 1_000_000, b'","'.join([b'\\"' * 3000] * 300)])
def test_strings_full_of_quotes_are_given_up(texts: bytes) -> None:
    work = without(b'["' + texts + b'"]')
    passed: list[None] = []
    with pytest.raises(RequestError, match="escaped quotes") as refused:
        passed.extend(work)
    assert refused.value.status == 413
    assert len(passed) == 8


@pytest.mark.parametrize("form", ["plain", "URL-safe with a space", "a space after each"])
def test_spaces_and_plus_are_looked_for_in_pieces(form: str) -> None:
    text = {
        "plain": TEXT,
        "URL-safe with a space": b"iVBORw0KGgo " + b"-_ab" * PIECE,
        "a space after each": b"A " * (2 * PIECE),
    }[form]
    assert turns(decoding(text)) >= 2 * (len(text) // PIECE)  # once to look, once to decode


@pytest.mark.parametrize("plus", [b"+", b"%2B", b"\\u002b"])
@pytest.mark.parametrize("before", range(8))
def test_a_plus_between_two_pieces_is_seen(plus: bytes, before: int) -> None:
    front = base64.b64encode(PICTURE[:30]).replace(b"+", b"/").ljust(PIECE - before, b"A")
    back = b"A" * (102 + (before - 1) % 4)  # one character more would be base64, too
    found = at_once(decoding(front + plus + back + b" " + b"A" * 100, escaped=True))
    assert found == base64.b64decode(front + b"+" + back + b"A" * 100 + b"==")


@pytest.mark.parametrize("text", [percent(TEXT), b"%41" * PIECE])
def test_percent_encoding_is_taken_in_smaller_pieces(text: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []

    def unquoted(piece: bytes) -> bytes:
        sizes.append(len(piece))
        return unquote_to_bytes(piece)

    monkeypatch.setattr("vidette.serve.base64_pictures.unquote_to_bytes", unquoted)
    assert turns(decoding(text)) >= len(sizes) - 1 > 10
    assert max(sizes) <= PIECE / 16


def ask(running: Running, route: str, text: str) -> httpx.Response:
    url, image = running.url, {"type": "base64", "value": text}
    match route:
        case "hosted":
            return httpx.post(f"{url}/tiny/1", content=text, timeout=60)
        case "hosted JSON":
            return httpx.post(f"{url}/tiny/1", json={"image": image}, timeout=60)
        case "hosted JSON string":
            return httpx.post(f"{url}/tiny/1", json={"image": text}, timeout=60)
        case "HUB":
            return httpx.post(url, data={"model": "tiny/1"}, files={"source": (None, text)}, timeout=60)
        case _:
            body = {"model_id": "tiny/1", "image": [image, {"type": "base64", "value": text[:-8]}]}
            return httpx.post(f"{url}/infer/object_detection", json=body, timeout=60)


@pytest.mark.parametrize("route", ["hosted", "hosted JSON", "hosted JSON string", "HUB", "v1"])
def test_others_get_their_turn_while_a_large_body_is_decoded(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, route: str
) -> None:
    """A heart beats in the server's event loop: it must have beaten between any two pieces."""
    running = serve()
    beats, going = 0, True
    seen: list[int] = []
    sizes: list[int] = []
    plain, parse = binascii.a2b_base64, roboflow_v1.InferRequest.model_validate_json

    async def beat() -> None:
        nonlocal beats
        while going:
            beats += 1
            await asyncio.sleep(0)

    def decoded(text: Any, **options: Any) -> bytes:
        seen.append(beats)
        sizes.append(len(text))
        return plain(text, **options)

    def parsed(body: bytes, **options: Any) -> Any:
        sizes.append(len(body))
        return parse(body, **options)

    monkeypatch.setattr("vidette.serve.base64_pictures.binascii.a2b_base64", decoded)
    monkeypatch.setattr(roboflow_v1.InferRequest, "model_validate_json", parsed)
    asyncio.run_coroutine_threadsafe(beat(), running._loop)
    wait_for(lambda: beats)
    answer = ask(running, route, TEXT.decode())
    going = False
    assert answer.status_code == 200, answer.text
    pieces = len(TEXT) // PIECE + 1
    assert len(seen) >= pieces > 10
    between = [later - earlier for earlier, later in pairwise(seen)]
    assert sum(turn > 0 for turn in between) >= pieces - 1
    assert max(sizes) <= PIECE + 4


@pytest.mark.parametrize("field", ["model_id", "id", "api_key"])
def test_long_strings_elsewhere_are_told(serve: Serve, field: str) -> None:
    body = {"model_id": "tiny/1", "image": {"type": "base64", "value": TEXT.decode()}} | {field: "x" * 10_000}
    answer = httpx.post(f"{serve().url}/infer/object_detection", json=body)
    assert answer.status_code == 422
    assert re.match(rf"body\.{field}", answer.json()["message"])


def test_what_stands_for_a_string_is_no_way_in(serve: Serve) -> None:
    url = serve().url
    for cut in (0, 7, -1, "0", None):
        image = {"type": "base64", "value": {"cut": cut}}
        answer = httpx.post(f"{url}/infer/object_detection", json={"model_id": "tiny/1", "image": image})
        assert answer.status_code == 422
        assert httpx.post(f"{url}/tiny/1", json={"image": image}).status_code == 400
        assert httpx.post(f"{url}/tiny/1", json={"image": {"cut": cut}}).status_code == 400
        # nor where strings are cut out of the body
        own = {"model_id": "tiny/1", "image": image, "more": TEXT.decode()}
        assert httpx.post(f"{url}/infer/object_detection", json=own).status_code == 422
        assert httpx.post(f"{url}/tiny/1", json=own).status_code == 400
        assert httpx.post(f"{url}/tiny/1", json=own | {"image": {"cut": cut}}).status_code == 400
    large = {"model_id": "tiny/1", "image": {"type": "url", "value": TEXT.decode()}}
    assert httpx.post(f"{url}/infer/object_detection", json=large).status_code == 422
