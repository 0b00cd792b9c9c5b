"""The roboflow package as it is documented, in its own environment: every case of scripts/package.py."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.serve.clients.agreement import EVERY, boxes
from tests.serve.clients.conftest import Outcomes, cases_of
from tests.serve.tasks import SIZE

pytestmark = pytest.mark.clients

REFUSED = {
    "case_wrong_project": "there is no project 'nobody'", "case_wrong_version": "Version number 7 is not found",
    "case_refused": "422",
}  # fmt: skip
SHAPE = [SIZE[1], SIZE[0], 3]


@pytest.fixture
def package(ran: Callable[[str, str], Outcomes]) -> Outcomes:
    return ran("package", "sdk")


def ok(package: Outcomes, case: str) -> Any:
    assert "ok" in package[case], package[case].get("trace")
    return package[case]["ok"]


@pytest.mark.parametrize("case", [case for case in cases_of("package") if case not in REFUSED])
def test_nothing_fails(package: Outcomes, case: str) -> None:
    ok(package, case)


@pytest.mark.parametrize("case", REFUSED)
def test_what_users_read_when_something_is_wrong(package: Outcomes, case: str) -> None:
    assert REFUSED[case] in package[case]["error"]


def test_the_documented_lines(package: Outcomes) -> None:
    """project().version().models()[0].predict() of a path, an array and a URL; .json() and .save()."""
    *answers, saved = ok(package, "case_detection")
    assert [boxes(answer) for answer in answers] == [EVERY] * 3
    assert saved == SHAPE
    for case, count, kind in (("case_keypoints", 3, "keypoints"), ("case_segmentation", None, "points")):
        *answers, saved = ok(package, case)
        assert len(saved) == 3  # drawn with matplotlib, in a frame
        for answer in answers:
            assert len(answer["predictions"]) == 2
            assert all(len(row[kind]) >= (count or 3) for row in answer["predictions"])
    *answers, saved = ok(package, "case_classification")
    assert len(saved) == 3
    assert [answer["predictions"][0]["top"] for answer in answers] == ["c6"] * 3
    answer, saved = ok(package, "case_semantic")
    assert len(saved) == 3
    assert answer["predictions"][0]["segmentation_mask"][0] == "png"


def test_the_older_lines(package: Outcomes) -> None:
    """`.model` of a version whose `local` is our URL, with and without a slash at its end."""
    answer, hosted, saved, drawn = ok(package, "case_old_detection")
    assert boxes(answer) == boxes(hosted) == boxes(ok(package, "case_old_numpy")) == EVERY
    assert saved == SHAPE
    assert drawn[0] == "jpeg"
    assert ok(package, "case_old_percent") == [3, 2, 0]
    assert ok(package, "case_old_classification")["predictions"][0]["top"] == "c6"
    answer, saved, hosted = ok(package, "case_old_segmentation")
    assert answer["predictions"][0]["points"] == hosted["predictions"][0]["points"]
    assert len(saved) == 3
    assert len(ok(package, "case_old_segmentation_with_a_slash")["predictions"]) == 2
    assert len(ok(package, "case_old_keypoints")["predictions"]) == 2
