"""Site files: every mistake with line, field, what is wrong and what would be right."""

from pathlib import Path

import pytest

from vidette.errors import ConfigError
from vidette.site import SiteFile


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "people.onnx").write_bytes(b"x")
    (tmp_path / "door.mp4").write_bytes(b"x")
    return tmp_path


def site(folder: Path, text: str, environment: dict[str, str] | None = None) -> SiteFile:
    path = folder / "site.yaml"
    path.write_text(text)
    return SiteFile(path, environment or {})


def mistakes(folder: Path, text: str, environment: dict[str, str] | None = None) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        site(folder, text, environment).job()
    return [line.removeprefix(str(folder) + "/") for line in str(caught.value).splitlines()]


GOOD = """\
models:
  people: {path: people.onnx, confidence: 0.3, input: 640x640, max_delay: 5ms, classes: [person, 2]}
streams:
  door: {url: door.mp4}
  cam:
    url: rtsp://user:${PASSWORD}@camera/1
    model: people
    fps_limit: ${FPS}
sinks:
  - {type: jsonl, path: out.jsonl}
  - {type: csv, path: door.csv, streams: [door]}
"""


def test_a_good_site_becomes_a_job(folder: Path) -> None:
    job = site(folder, GOOD, {"PASSWORD": "secret", "FPS": "5"}).job()
    model = job.models[0]
    assert (model.confidence, model.input, model.classes) == (0.3, (640, 640), ("person", "2"))
    assert model.max_delay == pytest.approx(0.005)
    door, cam = job.streams
    assert (door.url, door.model, door.mode) == (str(folder / "door.mp4"), "people", "lossless")
    assert (cam.url, cam.mode, cam.fps_limit) == ("rtsp://user:secret@camera/1", "live", 5)
    assert [request.streams for request in job.sinks] == [None, frozenset({"door"})]
    assert list(job.sinks[0].sink.paths()) == [str(folder / "out.jsonl")]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (("confidence:", "confidense:"), "people.confidense: unknown key 'confidense'; did you mean 'confidence'?"),
        (("confidence: 0.3", "confidence: high"), "site.yaml:2: models.people.confidence: Input should be a valid"),
        (("people.onnx", "peple.onnx"), "site.yaml:2: models.people.path: "),
        (("640x640", "640"), "site.yaml:2: models.people.input: "),
        (("5ms", "5 parsecs"), "site.yaml:2: models.people.max_delay: '5 parsecs' is not a duration"),
        (("model: people", "model: poeple"), "streams.cam.model: there is no model 'poeple'; did you mean 'people'?"),
        (("url: door.mp4", "uri: door.mp4"), "site.yaml:4: streams.door.uri: unknown key 'uri'; did you mean 'url'?"),
        (("${FPS}", "${FSP}"), "site.yaml:8: streams.cam.fps_limit: the environment has no FSP; did you mean ${FPS}?"),
        (("type: jsonl", "type: jsnl"), "site.yaml:10: sinks.0: unknown sink type 'jsnl'"),
        (("path: out.jsonl", "pth: out.jsonl"), "site.yaml:10: sinks.0.pth: unknown key 'pth'; did you mean 'path'?"),
        (("[door]}", "[dor]}"), "site.yaml:11: sinks.1.streams: there is no stream 'dor'; did you mean 'door'?"),
        (("door.csv", "out.jsonl"), "two sinks write to"),
        (("  cam:", "  door:"), "site.yaml:5: streams.door: stands twice"),
    ],
)  # fmt: skip
def test_each_mistake_is_told_with_its_place(folder: Path, change: tuple[str, str], expected: str) -> None:
    text = GOOD.replace(*change)
    assert text != GOOD
    found = mistakes(folder, text, {"PASSWORD": "p", "FPS": "5"})
    assert any(expected in line for line in found), found


def test_all_mistakes_are_told_at_once(folder: Path) -> None:
    text = GOOD.replace("confidence:", "confidense:").replace("type: jsonl", "type: jsnl")
    assert len(mistakes(folder, text, {"PASSWORD": "p", "FPS": "5"})) == 2


def test_broken_yaml_names_the_line(folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"site\.yaml:2: not valid YAML"):
        site(folder, "models: {a: b}\nstreams: [}\n")


