"""What every registered sink keeps, third parties' too."""

import inspect
import subprocess
import sys

import pytest
from pydantic import BaseModel, ValidationError

from vidette.errors import ConfigError
from vidette.sink import Sink, sink_for_target, sink_types

SINKS = sink_types()
TARGETS = {
    "csv": "a.csv",
    "http": "http://me:canary@host/a",
    "jsonl": "a.jsonl",
    "mqtt": "mqtt://me:canary@host/a",
    "rtsp": "rtsp://me:canary@host/a",
    "stdout": "-",
    "video": "a.mp4",
}


def test_ours_are_registered():
    assert set(TARGETS) <= set(SINKS)


@pytest.mark.parametrize("name", TARGETS)
def test_the_command_line_finds_each(name):
    cls, settings = sink_for_target(TARGETS[name])
    assert cls is SINKS[name]
    sink = cls(settings)
    assert isinstance(sink, Sink)
    assert "canary" not in f"{sink.name} {settings!r} {settings}"
    assert isinstance(sink.paths(), list)


@pytest.mark.parametrize("name", SINKS)
def test_settings_are_strict_and_documented(name):
    settings = SINKS[name].Settings
    assert issubclass(settings, BaseModel)
    assert settings.model_config.get("extra") == "forbid"
    assert inspect.getdoc(settings)
    for field, about in settings.model_fields.items():
        assert about.description, f"{name}.{field} has no description"
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        settings(path="a.mp4", url=TARGETS.get(name, ""), nonsense=1)
    settings.model_json_schema()


def test_an_unknown_target_names_the_known_ones():
    with pytest.raises(ConfigError, match=r"\.jsonl"):
        sink_for_target("a.xyz")


def test_looking_up_an_ending_loads_nothing_heavy():
    heavy = ["supervision", "aiomqtt", "paho", "httpx", "matplotlib", "scipy"]
    code = "import sys; from vidette.sink import sink_types; sink_types(); "
    code += f"print([module for module in {heavy} if module in sys.modules])"
    environment = {"PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_site_file_with_a_secret_does_not_show_it():
    with pytest.raises(ValidationError) as caught:
        SINKS["mqtt"].Settings(url="mqtt://u:canary@host", qos=7)
    assert "canary" not in str(caught.value)
