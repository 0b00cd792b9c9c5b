"""Requests and outcomes are those of `inference_sdk`: as recorded once, and as it makes them now, if it is there."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import vidette.client
from tests.client import script
from tests.client.recording import Recorder

CAPTURES = Path(__file__).parent.parent / "serve" / "captures"
RECORDED = [group for group in script.GROUPS if group.startswith("sdk_")]


def captured(value: Any) -> Any:
    """The recordings' placeholders of pictures as this server's."""
    if isinstance(value, dict):
        return {name: captured(each) for name, each in value.items()}
    if isinstance(value, list):
        return [captured(each) for each in value]
    return re.sub(r"^<base64 (\w+), .*>$", r"<\1>", value) if isinstance(value, str) else value


def recorded(request: dict[str, Any]) -> dict[str, Any]:
    """A recorded request as `Seen.told` has it."""
    headers = {name.lower(): value for name, value in request["headers"].items()}
    body = request["body"] or {"kind": None}
    content = {"base64": f"<{body.get('decodes_to')}>", "json": captured(body.get("value")), None: None}[body["kind"]]
    return {
        "method": request["method"],
        "path": re.sub("/+", "/", request["path"]),
        "query": sorted(pair for pair in request["query"] if pair != ["api_key", "None"]),
        "authorization": headers.get("authorization"),
        "content-type": headers.get("content-type") if content is not None else None,
        "body": content,
    }


def in_order(requests: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those that were sent at a time come in any order."""
    return sorted(requests, key=lambda request: json.dumps(request, sort_keys=True))


@pytest.mark.parametrize("group", RECORDED)
def test_requests_are_the_recorded_ones(group: str, recorder: Recorder, folder: Path) -> None:
    wanted = {call["call"]: call for call in json.loads((CAPTURES / f"{group}.json").read_text())}
    assert set(wanted) == set(script.GROUPS[group])
    for name, outcome in script.outcomes(script.Kit(vidette.client, recorder.url, recorder.url, folder), [group]):
        call = wanted[name.removeprefix(f"{group}: ")]
        sent = [request.told() for request in recorder.steps[name]]
        assert in_order(sent) == in_order([recorded(request) for request in call["requests"]]), name
        failed = outcome["error"] if isinstance(outcome, dict) and "error" in outcome else "ok"
        assert failed == call["client_outcome"].partition(":")[0], name


def test_what_is_refused_before_anything_is_sent(recorder: Recorder, folder: Path) -> None:
    outcomes = dict(script.outcomes(script.Kit(vidette.client, recorder.url, recorder.url, folder), ["further"]))
    refused = {
        name.removeprefix("further: "): outcome["error"]
        for name, outcome in outcomes.items()
        if isinstance(outcome, dict) and "error" in outcome and all(r.method == "GET" for r in recorder.steps[name])
    }
    assert refused == {
        "no model": "ModelNotSelectedError",
        "one part": "InvalidModelIdentifier",
        "no picture": "InvalidInputFormatError",
        "v1 of a v0 client": "WrongClientModeError",
        "clip of a model of pictures": "ModelTaskTypeNotSupportedError",
        "picture to a model of clips": "ModelTaskTypeNotSupportedError",
        "clip that is not there": "InvalidInputFormatError",
        "workflow named twice": "InvalidParameterError",
        "workflow not named": "InvalidParameterError",
        "pipeline without id": "InvalidParameterError",
        "unknown transport": "InvalidParameterError",
        "unknown kind of subject": "InvalidParameterError",
        "unknown OCR": "InvalidParameterError",
    }
    assert outcomes["further: context managers"] == ["a/1", "v0", 3, None, "v1", None]
    assert outcomes["further: selected by load_model"] == ["coco/3", None]
    assert outcomes["further: depth as PNG"] == {"normalized_depth": ["array", [2, 3], "float32"]}
    assert outcomes["further: v0: drawn as numpy"] == {"visualization": ["array", [64, 96, 3], "uint8"]}
    assert outcomes["further: v1: drawn as pillow"]["visualization"] == ["image", [96, 64], "RGB"]


def sdk_outcomes(python: str, url: str, host: str, folder: Path, groups: list[str]) -> dict[str, Any]:
    """What `inference_sdk` makes of the same steps."""
    arguments = [python, str(Path(script.__file__)), url, host, str(folder), *groups]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(line) for line in done.stdout.splitlines())


DIFFERENT = {
    # `inference_sdk` raises a bare ValueError
    "further: unknown OCR": (
        {"error": "InvalidParameterError", "status": None},
        {"error": "ValueError", "status": None},
    ),
}


def test_requests_and_answers_are_those_of_inference_sdk(recorder: Recorder, folder: Path, sdk_python: str) -> None:
    groups = [*RECORDED, "further"]
    theirs = sdk_outcomes(sdk_python, recorder.url, recorder.url, folder, groups)
    their_requests, recorder.steps = recorder.steps, {}
    ours = dict(script.outcomes(script.Kit(vidette.client, recorder.url, recorder.url, folder), groups))
    assert list(ours) == list(theirs)
    for name, outcome in ours.items():
        assert (outcome, theirs[name]) == DIFFERENT.get(name, (outcome, json.loads(json.dumps(outcome)))), name
        sent, their = recorder.steps[name], their_requests[name]
        assert in_order([each.told() for each in sent]) == in_order([each.told() for each in their]), name
        pictures = [sorted((p for each in seen for p in each.pictures), key=len) for seen in (sent, their)]
        for mine, wanted in zip(*pictures, strict=True):
            mine_pixels, wanted_pixels = (
                cv2.imdecode(np.frombuffer(p, np.uint8), 1).astype(int) for p in (mine, wanted)
            )
            assert mine_pixels.shape == wanted_pixels.shape, name
            assert np.abs(mine_pixels - wanted_pixels).mean() < 1, name  # of other versions of the same encoder
