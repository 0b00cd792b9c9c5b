"""Roboflow's hosted route: every form of the picture, every parameter, every task, every refusal."""

import base64
import io
import json
import socket
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote_from_bytes

import cv2
import numpy as np
import pytest
from PIL import Image

from tests.conftest import Collecting, make_job
from tests.serve.conftest import Running, Serve, encoded
from tests.serve.hosted import CLIENT, EVERY, FORM, JPEG, TEXT, ask, boxes, refused
from tests.serve.tasks import NAMES, SCORES, SEVERAL, SIZE, picture
from vidette.payloads import roboflow
from vidette.serve.dialects.roboflow_answers import at_least


def lines(text: bytes, every: int, end: bytes = b"\n") -> bytes:
    return end.join(text[i : i + every] for i in range(0, len(text), every)) + end


@pytest.mark.parametrize("kind", [FORM, "application/json", "text/plain", "image/jpeg", "application/x-other", None])
@pytest.mark.parametrize(
    "body",
    [
        TEXT, lines(TEXT, 76), lines(TEXT, 60), lines(TEXT, 76, b"\r\n"), TEXT + b"\n", b"\t" + TEXT,
        b"data:image/jpeg;base64," + TEXT, b"data:image/png;charset=x;base64," + TEXT,
        b"DATA:application/octet-stream;base64," + TEXT, TEXT.rstrip(b"="), base64.urlsafe_b64encode(JPEG),
        quote_from_bytes(TEXT, safe="").encode(), TEXT.replace(b"+", b" "), lines(TEXT, 60).replace(b"\n", b" "),
        b'"' + TEXT + b'"', JPEG, picture(".png"),
        json.dumps({"image": {"type": "base64", "value": TEXT.decode()}}).encode(),
        json.dumps({"image": TEXT.decode()}).encode(),
    ],
    ids=[
        "plain", "76", "60", "crlf", "newline", "tab", "uri", "uri with parameters", "uri of any type", "no padding",
        "url-safe", "percent", "spaces for plus", "spaces", "quoted", "jpeg", "png", "json object", "json text",
    ],
)  # fmt: skip
def test_every_form_of_a_body(tasks: Running, body: bytes, kind: str | None) -> None:
    assert b"+" in TEXT
    assert b"/" in TEXT
    assert TEXT.endswith(b"=")
    assert boxes(ask(f"{tasks.url}/det/1", body, kind)) == EVERY


@pytest.mark.parametrize("name", ["imageToUpload", "a.png", "ä b.jpeg"])
@pytest.mark.parametrize("kind", ["image/jpeg", "application/octet-stream", ""])
def test_forms(tasks: Running, name: str, kind: str) -> None:
    part: Any = (name, JPEG, kind) if kind else (name, JPEG)
    answer = CLIENT.post(f"{tasks.url}/det/1", files={"other": b"x", "file": part}, data={"a": "b"})
    assert boxes(answer) == EVERY


def test_pictures_by_url(tasks: Running, host: str) -> None:
    url = f"{tasks.url}/det/1"
    image = {"image": f"{host}/a.jpg"}
    assert boxes(CLIENT.get(url, params=image)) == EVERY
    assert boxes(CLIENT.post(url, params=image)) == EVERY
    assert boxes(CLIENT.post(url, params=image, headers={"Content-Length": "0"})) == EVERY
    assert boxes(CLIENT.post(url, params=image, content=b"not this")) == EVERY  # the URL wins
    assert boxes(CLIENT.post(url, params=image, files={"other": b"x"})) == EVERY


def raw(running: Running, head: str, body: bytes = b"", *, wait_for_continue: bool = False) -> tuple[int, Any]:
    """Status and JSON of a request that is sent byte by byte as it stands."""
    with socket.create_connection(("127.0.0.1", running.port), 10) as connection:
        connection.sendall(head.replace("\n", "\r\n").encode() + b"\r\n\r\n")
        if wait_for_continue:
            assert connection.recv(100).startswith(b"HTTP/1.1 100")
        connection.sendall(body)
        reply = connection.makefile("rb")
        status = int(reply.readline().split()[1])
        headers = {line.split(b":")[0].lower(): line.split(b":")[1].strip() for line in iter(reply.readline, b"\r\n")}
        return status, json.loads(reply.read(int(headers[b"content-length"])))


