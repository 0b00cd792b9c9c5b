import csv
from pathlib import Path

from tests.sinks.results import detections, result, run_of, write_until_error
from vidette_sinks.csv import COLUMNS, CsvSettings, CsvSink


def opened(path: Path, **settings) -> CsvSink:
    sink = CsvSink(CsvSettings(path=str(path), **settings))
    sink.open(run_of())
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
    }  # fmt: skip


def test_landmarks_are_one_column(tmp_path):
    sink = opened(tmp_path / "out.csv")
    sink.write(result(predictions=detections(1, keypoints=2)))
    sink.close()
    assert rows(tmp_path / "out.csv")[0]["keypoints"] == "10.125 11.125 0.5 10.125 11.125 0.5"


def test_names_with_commas_quotes_and_line_ends_survive(tmp_path):
    sink = opened(tmp_path / "out.csv")
    sink.write(result(stream='a,"b"\nc', pts_s=None))
    sink.close()
    got = rows(tmp_path / "out.csv")
    assert got[0]["stream"] == 'a,"b"\nc'
    assert got[0]["pts_s"] == ""


def test_appending_keeps_one_header(tmp_path):
    for append in (False, True):
        sink = opened(tmp_path / "out.csv", append=append)
        sink.write(result(predictions=detections(1)))
        sink.close()
    assert len(rows(tmp_path / "out.csv")) == 2
    assert (tmp_path / "out.csv").read_text().count("confidence") == 1


def test_a_full_disk_leaves_whole_frames(small_disk, fill):
    sink = opened(small_disk / "out.csv")
    fill(8192)
    written, error = write_until_error(sink, (result(seq, predictions=detections(7)) for seq in range(10_000)))
    assert "No space left on device" in str(error)
    sink.close()
    assert written
    assert [int(row["seq"]) for row in rows(small_disk / "out.csv")] == [s for s in range(written) for _ in range(7)]
