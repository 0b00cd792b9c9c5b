"""What answers in Ultralytics' formats look like: an entry for each picture, and what is told of the whole."""

import platform
import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import orjson

from vidette import __version__
from vidette.exit import Failure
from vidette.payloads import roboflow, ultralytics
from vidette.predictions.classification import Classification
from vidette.predictions.semantic import SemanticMap
from vidette.remote.dialects import HUB_TASKS
from vidette.result import Result
from vidette.serve.answering import refused
from vidette.serve.registry import Held
from vidette.serve.server import Server

_CLASSES = 5


@dataclass(frozen=True, slots=True)
class Written:
    """How rows are written: coordinates as parts of the picture's sides, and to how many decimals."""

    normalize: bool = False
    decimals: int = 5


def dumped(outcome: Result | Failure, written: Written) -> bytes:
    """The entry of a video's frame, as JSON; of one that failed too."""
    if isinstance(outcome, Failure):
        return orjson.dumps({"shape": None, "speed": None, "results": [], "error": outcome.message})
    return orjson.dumps(picture_answer(outcome, written), option=orjson.OPT_SERIALIZE_NUMPY)


def picture_answer(outcome: Result | Failure, written: Written) -> dict[str, Any]:
    """The entry of a picture. Raises RequestError when it failed."""
    if isinstance(outcome, Failure):
        raise refused(outcome)
    stages = outcome.stages
    image = {
        "shape": [outcome.height, outcome.width],
        "speed": {
            "preprocess": round(stages.scale * 1e3, 3),
            "inference": round(stages.run * 1e3, 3),
            "postprocess": round(stages.postprocess * 1e3, 3),
        },
        "results": rows(outcome, written),
    }
    if isinstance(outcome.predictions, SemanticMap):
        image["semantic_mask"] = {
            "shape": image["shape"],
            "encoding": "png",
            "data": roboflow.pictures(outcome.predictions, outcome.width, outcome.height)["segmentation_mask"],
        }
    return image


def rows(outcome: Result, written: Written) -> list[dict[str, Any]]:
    """The rows of one picture; of a classifier the five best classes, whatever their scores."""
    predictions = outcome.predictions
    if isinstance(predictions, Classification):
        best = np.argsort(-predictions.scores, kind="stable")[:_CLASSES]
        predictions = replace(predictions, class_id=best.astype(np.int32))
    size = (outcome.width, outcome.height) if written.normalize else None
    return ultralytics.rows(predictions, size, written.decimals)


def metadata(server: Server, held: Held, images: int, begin: float) -> dict[str, Any]:
    """What typed clients read beside the pictures."""
    now = time.monotonic()
    return {
        "imageCount": images,
        "functionTimeCall": round(now - begin, 6),
        "functionTimeAlive": round(now - server.started, 6),
        "model": held.id,
        "task": HUB_TASKS[held.model.task],
        "version": {
            "vidette": __version__, "ultralytics": "", "torch": "", "torchvision": "",
            "python": platform.python_version(),
        },
    }  # fmt: skip
