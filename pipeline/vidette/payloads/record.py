"""The JSON record of one result: what JSON Lines, MQTT and HTTP carry."""

from datetime import UTC, datetime
from typing import Any

import orjson

from vidette.payloads import Payload
from vidette.result import Result


def utc(seconds: float) -> str:
    """Seconds since 1970 as ISO 8601 in UTC with milliseconds: `2026-01-31T12:00:00.250Z`."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


def record(result: Result, payload: Payload) -> dict[str, Any]:
    """Facts of the frame and its predictions; all keys are there also when nothing was found.

    `(stream, epoch, seq)` names the frame for ever: receivers drop duplicates by it. Pictures of a folder have their
    name under `file` besides.
    """
    return {
        "stream": result.stream,
        "epoch": result.epoch,
        "seq": result.seq,
        **({"file": result.name} if result.name is not None else {}),
        "pts_s": result.pts_s,
        "time": utc(result.time),
        "image": {"width": result.width, "height": result.height},
        "model": result.model,
        "run": result.run,
        **payload(result.predictions),
    }


def record_json(result: Result, payload: Payload) -> bytes:
    """The record as one line of JSON without its line end. A number that is not finite is written as null."""
    return orjson.dumps(record(result, payload), option=orjson.OPT_SERIALIZE_NUMPY)