QUERY = "/det/1?api_key=KEY&name=YOUR_IMAGE.jpg"
SNIPPETS = {
    "kotlin and java": f"""POST {QUERY} HTTP/1.1
Content-Type: {FORM}
Content-Length: {len(TEXT)}
Content-Language: en-US
Cache-Control: no-cache
Pragma: no-cache
User-Agent: Java/17.0.9
Host: detect.example.com
Accept: text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2
Connection: keep-alive""",
    "swift": f"""POST {QUERY} HTTP/1.1
Host: detect.example.com
Content-Type: {FORM}
Accept: */*
Accept-Language: en-US,en;q=0.9
Accept-Encoding: gzip, deflate, br
User-Agent: app/1 CFNetwork/1474 Darwin/23.0.0
Content-Length: {len(TEXT)}
Connection: keep-alive""",
    ".net": f"""POST {QUERY} HTTP/1.1
Content-Type: {FORM}
Host: detect.example.com
Content-Length: {len(TEXT)}
Expect: 100-continue
Connection: Keep-Alive""",
    "php": f"""POST {QUERY} HTTP/1.0
Host: detect.example.com
Connection: close
Content-Length: {len(TEXT)}
Content-type: {FORM}""",
    "go": f"""POST {QUERY} HTTP/1.1
Host: detect.example.com
User-Agent: Go-http-client/1.1
Content-Length: {len(TEXT)}
Accept-Encoding: gzip""",
}


@pytest.mark.parametrize("language", SNIPPETS)
def test_documented_snippets_byte_by_byte(tasks: Running, language: str) -> None:
    status, body = raw(tasks, SNIPPETS[language], TEXT, wait_for_continue=language == ".net")
    assert status == 200
    assert [row["class"] for row in body["predictions"]] == ["cat", "dog", "dog"]


def test_chunks_and_pipelining(tasks: Running) -> None:
    halves = (TEXT[:500], TEXT[500:])
    body = b"".join(b"%x\r\n%s\r\n" % (len(half), half) for half in halves) + b"0\r\n\r\n"
    status, _ = raw(tasks, "POST /det/1 HTTP/1.1\nHost: x\nTransfer-Encoding: chunked", body)
    assert status == 200
    one = b"POST /det/1 HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (len(TEXT), TEXT)
    last = one.replace(b"Host: x", b"Host: x\r\nConnection: close")
    with socket.create_connection(("127.0.0.1", tasks.port), 10) as connection:
        connection.sendall(one + one + last)
        reply = connection.makefile("rb").read()
    assert reply.count(b"HTTP/1.1 200 OK") == 3


def test_a_connection_on_which_nothing_is_sent(tasks: Running, caplog: pytest.LogCaptureFixture) -> None:
    """Java's and Kotlin's URL snippets open one before their GET."""
    socket.create_connection(("127.0.0.1", tasks.port), 10).close()
    assert CLIENT.get(f"{tasks.url}/info").status_code == 200
    assert not [record for record in caplog.records if record.levelname in ("ERROR", "WARNING")]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, 3), ({"confidence": 40}, 3), ({"confidence": 0.4}, 3), ({"confidence": 41}, 2), ({"confidence": 0.5}, 2),
        ({"confidence": 90}, 1), ({"confidence": 1}, 3), ({"confidence": 1.0}, 3), ({"confidence": 100}, 0),
        ({"confidence": 0}, 3), ({"confidence": ""}, 3), ({"confidence": "best"}, 3), ({"confidence": "default"}, 3),
        ({"max_detections": 10**30}, 3), ({"classes": "dog"}, 2), ({"classes": " dog , cat"}, 3), ({"classes": ""}, 3),
        ({"classes": "bird"}, 0), ({"class_filter": "cat"}, 1), ({"max_detections": 2}, 2),
        ({"max_detections": 1, "classes": "dog"}, 1),
        ({"overlap": 0}, 3), ({"overlap": 30}, 3), ({"unknown": "x", "countinference": "False"}, 3),
        ({"disable_active_learning": "False", "service_secret": "s", "source": "x"}, 3),
    ],
)  # fmt: skip
def test_parameters(tasks: Running, query: dict[str, Any], expected: int) -> None:
    found = boxes(ask(f"{tasks.url}/det/1", **query))
    assert len(found) == expected
    if "classes" in query and expected == 1:
        assert found == EVERY[1:2]  # filtered before the best is taken


