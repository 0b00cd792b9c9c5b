"""Asking the hosted route, and reading what it answers."""

import base64
from typing import Any

import httpx

from tests.serve.tasks import SIZE, picture

CLIENT = httpx.Client()
JPEG = picture(".jpg")
TEXT = base64.b64encode(JPEG)
FORM = "application/x-www-form-urlencoded"


def ask(url: str, content: Any = TEXT, kind: str | None = FORM, **query: Any) -> httpx.Response:
    return CLIENT.post(url, params=query, content=content, headers={"Content-Type": kind} if kind else {})


def boxes(answer: httpx.Response) -> list[tuple[str, float]]:
    assert answer.status_code == 200, answer.text
    assert answer.json()["image"] == {"width": SIZE[0], "height": SIZE[1]}
    return [(row["class"], round(row["confidence"], 3)) for row in answer.json()["predictions"]]


EVERY = [("cat", 0.9), ("dog", 0.6), ("dog", 0.4)]


def refused(answer: httpx.Response, status: int) -> str:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert "Traceback" not in answer.text
    if status == 422:
        assert isinstance(body["detail"], list | str)
    message: str = body["message"]
    assert message
    assert "\n" not in message
    return message
