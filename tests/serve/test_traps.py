"""What clients are known to stumble over, one test each: the numbers are those of TRAPS.

What only a client does (the alias table, its retries, its rescaling) is shown with the clients themselves: clients/.
"""

import base64
import math
import threading
from collections.abc import Callable
from typing import Any

import cv2
import httpx
import numpy as np
import pytest

from tests.serve.conftest import Running, Serve, encoded
from tests.serve.tasks import SIZE, picture

CLIENT = httpx.Client(follow_redirects=False)
TEXT = base64.b64encode(picture(".jpg"))
IMAGE = {"type": "base64", "value": TEXT.decode()}
ALL = ("det/1", "pose/1", "seg/1", "obb/1", "cls/1", "multi/1", "sem/1")
WITH_OBJECTS = ("det/1", "pose/1", "seg/1", "obb/1")
RETRIED = (429, 503, 504)


def v0(url: str, model: str = "det/1", **query: Any) -> httpx.Response:
    return CLIENT.post(f"{url}/{model}", params=query, content=TEXT, headers={"Content-Type": "application/json"})


def v1(url: str, model: str = "det/1", **fields: Any) -> httpx.Response:
    return CLIENT.post(f"{url}/infer/object_detection", json={"model_id": model, "image": IMAGE} | fields)


def bare(answer: httpx.Response) -> Any:
    """Without what differs from request to request."""
    body = answer.json()
    for name in ("inference_id", "time", "segmentation_mask", "class_map"):
        body.pop(name, None)
    for row in body["predictions"] if isinstance(body["predictions"], list) else []:
        row.pop("detection_id", None)
    return body


def base64_is_labelled_json(url: str) -> None:
    assert v0(url).status_code == 200


def percent_and_parts_on_one_route(url: str) -> None:
    assert bare(v0(url, confidence=50)) == bare(v0(url, confidence=0.5))
    assert len(v0(url, confidence=1).json()["predictions"]) == 3  # 1 %
    assert v1(url, confidence=40).json()["predictions"] == []  # 4000 %


def booleans_are_capitalised(url: str) -> None:
    assert v0(url, disable_active_learning="False", allow_reduced_mask_resolution="False").status_code == 200
    assert v0(url, disable_preproc_auto_orient="True").status_code == 200


def both_modes_answer_the_same(url: str) -> None:
    for model in ALL:
        assert bare(v0(url, model)) == bare(v1(url, model))


def the_registry_names_exactly_what_was_asked_for(url: str) -> None:
    models = CLIENT.post(f"{url}/model/add", json={"model_id": "coco/3"}).json()["models"]
    assert "coco/3" in [model["model_id"] for model in models]


def keypoint_is_singular_in_the_task_and_plural_in_the_route(url: str) -> None:
    models = CLIENT.get(f"{url}/model/registry").json()["models"]
    (pose,) = (model for model in models if model["model_id"] == "pose/1")
    assert (pose["task_type"], pose["request_paths"]) == ("keypoint-detection", ["/infer/keypoints_detection"])


def no_key_is_the_word_none_or_null(url: str) -> None:
    assert CLIENT.get(f"{url}/model/registry?api_key=None").status_code == 200
    assert v1(url, api_key=None).status_code == 200


def slashes_are_doubled(url: str) -> None:
    assert CLIENT.post(f"{url}//det/1", content=TEXT).status_code == 200
    assert CLIENT.get(f"{url}//model/registry").status_code == 200
    body = {"model_id": "det/1", "image": IMAGE}
    assert CLIENT.post(f"{url}//infer/object_detection", json=body).status_code == 200


def paths_are_shared(url: str) -> None:
    assert CLIENT.post(f"{url}/?api_key=k").json()["workspace"]
    assert CLIENT.post(f"{url}/", files={"file": picture()}, data={"model": "det/1"}).json()["images"]
    assert CLIENT.get(f"{url}/model/registry").json()["models"]
    assert CLIENT.post(f"{url}/infer/object_detection", content=TEXT).status_code == 422  # no model of that name
    for method, path in (("GET", "/infer/object_detection"), ("GET", "/model/add"), ("POST", "/model/registry")):
        answer = CLIENT.request(method, url + path)
        assert (answer.status_code, answer.headers["allow"]) == (405, "POST" if method == "GET" else "GET")
        assert answer.json()["message"]