def test_the_floor_and_what_equals_the_threshold(serve: Serve) -> None:
    """The tiny detector's score is the mean of a channel: exact in float32."""
    url = f"{serve().url}/tiny/1"

    def found(level: int, confidence: str) -> int:
        pixels = np.zeros((32, 32, 3), np.uint8)
        pixels[:, :, 2] = level
        body = base64.b64encode(bytes(cv2.imencode(".png", pixels)[1]))
        return len(ask(url, body, confidence=confidence).json()["predictions"])

    every = found(255, "0.99")
    assert [found(255, "1e2"), found(3, "0"), found(2, "0"), found(3, "1")] == [every, every, 0, every]  # 2/255 < 1 %


TRUE = ["true", "True", "TRUE", "1", "on", "yes", "t", "y"]
FALSE = ["false", "False", "0", "off", "no", "f", "n", ""]


@pytest.mark.parametrize("word", TRUE + FALSE)
def test_booleans(tasks: Running, word: str) -> None:
    drawn = ask(f"{tasks.url}/det/1", format="image", labels=word).content
    plain = ask(f"{tasks.url}/det/1", format="image").content
    assert (drawn != plain) == (word in TRUE)


@pytest.mark.parametrize(
    ("status", "query"),
    [
        (422, {"confidence": "x"}), (422, {"confidence": -1}), (422, {"confidence": 101}), (422, {"confidence": "nan"}),
        (422, {"confidence": "inf"}), (422, {"overlap": "x"}), (422, {"overlap": 200}), (422, {"max_detections": 0}),

        (422, {"max_detections": "9" * 5000}), (422, {"max_detections": "many"}), (422, {"labels": "maybe"}),
        (422, {"stroke": -1}), (422, {"stroke": "thick"}),
        (422, {"stroke": 10**9, "format": "image"}),
        (422, {"keypoint_confidence": "x"}), (422, {"response_mask_format": "png"}),
        (422, {"disable_preproc_auto_orient": "2"}), (400, {"mask_decode_mode": "nice"}),
        (400, {"mask_decode_mode": "tradeoff", "tradeoff_factor": 2}),
        (400, {"image_type": "numpy", "image": "x"}), (400, {"image_type": "numpy"}),
    ],
)  # fmt: skip
def test_parameters_out_of_range(tasks: Running, status: int, query: dict[str, Any]) -> None:
    refused(ask(f"{tasks.url}/det/1", **query), status)


@pytest.mark.parametrize("format", ["json", "image", "image_and_json", "other"])
def test_formats(tasks: Running, format: str) -> None:
    answer = ask(f"{tasks.url}/det/1", format=format, stroke=4)
    if format == "image":
        assert answer.headers["content-type"] == "image/jpeg"
        data = answer.content
    elif format == "image_and_json":
        assert boxes(answer) == EVERY
        data = base64.b64decode(answer.json()["visualization"], validate=True)
    else:
        assert boxes(answer) == EVERY
        assert "visualization" not in answer.json()
        return
    drawn = Image.open(io.BytesIO(data))
    assert (drawn.format, drawn.size) == ("JPEG", SIZE)
    refused(ask(f"{tasks.url}/det/1", b"AAAA", format=format), 400)


def drawn(url: str, **query: Any) -> Any:
    data = ask(url, picture(".png"), format="image", **query).content
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR).astype(int)


def changed(pixels: Any) -> Any:
    """Which pixels of the grey picture have been drawn over."""
    return (abs(pixels - 200) > 40).any(axis=2)


