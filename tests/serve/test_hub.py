"""Ultralytics HUB: forms with a picture or video, rows of every task, ranges, and the video that is the run's."""

import base64
import json
import tempfile
import threading
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.cli.console import start
from tests.serve.conftest import Running, Serve, encoded
from tests.serve.tasks import SIZE, certain, overlapping, picture, stripes, write_clip
from tests.serve.waiting import wait_for

CLIENT = httpx.Client()


def ask(
    running: Running, model: str | None = "det/1", path: str = "/", file: Any = None, **fields: Any
) -> httpx.Response:
    data = {name: str(value) for name, value in fields.items()} | ({"model": model} if model else {})
    return CLIENT.post(f"{running.url}{path}", files={"file": picture() if file is None else file}, data=data)


def rows(answer: httpx.Response) -> list[dict[str, Any]]:
    assert answer.status_code == 200, answer.text
    (image,) = answer.json()["images"]
    assert image["shape"] == [SIZE[1], SIZE[0]]
    found: list[dict[str, Any]] = image["results"]
    return found


def refused(answer: httpx.Response, status: int) -> str:
    assert answer.status_code == status, answer.text
    assert "Traceback" not in answer.text
    body = answer.json()
    assert body["detail"]
    message: str = body["message"]
    assert "\n" not in message
    return message


def test_an_answer_has_all_that_typed_clients_read(tasks: Running) -> None:
    body = ask(tasks).json()
    (image,) = body["images"]
    assert set(image["speed"]) == {"preprocess", "inference", "postprocess"}
    assert all(isinstance(value, float) for value in image["speed"].values())
    told = body["metadata"]
    assert told["imageCount"] == 1
    assert (told["model"], told["task"]) == ("det/1", "detect")
    assert isinstance(told["functionTimeCall"], float)
    assert isinstance(told["functionTimeAlive"], float)
    assert {"ultralytics", "torch", "torchvision", "python"} <= set(told["version"])
    assert all(isinstance(value, str) for value in told["version"].values())


@pytest.mark.parametrize(
    "model",
    [
        "det/1",
        "MODEL_ID",
        "https://hub.ultralytics.com/models/MODEL_ID",
        "https://hub.ultralytics.com/models/MODEL_ID/",
    ],
)
@pytest.mark.parametrize("path", ["/", "/predict"])
def test_names_of_models(tasks: Running, model: str, path: str) -> None:
    assert len(rows(ask(tasks, model, path))) == 3


def test_models_by_path_and_the_only_one(tasks: Running, serve: Serve) -> None:
    assert len(rows(ask(tasks, None, "/api/models/det/1/predict"))) == 3
    assert len(rows(ask(tasks, None, "/api/models/MODEL_ID/predict"))) == 3
    refused(ask(tasks, None), 422)
    refused(ask(tasks, "nobody"), 404)
    assert ask(serve(), None, file=encoded()).status_code == 200


def test_detect(tasks: Running) -> None:
    first, *_ = rows(ask(tasks))
    assert first == {
        "name": "cat",
        "class": 0,
        "confidence": 0.9,
        "box": {"x1": 100.0, "y1": 120.0, "x2": 300.0, "y2": 200.0},
    }
    assert len(rows(ask(tasks, conf=0.5))) == 2
    assert rows(ask(tasks, conf=1.0)) == []


def test_segment(tasks: Running) -> None:
    first, second = rows(ask(tasks, "seg/1"))
    assert sorted(zip(*first["segments"].values(), strict=True)) == [(100, 120), (100, 200), (200, 120), (200, 200)]
    assert len(second["segments"]["x"]) == len(second["segments"]["y"]) >= 3


def test_pose(tasks: Running) -> None:
    first, _ = rows(ask(tasks, "pose/1"))
    assert first["keypoints"] == {"x": [160.0, 200.0, 240.0], "y": [140.0, 160.0, 180.0], "visible": [0.9, 0.5, 0.1]}