def test_a_missing_file_names_a_near_one(folder: Path) -> None:
    site(folder, "x: 1")
    with pytest.raises(ConfigError, match=r"no such file; did you mean site\.yaml"):
        SiteFile(folder / "sit.yaml")


def test_no_streams_and_no_models(folder: Path) -> None:
    assert any("streams" in line for line in mistakes(folder, "models: {}\n"))
    assert any("say which model" in line for line in mistakes(folder, "streams: {a: {url: door.mp4}}\n"))


def test_quoted_variables_stay_text_and_secrets_stay_out_of_messages(folder: Path) -> None:
    text = GOOD.replace("fps_limit: ${FPS}", 'fps_limit: "${PASSWORD}"')
    found = mistakes(folder, text, {"PASSWORD": "hunter2"})
    assert found
    assert not any("hunter2" in line for line in found)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("pictures", None),
        ("pictures/*.png", None),
        ("pictures/*", None),
        ("*.mp4", "holds videos ("),
        ("d*.mp4", "door.mp4); a stream has one source: name each video in a stream of its own"),
        ("mixed", "mixed/a.mp4"),
        ("empty", "neither videos nor pictures"),
        ("none/*.png", "no such file or folder"),
    ],
)
def test_a_folder_or_glob_is_one_stream_of_pictures(
    folder: Path, monkeypatch: pytest.MonkeyPatch, url: str, expected: str | None
) -> None:
    """Seen from the file's folder, not from the working directory."""
    monkeypatch.chdir("/")
    for name in ("pictures/1.png", "pictures/2.png", "mixed/1.png", "mixed/a.mp4", "empty/text.txt", "yard.mp4"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"x")
    text = GOOD.replace("door.mp4}", f'"{url}"}}')
    environment = {"PASSWORD": "p", "FPS": "5"}
    if expected is None:
        assert site(folder, text, environment).job().streams[0].url == str(folder / url)
    else:
        (line,) = mistakes(folder, text, environment)
        assert line.startswith("site.yaml:4: streams.door.url: ")
        assert expected in line


MERGED = """\
x-camera: &camera
  model: people
  fps_limit: 5
  mode: live
models:
  people: {path: people.onnx}
streams:
  door: {<<: *camera, url: door.mp4, fps_limit: 2}
  yard: &yard
    <<: *camera
    url: rtsp://camera/1
  gate:
    url: rtsp://camera/2
    <<: [{mode: lossless}, *yard]
"""


def test_merge_keys_spare_writing_the_same_for_many_cameras(folder: Path) -> None:
    streams = {stream.id: stream for stream in site(folder, MERGED).job().streams}
    assert (streams["door"].fps_limit, streams["door"].mode) == (2, "live")
    assert (streams["yard"].fps_limit, streams["yard"].url) == (5, "rtsp://camera/1")
    gate = streams["gate"]
    assert (gate.url, gate.fps_limit, gate.mode) == ("rtsp://camera/2", 5, "lossless")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (("fps_limit: 5", "fsp_limit: 5"), "site.yaml:3: streams.door.fsp_limit: unknown key"),
        (("fps_limit: 2", "fps_limit: low"), "site.yaml:8: streams.door.fps_limit: "),
        (("<<: *camera\n", "<<: camera\n"), "site.yaml:10: streams.yard.<<: must name fields"),
    ],
)
def test_a_mistake_in_what_is_merged_is_told_where_it_stands(
    folder: Path, change: tuple[str, str], expected: str
) -> None:
    found = mistakes(folder, MERGED.replace(*change))
    assert any(expected in line for line in found), found


@pytest.mark.parametrize(
    "text",
    [
        "models: &x {m: *x}\nstreams: {}\n",
        "models: &x {<<: *x}\nstreams: {}\n",
        f"models: {'[' * 3000}{']' * 3000}\n",
        f"models: {'[' * 100}{']' * 100}\n",
        "".join(f"x-{n}: &a{n} [{', '.join([f'*a{n - 1}' if n else '1'] * 9)}]\n" for n in range(10)),
    ],
    ids=["alias", "merge", "thousands of lists", "lists", "aliases of aliases"],
)
def test_what_nests_without_end_is_told_in_one_line(folder: Path, text: str) -> None:
    (line,) = mistakes(folder, text)
    assert "nested too deeply" in line
