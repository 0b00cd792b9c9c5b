"""Lines of a sidecar that have no effect."""

from dataclasses import replace

import pytest

from tests.families.signatures import YOLO, signature
from vidette.families import recognise
from vidette.families.unused import unused

POSE = {"task": "pose", "names": "{0: 'person'}", "kpt_shape": "[17, 3]"}


@pytest.mark.parametrize(
    ("given", "sidecar", "keys"),
    [
        (signature((1, 7, 8400), metadata=YOLO), {}, []),
        (signature((1, 7, 8400), metadata=YOLO), {"family": "ultralytics", "input": {"stride": 32}}, []),
        (signature((1, 7, 8400), metadata=YOLO), {"skeleton": "coco-17"}, ["skeleton"]),
        (
            signature((1, 7, 8400), metadata=YOLO),
            {"family": "ultralytics", "keypoints": 17, "refine": "dark", "multi_label": True, "activation": "sigmoid"},
            ["refine", "multi_label", "activation", "keypoints"],
        ),
        (signature((1, 7, 8400), metadata=YOLO), {"output": "output0"}, ["output"]),
        (signature((1, 7, 8400), metadata=YOLO), {"input": {"margin": 0.875}}, ["input.margin"]),
        (signature((1, 7, 8400), metadata=YOLO), {"input": {"margin": 0.875, "resize": "stretch"}}, []),
        (signature((1, 56, 8400), metadata=POSE), {"skeleton": "coco-17", "keypoints": 17}, []),
        (
            signature((1, 1000)),
            {"activation": "sigmoid", "multi_label": True, "output": "output0", "input": {"margin": 0.5}},
            [],
        ),
        (signature((1, 1000)), {"refine": "udp"}, ["refine"]),
    ],
)
def test_what_the_family_does_not_read_is_told(given, sidecar, keys):
    given = replace(given, sidecar=sidecar)
    note = unused(given, recognise(given))
    assert (note is None) == (not keys)
    for key in keys:
        assert f"the sidecar's {key}" in note
    assert (note or "").count("the sidecar's") == len(keys)