def test_oriented(tasks: Running) -> None:
    (row,) = rows(ask(tasks, "obb/1"))
    assert list(row["box"]) == ["x1", "y1", "x2", "y2", "x3", "y3", "x4", "y4"]


@pytest.mark.parametrize("conf", [None, 0.99])
def test_classify_answers_five_whatever_conf_is(tasks: Running, conf: float | None) -> None:
    found = rows(ask(tasks, "cls/1", **({"conf": conf} if conf else {})))
    assert [row["class"] for row in found] == [6, 4, 3, 2, 1]
    assert found[0] == {"name": "c6", "class": 6, "confidence": 0.52}
    assert [row["name"] for row in rows(ask(tasks, "multi/1"))] == ["a", "c", "b"]


def test_classify_answers_five_also_where_scores_are_zero(serve: Serve, tmp_path: Path) -> None:
    found = rows(ask(serve({"c": certain(tmp_path / "c.onnx")}), "c"))
    assert [row["confidence"] for row in found] == [1, 0, 0, 0, 0]


def test_semantic(tasks: Running) -> None:
    answer = ask(tasks, "sem/1")
    found = [(row["name"], row["class"], row["pixel_ratio"]) for row in rows(answer)]
    assert sorted(found) == [("background", 0, 0.5), ("road", 1, 0.5)]
    mask = answer.json()["images"][0]["semantic_mask"]
    assert (mask["shape"], mask["encoding"]) == ([SIZE[1], SIZE[0]], "png")
    assert base64.b64decode(mask["data"]).startswith(b"\x89PNG")


def test_every_class_of_a_semantic_map_is_told(serve: Serve, tmp_path: Path) -> None:
    assert len(rows(ask(serve({"s": stripes(tmp_path / "s.onnx")}), "s"))) == 8


@pytest.mark.parametrize(
    "fields",
    [{"conf": 0}, {"conf": 1.1}, {"conf": "x"}, {"conf": "nan"}, {"iou": 0.96}, {"iou": -0.1}, {"imgsz": 31},
     {"imgsz": 1281}, {"imgsz": 640.5}, {"imgsz": "x"}, {"decimals": -1}, {"decimals": 11}, {"decimals": 1.5}],
)  # fmt: skip
def test_documented_ranges(tasks: Running, fields: dict[str, Any]) -> None:
    (name,) = fields
    assert refused(ask(tasks, **fields), 422).startswith(f"{name}: ")


def test_imgsz(tasks: Running) -> None:
    assert "x-vidette-note" in ask(tasks, imgsz=640).headers
    answer = ask(tasks, "tiny/1", file=encoded(size=(320, 320)), imgsz=160)
    assert "x-vidette-note" not in answer.headers
    assert len(answer.json()["images"][0]["results"]) == 25  # cells of 32 pixels in 160x160


def numbers(row: dict[str, Any]) -> dict[str, float]:
    """Every number of a row by where it stands, coordinates apart from the rest by their last letter but one."""
    found: dict[str, float] = {}
    for name, value in row.items():
        if isinstance(value, dict):
            for axis, given in value.items():
                for index, each in enumerate(given if isinstance(given, list) else [given]):
                    found[f"{name} {index} {axis}"] = each
        elif name not in ("name", "class"):
            found[name] = value
    return found


TASKS = ["det/1", "seg/1", "pose/1", "obb/1", "cls/1", "multi/1", "sem/1"]


