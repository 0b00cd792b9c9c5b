import importlib.metadata
import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.media import write_clip
from vidette import sources
from vidette.errors import ConfigError, SourceError
from vidette.sources import default_mode, expand, missing, open_source, source_types, unique_ids


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("b.mp4", "a one.mkv", "cam:1.mp4", "notes.txt", "model.onnx"):
        Path(name).write_bytes(b"x")
    for name in ("1.png", "2.JPG"):
        Path(name).write_bytes(b"x")
    os.mkdir("only")
    Path("only/x.jpg").write_bytes(b"x")
    os.mkdir("empty")
    return tmp_path


@pytest.mark.parametrize(
    ("text", "streams"),
    [
        ("b.mp4", [("b", "b.mp4")]),
        ("notes.txt", [("notes", "notes.txt")]),  # named by the user: opening it says what it is
        ("cam:1.mp4", [("cam-1", "cam:1.mp4")]),
        ("a one.mkv", [("a-one", "a one.mkv")]),
        ("1.png", [("1", "1.png")]),
        ("*.mp4", [("b", "b.mp4"), ("cam-1", "cam:1.mp4")]),
        ("*.png", [(None, "*.png")]),
        ("only", [("only", "only")]),
        ("only/", [("only", "only/")]),
        ("only/*", [("only", "only/*")]),
        (".", [("a-one", "./a one.mkv"), ("b", "./b.mp4"), ("cam-1", "./cam:1.mp4"), (None, ".")]),
        ("file:b.mp4", [("b", "file:b.mp4")]),
        ("sample:", [("sample", "sample:")]),
        ("testsrc:?size=64x48", [("testsrc", "testsrc:?size=64x48")]),
        ("camera:0", [("camera-0", "camera:0")]),
        ("rtsp://u:secret@h:554/yard", [("yard", "rtsp://u:secret@h:554/yard")]),
        ("rtsp://u:secret@h:554", [("h-554", "rtsp://u:secret@h:554")]),
    ],
)
def test_what_a_text_means(folder, text, streams):
    assert expand(text) == [(id or folder.name, url) for id, url in streams]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("c.mp4", "no such file or folder: c.mp4; did you mean b.mp4"),
        ("*.mov", "nothing matches"),
        ("empty", "neither videos nor pictures"),
        ("rtps://h/x", "did you mean rtsps?:"),
        ("samples:", "did you mean sample:"),
        ("quux:7", "known: camera file http"),
    ],
)
def test_what_means_nothing_is_answered(folder, text, message):
    with pytest.raises(ConfigError, match=message):
        expand(text)
    if text != "empty":
        assert missing(text)


def test_the_password_is_in_no_message(folder):
    with pytest.raises(ConfigError) as error:
        expand("rtps://user:secret@h/x")
    assert "secret" not in str(error.value)


def test_missing_says_nothing_of_what_is_there(folder):
    assert [missing(text) for text in ("b.mp4", "*.mp4", "only", "sample:", "rtsp://h/x", "cam:1.mp4")] == [None] * 6


def test_default_modes(folder):
    for url in ("b.mp4", "only", "*.png", "testsrc:", "sample:", "http://h/a.mp4?x=1"):
        assert default_mode(url) == "lossless"
    for url in ("rtsp://h/x", "http://h/mjpeg", "camera:0", "/dev/video3", "udp://h:1"):
        assert default_mode(url) == "live"


def test_ids_become_unique():
    streams = [("a", "1"), ("a", "2"), ("a-2", "3"), ("a", "4")]
    assert unique_ids(streams) == [("a", "1"), ("a-2", "2"), ("a-2-2", "3"), ("a-3", "4")]


def test_every_member_of_the_table_loads():
    for point in source_types().values():
        loaded = point.load()
        assert callable(loaded.open)
        assert loaded.default_mode(f"{point.name}://x") in ("live", "lossless")


def test_a_third_party_joins_by_entry_point(options, monkeypatch):
    class Theirs:
        @staticmethod
        def default_mode(url):
            return "live"

        @staticmethod
        def open(url, options):
            return ("opened", url)

    monkeypatch.setattr(importlib.metadata.EntryPoint, "load", lambda self: Theirs)
    point = importlib.metadata.EntryPoint("theirs", "anywhere:Theirs", "vidette.sources")
    monkeypatch.setattr(sources, "entry_points", lambda group: [point])
    assert open_source("theirs:7", options()) == ("opened", "theirs:7")
    assert default_mode("theirs:7") == "live"


def test_an_unknown_kind_is_a_source_error_when_opened(options):
    with pytest.raises(SourceError) as error:
        open_source("quux:7", options())
    assert error.value.code == "scheme"


def test_file_urls_and_names_with_colons_open(tmp_path, opened, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_clip(tmp_path / "a.mp4", 3)
    os.link("a.mp4", "http:x y.mp4")
    for url in ("a.mp4", "file:a.mp4", f"file://{tmp_path}/a.mp4", f"file:{tmp_path}/a.mp4", "http:x y.mp4"):
        assert len(list(opened(url).frames())) == 3
    cv2.imwrite("tcp:1.png", np.zeros((8, 8, 3), np.uint8))
    assert len(list(opened("tcp:1.png").frames())) == 1


def test_a_camera_that_is_not_there(opened):
    with pytest.raises(SourceError, match="/dev/video97") as error:
        opened("camera:97")
    assert error.value.code == "missing"
