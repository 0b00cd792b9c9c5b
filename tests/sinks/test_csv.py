import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.sinks.results import detections, result, run_of, write_until_error
from vidette.predictions.classification import Classification
from vidette.predictions.masks import Masks, Outline
from vidette.predictions.semantic import SemanticMap
from vidette_sinks.csv import COLUMNS, CsvSettings, CsvSink


def opened(path: Path, live: bool = False, **settings) -> CsvSink:
    sink = CsvSink(CsvSettings(path=str(path), **settings))
    sink.open(run_of(live=live))
    return sink


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_one_row_per_object_and_none_for_empty_frames(tmp_path):
    path = tmp_path / "out.csv"
    sink = opened(path)
    for seq in range(3):
        sink.write(result(seq, predictions=detections(seq)))
    got = rows(path)
    sink.close()
    assert [row["seq"] for row in got] == ["1", "2", "2"]
    assert tuple(got[0]) == COLUMNS
    assert got[0] == {
        "stream": "cam", "epoch": "0", "seq": "1", "pts_s": str(1 / 30), "time": "2023-11-14T22:13:20.033Z",
        "model": "m", "class": "person", "class_id": "0", "confidence": "0.9",
        "x1": "10.125", "y1": "10.125", "x2": "40.625", "y2": "50.375", "keypoints": "",
        "points": "", "share": "",
    }  # fmt: skip


def test_landmarks_are_one_column(tmp_path):
    sink = opened(tmp_path / "out.csv")
    sink.write(result(predictions=detections(1, keypoints=2)))
    sink.close()
    assert rows(tmp_path / "out.csv")[0]["keypoints"] == "10.125 11.125 0.5 10.125 11.125 0.5"


def test_the_first_columns_stay_where_they_were():
    assert COLUMNS[:14] == (
        "stream", "epoch", "seq", "pts_s", "time", "model", "class", "class_id", "confidence", "x1", "y1", "x2", "y2",
        "keypoints",
    )  # fmt: skip


def written(path: Path, predictions) -> list[dict[str, str]]:
    sink = opened(path / "out.csv")
    sink.write(result(predictions=predictions))
    sink.close()
    got = rows(path / "out.csv")
    assert all(tuple(row) == COLUMNS for row in got)
    return got


def test_corners_of_oriented_boxes_are_one_column(tmp_path):
    corners = np.array([[[10, 0], [20, 10], [10, 20], [0, 10.5]]], np.float32)
    (row,) = written(tmp_path, replace(detections(1), corners=corners))
    assert row["points"] == "10.0 0.0 20.0 10.0 10.0 20.0 0.0 10.5"
    assert row["x1"] == "10.125"


def test_polygons_of_a_mask_are_one_column(tmp_path):
    two = np.array([[1, 0, 0], [0, 0, 0], [0, 0, 1]], np.uint8)
    masks = Masks.of([two, np.zeros((2, 2), np.uint8)], np.array([[10.0, 20, 13, 23]] * 2), Outline(tolerance=0))
    first, second = written(tmp_path, replace(detections(2), masks=masks))
    squares = [np.array(text.split(), float).reshape(-1, 2) for text in first["points"].split(" ; ")]
    assert [sorted(map(tuple, square)) for square in squares] == [
        [(10, 20), (10, 21), (11, 20), (11, 21)],
        [(12, 22), (12, 23), (13, 22), (13, 23)],
    ]
    assert second["points"] == ""


def test_a_class_of_a_classifier_has_a_row_without_a_place(tmp_path):
    scores = np.array([0.1, 0.7, 0.2], np.float32)
    got = written(tmp_path, Classification(scores, ("a", "b", "c"), np.array([1, 2], np.int32)))
    assert [(row["class"], row["class_id"], row["confidence"]) for row in got] == [("b", "1", "0.7"), ("c", "2", "0.2")]
    assert {row[name] for row in got for name in COLUMNS[9:]} == {""}


def test_a_class_of_a_semantic_map_has_a_row_with_its_share(tmp_path):
    grid = np.array([[0, 2], [2, 2]], np.uint8)
    found = SemanticMap(
        grid, np.array([0.0, 0, 320, 240]), ("road", "sky", "tree"), np.array([2, 0], np.int32),
        np.array([0.75, 0.25], np.float32), scores=np.array([[0.5, 1], [1, 0.7]], np.float32),
    )  # fmt: skip
    got = written(tmp_path, found)
    assert [(row["class"], row["share"], row["confidence"]) for row in got] == [
        ("tree", "0.75", "0.9"),
        ("road", "0.25", "0.5"),
    ]
    assert {row[name] for row in got for name in COLUMNS[9:15]} == {""}


def test_names_with_commas_quotes_and_line_ends_survive(tmp_path):
    sink = opened(tmp_path / "out.csv")
    sink.write(result(stream='a,"b"\nc', pts_s=None))
    sink.close()
    got = rows(tmp_path / "out.csv")
    assert got[0]["stream"] == 'a,"b"\nc'
    assert got[0]["pts_s"] == ""


def test_appending_keeps_one_header(tmp_path):
    for append in (False, True, None):
        sink = opened(tmp_path / "out.csv", live=True, append=append)
        sink.write(result(predictions=detections(1)))
        sink.close()
    assert len(rows(tmp_path / "out.csv")) == 3
    assert (tmp_path / "out.csv").read_text().count("confidence") == 1


def test_an_older_file_keeps_its_columns(tmp_path):
    path = tmp_path / "out.csv"
    path.write_text(",".join(COLUMNS[:14]) + "\n")
    sink = opened(path, append=True)
    sink.write(result(predictions=detections(1, keypoints=1)))
    sink.close()
    (row,) = rows(path)
    assert tuple(row) == COLUMNS[:14]
    assert row["keypoints"] == "10.125 11.125 0.5"


@pytest.mark.parametrize("before", ["a,b\n1,2\n", "\n", "\x00\n", "x" * 10_000 + "\n"])
def test_behind_something_else_rows_are_whole(tmp_path, before):
    path = tmp_path / "out.csv"
    path.write_text(before)
    sink = opened(path, append=True)
    sink.write(result(predictions=detections(1)))
    sink.close()
    assert path.read_text().removeprefix(before).count(",") == len(COLUMNS) - 1


def test_a_full_disk_leaves_whole_frames(small_disk, fill):
    sink = opened(small_disk / "out.csv")
    fill(8192)
    written, error = write_until_error(sink, (result(seq, predictions=detections(7)) for seq in range(10_000)))
    assert "No space left on device" in str(error)
    sink.close()
    assert written
    assert [int(row["seq"]) for row in rows(small_disk / "out.csv")] == [s for s in range(written) for _ in range(7)]
