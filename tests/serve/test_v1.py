"""Roboflow's inference server, API v1: registry, batches, fields, refusals."""

import asyncio
import base64
import uuid
from typing import Any

import httpx
import pytest

from tests.serve.conftest import Running, Serve, encoded
from tests.serve.tasks import SIZE, picture

CLIENT = httpx.Client()
NULLS = ("total_vram_bytes", "gpu_memory_used", "gpu_memory_total", "torch_cuda_allocated", "torch_cuda_reserved",
         "torch_cuda_allocator_cache", "non_torch_gpu_memory")  # fmt: skip
ROUTES = {
    "det/1": ("object-detection", "object_detection"), "obb/1": ("object-detection", "object_detection"),
    "pose/1": ("keypoint-detection", "keypoints_detection"), "cls/1": ("classification", "classification"),
    "seg/1": ("instance-segmentation", "instance_segmentation"), "multi/1": ("classification", "classification"),
    "sem/1": ("semantic-segmentation", "semantic_segmentation"),
}  # fmt: skip
"""Model -> its task in the registry, its route."""


def image(data: bytes | None = None) -> dict[str, str]:
    return {"type": "base64", "value": base64.b64encode(picture() if data is None else data).decode()}


def ask(running: Running, model: str = "det/1", route: str | None = None, **fields: Any) -> httpx.Response:
    body = {"model_id": model, "image": image(), "api_key": "KEY"} | fields
    return CLIENT.post(f"{running.url}/infer/{route or ROUTES[model][1]}", json=body)


def found(answer: httpx.Response) -> list[tuple[str, float]]:
    assert answer.status_code == 200, answer.text
    return [(row["class"], round(row["confidence"], 3)) for row in answer.json()["predictions"]]


def refused(answer: httpx.Response, status: int) -> str:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert "Traceback" not in answer.text
    message: str = answer.json()["message"]
    assert message
    assert "\n" not in message
    return message


EVERY = [("cat", 0.9), ("dog", 0.6), ("dog", 0.4)]


def test_the_registry_has_its_nulls(tasks: Running) -> None:
    for id in ROUTES:
        CLIENT.post(f"{tasks.url}/model/add", json={"model_id": id})
    body = CLIENT.get(f"{tasks.url}/model/registry", params={"api_key": "None"}).json()
    assert [body[name] for name in NULLS] == [None] * len(NULLS)
    models = {model["model_id"]: model for model in body["models"]}
    for id, (task, route) in ROUTES.items():
        assert models[id]["task_type"] == task
        assert (models[id]["input_width"], models[id]["input_height"]) == (320, 320)
        assert models[id]["request_paths"] == [f"/infer/{route}"]
    assert models["tiny/1"]["input_width"] is None
    assert models["tiny/1"]["batch_size"] is None


def test_models_come_and_go(serve: Serve) -> None:
    url = serve().url

    def loaded(answer: httpx.Response) -> list[str]:
        return [model["model_id"] for model in answer.json()["models"]]

    assert loaded(CLIENT.get(f"{url}/model/registry")) == ["tiny/1"]
    assert loaded(CLIENT.post(f"{url}/model/remove", json={"model_id": "tiny/1"})) == []
    assert loaded(CLIENT.post(f"{url}/model/remove", json={"model_id": "tiny/1"})) == []  # not loaded: skipped
    assert loaded(CLIENT.post(f"{url}/model/add", json={"model_id": "tiny/1", "api_key": None})) == ["tiny/1"]
    assert loaded(CLIENT.post(f"{url}/model/clear", headers={"Content-Type": "application/octet-stream"})) == []
    body = {"model_id": "tiny/1", "image": image(encoded())}
    assert CLIENT.post(f"{url}/infer/object_detection", json=body).status_code == 200  # comes back by itself
    assert loaded(CLIENT.get(f"{url}/model/registry")) == ["tiny/1"]
    refused(CLIENT.post(f"{url}/model/add", json={"model_id": "tiny/2"}), 404)
    refused(CLIENT.post(f"{url}/model/add", content=b"not json"), 422)


