"""The report's files: what is on the page, what hostile input does to it, and how it reaches the disk."""

import json
import os
import stat
import sys
import tracemalloc
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from vidette.errors import ConfigError, SinkError
from vidette.frame import Picture
from vidette.predictions import Predictions
from vidette.predictions.classification import Classification
from vidette.predictions.detections import Detections
from vidette.predictions.masks import Masks, Outline
from vidette.predictions.semantic import SemanticMap
from vidette.report import ReportCollector, check_writable, write_report
from vidette.report.collect import StreamSummary, thumbnail
from vidette.report.timeline import MAX_BINS
from vidette.result import Result, StageTimes
from vidette.sink import RunFacts, Sink, StreamFacts

LABELS = ("person", "car", "<script>alert(1)</script>")
HOSTILE = '"><script>alert(1)</script><img src="http://evil/x">\x1b[31m\x00\u202e&amp;.mp4\udcff'
VOID = {"meta", "img", "br", "link", "line", "rect", "path"}


class Page(HTMLParser):
    """The page as tags and table cells; fails on a tag that is not closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.tables: dict[str, list[list[str]]] = {}
        self.text = ""
        self._open: list[str] = []
        self._table = ""
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID or tag == "rect":
            self._open.append(tag)
        if tag == "table":
            self._table = dict(attrs)["id"] or ""
            self.tables[self._table] = []
        elif tag == "tr":
            self.tables[self._table].append([])
        elif tag in ("td", "th"):
            self.tables[self._table][-1].append("")
        elif tag in ("small", "br") and "td" in self._open:
            self.tables[self._table][-1][-1] += "|"

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag in VOID and tag != "rect" and (not self._open or self._open[-1] != tag):
            return
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data
        if self._open and ("td" in self._open or "th" in self._open):
            self.tables[self._table][-1][-1] += data

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def stream(name: str = "gate", **numbers: Any) -> dict[str, Any]:
    return {
        "stream": name, "model": "m", "decoded": 0, "inferred": 0, "results": 0, "dropped": {}, "failed": {},
        "unreadable": {}, "in_flight": 0, "objects": 0, "candidates_cut": 0, "error": None, "wall_s": 0.0, "fps": None,
        "mean_batch": None, "latency_p50_ms": None, "latency_p99_ms": None,
        "stages_ms": {"decode": 0.0, "queue": 0.0, "scale": 0.0, "run": 0.0, "postprocess": 0.0},
        **numbers,
    }  # fmt: skip


def report(*streams: dict[str, Any], **numbers: Any) -> dict[str, Any]:
    return {"wall_s": 0.0, "interrupted": False, "models": [], "streams": list(streams), "sinks": [], **numbers}


def model(**facts: Any) -> dict[str, Any]:
    return {
        "model": "people", "file": "yolo.onnx", "family": "ultralytics", "runtime": "openvino", "device": "cpu",
        "precision": "bf16", "inputs": ["640x384"], "callers": 2, "threads": 1, "ladder": [1, 4], "plan": "throughput",
        "plan_reason": "as asked", "options": {}, "batches": 1234, "device_busy": 0.934, **facts,
    }  # fmt: skip


def result(seq: int, classes: list[int], pts_s: float | None = None, **facts: Any) -> Result:
    n = len(classes)
    boxes = np.tile(np.float32([8, 8, 40, 30]), (n, 1))
    confidence = np.full(n, 0.62, np.float32)
    found = Detections(boxes, confidence, np.array(classes, np.int32), LABELS)
    values: dict[str, Any] = {
        "stream": "gate", "epoch": 0, "seq": seq, "pts_s": pts_s, "time": 1e9 + seq, "width": 64, "height": 48,
        "model": "m", "run": {}, "predictions": found, "batch": 1, "stages": StageTimes(), **facts,
    }  # fmt: skip
    return Result(**values)


def picture(value: int = 90, width: int = 64, height: int = 48) -> Picture:
    return Picture(np.full((height, width, 3), value, np.uint8))


def html(tmp_path: Path, run: dict[str, Any], collector: ReportCollector | None = None) -> Page:
    path = tmp_path / "report.html"
    write_report(path, run, collector)
    return Page(path.read_text(encoding="utf-8"))


@pytest.fixture(autouse=True)
def command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["vidette", "run", "rtsp://user:geheim@gate/1", "--report", "report.html"])


def test_the_collector_is_a_sink() -> None:
    assert isinstance(ReportCollector(), Sink)


def test_numbers_on_the_page_are_those_of_the_report(tmp_path: Path) -> None:
    gate = stream(
        decoded=1500, inferred=1203, results=1200, dropped={"newest": 280, "fps": 15}, failed={"nan": 3}, in_flight=2,
        unreadable={"corrupt": 4}, objects=98765, wall_s=61.25, fps=19.59, mean_batch=2.5, latency_p50_ms=41.2,
        latency_p99_ms=120.9,
        stages_ms={"decode": 1.31, "queue": 2.0, "scale": 0.25, "run": 1234.5, "postprocess": 0.07},
    )  # fmt: skip
    sink = {"sink": "out.jsonl", "handed": 1200, "written": 1190, "lost": {"full": 9}, "waiting": 1, "error": None}
    collector = {**sink, "sink": ReportCollector().name}  # it is part of the page, no receiver
    yard = stream("yard", error="yard.mp4: not a video")
    page = html(tmp_path, report(gate, yard, wall_s=61.25, models=[model()], sinks=[sink, collector]))
    head, first, second = page.tables["frames"]
    assert dict(zip(head, first, strict=True)) == {
        "stream": "gate", "decoded": "1,500", "inferred": "1,203", "results": "1,200",
        "dropped": "295|newest 280|fps 15", "failed": "3|nan 3", "in flight": "2",
        "unreadable": "4|corrupt 4", "objects": "98,765", "wall": "61.25 s",
        "frames/s": "19.59", "mean batch": "2.5", "latency ms, p50": "41.2", "p99": "120.9",
    }  # fmt: skip
    assert second[0] == "yard|yard.mp4: not a video"
    assert second[-1] == "–"
    assert page.tables["models"][1] == [
        "people|yolo.onnx", "ultralytics", "openvino|cpu", "bf16", "640x384", "2 x 1|threads", "1,234|up to 4", "93%",
        "throughput|as asked",
    ]  # fmt: skip
    assert len(page.tables["sinks"]) == 2
    assert page.tables["sinks"][1] == ["out.jsonl", "1,200", "1,190", "9|full 9", "1", "–"]
    for text in ("1.31 ms", "2.00 ms", "0.25 ms", "1,234.50 ms", "0.07 ms", "some frames failed", "with errors"):
        assert (text in page.text) == (text != "some frames failed")  # a sink that lost results weighs more


def test_objects_on_the_page_are_those_of_the_results(tmp_path: Path) -> None:
    collector = ReportCollector()
    for seq in range(30):
        collector.write(result(seq, [0, 0, 1] if seq % 3 == 0 else [0], seq * 0.1))
    page = html(tmp_path, report(stream(decoded=30, inferred=30, results=30, objects=50), wall_s=1.0), collector)
    assert page.tables["classes"][1:] == [
        ["person", "40", "1.33", "2", "100.0%"],
        ["car", "10", "0.33", "1", "33.3%"],
    ]
    assert "0.60 to 0.65: 50 objects" in page.text
    assert "every decoded frame has its result" in page.text
    assert "cover" not in page.text


def of_a_picture(*class_id: int) -> Classification:
    return Classification(np.full(3, 0.62, np.float32), LABELS, np.array(class_id, np.int32))


def of_pixels() -> SemanticMap:
    return SemanticMap(
        np.array([[0, 0, 0, 1]], np.uint8), np.array([0.0, 0, 64, 48]), LABELS, np.array([0, 1], np.int32),
        np.array([0.75, 0.25], np.float32),
    )  # fmt: skip


def test_a_classifier_is_told_in_its_own_words(tmp_path: Path) -> None:
    collector = ReportCollector()
    for seq in range(4):
        collector.write(result(seq, [], seq * 0.1, predictions=of_a_picture(*([0, 1] if seq == 0 else [0]))))
    page = html(tmp_path, report(stream(decoded=4, inferred=4, results=4, objects=5), wall_s=1.0), collector)
    assert page.tables["classes"] == [
        ["class", "pictures", "of pictures"],
        ["person", "4", "100.0%"],
        ["car", "1", "25.0%"],
    ]
    assert "classes found" in page.text
    assert "Classes per picture" in page.text
    assert "0.60 to 0.65: 5 classes" in page.text
    assert "object" not in page.text.lower()


def test_a_semantic_map_is_told_by_what_its_classes_cover(tmp_path: Path) -> None:
    collector = ReportCollector()
    nothing = replace(of_pixels(), class_id=np.empty(0, np.int32), shares=np.empty(0, np.float32))
    for seq in range(4):
        collector.write(result(seq, [], seq * 0.1, predictions=of_pixels() if seq else nothing))
    page = html(tmp_path, report(stream(decoded=4, inferred=4, results=4, objects=6), wall_s=1.0), collector)
    assert page.tables["classes"] == [
        ["class", "frames", "of frames", "mean share of the picture"],
        ["person", "3", "75.0%", "56.2%"],
        ["car", "3", "75.0%", "18.8%"],
    ]
    assert "object" not in page.text.lower()


def test_streams_of_several_kinds_share_a_neutral_word(tmp_path: Path) -> None:
    collector = ReportCollector()
    collector.write(result(0, [0], 0.0))
    collector.write(result(0, [], 0.0, stream="yard", predictions=of_a_picture(0)))
    streams = [stream(decoded=1, results=1, objects=1), stream("yard", decoded=1, results=1, objects=1)]
    page = html(tmp_path, report(*streams), collector)
    assert "answers found" in page.text
    assert "Objects per frame" in page.text
    assert "Classes per picture" in page.text
    assert "1 object" in page.text
    assert "1 class" in page.text


@pytest.mark.parametrize("kind", ["classifier", "semantic"])
def test_many_classes_are_summed_up(tmp_path: Path, kind: str) -> None:
    many = np.arange(40, dtype=np.int32)
    found: Predictions = Classification(np.full(40, 0.5, np.float32), LABELS, many)
    if kind == "semantic":
        found = replace(of_pixels(), class_id=many, shares=np.full(40, 1 / 40, np.float32))
    collector = ReportCollector()
    collector.write(result(0, [], 0.0, predictions=found))
    head, *rows = html(tmp_path, report(stream(decoded=1, results=1, objects=40)), collector).tables["classes"]
    assert len(rows) == 26
    assert rows[-1] == ["15 more classes", "15", *[""] * (len(head) - 2)]


def test_results_that_the_collector_missed_are_said(tmp_path: Path) -> None:
    collector = ReportCollector()
    collector.write(result(0, [0], 0.0))
    page = html(tmp_path, report(stream(decoded=3, results=3, objects=3)), collector)
    assert "cover 1 of 3 results" in page.text


@pytest.mark.parametrize(
    ("numbers", "interrupted", "words"),
    [
        ({"decoded": 2, "results": 2}, False, "every decoded frame has its result"),
        ({"decoded": 2, "results": 1, "dropped": {"newest": 1}}, False, "some frames dropped"),
        ({"decoded": 2, "results": 1, "failed": {"nan": 1}}, False, "some frames failed"),
        ({"decoded": 2, "results": 2, "unreadable": {"corrupt": 1}}, False, "some frames failed"),
        ({"decoded": 2, "results": 2}, True, "stopped before the end"),
        ({"decoded": 2, "results": 2, "error": "gate: no route"}, False, "with errors"),
        ({}, False, "no frames"),
    ],
)
def test_verdict(tmp_path: Path, numbers: dict[str, Any], interrupted: bool, words: str) -> None:
    assert words in html(tmp_path, report(stream(**numbers), interrupted=interrupted)).text


def test_an_empty_run_is_a_page_too(tmp_path: Path) -> None:
    page = html(tmp_path, report())
    assert "No streams." in page.text
    assert page.named("img") == []


def test_nothing_from_outside_becomes_markup(tmp_path: Path) -> None:
    collector = ReportCollector()
    collector.write(result(0, [2, 2, 0, 7], 0.0, stream=HOSTILE))
    run = report(
        stream(HOSTILE, decoded=1, results=1, error=HOSTILE, dropped={HOSTILE: 1}, stages_ms={HOSTILE: 1.0}),
        models=[model(model=HOSTILE, file=HOSTILE, plan_reason=HOSTILE)],
        sinks=[{"sink": HOSTILE, "handed": 1, "written": 0, "lost": {HOSTILE: 1}, "waiting": 0, "error": HOSTILE}],
    )
    page = html(tmp_path, run, collector)
    assert page.named("script") == []
    assert page.named("img") == []
    assert all(not value or "://" not in value for _, attributes in page.tags for value in attributes.values())
    assert "<script>alert(1)</script>" in page.text  # shown as text
    assert "\x1b" not in page.text
    assert "\x00" not in page.text
    assert page.tables["classes"][1][0] == LABELS[2]
    assert {row[0] for row in page.tables["classes"]} >= {"7"}  # a class number without a label


def test_the_page_asks_for_nothing_and_runs_nothing(tmp_path: Path) -> None:
    collector = ReportCollector()
    collector.write(result(0, [0], 0.0, picture=picture()))
    page = html(tmp_path, report(stream(decoded=1, results=1)), collector)
    policy = next(tag["content"] for tag in page.named("meta") if tag.get("http-equiv"))
    assert policy is not None
    assert policy.startswith("default-src 'none'")
    assert "script" not in policy
    sources = [tag["src"] or "" for tag in page.named("img")]
    assert len(sources) == 1
    assert sources[0].startswith("data:image/jpeg;base64,")
    assert {tag for tag, _ in page.tags}.isdisjoint({"script", "link", "iframe", "object"})
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)


def test_the_command_is_shown_without_its_password(tmp_path: Path) -> None:
    page = html(tmp_path, report())
    assert "vidette run rtsp://gate/1 --report report.html" in page.text
    assert "geheim" not in (tmp_path / "report.html").read_text()


def test_json_is_the_ledger_and_what_was_run(tmp_path: Path) -> None:
    run = report(stream(HOSTILE, decoded=3), wall_s=1.5)
    write_report(tmp_path / "r.json", run)
    read = json.loads((tmp_path / "r.json").read_bytes())
    assert {key: read[key] for key in run} == run
    assert read["command"] == "vidette run rtsp://gate/1 --report report.html"
    assert read["date"].endswith("+00:00")
    assert read["version"]


def test_ten_thousand_results_take_bounded_memory() -> None:
    collector = ReportCollector()
    collector.open(RunFacts([StreamFacts("gate", "gate.mp4")]))

    def feed(first: int, last: int) -> None:
        for seq in range(first, last):
            collector.write(result(seq, [seq % 3] * (seq % 7), seq / 10, picture=picture(seq % 256)))

    feed(0, 2000)
    tracemalloc.start()
    feed(2000, 10_000)
    grown = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    summary = collector.streams["gate"]
    assert summary.frames == 10_000
    assert sum(summary.objects.values()) == sum(seq % 7 for seq in range(10_000))
    assert len(summary.timeline.bins) <= MAX_BINS
    assert len(summary.best) == 8
    assert grown < 200_000


def test_pictures_are_drawn_for_few_frames_only() -> None:
    drawn = []

    class Watched(Picture):
        def bgr(self) -> Any:
            drawn.append(self)
            return super().bgr()

    collector = ReportCollector()
    for seq in range(3000):
        watched = Watched(np.zeros((48, 64, 3), np.uint8))
        collector.write(result(seq, [0] * (1 + seq * 7919 % 10), seq / 10, picture=watched))
    assert 8 <= len(drawn) < 200
    assert [best.objects for best in collector.streams["gate"].best] == [10] * 8


def test_the_best_frames_are_apart_in_time() -> None:
    summary = StreamSummary(4)
    for seq in range(1000):
        count = 9 if 500 <= seq < 503 else 5 if seq in (100, 300, 900) else 1
        summary.add(result(seq, [0] * count, seq / 10, picture=picture()))
    assert sorted((best.seq, best.objects) for best in summary.best) == [(100, 5), (300, 5), (500, 9), (900, 5)]


def test_the_best_frames_of_a_growing_crowd_are_its_last() -> None:
    summary = StreamSummary(4)
    for seq in range(1000):
        summary.add(result(seq, [0] * (1 + seq // 100), seq / 10, picture=picture()))
    assert min(best.objects for best in summary.best) >= 6


def test_a_steady_scene_is_shown_at_all_its_times() -> None:
    summary = StreamSummary(4)
    for seq in range(1000):
        summary.add(result(seq, [0], seq / 10, picture=picture()))
    assert max(best.position for best in summary.best) > 50


def test_many_streams_share_the_pictures() -> None:
    collector = ReportCollector()
    collector.open(RunFacts([StreamFacts(str(i), str(i)) for i in range(64)]))
    for seq in range(50):
        collector.write(result(seq, [0], seq * 10.0, picture=picture()))
    assert len(collector.streams["gate"].best) == 1


@pytest.mark.parametrize("kind", ["boxes", "masks", "classifier", "semantic"])
def test_a_thumbnail_shows_every_kind(kind: str) -> None:
    boxes = Detections(
        np.array([[100, 300, 1800, 900]], np.float32), np.array([0.9], np.float32), np.array([0], np.int32), LABELS
    )
    masks = Masks.of([np.ones((4, 4), np.uint8)], boxes.xyxy.astype(np.float64), Outline())
    found = {
        "boxes": boxes,
        "masks": replace(boxes, masks=masks),
        "classifier": of_a_picture(0),
        "semantic": replace(of_pixels(), extent=np.array([0.0, 0, 1920, 1080])),
    }[kind]
    shot = cv2.imdecode(np.frombuffer(thumbnail(picture(90, 1920, 1080).bgr(), found), np.uint8), cv2.IMREAD_COLOR)
    assert shot.shape == (270, 480, 3)
    drawn = np.abs(shot.astype(int) - 90).max(axis=2) > 20
    assert drawn.mean() > {"boxes": 0.01, "masks": 0.3, "classifier": 0.001, "semantic": 0.7}[kind]


def test_a_thumbnail_is_small_and_drawn_upon() -> None:
    collector = ReportCollector()
    collector.write(result(0, [0], 0.0, picture=picture(128, 1280, 720)))
    jpeg = collector.streams["gate"].best[0].jpeg
    shown = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert shown is not None
    assert shown.shape == (270, 480, 3)
    assert np.abs(shown.astype(int) - 128).max() > 40


@pytest.mark.parametrize(
    ("name", "words"),
    [("report.txt", ".json"), ("missing/report.json", "no folder"), ("folder.json", "is a folder")],
)
def test_a_path_that_cannot_be_is_refused_before_the_run(tmp_path: Path, name: str, words: str) -> None:
    (tmp_path / "folder.json").mkdir()
    with pytest.raises(ConfigError, match=words):
        check_writable(tmp_path / name)


def test_checking_leaves_nothing_behind(tmp_path: Path) -> None:
    check_writable(tmp_path / "report.html")
    check_writable(tmp_path / "report.json")
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_leaves_the_old_report_and_no_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "report.json"
    path.write_text("old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(SinkError, match="No space left"):
        write_report(path, report())
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_others_may_read_the_report(tmp_path: Path) -> None:
    write_report(tmp_path / "r.json", report())
    (tmp_path / "plain").touch()
    assert stat.S_IMODE((tmp_path / "r.json").stat().st_mode) == stat.S_IMODE((tmp_path / "plain").stat().st_mode)
