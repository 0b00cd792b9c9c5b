"""`vidette.run` from Python: results in order, an early end, errors before the first result, the ledger after it."""

import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import vidette
from tests.media import write_clip
from vidette.sources.synthetic import read_number

SOURCE = "testsrc:?size=320x192&frames=30"
README = Path(__file__).parents[1] / "README.md"


def test_results_come_in_order_and_the_ledger_after_them(detector: Path, left_behind: Callable[[], list[str]]) -> None:
    run = vidette.run(SOURCE, model=detector, runtime="onnx", confidence=0.6)
    results = list(run)
    assert [result.seq for result in results] == list(range(30))
    assert all(isinstance(result, vidette.Result) for result in results)
    assert any(len(result.predictions) for result in results)
    for result in results:
        found = result.predictions
        assert found.xyxy.shape == (len(found), 4)
        assert found.xyxy.dtype == np.float32
        assert (found.confidence > 0.6).all()
        assert result.picture is None
    assert run.complete
    assert run.report["streams"][0]["results"] == 30
    assert run.report["models"][0]["runtime"] == "onnx"
    assert not left_behind()


def test_several_sources_are_told_apart_and_each_is_in_order(detector: Path, tmp_path: Path) -> None:
    write_clip(tmp_path / "a.mp4", 9, size=(320, 192))
    results = list(vidette.run(tmp_path / "a.mp4", SOURCE, model=detector))
    assert [result.seq for result in results if result.stream == "a"] == list(range(9))
    assert [result.seq for result in results if result.stream == "testsrc"] == list(range(30))


def test_pictures_come_with_their_own_results(detector: Path) -> None:
    for result in vidette.run(SOURCE, model=detector, pictures=True):
        assert result.picture is not None
        assert result.picture.bgr().shape == (192, 320, 3)
        assert read_number(result.picture.bgr()) == result.seq


def test_leaving_the_loop_stops_everything(detector: Path, left_behind: Callable[[], list[str]]) -> None:
    run = vidette.run("testsrc:?size=320x192", model=detector)  # it would never end
    for result in run:
        if result.seq == 5:
            break
    assert not left_behind()
    report = run.report
    assert report["interrupted"]
    assert report["streams"][0]["in_flight"] == 0


def test_an_error_in_the_loop_stops_everything(detector: Path, left_behind: Callable[[], list[str]]) -> None:
    def fail_at_three() -> None:
        for result in vidette.run("testsrc:?size=320x192", model=detector):
            _ = 1 / (result.seq - 3)

    with pytest.raises(ZeroDivisionError):
        fail_at_three()
    assert not left_behind()


def test_a_slow_reader_holds_the_decoder_back(detector: Path) -> None:
    """More frames than all queues together hold; those with pictures are short."""
    seqs: list[int] = []
    run = vidette.run("testsrc:?size=320x192&frames=200", model=detector, runtime="onnx", pictures=True)
    for result in run:
        if not seqs:
            before = -1
            while (now := run.report["streams"][0]["decoded"]) != before:
                before = now
                time.sleep(0.2)
            assert now < 100
        seqs.append(result.seq)
    assert seqs == list(range(200))
    assert run.complete


def test_further_sinks(detector: Path, tmp_path: Path) -> None:
    run = vidette.run(SOURCE, model=detector, sinks=[str(tmp_path / "out.jsonl"), str(tmp_path / "out.csv")])
    assert len(list(run)) == 30
    assert (tmp_path / "out.jsonl").read_text().count("\n") == 30
    assert (tmp_path / "out.csv").exists()


def test_one_further_sink(detector: Path, tmp_path: Path) -> None:
    assert len(list(vidette.run(SOURCE, model=detector, sinks=str(tmp_path / "out.jsonl")))) == 30
    assert (tmp_path / "out.jsonl").read_text().count("\n") == 30


def test_a_run_is_iterated_over_once(detector: Path) -> None:
    run = vidette.run(SOURCE, model=detector)
    assert len(list(run)) == 30
    with pytest.raises(vidette.VidetteError, match=r"call vidette\.run again"):
        list(run)
    assert run.report["streams"][0]["results"] == 30


def test_without_a_model_the_argument_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("VIDETTE_MODELS", str(tmp_path))
    with pytest.raises(vidette.ConfigError, match="model=FILE"):
        vidette.run(SOURCE)


def test_live_takes_the_newest(detector: Path) -> None:
    run = vidette.run("testsrc:?size=320x192&rate=500&frames=100", model=detector, mode="live")
    seqs = [result.seq for result in run]
    assert seqs == sorted(seqs)
    stream = run.report["streams"][0]
    assert stream["results"] + sum(stream["dropped"].values()) == 100


@pytest.mark.parametrize(
    ("sources", "options", "kind", "said"),
    [
        (["none.mp4"], {}, vidette.ConfigError, "no such file or folder: none.mp4"),
        ([SOURCE], {"model": "none.onnx"}, vidette.ConfigError, "no such file"),
        ([SOURCE], {"sinks": ["out.xyz"]}, vidette.ConfigError, "no sink takes this"),
        ([SOURCE], {"classes": ["gren"]}, vidette.ConfigError, "did you mean 'green'?"),
        ([SOURCE], {"sinks": ["none/out.jsonl"]}, vidette.SinkError, "make the folder first"),
        ([SOURCE], {"confidence": 7}, vidette.ConfigError, "confidence: "),
        ([SOURCE], {"confidense": 0.5}, vidette.ConfigError, "confidense: unknown"),
        ([SOURCE], {"mode": "livve"}, vidette.ConfigError, "mode: "),
        ([SOURCE], {"fps_limit": -1}, vidette.ConfigError, "fps_limit: "),
        ([], {}, vidette.ConfigError, "no source"),
    ],
)
def test_what_is_wrong_is_told_before_the_first_result(
    detector: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sources: list[str], options: dict[str, object],
    kind: type[vidette.VidetteError], said: str, left_behind: Callable[[], list[str]]) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    with pytest.raises(kind, match=re.escape(said)) as caught:
        next(iter(vidette.run(*sources, **{"model": detector, **options})))  # type: ignore[arg-type]
    assert "--" not in str(caught.value)  # the words of the command line
    assert not left_behind()


def test_a_source_that_fails_is_in_the_ledger(detector: Path, tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("hello")
    run = vidette.run(tmp_path / "text.mp4", SOURCE, model=detector)
    assert len(list(run)) == 30
    assert not run.complete
    assert "not a video" in run.report["streams"][0]["error"]


def test_the_example_of_the_readme_runs(
    detector: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(detector, "yolo11n.onnx")
    write_clip(Path("people.mp4"), 3, size=(320, 192))
    example = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)[0]
    exec(compile(example, "README.md", "exec"), {})
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("people 0.0 ")
    assert any("red" in line or "green" in line or "blue" in line for line in lines)
