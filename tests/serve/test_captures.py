"""Every recorded request of a real client, sent again: captures/README.md."""

import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.serve.conftest import Running
from tests.serve.tasks import SIZE, picture

HERE = Path(__file__).parent / "captures"
NOT_REQUESTS = ("needs", "answers", "statuses")
FILES = sorted(path.stem for path in HERE.glob("*.json") if path.stem not in NOT_REQUESTS)
NOT_SERVED = (
    "/clip/", "/doctr/", "/easy_ocr/", "/ocr/", "/gaze/", "/yolo_world/", "/sam2/", "/sam3/", "/perception_encoder/",
    "/infer/lmm", "/infer/depth", "/infer/embeddings", "/infer/action", "/infer/workflows", "/workflows/",
    "/inference_pipelines/",
)  # fmt: skip
CLIENT = httpx.Client()
FORMATS = {"jpeg": ".jpg", "png": ".png"}


def captured(name: str) -> Any:
    return json.loads((HERE / f"{name}.json").read_text())


def replaced(value: Any, host: str) -> Any:
    """Placeholders become pictures."""
    match value:
        case dict():
            return {name: replaced(item, host) for name, item in value.items()}
        case list():
            return [replaced(item, host) for item in value]
        case str() if (found := re.fullmatch(r"<base64 (\w+), \d+ chars>", value)) and found[1] in FORMATS:
            return base64.b64encode(picture(FORMATS[found[1]])).decode()
        case str():
            return re.sub(r"^(URL|http://example\.com)/", f"{host}/", value)
    return value


def sent(url: str, host: str, request: dict[str, Any]) -> httpx.Response:
    """One request, as it was recorded."""
    headers = {name: value for name, value in request["headers"].items() if name not in ("Content-Length", "Host")}
    query = [(name, replaced(value, host)) for name, value in request["query"]]
    path = request["path"].replace("/ws", "/vidette", 1) if request["path"].startswith("/ws") else request["path"]
    body: dict[str, Any] = request["body"] or {"kind": None}
    content: Any = None
    match body["kind"]:
        case "base64":
            text = base64.b64encode(picture(FORMATS[body["decodes_to"]]))
            if body["newlines"]:
                text = b"\n".join(text[i : i + 76] for i in range(0, len(text), 76)) + b"\n"
            content = b"data:image/jpeg;base64," + text if body["data_uri"] else text
        case "json":
            content = json.dumps(replaced(body["value"], host)).encode()
        case "other":
            content = picture(FORMATS[body["holds"]])
        case "multipart":
            headers["Content-Type"] = "multipart/form-data; boundary=limit"
            content = b"".join(part_of(part) for part in body["parts"]) + b"--limit--\r\n"
        case kind:
            assert kind is None
    if headers.pop("Transfer-Encoding", None):
        content = iter([content])
    return CLIENT.request(request["method"], f"{url}{path}", params=query, headers=headers, content=content)


def part_of(part: dict[str, Any]) -> bytes:
    name = f'; filename="{part["filename"]}"' if part.get("filename") else ""
    head = f'--limit\r\nContent-Disposition: form-data; name="{part["name"]}"{name}\r\n'
    if part["content_type"]:
        head += f"Content-Type: {part['content_type']}\r\n"
    value = picture(FORMATS[part["holds"]]) if "holds" in part else part["value"].encode()
    return head.encode() + b"\r\n" + value + b"\r\n"


