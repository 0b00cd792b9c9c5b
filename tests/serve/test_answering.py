"""Which answers are made beside the event loop, so that it answers others meanwhile."""

import asyncio
import threading
from collections.abc import Sequence

import numpy as np
import pytest

from vidette.exit import Failure
from vidette.predictions import Predictions
from vidette.predictions.detections import Detections
from vidette.predictions.masks import Outline
from vidette.predictions.semantic import SemanticMap
from vidette.result import Result, StageTimes
from vidette.serve.answering import beside

BOXES = Detections.none(["a"])
OUTLINES = Detections.none(["a"], masks=Outline())
MAP = SemanticMap(np.zeros((2, 2), np.uint8), np.array([0.0, 0, 2, 2]), ["a"], np.zeros(1, np.int32),
                  np.ones(1, np.float32))  # fmt: skip


def outcome(predictions: Predictions) -> Result:
    return Result("http", 0, 0, None, 0.0, 2, 2, "m", {}, predictions, 1, StageTimes())


@pytest.mark.parametrize(
    ("outcomes", "drawn", "elsewhere"),
    [
        ([outcome(BOXES)], False, False),
        ([Failure("run", "it failed")], False, False),
        ([outcome(BOXES)], True, True),
        ([outcome(OUTLINES)], False, True),
        ([outcome(BOXES), outcome(MAP)], False, True),
    ],
    ids=["boxes", "failure", "drawing", "outlines", "one of two a map"],
)
def test_what_takes_long_is_made_beside_the_event_loop(
    outcomes: Sequence[Result | Failure], drawn: bool, elsewhere: bool
) -> None:
    made = asyncio.run(beside(threading.get_ident, outcomes, drawn=drawn))
    assert (made != threading.get_ident()) == elsewhere
