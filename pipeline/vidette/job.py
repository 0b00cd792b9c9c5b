"""What a run consists of, as plain values: made by the configuration, read by the engine."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from vidette.pixels.slot import Scaling
from vidette.pixels.tiles import Tiles
from vidette.predictions.masks import Outline
from vidette.remote.endpoint import Endpoint
from vidette.sink import Sink
from vidette.sources.base import Mode


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """A model and how to run it; None leaves a value to the model's family or to the plan.

    endpoint    where a server answers for the model; `path` is only its name then
    input       (width, height), or None for the stream's own shape where the model takes any
    max_delay   seconds that a batch may wait for company while the device is free
    """

    id: str
    path: Path
    device: str = "auto"
    runtime: str = "auto"
    precision: str = "auto"
    plan: Literal["auto", "latency", "throughput"] = "auto"
    input: tuple[int, int] | None = None
    scaling: Scaling = "fast"
    max_batch: int | None = None
    max_delay: float = 0.0
    confidence: float | None = None
    iou: float | None = None
    agnostic: bool | None = None
    rotated_iou: Literal["probabilistic", "exact"] | None = None
    classes: tuple[str, ...] | None = None
    max_detections: int | None = None
    masks: Literal["accurate", "fast"] | None = None
    outline: Outline | None = None
    top_k: int | None = None
    tiles: Tiles | None = None
    options: dict[str, Any] = field(default_factory=dict)
    endpoint: Endpoint | None = None

    @property
    def source(self) -> Path | Endpoint:
        """What `models.describe` looks at."""
        return self.endpoint or self.path


@dataclass(frozen=True, slots=True)
class StreamRequest:
    """A source and the model that watches it."""

    id: str
    url: str
    model: str
    mode: Mode
    fps_limit: float | None = None


@dataclass(frozen=True, slots=True)
class SinkRequest:
    """A receiver and the streams whose results it gets; None means all.

    stall_s   after so long without progress the sink is declared stalled and holds no stream back any more
    capacity  results that may wait for it; None leaves it to the outlet
    """

    sink: Sink
    streams: frozenset[str] | None = None
    stall_s: float = 10.0
    capacity: int | None = None

    def takes(self, stream: str) -> bool:
        """Whether results of this stream go there."""
        return self.streams is None or stream in self.streams


@dataclass(frozen=True, slots=True)
class Job:
    """Everything an engine needs."""

    models: Sequence[ModelRequest]
    streams: Sequence[StreamRequest]
    sinks: Sequence[SinkRequest] = ()
