"""The client and `inference_sdk` get the same answers of a real server, and both the right ones."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("fastapi")

import vidette.client
from tests.client import script
from tests.client.recording import Recorder
from tests.client.test_requests import sdk_outcomes
from tests.media import write_clip
from tests.serve.conftest import Running, encoded
from vidette.client import HTTPCallErrorError, HubClient, InferenceConfiguration, InferenceHTTPClient
from vidette.job import Job, ModelRequest
from vidette.serve.server import Server
from vidette.server_settings import ServerConfig

GROUPS = ["live v0", "live v1"]
OF_ONE_CALL = ("inference_id", "time", "detection_id")


@pytest.fixture(scope="module")
def url(detector: Path) -> Iterator[str]:
    """A server with the tiny detector."""
    running = Running(Server(ServerConfig(), [ModelRequest("tiny/1", detector, runtime="onnx")], Job([], [])))
    yield running.url
    running.stop()


def lasting(value: Any) -> Any:
    """Without what is another at each call."""
    if isinstance(value, dict):
        return {name: lasting(each) for name, each in value.items() if name not in OF_ONE_CALL}
    return [lasting(each) for each in value] if isinstance(value, list) else value


def test_answers_are_those_that_inference_sdk_gets(url: str, recorder: Recorder, folder: Path, sdk_python: str) -> None:
    theirs = sdk_outcomes(sdk_python, url, recorder.url, folder, GROUPS)
    ours = dict(script.outcomes(script.Kit(vidette.client, url, recorder.url, folder), GROUPS))
    assert list(ours) == list(theirs)
    for name, outcome in ours.items():
        assert lasting(json.loads(json.dumps(outcome))) == lasting(theirs[name]), name


@pytest.fixture(params=["v0", "v1"])
def client(request: pytest.FixtureRequest, url: str) -> Iterator[InferenceHTTPClient]:
    with InferenceHTTPClient(url, "KEY") as client:
        yield client.select_api_v0() if request.param == "v0" else client


def test_a_picture(client: InferenceHTTPClient) -> None:
    result: Any = client.infer(encoded("green"), "tiny/1")
    assert result["image"] == {"width": 96, "height": 64}
    assert {row["class"] for row in result["predictions"]} == {"green"}
    assert sorted((row["x"], row["y"]) for row in result["predictions"])[0] == pytest.approx((16, 16), abs=16)


def test_every_picture_of_a_list_has_its_own_answer(client: InferenceHTTPClient) -> None:
    client.configure(InferenceConfiguration(max_batch_size=3, max_concurrent_requests=4))
    colours = ["red", "green", "blue", "green"] * 3
    results: Any = client.infer([encoded(colour) for colour in colours], "tiny/1")
    assert [result["predictions"][0]["class"] for result in results] == colours
    awaited: Any = asyncio.run(client.infer_async([encoded(colour) for colour in colours], "tiny/1"))
    assert lasting(awaited) == lasting(results)


def test_coordinates_of_a_picture_that_was_made_smaller(client: InferenceHTTPClient) -> None:
    pixels = np.zeros((1280, 1920, 3), np.uint8)
    pixels[:, :960, 2] = 255
    client.configure(InferenceConfiguration(client_downsizing_disabled=False))
    result: Any = client.infer(pixels, "tiny/1")
    assert result["image"] == pytest.approx({"width": 1920, "height": 1280}, abs=1)  # told by the smaller picture
    boxes = [(row["x"] - row["width"] / 2, row["x"] + row["width"] / 2) for row in result["predictions"]]
    assert min(left for left, _ in boxes) == pytest.approx(0, abs=8)
    assert max(right for _, right in boxes) == pytest.approx(960, abs=200)


def test_a_stream_awaited(client: InferenceHTTPClient, folder: Path) -> None:
    async def collected() -> list[Any]:
        return [found async for found in client.infer_on_stream_async(str(folder / "clip.mp4"), "tiny/1")]

    awaited = asyncio.run(collected())
    blocking = list(client.infer_on_stream(str(folder / "clip.mp4"), "tiny/1"))
    assert [number for number, _, _ in awaited] == [0, 1, 2, 3, 4]
    assert lasting([result for _, _, result in awaited]) == lasting([result for _, _, result in blocking])
    assert all(np.array_equal(a, b) for (_, a, _), (_, b, _) in zip(awaited, blocking, strict=True))


def test_what_the_server_says_of_a_model_that_it_has_not(client: InferenceHTTPClient) -> None:
    for ask in (client.infer, lambda *given: asyncio.run(client.infer_async(*given))):
        with pytest.raises(HTTPCallErrorError, match="404") as caught:
            ask(encoded(), "tiny/2")
        assert "tiny/1" in (caught.value.api_message or "")


def test_hub(url: str, tmp_path: Path) -> None:
    with HubClient(url, "KEY", "tiny/1") as hub:
        answer = hub.predict(encoded("blue"), conf=0.5)
        assert answer["metadata"]["imageCount"] == 1
        assert answer["images"][0]["shape"] == [64, 96]
        assert {row["name"] for row in answer["images"][0]["results"]} == {"blue"}
        assert (
            asyncio.run(hub.predict_async(encoded("blue"), conf=0.5))["images"][0]["results"]
            == (answer["images"][0]["results"])
        )
        write_clip(tmp_path / "clip.mp4", 4)
        assert [image["shape"] for image in hub.predict(tmp_path / "clip.mp4")["images"]] == [[120, 160]] * 4
        with pytest.raises(HTTPCallErrorError, match="422"):
            hub.predict(encoded(), conf=7)
        with pytest.raises(HTTPCallErrorError, match="404"):
            hub.predict(encoded(), model="none")