def requests_of(name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """All that was sent to us: clients also fetch pictures themselves."""
    for entry in captured(name):
        for request in entry["requests"]:
            if request["path"] != "/pic.jpg":
                yield entry["call"], request


@pytest.mark.parametrize("name", FILES)
def test_what_clients_send_is_answered(tasks: Running, host: str, name: str) -> None:
    for call, request in requests_of(name):
        answer = sent(tasks.url, host, request)
        path = re.sub("/+", "/", request["path"])
        about = f"{call}: {request['method']} {path} -> {answer.status_code} {answer.text[:200]}"
        if path == "/llm/cogvlm":
            assert answer.status_code == 410, about
        elif path.startswith(NOT_SERVED) or "/workflows/" in path:
            assert answer.status_code == 501, about
            assert path.split("/")[-1] in answer.json()["message"]
        elif path == "/act/1" or "missing/1" in json.dumps(request["body"]):
            assert answer.status_code == 404, about
        else:
            assert answer.status_code == 200, about
            check(answer, request, path)


def check(answer: httpx.Response, request: dict[str, Any], path: str) -> None:
    """Content type, and the fields that needs.json says this client cannot do without."""
    if ["format", "image"] in request["query"]:
        assert answer.headers["content-type"] == "image/jpeg"
        return
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    if path == "/" and request["query"]:
        assert body["workspace"] == "vidette"
    elif path == "/":
        (image,) = body["images"]
        assert image["shape"] == [SIZE[1], SIZE[0]]
        assert isinstance(body["metadata"]["imageCount"], int)
    elif path == "/info":
        assert has_all(body, "SDK get_server_info")
    elif path.startswith("/model/"):
        assert has_all(body, "SDK list_loaded_models")
    elif path.startswith("/ws"):
        assert {"workspace", "project", "trainings", "models"} & set(body)
    else:
        wanted = request["body"] and request["body"].get("value", {}).get("image")
        assert isinstance(body, list) == isinstance(wanted, list)
        for each in body if isinstance(body, list) else [body]:
            assert each["image"] == {"width": SIZE[0], "height": SIZE[1]}
            assert has_all(each, needs_of(each, path))


def needs_of(body: dict[str, Any], path: str) -> str:
    if "top" in body:
        return "roboflow classification .save()"
    if isinstance(body["predictions"], dict):
        flat = "segmentation_mask" in body["predictions"] and not path.startswith("/infer/")
        return "roboflow semantic .save(), flat answer" if flat else "SDK v1 infer classification, rescaled"
    for kind, name in (("keypoints", "KeyPoints.from_inference"), ("points", "Detections.from_inference, polygons")):
        if body["predictions"] and kind in body["predictions"][0]:
            return f"supervision {name}"
    return "supervision Detections.from_inference, boxes"


def has_all(body: Any, call: str) -> bool:
    """Whether every field is there that this call fails without, in every element."""
    (entry,) = (entry for entry in captured("needs") if entry["call"] == call)
    return all(found(body, field.split(".")) for field in entry["fails_without"])


def found(value: Any, steps: list[str]) -> bool:
    if not steps:
        return True
    if steps[0] == "[]":
        return all(found(item, steps[1:]) for item in value)
    return steps[0] in value and found(value[steps[0]], steps[1:])


def test_the_check_itself_sees_a_missing_field() -> None:
    row = dict.fromkeys(("x", "y", "width", "height", "confidence", "class", "class_id"), 1)
    whole = {"image": {"width": 1, "height": 1}, "predictions": [row]}
    name = "supervision Detections.from_inference, boxes"
    assert has_all(whole, name)
    for field in row:
        assert not has_all(whole | {"predictions": [row, {key: row[key] for key in row if key != field}]}, name)


def test_no_answer_is_of_a_kind_that_clients_stumble_over(tasks: Running) -> None:
    """By statuses.json and answers.json: retried for nothing, taken for a picture, or crashing their handlers."""
    outcomes = {entry["answer"]: entry["outcome"] for entry in captured("answers") if entry["call"] == "v0 async"}
    assert outcomes["200 with text/plain JSON"] == "ok: dict with ['visualization']"  # the trap itself
    retried = {entry["status"] for entry in captured("statuses") if entry["requests"] == 3}
    assert retried == {429, 503, 504}
    image = {"type": "base64", "value": "AAAA"}
    for answer in (
        CLIENT.post(f"{tasks.url}/det/1", content=b"AAAA"),
        CLIENT.post(f"{tasks.url}/missing/1", content=base64.b64encode(picture())),
        CLIENT.post(f"{tasks.url}/det/1?confidence=x", content=b"AAAA"),
        CLIENT.post(f"{tasks.url}/infer/object_detection", json={"model_id": "det/1", "image": image}),
        CLIENT.post(f"{tasks.url}/infer/object_detection", json={"model_id": "missing/1", "image": image}),
        CLIENT.post(f"{tasks.url}/infer/object_detection", json={}),
        CLIENT.post(f"{tasks.url}/model/add", json={"model_id": "missing/1"}),
        CLIENT.post(f"{tasks.url}/", files={"file": b"x"}, data={"model": "det/1"}),
        CLIENT.post(f"{tasks.url}/workflows/run", json={}),
    ):
        assert answer.status_code >= 400
        assert answer.status_code not in retried
        assert answer.headers["content-type"] == "application/json"
        body = answer.json()
        assert isinstance(body["message"], str)
        assert "\n" not in body["message"]
        assert "inner_error_message" not in body