@pytest.mark.parametrize("model", TASKS)
@pytest.mark.parametrize("path", ["/", "/predict", "/api/models/{}/predict"])
def test_normalize_makes_parts_of_the_pictures_sides(tasks: Running, model: str, path: str) -> None:
    plain, parts = rows(ask(tasks, model)), rows(ask(tasks, model, path.format(model), normalize="True"))
    assert [row["name"] for row in plain] == [row["name"] for row in parts]
    for before, after in zip(plain, parts, strict=True):
        wanted = {
            where: value / SIZE["xy".index(where.split()[2][0])] if where[-1] != "e" else value  # visible, confidence
            for where, value in numbers(before).items()
            if where not in ("confidence", "pixel_ratio")
        }
        found = numbers(after)
        for name in ("confidence", "pixel_ratio"):
            assert found.pop(name, None) == before.get(name)
        assert found == pytest.approx(wanted, abs=1.1e-5)
        assert all(0 <= value <= 1 for value in found.values())
    assert rows(ask(tasks, model, normalize="false")) == plain


@pytest.mark.parametrize("model", TASKS)
@pytest.mark.parametrize("decimals", [0, 2, 10])
def test_decimals_are_of_every_number(tasks: Running, model: str, decimals: int) -> None:
    fine = rows(ask(tasks, model, normalize=1, decimals=10))
    found = rows(ask(tasks, model, normalize=1, decimals=decimals))
    for exact, row in zip(fine, found, strict=True):
        assert numbers(row) == pytest.approx(numbers(exact), abs=0.5 * 10**-decimals + 1e-12)
        assert all(value == round(value, decimals) for value in numbers(row).values())
    assert model == "sem/1" or any(value != round(value, 5) for row in fine for value in numbers(row).values())


def test_how_frames_of_a_video_are_written(tasks: Running, tmp_path: Path) -> None:
    write_clip(clip := tmp_path / "clip.mkv")
    file = ("clip.mkv", clip.read_bytes())
    body = ask(tasks, "tiny/1", file=file, normalize="yes", decimals=1).json()
    values = [value for image in body["images"] for row in image["results"] for value in row["box"].values()]
    assert len(values) > 100
    assert {value * 10 for value in values} <= set(range(11))


def test_bits_are_of_depth_maps_only(tasks: Running) -> None:
    for bits in (8, 12, 16):
        assert rows(ask(tasks, bits=bits)) == rows(ask(tasks))
    assert refused(ask(tasks, bits=9), 422).startswith("bits: ")
    assert refused(ask(tasks, normalize="perhaps"), 422).startswith("normalize: ")


def test_the_platforms_overlap(serve: Serve, tmp_path: Path) -> None:
    """Two boxes of the same class that share 0.6 of what they cover."""
    running = serve({"a/1": overlapping(tmp_path / "a.onnx")})
    counts = [len(ask(running, "a/1", path).json()["images"][0]["results"]) for path in ("/", "/predict")]
    assert counts == [1, 1]
    for iou, many in ((None, 2), (0.45, 1)):
        answer = ask(running, None, "/api/models/a/1/predict", **({} if iou is None else {"iou": iou}))
        assert len(answer.json()["images"][0]["results"]) == many


def test_forms_of_the_picture(tasks: Running, host: str) -> None:
    url, text = tasks.url, base64.b64encode(picture()).decode()
    boundary = {"Content-Type": "multipart/form-data; boundary=x"}

    def form(*parts: tuple[str, str]) -> httpx.Response:
        body = (
            "".join(f'--x\r\nContent-Disposition: form-data; name="{n}"\r\n\r\n{v}\r\n' for n, v in parts) + "--x--\r\n"
        )
        return CLIENT.post(url + "/", content=body, headers=boundary)

    for name, value in (
        ("file", f"{host}/a.jpg"),
        ("source", f"{host}/a.png"),
        ("url", f"{host}/a.jpg"),
        ("source", text),
    ):
        assert len(rows(form((name, value), ("model", "det/1")))) == 3
        assert len(rows(form(("model", "det/1"), ("conf", "0.25"), (name, value)))) == 3  # the order does not matter
    refused(form(("model", "det/1")), 400)
    assert "boundary" in refused(
        CLIENT.post(url + "/", content=b"x", headers={"Content-Type": "multipart/form-data"}), 400
    )
    refused(CLIENT.post(url + "/", data={"model": "det/1", "conf": "0.25"}), 400)
    refused(CLIENT.post(url + "/"), 400)


