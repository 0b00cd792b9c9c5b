"""inference-sdk as its users write it, in its own environment: every case of scripts/sdk.py and scripts/sdk_old.py."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.console import start
from tests.serve.clients.agreement import EVERY, boxes, lasting
from tests.serve.clients.conftest import Outcomes, cases_of
from tests.serve.tasks import SEVERAL, SIZE

pytestmark = pytest.mark.clients

Ran = Callable[[str, str], Outcomes]
OLD = ["sdk037", "sdk09"]
REFUSED = {
    "case_wrong_model": (404, "there is no model 'nobody/9'"), "case_wrong_model_v0": (404, "there is no model"),
    "case_wrong_model_async": (404, "Not Found"), "case_broken": (400, "Could not load input image. Cause: "),
    "case_broken_v0": (400, "Could not load input image. Cause: "), "case_broken_async": (400, "Bad Request"),
    "case_broken_in_a_list": (400, "(picture 1)"), "case_out_of_range": (422, "body.iou_threshold: "),
    "case_wrong_key": (401, "Unauthorized api_key"), "case_wrong_key_v0": (401, "Unauthorized api_key"),
    "case_later_clip": (501, "/clip/compare is not served"), "case_later_ocr": (501, "/doctr/ocr"),
    "case_later_workflow": (501, "/ws/workflows/wf"), "case_later_pipelines": (501, "/inference_pipelines/list"),
}  # fmt: skip
"""Case -> status and a part of the message that the user reads."""


def ok(outcomes: Outcomes, case: str) -> Any:
    outcome = outcomes[case]
    assert "ok" in outcome, outcome.get("trace")
    return outcome["ok"]


@pytest.fixture
def sdk(ran: Ran) -> Outcomes:
    return ran("sdk", "sdk")


def test_every_case_ran(sdk: Outcomes) -> None:
    assert list(sdk) == cases_of("sdk")


@pytest.mark.parametrize(
    "case", [case for case in cases_of("sdk") if case not in REFUSED and case != "case_semantic_v1"]
)
def test_nothing_fails(sdk: Outcomes, case: str) -> None:
    ok(sdk, case)


@pytest.mark.parametrize("case", REFUSED)
def test_what_users_read_when_something_is_wrong(sdk: Outcomes, case: str) -> None:
    status, words = REFUSED[case]
    assert sdk[case]["error"].startswith("HTTPCallErrorError")
    assert sdk[case]["status_code"] == status
    assert words in sdk[case]["api_message"]
    assert sdk[case]["seconds"] < 5  # not asked again and again


def test_semantic_maps_are_refused_by_the_client_itself(sdk: Outcomes) -> None:
    assert sdk["case_semantic_v1"]["error"].startswith("ModelTaskTypeNotSupportedError")
    answer = ok(sdk, "case_semantic_v0")
    assert answer["class_map"] == answer["predictions"]["class_map"] == {"0": "background", "1": "road", "2": "sky"}
    assert answer["segmentation_mask"][0] == "png"


@pytest.mark.parametrize(
    "case",
    ["case_path_png", "case_path_jpg", "case_numpy", "case_pil", "case_url", "case_base64", "case_list_of_one",
     "case_slash", "case_alias", "case_transports"],
)  # fmt: skip
def test_all_ways_lead_to_the_same_answer(sdk: Outcomes, case: str) -> None:
    for answer in ok(sdk, case):
        assert boxes(answer) == EVERY
        assert answer["image"] == {"width": SIZE[0], "height": SIZE[1]}


def test_lists(sdk: Outcomes) -> None:
    for case, count in (("case_list", 3), ("case_list_in_batches", 5)):
        for answers in ok(sdk, case):
            assert [boxes(answer) for answer in answers] == [EVERY] * count


@pytest.mark.parametrize("task", ["detection", "keypoints", "segmentation", "classification", "multi_label"])
def test_every_field_of_a_configuration(sdk: Outcomes, task: str) -> None:
    """v0 and v1 have other names for most of them, and mean the same."""
    answers = ok(sdk, f"case_every_field_{task}")
    assert all(answer["visualization"][0] == "jpeg" for answer in answers)
    first, *others = [lasting(answer) for answer in answers]
    if task == "keypoints":
        assert [[point["class_id"] for point in row["keypoints"]] for row in first["predictions"]] == [[0, 1], [0, 1]]
    if task == "multi_label":
        assert first["predicted_classes"] == ["a", "c", "b"]
        assert [round(row["confidence"], 6) for row in first["predictions"].values()] == list(SEVERAL)
    assert others == [first] * 3


def test_filters_and_contexts(sdk: Outcomes) -> None:
    assert boxes(ok(sdk, "case_class_filter")) == EVERY[1:2]
    none, some, selected = ok(sdk, "case_contexts")
    assert (boxes(none), boxes(some), boxes(selected)) == ([], EVERY, EVERY)
    assert boxes(ok(sdk, "case_no_key")) == EVERY


def test_masks_and_corners(sdk: Outcomes) -> None:
    for answer in ok(sdk, "case_rle"):
        assert all(
            row["mask_format"] == "rle" and row["rle"]["size"] == [SIZE[1], SIZE[0]] for row in answer["predictions"]
        )
    for answer in ok(sdk, "case_oriented"):
        assert [len(row["points"]) for row in answer["predictions"]] == [4]


def test_pictures_come_in_the_form_that_was_asked_for(sdk: Outcomes) -> None:
    for pictures in (ok(sdk, "case_visualisation"), ok(sdk, "case_picture_alone")):
        third = len(pictures) // 3
        assert [picture[0] for picture in pictures[:third]] == ["jpeg"] * third
        assert pictures[third:] == [["ndarray", SIZE[1], SIZE[0]]] * third + [["pillow", SIZE[1], SIZE[0]]] * third


def test_answers_are_scaled_back_by_the_client(sdk: Outcomes) -> None:
    answers = ok(sdk, "case_downsized")
    for answer in answers:
        assert answer["image"] == {"width": 1600, "height": 800}
    for answer in answers[:4]:
        assert boxes(answer)[0] == ("cat", 0.9, 500.0, 400.0, 500.0, 200.0)


def test_streams(sdk: Outcomes) -> None:
    folder = ok(sdk, "case_stream_of_a_folder")
    assert sorted(name for name, _, _ in folder) == ["1.png", "2.jpg"]
    assert all(shape == [SIZE[1], SIZE[0], 3] and boxes(answer) == EVERY for _, shape, answer in folder)


def records(source: str, model: Path) -> list[dict[str, Any]]:
    """What `vidette run` writes, at the thresholds that Roboflow's clients have where they give none."""
    target = Path(source).with_suffix(f".{model.stem}.jsonl")
    options = ("--confidence", "0.4", "--iou", "0.3", "--runtime", "onnx")
    run = start("run", source, "--model", model, "--sink", target, *options, cwd=target.parent)
    said = run.communicate(timeout=100)[1]
    assert run.returncode == 0, said
    return [json.loads(line) for line in target.read_text().splitlines()]


