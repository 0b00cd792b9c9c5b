"""What a URL says of the model behind it, and that its key is never shown."""

import pytest
from pydantic import SecretStr

from vidette.errors import ConfigError
from vidette.remote.endpoint import Endpoint, is_url


@pytest.mark.parametrize(
    ("text", "url", "model", "dialect"),
    [
        ("https://host:9001/coco/3", "https://host:9001", "coco/3", None),
        ("http://host/yolo11n", "http://host", "yolo11n", None),
        ("http://host//coco/3/", "http://host", "coco/3", None),
        ("http://[::1]:9001/coco/3", "http://[::1]:9001", "coco/3", None),
        ("https://host/edge/api/coco/3", "https://host/edge/api", "coco/3", None),
        ("https://host/prefix?model=a/b/c", "https://host/prefix", "a/b/c", None),
        ("https://host/my%20project/3", "https://host", "my project/3", None),
        ("https://detect.roboflow.com/coco/3", "https://detect.roboflow.com", "coco/3", "roboflow-v0"),
        ("https://serverless.roboflow.eu/ws/name", "https://serverless.roboflow.eu", "ws/name", "roboflow-v0"),
        ("https://detect.roboflow.com.example.org/coco/3", "https://detect.roboflow.com.example.org", "coco/3", None),
        ("https://predict-7.example.org/predict", "https://predict-7.example.org/predict", "", "hub"),
        (
            "https://predict.ultralytics.com/?model=https://hub.ultralytics.com/models/X",
            "https://predict.ultralytics.com",
            "https://hub.ultralytics.com/models/X",
            "hub",
        ),
    ],
)
def test_urls(text: str, url: str, model: str, dialect: str | None) -> None:
    endpoint = Endpoint.parse(text)
    assert (endpoint.url, endpoint.model, endpoint.dialect) == (url, model, dialect)
    assert is_url(text)


def test_the_dialect_can_be_named() -> None:
    assert Endpoint.parse("http://host/coco/3", options={"dialect": "roboflow-v0"}).dialect == "roboflow-v0"
    named = Endpoint.parse("http://host/?model=coco/3", options={"dialect": "hub"})
    assert (named.url, named.model, named.dialect) == ("http://host", "coco/3", "hub")


@pytest.mark.parametrize("key", [None, SecretStr("s3cret")])
def test_the_key_is_never_shown(key: SecretStr | None) -> None:
    text = "https://host/coco/3" + ("?api_key=s3cret" if key is None else "")
    endpoint = Endpoint.parse(text, key)
    assert endpoint.secret == "s3cret"
    assert "s3cret" not in f"{endpoint} {endpoint!r} {endpoint.url} {endpoint.stem}"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("http://host", "say which model"),
        ("http://:9/coco/3", "and a host"),
        ("http://host:port/coco/3", "usable"),
        ("http://me:s3cret@host/coco/3", "leave user and password out"),
        ("http://host/coco/3?api_key=s3cret&confidence=40", "confidence cannot stand in the URL"),
        ("http://host/coco/3?api_key=s3%00cret", "characters"),
    ],
)
def test_mistakes(text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as error:
        Endpoint.parse(text)
    assert "s3cret" not in str(error.value)
    assert "\n" not in str(error.value)


def test_two_keys_are_one_too_many() -> None:
    with pytest.raises(ConfigError, match="leave one out"):
        Endpoint.parse("http://host/coco/3?api_key=a", SecretStr("b"))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"qualty": 80}, "did you mean quality"),
        ({"dialect": "v1"}, "none of auto, roboflow-v1"),
        ({"quality": 0}, "whole number from 1 to 100"),
        ({"concurrency": True}, "whole number"),
        ({"timeout": "soon"}, "duration"),
        ({"timeout": "0s"}, "longer"),
    ],
)
def test_options(options: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=f"options: .*{said}"):
        Endpoint.parse("http://host/coco/3", options=options)