@pytest.mark.parametrize("file", [b"hello", picture()[:-30], picture(".jpg")[:500], b"\0" * 1000])
def test_what_is_no_picture(tasks: Running, file: bytes) -> None:
    assert refused(ask(tasks, file=file), 400).startswith("Could not load input image. Cause: ")


@pytest.mark.parametrize(
    "file", [b"\0\0\0\x18ftypisom" + bytes(100), b"RIFF\0\0\0\0AVI " + bytes(100), b"\x1aE\xdf\xa3"]
)
def test_what_is_no_video(tasks: Running, file: bytes) -> None:
    assert refused(ask(tasks, file=file), 400).startswith("Could not read the video: ")


def test_a_video_is_what_vidette_run_makes_of_it(tasks: Running, detector: Path, tmp_path: Path) -> None:
    clip, target = tmp_path / "clip.mkv", tmp_path / "out.jsonl"
    write_clip(clip)
    options = ("--confidence", "0.25", "--iou", "0.45", "--runtime", "onnx", "--format", "ultralytics")
    run = start("run", clip, "--model", detector, "--sink", target, *options, cwd=tmp_path)
    said = run.communicate(timeout=100)[1]
    assert run.returncode == 0, said
    wanted = [json.loads(line)["predictions"] for line in target.read_text().splitlines()]
    body = ask(tasks, "tiny/1", file=("clip.mkv", clip.read_bytes(), "video/x-matroska")).json()
    assert body["metadata"]["imageCount"] == len(body["images"]) == len(wanted) == 5
    assert [image["results"] for image in body["images"]] == wanted
    assert all(len(found) > 20 for found in wanted)
    assert len({str(found) for found in wanted}) == 5  # every frame is another


def test_a_video_that_is_longer_than_the_server_takes_says_so(serve: Serve, tmp_path: Path) -> None:
    clip = tmp_path / "clip.mkv"
    write_clip(clip)  # five frames
    for most, said in ((5, None), (3, "only the first 3 frames")):
        running = serve(limits={"video_frames": most})
        body = ask(running, "tiny/1", file=("clip.mkv", clip.read_bytes(), "video/x-matroska")).json()
        assert body["metadata"]["imageCount"] == len(body["images"]) == most
        assert body["metadata"].get("error", "").startswith(said or "")
        assert ("error" in body["metadata"]) == (said is not None)


def test_who_leaves_within_a_video_leaves_no_file(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip, kept = tmp_path / "clip.mkv", tmp_path / "kept"
    write_clip(clip, 30)  # more than are under way at once: the file is needed until the end
    kept.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(kept))
    running = serve()
    held = running.server.registry.find("tiny/1")
    lane: Any = held.lane
    plain, calls, release = lane.model.session.run, count(), threading.Event()

    def slow(*args: Any, **kwargs: Any) -> Any:
        if next(calls) > 8:  # as many as are under way at once: the first frame is among them
            release.wait(60)
        return plain(*args, **kwargs)

    lane.model.session.run = slow
    form: Any = {"files": {"file": ("clip.mkv", clip.read_bytes())}, "data": {"model": "tiny/1"}}
    with httpx.stream("POST", running.url, **form) as answer:
        chunks = answer.iter_bytes()  # kept: httpx hangs up when it is collected
        next(chunks)
        assert len(list(kept.iterdir())) == 1
    wait_for(lambda: not list(kept.iterdir()) and not held.busy)
    release.set()
    assert httpx.post(running.url, **form).json()["metadata"]["imageCount"] == 30
    wait_for(lambda: not list(kept.iterdir()))