def get_comes_with_a_body(url: str) -> None:
    answer = CLIENT.request("GET", f"{url}/inference_pipelines/list", json={"api_key": "k"})
    assert (answer.status_code, answer.headers["content-type"]) == (501, "application/json")


def semantic_masks_are_nested_and_flat(url: str) -> None:
    body = v0(url, "sem/1").json()
    assert body["segmentation_mask"] == body["predictions"]["segmentation_mask"]
    assert "segmentation_mask" not in v1(url, "sem/1").json()


def points_have_two_names(url: str) -> None:
    point = v0(url, "pose/1").json()["predictions"][0]["keypoints"][0]
    assert point["class"] == point["class_name"]


def predictions_are_lists_or_dictionaries(url: str) -> None:
    kinds = {model: type(v0(url, model).json()["predictions"]) for model in ALL}
    assert kinds == dict.fromkeys(ALL, list) | {"multi/1": dict, "sem/1": dict}


def nothing_over_the_threshold_is_an_empty_name(url: str) -> None:
    body = v0(url, "cls/1", confidence=0.9).json()
    assert (body["predictions"], body["top"], body["confidence"]) == ([], "", 0.0)


def nulls_are_absent_but_in_the_registry(url: str) -> None:
    for model in ALL:
        assert "null" not in v0(url, model).text
        assert "null" not in v1(url, model).text
    assert CLIENT.get(f"{url}/model/registry").json()["total_vram_bytes"] is None


def all_objects_have_the_same_fields(url: str) -> None:
    for model in WITH_OBJECTS:
        for answer in (v0(url, model), v0(url, model, response_mask_format="rle")):
            assert len({tuple(row) for row in answer.json()["predictions"]}) == 1


def no_polygon_has_fewer_than_three_points(url: str) -> None:
    for model in ("seg/1", "obb/1"):
        for row in v0(url, model).json()["predictions"]:
            assert len(row["points"]) >= 3
            assert all(math.isfinite(point["x"]) and math.isfinite(point["y"]) for point in row["points"])


def what_will_not_pass_is_not_asked_again(url: str) -> None:
    for answer in (v0(url, "nobody/1"), v0(url, confidence="x"), v1(url, "nobody/1"), v1(url, image={"type": "numpy"})):
        assert answer.status_code >= 400
        assert answer.status_code not in RETRIED
        assert answer.headers["content-type"] == "application/json"


def a_url_comes_as_the_part_file(url: str) -> None:
    def form(name: str, data: Any) -> httpx.Response:
        return CLIENT.post(f"{url}/", files={name: data}, data={"model": "det/1"})

    assert form("file", picture()).status_code == 200
    assert form("image", picture()).status_code == 200
    assert form("file", (None, "http://10.0.0.1/a.jpg")).status_code == 400  # read as a URL: refused, not undecodable
    assert "10.0.0.1" in form("file", (None, "http://10.0.0.1/a.jpg")).json()["message"]


def pictures_are_told_by_their_content(url: str) -> None:
    answer = CLIENT.post(f"{url}/det/1", files={"file": ("a.jpg", picture(".png"), "image/jpeg")})
    assert answer.json()["image"] == {"width": SIZE[0], "height": SIZE[1]}


def get_of_two_parts_without_a_picture_is_400(url: str) -> None:
    assert CLIENT.get(f"{url}/det/1").status_code == 400
    assert CLIENT.get(f"{url}/vidette/det").json()["project"]["type"] == "object-detection"


def names_of_parameters_differ_by_mode(url: str) -> None:
    v0_names = {"overlap": 0.4, "labels": "true", "stroke": 2, "format": "image_and_json"}
    v1_names = {"iou_threshold": 0.4, "visualization_labels": True, "visualization_stroke_width": 2}
    drawn = v1(url, visualize_predictions=True, **v1_names).json()
    assert v0(url, **v0_names).json()["visualization"] == drawn["visualization"]
    assert "visualization" not in v0(url, visualize_predictions="True").json()


def classes_are_filtered_before_the_best_are_taken(url: str) -> None:
    (row,) = v0(url, classes="dog", max_detections=1).json()["predictions"]
    assert row["class"] == "dog"
    (row,) = v1(url, class_filter=["dog"], max_detections=1).json()["predictions"]
    assert row["class"] == "dog"


