"""Frame sets through the whole engine: what leaves is what was written, every frame once, in order.

The tiny detector cannot read numbers, so the picture that comes with each result is read, and the JSONL file beside it.
"""

import json
from pathlib import Path
from typing import Any

import pytest

import vidette
from tests.media import Written, write_clip
from vidette.frame import rotate
from vidette.sources.synthetic import read_number

X264 = {"preset": "ultrafast", "crf": "20"}
CLIPS: dict[str, dict[str, Any]] = {
    "b-frames": {"options": X264 | {"bf": "3", "b-pyramid": "normal", "g": "30"}, "ending": "mp4"},
    "vfr": {"times_ms": [n * n * 3 + n * 17 for n in range(60)], "ending": "mkv"},
    "open-gop": {"options": X264 | {"bf": "2", "g": "8", "x264-params": "open-gop=1"}, "ending": "mp4"},
    "rotated": {"rotation": 90, "ending": "mp4"},
    "transport-stream": {"options": X264 | {"bf": "2", "g": "12"}, "ending": "ts"},
}


def write(path: Path, clip: dict[str, Any]) -> tuple[Path, Written]:
    options: dict[str, Any] = {"frames": 60, "size": (320, 192)} | clip
    path = path.with_suffix("." + options.pop("ending"))
    return path, write_clip(path, **options)


def of_media_time(written: Written, first: float) -> Written:
    """The same with times counted from `first`: a transport stream starts where its muxer wants."""
    return [(pts_s - written[0][0] + first, number) for pts_s, number in written]


def same(got: list[tuple[float, int]], written: Written) -> None:
    assert [number for _, number in got] == [number for _, number in written]
    assert [pts_s for pts_s, _ in got] == pytest.approx([pts_s for pts_s, _ in written], abs=0.001)


def test_what_leaves_is_what_was_written(detector: Path, tmp_path: Path) -> None:
    """All clips at once, so that their frames meet in the lane."""
    clips = {name: write(tmp_path / name, clip) for name, clip in CLIPS.items()}
    lines = tmp_path / "out.jsonl"
    run = vidette.run(*(path for path, _ in clips.values()), model=detector, sinks=[str(lines)], pictures=True)
    seen: dict[str, list[tuple[float, int]]] = {name: [] for name in clips}
    for result in run:
        assert result.picture is not None
        assert result.pts_s is not None
        assert result.seq == len(seen[result.stream])
        upright = result.picture.bgr()  # the number was written before the camera was turned
        stored = rotate(upright, 270) if result.stream == "rotated" else upright
        seen[result.stream].append((result.pts_s, read_number(stored)))
    assert run.complete
    records = [json.loads(line) for line in lines.read_text().splitlines()]
    for name, (_, written) in clips.items():
        same(seen[name], of_media_time(written, seen[name][0][0]) if name == "transport-stream" else written)
        mine = [record for record in records if record["stream"] == name]
        assert [record["seq"] for record in mine] == list(range(60))
        assert [record["pts_s"] for record in mine] == [pts_s for pts_s, _ in seen[name]]
        size = {"width": 192, "height": 320} if name == "rotated" else {"width": 320, "height": 192}
        assert all(record["image"] == size for record in mine)


def test_the_number_in_the_pixels_reaches_the_annotated_video(detector: Path, tmp_path: Path) -> None:
    """Pictures and results do not slip against each other on the way into a file that is encoded again."""
    path, written = write(tmp_path / "in", CLIPS["b-frames"])
    target = tmp_path / "annotated.mp4"
    for _ in vidette.run(path, model=detector, sinks=[str(target)], classes=["red"], confidence=0.999):
        pass  # so strict that no box is drawn over the number
    got = [
        (result.pts_s or 0.0, read_number(result.picture.bgr()))  # type: ignore[union-attr]
        for result in vidette.run(target, model=detector, pictures=True)
    ]
    same(got, written)