def test_a_video_has_a_seat_until_its_end(serve: Serve, tmp_path: Path) -> None:
    clip = tmp_path / "clip.mkv"
    write_clip(clip, 30)
    running = serve()
    held = running.server.registry.find("tiny/1")
    lane: Any = held.lane
    plain, calls, release = lane.model.session.run, count(), threading.Event()

    def slow(*args: Any, **kwargs: Any) -> Any:
        if next(calls) > 8:  # as many as are under way at once: the first frame is among them
            release.wait(60)
        return plain(*args, **kwargs)

    lane.model.session.run = slow
    form: Any = {"files": {"file": ("clip.mkv", clip.read_bytes())}, "data": {"model": "tiny/1"}}
    with httpx.stream("POST", running.url, **form) as answer:
        chunks = answer.iter_bytes()  # kept: httpx hangs up when it is collected
        next(chunks)
        assert running.server._seated == 1
    wait_for(lambda: running.server._seated == 0 and not held.busy)
    release.set()


def test_frames_of_a_video_wait_for_room(serve: Serve, tmp_path: Path) -> None:
    clip = tmp_path / "clip.mkv"
    write_clip(clip, 30)
    form: Any = {"files": {"file": ("clip.mkv", clip.read_bytes())}, "data": {"model": "tiny/1"}}
    metadata = httpx.post(serve(limits={"waiting": 2}).url, **form).json()["metadata"]
    assert metadata["imageCount"] == 30
    assert "error" not in metadata


def test_the_form_of_before_2024(tasks: Running) -> None:
    def old(model: str, **fields: str) -> dict[str, Any]:
        answer = CLIENT.post(f"{tasks.url}/v1/predict/{model}", files={"image": picture()}, data=fields)
        body: dict[str, Any] = answer.json()
        assert body["success"] is (answer.status_code == 200)
        return body

    body = old("MODEL_ID", size="640", confidence="0.5")
    assert body["message"] == "Inference complete."
    cat, dog = body["data"]
    assert (cat["name"], cat["class"], dog["name"]) == ("cat", 0, "dog")
    assert [cat[name] for name in ("xcenter", "ycenter", "width", "height")] == [0.3125, 0.5, 0.3125, 0.25]
    assert len(old("seg/1")["data"][0]["segment"]) == 8
    assert old("pose/1")["data"][0]["keypoints"][:3] == [0.25, 0.4375, 0.9]
    assert len(old("obb/1")["data"][0]["obb"]) == 8
    assert (
        old("det/1", normalize="true", decimals="0", bits="x")["data"][0]["xcenter"] == 0.3125
    )  # it has no such fields
    assert old("cls/1")["data"][0] == {"class": 6, "name": "c6", "confidence": 0.52}
    for refusal in (old("nobody"), old("det/1", confidence="7")):
        assert (refusal["data"], isinstance(refusal["message"], str)) == ({}, True)


def test_an_animated_gif_is_a_video_here(tasks: Running) -> None:
    from tests.serve.test_odd_pictures import animated

    body = ask(tasks, file=("a.gif", animated(), "image/gif")).json()
    assert body["metadata"]["imageCount"] == len(body["images"]) > 1


def test_keys_and_rates(serve: Serve) -> None:
    url = serve(keys=[{"name": "a", "key": "right"}], rate={"requests": 2, "window": "1h"}).url

    def answer(**headers: str) -> httpx.Response:
        return CLIENT.post(f"{url}/", files={"file": encoded()}, headers=headers)

    refused(answer(**{"x-api-key": "wrong"}), 401)
    refused(answer(), 401)
    assert answer(**{"x-api-key": "right"}).status_code == 200
    assert answer(Authorization="Bearer right").status_code == 200
    over = answer(**{"x-api-key": "right"})
    refused(over, 429)
    assert int(over.headers["retry-after"]) > 0


def test_failures_are_told_as_error_too(serve):
    answer = httpx.post(f"{serve().url}/predict", files={"file": b"no picture"})
    assert answer.status_code == 400
    assert answer.json()["error"] == answer.json()["message"]
