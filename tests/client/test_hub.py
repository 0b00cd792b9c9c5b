"""HUB's form as it is sent."""

import asyncio
import email
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.client.recording import DRAWN, Recorder, Reply
from vidette.client import HTTPCallErrorError, HubClient, InvalidInputFormatError

CAPTURE = Path(__file__).parent.parent / "serve" / "captures" / "raw_hub.json"


def form(recorder: Recorder) -> dict[str, tuple[str | None, bytes]]:
    """Name of each part -> file name and content of the last form that came."""
    seen = recorder.seen[-1]
    assert seen.method == "POST"
    message = email.message_from_bytes(
        b"Content-Type: " + seen.headers["content-type"].encode() + b"\r\n\r\n" + seen.body
    )
    parts: Any = message.get_payload()
    return {
        part.get_param("name", header="content-disposition"): (part.get_filename(), part.get_payload(decode=True))
        for part in parts
    }


def test_the_form_is_the_documented_one(recorder: Recorder, folder: Path) -> None:
    (recorded,) = json.loads(CAPTURE.read_text())[0]["requests"]
    HubClient(recorder.url, "API_KEY", "https://hub.ultralytics.com/models/MODEL_ID").predict(
        folder / "pictures" / "a.jpg", imgsz=640, conf=0.25, iou=0.45
    )
    assert recorder.seen[-1].headers["x-api-key"] == recorded["headers"]["x-api-key"]
    assert recorder.seen[-1].path == recorded["path"]
    sent = form(recorder)
    assert set(sent) == {part["name"] for part in recorded["body"]["parts"]}
    for part in recorded["body"]["parts"]:
        name, content = sent[part["name"]]
        if part["name"] == "file":
            assert (name, content) == ("a.jpg", (folder / "pictures" / "a.jpg").read_bytes())
        else:
            assert (name, content.decode()) == (None, part["value"])


@pytest.mark.parametrize(("path", "bearer"), [("", None), ("/api/models/m/predict", "Bearer KEY")])
def test_dedicated_endpoints_and_the_platform_get_a_bearer(recorder: Recorder, path: str, bearer: str | None) -> None:
    HubClient(recorder.url + path, "KEY").predict(b"bytes")
    assert recorder.seen[-1].headers["x-api-key"] == "KEY"
    assert recorder.seen[-1].headers.get("authorization") == bearer


def test_what_is_not_given_is_not_sent(recorder: Recorder) -> None:
    HubClient(recorder.url).predict(np.zeros((4, 6, 3), np.uint8))
    assert set(form(recorder)) == {"file"}
    assert "x-api-key" not in recorder.seen[-1].headers


def test_the_model_of_a_call_comes_first(recorder: Recorder) -> None:
    asyncio.run(HubClient(recorder.url, model="a").predict_async(b"bytes", model="b"))
    assert form(recorder) == {"model": (None, b"b"), "file": ("file", b"bytes")}


def test_a_url_is_fetched_here_without_the_key(recorder: Recorder) -> None:
    HubClient(recorder.url, "KEY").predict(f"{recorder.url}/pic.jpg?size=large")
    assert form(recorder)["file"] == ("pic.jpg", DRAWN)
    assert "x-api-key" not in recorder.seen[0].headers


def test_failures(recorder: Recorder) -> None:
    recorder.replies = [Reply.json(401, {"detail": "no such key: S3CRET"})]
    with pytest.raises(HTTPCallErrorError) as caught:
        HubClient(recorder.url, "S3CRET").predict(b"x")
    assert caught.value.api_message == "no such key: ***"
    with pytest.raises(InvalidInputFormatError):
        HubClient(recorder.url).predict("no/such.mp4")