@pytest.mark.parametrize("case", ["case_same_as_run", "case_same_as_run_real"])
def test_answers_are_those_of_vidette_run(
    sdk: Outcomes, models: dict[str, Path], facts: dict[str, Any], tmp_path: Path, case: str
) -> None:
    real = case.endswith("real")
    if real and not facts["real"]:
        pytest.skip("yolo11n.onnx and media/bus.jpg are not fetched: make fetch")
    picture = tmp_path / "picture"
    picture = picture.with_suffix(".jpg" if real else ".png")
    picture.write_bytes(Path(facts["real"] or "" if real else f"{facts['folder']}/colours.png").read_bytes())
    (record,) = records(str(picture), models["yolo/11" if real else "tiny/1"])
    assert len(record["predictions"]) > 3
    for answer in ok(sdk, case):
        assert lasting(answer["predictions"]) == record["predictions"]
        assert answer["image"] == record["image"]


def test_model_management(sdk: Outcomes) -> None:
    described, before, without, again, selected, (described_async, left), answer = ok(sdk, "case_management")
    assert described["task_type"] == "object-detection"
    assert (described["input_width"], described["input_height"]) == (320, 320)
    assert ("spare/1" in before, "spare/1" in without, "spare/1" in again) == (True, False, True)
    assert selected == "spare/1"
    assert described_async == described
    assert "spare/1" not in left
    assert boxes(answer) == EVERY
    none, none_again, answer = ok(sdk, "case_unload_all_comes_last")
    assert (none, none_again, boxes(answer)) == (0, 0, EVERY)


def test_supervision_reads_the_answers(sdk: Outcomes) -> None:
    count, instances, oriented, masks, areas, points = ok(sdk, "case_supervision_reads_them")
    assert (count, instances, oriented) == (3, 2, 1)
    assert masks == [2, SIZE[1], SIZE[0]]
    assert areas[0] == pytest.approx(8000, rel=0.03)  # it draws the polygon's border too
    assert points == [2, 3, 2]


@pytest.mark.parametrize("environment", OLD)
def test_old_clients(ran: Ran, environment: str) -> None:
    outcomes = ran("sdk_old", environment)
    for case in ("case_v1", "case_v0", "case_list", "case_stream"):
        assert [boxes(answer) for answer in ok(outcomes, case)] == [EVERY] * len(ok(outcomes, case))
    detected, _, segmented = ok(outcomes, "case_downsized_by_default")
    assert boxes(detected)[0] == ("cat", 0.9, 500.0, 400.0, 500.0, 200.0)
    assert len(segmented["predictions"]) == 2
    assert ok(outcomes, "case_visualisation")[0] == "jpeg"
    assert ["predictions" in answer for answer in ok(outcomes, "case_tasks")] == [True] * 3
    _, loaded, left = ok(outcomes, "case_management")
    assert "spare/1" in set(loaded) - set(left)
    for case, status in (("case_wrong_model", 404), ("case_later_gaze", 501), ("case_later_cogvlm", 410)):
        assert outcomes[case]["status_code"] == status
