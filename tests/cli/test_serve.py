"""`vidette serve`: mistakes are told by the name of the option that was typed."""

import argparse
from typing import get_args

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


def test_help_names_what_can_be_done_to_cameras() -> None:
    from vidette.serve.streams import Action

    parser = argparse.ArgumentParser(formatter_class=argparse.RawDescriptionHelpFormatter)
    configure(parser)
    (line,) = (line for line in parser.format_help().splitlines() if "/streams/ID/" in line)
    assert all(action in line for action in get_args(Action))