def hub_has_thresholds_of_its_own(url: str) -> None:
    def hub(model: str, **data: Any) -> Any:
        answer = CLIENT.post(f"{url}/", files={"file": picture()}, data={"model": model, **data})
        return answer.json()["images"][0]["results"]

    assert len(hub("cls/1", conf="0.99")) == 5  # conf does not filter classes
    assert len(hub("det/1")) == 3  # from 0.25 on
    assert len(hub("det/1", conf="0.5")) == 2


def nothing_is_redirected_or_html(url: str) -> None:
    for path in ("/det", "/det/", "/det/1/2/3", "/infer", "/model/registry/", "/det/1/"):
        answer = CLIENT.get(url + path)
        assert not answer.is_redirect, path
        assert answer.headers["content-type"] == "application/json", path


def the_size_is_that_of_what_was_sent(url: str) -> None:
    small = bytes(cv2.imencode(".jpg", np.zeros((40, 80, 3), np.uint8))[1])
    answer = CLIENT.post(f"{url}/det/1", content=base64.b64encode(small))
    assert answer.json()["image"] == {"width": 80, "height": 40}


def large_bodies_are_not_read_as_form_fields(url: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (1000, 1000, 3), np.uint8)
    body = base64.b64encode(bytes(cv2.imencode(".png", noise)[1]))
    assert len(body) > 3_000_000
    answer = CLIENT.post(f"{url}/det/1", content=body, headers={"Content-Type": "application/x-www-form-urlencoded"})
    assert answer.status_code == 200


def a_batch_has_one_clock(url: str) -> None:
    answers = v1(url, image=[IMAGE] * 3).json()
    assert len({answer["time"] for answer in answers}) == 1


TRAPS: dict[str, Callable[[str], None]] = {
    "1": base64_is_labelled_json, "2": percent_and_parts_on_one_route, "3": booleans_are_capitalised,
    "4": both_modes_answer_the_same, "5": the_registry_names_exactly_what_was_asked_for,
    "6": keypoint_is_singular_in_the_task_and_plural_in_the_route, "7": no_key_is_the_word_none_or_null,
    "8": slashes_are_doubled, "9": paths_are_shared, "10": get_comes_with_a_body,
    "11": semantic_masks_are_nested_and_flat, "12": points_have_two_names,
    "13": predictions_are_lists_or_dictionaries, "14": nothing_over_the_threshold_is_an_empty_name,
    "15": nulls_are_absent_but_in_the_registry, "16": all_objects_have_the_same_fields,
    "17": no_polygon_has_fewer_than_three_points, "18": what_will_not_pass_is_not_asked_again,
    "20": a_url_comes_as_the_part_file, "21": pictures_are_told_by_their_content,
    "22": get_of_two_parts_without_a_picture_is_400, "26": names_of_parameters_differ_by_mode,
    "27, 32": classes_are_filtered_before_the_best_are_taken, "28": hub_has_thresholds_of_its_own,
    "29": nothing_is_redirected_or_html, "31": the_size_is_that_of_what_was_sent,
    "33": large_bodies_are_not_read_as_form_fields, "35": a_batch_has_one_clock,
}  # fmt: skip
"""19 (`Message` of a 403) is in test_hosted.py, 34 below; 23 to 25 and 36 are of workflows, 30 is a client's own."""


@pytest.mark.parametrize("number", TRAPS)
def test_trap(tasks: Running, number: str) -> None:
    TRAPS[number](tasks.url)


def test_trap_34_clients_wait_for_ever_so_every_request_ends(serve: Serve) -> None:
    running = serve(limits={"deadline": "300ms"})
    lane: Any = running.server.registry.find("tiny/1").lane
    release = threading.Event()
    plain = lane.model.session.run

    def slow(*args: Any, **kwargs: Any) -> Any:
        release.wait(20)
        return plain(*args, **kwargs)

    lane.model.session.run = slow
    try:
        answer = CLIENT.post(f"{running.url}/tiny/1", content=base64.b64encode(encoded()), timeout=15)
        assert answer.status_code == 504
        assert answer.json()["message"]
    finally:
        release.set()
