"""`vidette bench` as it is typed; no numbers of this machine are judged, only what is made of them."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tests.tiny import make_detector
from vidette import bench
from vidette.cli import main
from vidette.cli.bench import busy_elsewhere, cameras, conclusion

TESTSRC = "testsrc:?size=320x192&rate=30&frames=20"


@pytest.fixture(autouse=True)
def _short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("_RUN_S", "_SHORT_S"):
        monkeypatch.setattr(bench, name, 0.02)


def measured(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    assert main(["bench", *words, "--json"]) == 0
    answer: dict[str, Any] = json.loads(capsys.readouterr().out)
    return answer


def test_every_part_is_measured_and_adds_up(detector: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answer = measured(capsys, TESTSRC, "--model", str(detector), "--runtime", "onnx")
    assert answer["picture"] == [320, 192]
    assert answer["frames"] == 20
    assert answer["fps"] == 30
    (way,) = answer["ways"]
    parts = [way[f"{part}_ms"] for part in ("decode", "scale", "run", "postprocess")]
    assert all(part > 0 for part in parts)
    assert way["total_ms"] == pytest.approx(sum(parts), abs=0.01)
    assert (way["runtime"], way["precision"], way["input"]) == ("onnx", "f32", "320x192")
    assert way["cameras"] == int(way["fps_that_fit"] / 30)


def test_all_compares_what_is_left_at_auto(detector: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answer = measured(capsys, TESTSRC, "--model", str(detector), "--all", "--device", "cpu", "--fps", "10")
    ways = [(way["runtime"], way["input"]) for way in answer["ways"]]
    assert answer["fps"] == 10
    assert answer["failed"] == []
    for runtime in ("onnx", "openvino"):
        assert {size for name, size in ways if name == runtime} == {"320x192", "320x320"}
    answer = measured(
        capsys, TESTSRC, "--model", str(detector), "--all", "--runtime", "openvino", "--precision", "f32",
        "--input", "160x96",
    )  # fmt: skip
    assert [(way["runtime"], way["precision"], way["input"]) for way in answer["ways"]] == [
        ("openvino", "f32", "160x96")
    ]


def test_a_way_that_does_not_work_is_told_and_the_others_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    only_square = make_detector(tmp_path / "square.onnx", works_only_at=(320, 320))
    assert main(["bench", TESTSRC, "--model", str(only_square), "--all", "--runtime", "onnx"]) == 1
    out, err = capsys.readouterr()
    assert "320x320" in out
    assert "own shape" in err.splitlines()[-1]
    assert "does not run at 320x192" in err
    assert main(["bench", TESTSRC, "--model", str(only_square), "--runtime", "onnx"]) == 1
    assert "does not run at 320x192" in capsys.readouterr().err


def test_folders_of_pictures_and_a_table_to_read(
    tmp_path: Path, detector: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number, size in enumerate(((96, 128), (128, 96), (96, 128))):
        cv2.imwrite(str(folder / f"{number}.png"), np.full((*size, 3), 80 * number, np.uint8))
    assert main(["bench", str(folder), "--model", str(detector), "--runtime", "onnx"]) == 0
    text = capsys.readouterr().out
    assert "pictures: 128x96, 3 frames" in text
    assert "at 25 fps fit" in text  # pictures have no rate of their own


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["nowhere.mp4"], 2, "no such file or folder: nowhere.mp4"),
        (["text.mp4"], 1, "text.mp4: not a video"),
        ([TESTSRC, "--fps", "0"], 2, "--fps: 0 is not a rate"),
        ([TESTSRC, "--precision", "f8"], 2, "--precision"),
        ([TESTSRC, "--model", "nothing.onnx"], 2, "nothing.onnx"),
        (["two"], 2, "two holds 2 streams"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    tmp_path: Path, detector: Path, words: list[str], code: int, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "text.mp4").write_text("no video " * 100)
    (tmp_path / "two").mkdir()
    for name in "ab":
        (tmp_path / "two" / f"{name}.mp4").write_bytes(b"")
    model = [] if "--model" in words else ["--model", str(detector)]
    assert main(["bench", *words, *model]) == code
    error = capsys.readouterr().err
    assert says in error
    assert len(error.splitlines()) == 1


COST = bench.Cost(
    runtime="onnx", device="cpu", precision="f32", input=(640, 384), callers=2, threads=1, batch=1, decode_ms=1.0,
    scale_ms=0.5, run_ms=8.0, postprocess_ms=0.5, run_wall_ms=8.0, run_fps=240.0, memory_mb=50.0, cores=2,
)  # fmt: skip


def test_cameras_are_what_the_cores_carry_with_a_reserve() -> None:
    assert COST.fps == pytest.approx(160)  # 2 cores at 10 ms are 200, a fifth is kept
    assert cameras(COST, 25) == 6
    assert conclusion(COST, 25) == (
        "6 cameras at 25 fps fit on 2 cores with onnx (f32, 640x384): 160 frames per second, 20% kept in reserve."
    )
    assert conclusion(COST, 100).startswith("1 camera at 100 fps fits on 2 cores")
    assert conclusion(COST, 200).startswith("Not one camera at 200 fps fits on 2 cores")


def test_a_busy_machine_is_told() -> None:
    assert busy_elsewhere([COST]) == []  # 240 runs of 8 ms: 1.92 of 2 cores
    (line,) = busy_elsewhere([COST, replace(COST, run_fps=125.0)])
    assert "50%" in line


def test_beside_a_gpu_the_tighter_of_both_counts() -> None:
    on_gpu = replace(COST, device="cuda:0", run_ms=0.5)
    assert on_gpu.fps == pytest.approx(0.8 * 240)  # the GPU; the cores would carry 800
    assert replace(on_gpu, decode_ms=18.5).fps == pytest.approx(0.8 * 2 / 0.020)
    assert "on 2 cores and cuda:0" in conclusion(on_gpu, 25)