@pytest.mark.parametrize("stroke", [1, 3, 9])
def test_lines_are_as_thick_as_asked(tasks: Running, stroke: int) -> None:
    column = changed(drawn(f"{tasks.url}/det/1", stroke=stroke))[160, 60:140]
    assert stroke <= np.count_nonzero(column) <= stroke + 4  # colours of a JPEG have half the resolution
    assert abs(np.flatnonzero(column).mean() + 60 - 100) <= 1.5


def test_labels_stand_at_the_top_left(tasks: Running) -> None:
    plain, named = (changed(drawn(f"{tasks.url}/det/1", labels=labels)) for labels in ("off", "on"))
    extra = named & ~plain
    rows, columns = np.nonzero(extra[:, :300])
    assert 95 <= columns.min() <= 105
    assert rows.max() <= 122
    assert extra.sum() > 200


def test_drawings_of_other_tasks(tasks: Running) -> None:
    url = tasks.url
    points = changed(drawn(f"{url}/pose/1", stroke=6))
    assert points[140, 160]
    assert points[160, 200]
    outline = changed(drawn(f"{url}/seg/1", stroke=3))
    assert outline[160, 200]  # the mask's right edge
    assert not outline[160, 150]  # not filled
    corners = changed(drawn(f"{url}/obb/1", stroke=3))
    assert corners[61:64, 276:280].any()
    for id in ("cls/1", "multi/1"):
        rows, columns = np.nonzero(changed(drawn(f"{url}/{id}")))
        assert rows.min() < 10
        assert columns.min() < 10
    assert not changed(drawn(f"{url}/cls/1", confidence=0.9)).any()  # nothing over the threshold: no banner
    overlay = changed(drawn(f"{url}/sem/1"))
    assert overlay[200:, 330:].all()
    assert not overlay[200:, :310].any()


def test_detections(tasks: Running) -> None:
    body = ask(f"{tasks.url}/det/1").json()
    assert set(body) == {"inference_id", "time", "image", "predictions"}
    first, second, _ = body["predictions"]
    assert list(first) == ["x", "y", "width", "height", "confidence", "class", "class_id", "detection_id"]
    assert [first[name] for name in ("x", "y", "width", "height")] == [200.0, 160.0, 200.0, 80.0]
    assert first["detection_id"] != second["detection_id"]


def test_keypoints(tasks: Running) -> None:
    url = f"{tasks.url}/pose/1"
    rows = ask(url).json()["predictions"]
    assert [point["class_id"] for point in rows[0]["keypoints"]] == [0, 1, 2]
    assert all(point["class"] == point["class_name"] for point in rows[0]["keypoints"])
    assert (rows[0]["keypoints"][0]["x"], rows[0]["keypoints"][0]["y"]) == (160.0, 140.0)
    rows = ask(url, keypoint_confidence=0.5).json()["predictions"]
    assert [[point["class_id"] for point in row["keypoints"]] for row in rows] == [[0, 1], [0, 1]]
    refused(ask(url, confidence="best"), 422)


def test_instance_segmentation(tasks: Running) -> None:
    url = f"{tasks.url}/seg/1"
    cat, dog = ask(url).json()["predictions"]
    for row in (cat, dog):
        assert row["mask_format"] == "polygon"
        assert "rle" not in row
        assert len(row["points"]) >= 3
        assert row["points"][0] != row["points"][-1]
    assert {(point["x"], point["y"]) for point in cat["points"]} == {(100, 120), (200, 120), (200, 200), (100, 200)}
    for query in ({"mask_decode_mode": "fast"}, {"mask_decode_mode": "tradeoff", "tradeoff_factor": 0.5}):
        assert len(ask(url, **query).json()["predictions"]) == 2
    cat, _ = ask(url, response_mask_format="rle").json()["predictions"]
    assert cat["mask_format"] == "rle"
    assert "points" not in cat
    assert cat["rle"]["size"] == [SIZE[1], SIZE[0]]
    mask = unpacked(cat["rle"]["counts"], SIZE[0], SIZE[1])
    assert np.count_nonzero(mask) == 100 * 80
    assert mask[120:200, 100:200].all()