def test_an_alias_is_listed_under_the_name_that_was_asked_for(tasks: Running) -> None:
    models = CLIENT.post(f"{tasks.url}/model/add", json={"model_id": "coco/3"}).json()["models"]
    assert {"coco/3", "det/1"} <= {model["model_id"] for model in models}
    assert found(ask(tasks, "coco/3", "object_detection")) == EVERY


def test_one_and_many(tasks: Running) -> None:
    single = ask(tasks).json()
    assert single["image"] == {"width": SIZE[0], "height": SIZE[1]}
    (alone,) = ask(tasks, image=[image()]).json()  # a list of one gives a list of one
    assert alone["predictions"][0]["class"] == "cat"
    colours = ("red", "green", "blue", "green")
    body = {"model_id": "tiny/1", "image": [image(encoded(colour)) for colour in colours], "id": "mine"}
    answers = CLIENT.post(f"{tasks.url}/infer/object_detection", json=body).json()
    assert [{row["class"] for row in answer["predictions"]} for answer in answers] == [{c} for c in colours]
    assert [answer["inference_id"] for answer in answers] == ["mine"] * 4
    assert len({answer["time"] for answer in answers}) == 1  # one clock for all
    uuid.UUID(single["inference_id"])
    assert ask(tasks, image=[]).json() == []


def test_a_batch_with_one_broken_picture_names_it(tasks: Running) -> None:
    message = refused(ask(tasks, image=[image(), image(picture()[:-30]), image()]), 400)
    assert "picture 1" in message
    refused(ask(tasks, image=[image()] * 65), 413)


def test_a_list_that_can_never_wait_is_no_503(serve: Serve) -> None:
    running = serve(limits={"waiting": 3})
    assert ask(running, "tiny/1", "object_detection", image=[image()] * 3).status_code == 200
    assert "takes 3" in refused(ask(running, "tiny/1", "object_detection", image=[image()] * 4), 413)


@pytest.mark.parametrize("model", ROUTES)
def test_the_models_task_decides_and_the_route_is_a_hint(tasks: Running, model: str) -> None:
    answers = [ask(tasks, model, route) for _, route in ROUTES.values()]
    assert [answer.status_code for answer in answers] == [200] * len(ROUTES)
    assert len({str(sorted(answer.json())) for answer in answers}) == 1


def test_semantic_maps_are_nested_only(tasks: Running) -> None:
    body = ask(tasks, "sem/1").json()
    assert "segmentation_mask" in body["predictions"]
    assert "segmentation_mask" not in body


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, 3), ({"confidence": 0.5}, 2), ({"confidence": 0.4}, 3), ({"confidence": 40}, 0), ({"confidence": 0}, 3),
        ({"confidence": 1}, 0), ({"confidence": None}, 3), ({"confidence": "best"}, 3), ({"confidence": "default"}, 3),
        ({"class_filter": ["dog"]}, 2), ({"class_filter": None}, 3), ({"class_filter": []}, 0),
        ({"class_filter": ["dog"], "max_detections": 1}, 1), ({"max_detections": 2}, 2), ({"max_candidates": 1}, 1),
        ({"max_detections": 10**25}, 3), ({"iou_threshold": 0.0, "class_agnostic_nms": True}, 3),
        ({"fix_batch_size": True, "tradeoff_factor": 0.3, "model_type": "x", "start": 1.0, "unknown": [1]}, 3),
        ({"disable_active_learning": True, "usage_billable": True, "source": None, "source_info": None}, 3),
    ],
)  # fmt: skip
def test_fields(tasks: Running, fields: dict[str, Any], expected: int) -> None:
    assert len(found(ask(tasks, **fields))) == expected


