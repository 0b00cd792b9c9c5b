"""`vidette serve`: mistakes are told by the name of the option that was typed."""

import argparse

import pytest

from vidette.cli.serve import call, configure
from vidette.errors import ConfigError

pytest.importorskip("fastapi")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--key", ""], "--key: the key is empty"),
        (["--port", "70000"], "--port: "),
        (["--model", "=nosuch.onnx"], "nosuch.onnx"),
        (["--model", "https://host/coco/3?api_key=SECRET&conf=1"], "conf cannot stand in the URL"),
    ],
)
def test_wrong_options(options: list[str], told: str) -> None:
    parser = argparse.ArgumentParser()
    configure(parser)
    with pytest.raises(ConfigError) as raised:
        call(parser.parse_args(options))
    assert told in str(raised.value)
    assert "SECRET" not in str(raised.value)