def unpacked(counts: str, width: int, height: int) -> Any:
    """COCO's compressed run lengths, column by column: 5 bits a character, differences to the run before last."""
    runs: list[int] = []
    position = 0
    while position < len(counts):
        value, shift, more = 0, 0, True
        while more:
            number = ord(counts[position]) - 48
            value |= (number & 0x1F) << shift
            more = bool(number & 0x20)
            position, shift = position + 1, shift + 5
            if not more and number & 0x10:
                value |= -1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
    flat = np.repeat(np.arange(len(runs)) % 2, runs)
    return flat.reshape(width, height).T


def test_single_label_classification(tasks: Running) -> None:
    url = f"{tasks.url}/cls/1"
    body = ask(url).json()
    assert body["predictions"] == [{"class": "c6", "class_id": 6, "confidence": 0.52}]
    assert (body["top"], body["confidence"]) == ("c6", 0.52)
    body = ask(url, confidence=1).json()
    assert [row["class_id"] for row in body["predictions"]] == [6, 4, 3, 2, 1]  # not 0.0065, which lies below 1 %
    assert body["predictions"][2]["confidence"] == round(SCORES[3], 4)
    body = ask(url, confidence=0.6).json()
    assert (body["predictions"], body["top"], body["confidence"]) == ([], "", 0.0)


def test_every_class_above_the_threshold_not_five(serve: Serve, tmp_path: Any) -> None:
    from tests.families.constant import make_constant

    logits = np.zeros((1, 20), np.float32)
    model = make_constant(tmp_path / "c.onnx", {"images": ("float32", (1, 3, 32, 32))}, {"probabilities": logits},
                          {"probabilities": "Softmax"})  # fmt: skip
    body = ask(f"{serve({'c/1': model}).url}/c/1", confidence=0.01).json()
    assert len(body["predictions"]) == 20


def test_multi_label_classification(tasks: Running) -> None:
    body = ask(f"{tasks.url}/multi/1", confidence=0.71).json()
    assert list(body["predictions"]) == ["a", "b", "c"]
    for row, expected in zip(body["predictions"].values(), SEVERAL, strict=True):
        assert row["confidence"] == pytest.approx(expected, abs=1e-6)
    assert body["predicted_classes"] == ["a"]
    assert ask(f"{tasks.url}/multi/1", confidence=0.7).json()["predicted_classes"] == ["a", "c"]
    assert body["image"] == {"width": SIZE[0], "height": SIZE[1]}
    assert not {"top", "confidence"} & set(body)


def test_semantic_segmentation(tasks: Running) -> None:
    body = ask(f"{tasks.url}/sem/1").json()
    nested = body["predictions"]
    assert body["segmentation_mask"] == nested["segmentation_mask"]
    assert body["class_map"] == nested["class_map"] == {"0": "background", "1": "road", "2": "sky"}
    assert nested["present_class_ids"] == [0, 1]
    mask, sure = (
        cv2.imdecode(np.frombuffer(base64.b64decode(nested[name]), np.uint8), cv2.IMREAD_UNCHANGED)
        for name in ("segmentation_mask", "confidence_mask")
    )
    assert mask.shape == sure.shape == (SIZE[1], SIZE[0])
    assert mask.dtype == np.uint8
    assert (mask[:, :320] == 0).all()
    assert (mask[:, 320:] == 1).all()


def test_oriented_boxes(tasks: Running) -> None:
    (row,) = ask(f"{tasks.url}/obb/1").json()["predictions"]
    points = np.array([(point["x"], point["y"]) for point in row["points"]])
    assert points.mean(axis=0) == pytest.approx((320, 160), abs=0.01)
    assert np.hypot(*(points[1] - points[0])) == pytest.approx(200, abs=0.01)
    assert row["width"] == pytest.approx(np.ptp(points[:, 0]), abs=0.01)
    assert row["class"] == NAMES[0]


def test_forms_and_urls_that_make_no_sense(tasks: Running) -> None:
    url = f"{tasks.url}/det/1"
    assert "`file`" in refused(CLIENT.post(url, files={"image": JPEG}), 400)
    assert "`file`" in refused(ask(url, b"--x--\r\n", "multipart/form-data; boundary=x"), 400)
    assert "boundary" in refused(ask(url, b"x", "multipart/form-data"), 400)
    refused(ask(url, b"--x\r\nnonsense", "multipart/form-data; boundary=x"), 400)
    refused(CLIENT.get(url), 400)
    for image in ("file:///etc/passwd", "ftp://a/b", "http://10.0.0.1/a.jpg", "nonsense", "http://[::1]/a"):
        refused(CLIENT.get(url, params={"image": image}), 400)