@pytest.mark.parametrize(
    ("status", "fields"),
    [
        (422, {"confidence": "x"}), (422, {"confidence": -0.1}), (422, {"iou_threshold": 3}), (422, {"image": None}),
        (422, {"image": "text"}), (422, {"image": {"type": "base64"}}), (422, {"model_id": None}),
        (422, {"max_detections": 0}), (422, {"visualization_stroke_width": 10**9}), (422, {"class_filter": "dog"}),
        (422, {"response_mask_format": "png"}), (400, {"mask_decode_mode": "nice"}),
        (400, {"mask_decode_mode": "tradeoff", "tradeoff_factor": 2}),
        (400, {"image": {"type": "numpy", "value": "gASVCg=="}}), (400, {"image": {"type": "file", "value": "/etc/x"}}),
        (400, {"image": {"type": "multipart", "value": "x"}}), (400, {"image": {"type": "base64", "value": ""}}),
        (400, {"image": {"type": "base64", "value": "AAAA"}}), (400, {"image": {"type": "url", "value": "nonsense"}}),
        (400, {"image": {"type": "url", "value": "file:///etc/passwd"}}), (404, {"model_id": "det/9"}),
    ],
)  # fmt: skip
def test_what_makes_no_sense(tasks: Running, status: int, fields: dict[str, Any]) -> None:
    answer = ask(tasks, **fields)
    message = refused(answer, status)
    if status == 422:
        assert next(iter(fields)) in message
    assert image()["value"][:40] not in answer.text  # the picture is never echoed


def test_best_is_refused_for_keypoints_only(tasks: Running) -> None:
    refused(ask(tasks, "pose/1", confidence="best"), 422)
    assert ask(tasks, "seg/1", confidence="best").status_code == 200


def test_bodies_that_are_no_json(tasks: Running) -> None:
    for body in (b"", b"{", b"[]", b"null", b'"x"', b"\xff\xfe", b"[" * 5000):
        refused(CLIENT.post(f"{tasks.url}/infer/object_detection", content=body), 422)


def test_kinds_of_images(tasks: Running, host: str) -> None:
    for given in (
        {"type": "BASE64", "value": image()["value"]}, {"type": "url", "value": f"{host}/a.png"},
        {"type": "base64", "value": "data:image/png;base64," + image()["value"]},
    ):  # fmt: skip
        assert found(ask(tasks, image=given)) == EVERY


def test_urls_of_a_list_are_fetched_beside_each_other_and_within_the_deadline(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = serve(limits={"deadline": "1s"})

    async def fetch(url: str) -> bytes:
        await asyncio.sleep(float(url.rpartition("/")[2]))
        return encoded()

    monkeypatch.setattr(running.server.fetcher, "fetch", fetch)

    def asked(*seconds: float) -> httpx.Response:
        return ask(running, "tiny/1", "object_detection", image=[{"type": "url", "value": f"x/{s}"} for s in seconds])

    assert len(asked(0.4, 0.4, 0.4, 0.4).json()) == 4
    assert "1s" in refused(asked(0, 30, 0), 400)  # no 504: who asks again would wait again
    assert running.server.registry.find("tiny/1").busy == 0


@pytest.mark.parametrize("model", ["det/1", "pose/1", "seg/1", "cls/1", "multi/1", "obb/1", "sem/1"])
def test_each_of_a_batch_is_drawn(tasks: Running, model: str) -> None:
    fields = {"visualize_predictions": True, "visualization_labels": True, "visualization_stroke_width": 3}
    answers = ask(tasks, model, image=[image(), image()], **fields).json()
    assert all(base64.b64decode(answer["visualization"])[:3] == b"\xff\xd8\xff" for answer in answers)
    assert ask(tasks, model, confidence=0.99, visualize_predictions=True).status_code == 200  # nothing found


def test_masks(tasks: Running) -> None:
    for fields, kind in (
        ({}, "points"),
        ({"response_mask_format": "rle"}, "rle"),
        ({"mask_decode_mode": "fast"}, "points"),
    ):
        rows = ask(tasks, "seg/1", **fields).json()["predictions"]
        assert [kind in row for row in rows] == [True, True]
        assert {row["mask_format"] for row in rows} == {"rle" if kind == "rle" else "polygon"}


def test_thresholds_within_one_batch_are_each_clients_own(tasks: Running) -> None:
    from concurrent.futures import ThreadPoolExecutor

    shares = (0.3, 0.5, 0.8, 0.95) * 4
    with ThreadPoolExecutor(16) as pool:
        counts = list(pool.map(lambda share: len(found(ask(tasks, confidence=share))), shares))
    assert counts == [3, 2, 1, 0] * 4