@pytest.mark.parametrize("id", ["det/1", "pose/1", "seg/1", "obb/1", "cls/1", "multi/1", "tiny/1"])
def test_answers_are_those_of_a_run(tasks: Running, run: Any, tmp_path: Path, id: str) -> None:
    """The same picture as a source of the pipeline, at the same thresholds, as records of the payload `roboflow`."""
    cells = np.random.default_rng(1).integers(0, 256, (10, 20, 3), np.uint8).repeat(32, axis=0).repeat(32, axis=1)
    cv2.imwrite(str(tmp_path / "a.png"), cells)
    sink = Collecting()
    model = tasks.server.registry.find(id).request.path
    run(make_job(model, {"a": str(tmp_path / "a.png")}, [sink], confidence=0.39, iou=0.3, runtime="onnx"))
    wanted = roboflow.answer(sink.results[0].predictions)
    body = ask(f"{tasks.url}/{id}", (tmp_path / "a.png").read_bytes(), confidence=0.39).json()
    for row in body["predictions"] if isinstance(body["predictions"], list) else []:
        row.pop("detection_id", None)
    assert {name: body[name] for name in wanted} == json.loads(json.dumps(wanted))
    assert body["predictions"]


def test_inference_goes_before_descriptions_of_projects(serve: Serve, host: str, detector: Path) -> None:
    """`GET /{a}/{b}` with `image=` is inference also where {a} is the name of the workspace."""
    url = serve(models={"vidette/1": detector, "det/1": detector}, fetch={"hosts": ["127.0.0.1"]}).url
    assert boxes(CLIENT.get(f"{url}/vidette/1", params={"image": f"{host}/a.png"}))
    assert CLIENT.get(f"{url}/vidette/det").json()["project"]["id"] == "vidette/det"


def test_unknown_models(tasks: Running) -> None:
    message = refused(ask(f"{tasks.url}/det/2"), 404)
    assert "det/1" in message
    refused(ask(f"{tasks.url}/nobody/knows"), 404)


def test_keys(serve: Serve) -> None:
    keys = [{"name": "a", "key": "right"}, {"name": "m", "key": "other", "scopes": ["stream"]}]
    url = f"{serve(keys=keys).url}/tiny/1"
    body = base64.b64encode(encoded())
    assert ask(url, body, api_key="right").status_code == 200
    refused(ask(url, body, api_key="wrong"), 401)
    refused(ask(url, body), 401)
    answer = ask(url, body, api_key="other")
    refused(answer, 403)
    assert answer.json()["Message"] == answer.json()["message"]  # the hosted API's spelling


def test_one_corrupt_picture_among_fifteen_good_ones(tasks: Running) -> None:
    """At the same instant, in the batches that they share."""
    url = f"{tasks.url}/tiny/1"
    bodies = [base64.b64encode(encoded(colour)) for colour in ("red", "green", "blue") * 5]
    bodies.insert(7, base64.b64encode(encoded()[:-30]))
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda body: ask(url, body), bodies))
    assert [answer.status_code for answer in answers] == [200] * 7 + [400] + [200] * 8
    good = [answer for answer in answers if answer.status_code == 200]
    for answer, colour in zip(good, ("red", "green", "blue") * 5, strict=True):
        assert {row["class"] for row in answer.json()["predictions"]} == {colour}


def test_old_clients_load_and_clear(tasks: Running) -> None:
    assert CLIENT.get(f"{tasks.url}/start/det/1").json()["status"] == 200
    assert CLIENT.get(f"{tasks.url}/clear_cache").status_code == 200
    refused(CLIENT.get(f"{tasks.url}/start/det/9"), 404)


def test_a_threshold_beyond_all_scores_is_quietly_one_that_nothing_reaches() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert at_least(1e300) > 1e38
    assert 0.399 < at_least(0.4) < np.float32(0.4)
