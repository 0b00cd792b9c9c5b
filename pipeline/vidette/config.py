"""A site: models, streams and sinks as a user writes them. Parsed once, then turned into a Job."""

import difflib
import glob
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError

from vidette import catalogue
from vidette.errors import ConfigError
from vidette.job import Job, ModelRequest, SinkRequest, StreamRequest
from vidette.pixels.tiles import Tiles
from vidette.predictions.masks import Outline
from vidette.remote.endpoint import Endpoint, is_url
from vidette.runtimes import names as runtime_names
from vidette.server_settings import ServerConfig
from vidette.sink import sink_type
from vidette.sources import default_mode, expand, unique_ids
from vidette.units import Duration
from vidette.urls import redact

INPUT = re.compile(r"(\d+)x(\d+)")
_SMALLEST_TILE = 32


def _input(value: Any) -> Any:
    if value == "auto" or (isinstance(value, str) and INPUT.fullmatch(value)):
        return value
    raise ValueError(f"{value!r} is not an input size; write auto, or WIDTHxHEIGHT like 640x640")


def _tiles(value: Any) -> Any:
    size = INPUT.fullmatch(value) if isinstance(value, str) else None
    sides = (int(size[1]), int(size[2])) if size else (0, 0)
    if min(sides) >= _SMALLEST_TILE or (0 < max(sides) < _SMALLEST_TILE and min(sides)):
        return value
    raise ValueError(f"{value!r} is not a way to cut; write COLUMNSxROWS like 2x2, or pixels like 640x640")


def _device(value: Any) -> Any:
    if isinstance(value, str) and re.fullmatch(r"auto|cpu|cuda(:\d+)?", value):
        return value
    raise ValueError(f"{value!r} is not a device; write auto, cpu, cuda or cuda:N")


def _runtime(value: Any) -> Any:
    known = ("auto", *runtime_names())
    if value in known:
        return value
    raise ValueError(f"{value!r} is not a runtime; known: {', '.join(known)}")


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ModelConfig(_Closed):
    """A model file and how to run it, or a server that answers for a model."""

    path: str = Field(
        description="an ONNX file, a name of the catalogue that is installed (`vidette models`), or the URL of a model "
        "of a Vidette, Roboflow or Ultralytics HUB server, such as https://host:9001/coco/3"
    )
    api_key: SecretStr | None = Field(
        None, description="the key of the server, for a model behind a URL; ${NAME} takes it from the environment"
    )
    device: Annotated[str, BeforeValidator(_device)] = Field("auto", description="auto, cpu, cuda or cuda:N")
    runtime: Annotated[str, BeforeValidator(_runtime)] = Field(
        "auto", description="auto takes OpenVINO where it is installed and the CPU gains by it, else ONNX Runtime"
    )
    precision: Literal["auto", "f32", "bf16", "f16"] = Field(
        "auto",
        description="auto is the fast one of the device; f32 is exact on every runtime, but for int8 files, which each "
        "rounds in its own way",
    )
    plan: Literal["auto", "latency", "throughput"] = Field(
        "auto",
        description="throughput: a caller per core; latency: all cores on one picture; auto decides by the load, "
        "for live streams and clients with each run",
    )
    input: Annotated[str, BeforeValidator(_input)] = Field(
        "auto", description="WIDTHxHEIGHT; auto is the file's own size, or the stream's own shape where any is taken"
    )
    scaling: Literal["fast", "exact"] = Field(
        "fast", description="fast scales the decoder's planes; exact goes by way of BGR as OpenCV programs do"
    )
    max_batch: int | None = Field(None, ge=1, description="largest batch; default: what the device gains by")
    max_delay: Duration = Field(
        Duration("0s"), description="how long a batch may wait for company while the device is free"
    )
    confidence: float | None = Field(
        None,
        ge=0,
        lt=1,
        description="objects and classes score above it; default 0.25, faces and mattes 0.5, classifiers 0",
    )
    iou: float | None = Field(
        None, gt=0, le=1, description="overlap above which the weaker of two boxes goes; default 0.45"
    )
    agnostic: bool | None = Field(None, description="suppress across classes too; default false")
    rotated_iou: Literal["probabilistic", "exact"] | None = Field(
        None,
        description="overlap of oriented boxes: probabilistic (default), as Ultralytics measures it; exact: the area "
        "that both cover",
    )
    classes: list[str | int] | None = Field(None, description="names or numbers of classes to keep; default all")
    max_detections: int | None = Field(None, ge=1, description="objects kept per picture; default 300")
    masks: Literal["accurate", "fast"] | None = Field(
        None, description="accurate (default): as fine as the picture; fast: as coarse as the model's own masks"
    )
    polygon_tolerance: float = Field(1.0, ge=0, description="pixels by which polygons of masks may be simplified")
    polygon_parts: Literal["all", "largest"] = Field("all", description="polygons of all parts of an object, or one")
    top_k: int | None = Field(None, ge=1, description="classes that a classifier answers with; default 5")
    tiles: Annotated[str, BeforeValidator(_tiles)] | None = Field(
        None,
        description="cut large pictures so that small objects are seen: a grid such as 2x2, or the size of a tile such "
        "as 640x640 (numbers from 32 are pixels)",
    )
    tile_overlap: float = Field(0.2, ge=0, le=0.8, description="the part of a tile that its neighbour shows too")
    tile_whole: bool = Field(True, description="look at the whole picture besides, for objects larger than a tile")
    options: dict[str, Any] = Field(
        default_factory=dict,
        description="passed to the runtime as they are; a model behind a URL "
        "has dialect (auto, roboflow-v1, roboflow-v0, hub), concurrency (4), quality of the JPEG (90), timeout (10s)",
    )

    def request(self, id: str, base: Path) -> ModelRequest:
        """As a plain value; paths are relative to `base`. Raises ConfigError when the file is not there."""
        size = INPUT.fullmatch(self.input)
        where = self.where(base)
        return ModelRequest(
            id=id,
            path=where if isinstance(where, Path) else Path(where.stem),
            endpoint=None if isinstance(where, Path) else where,
            device=self.device,
            runtime=self.runtime,
            precision=self.precision,
            plan=self.plan,
            input=(int(size[1]), int(size[2])) if size else None,
            scaling=self.scaling,
            max_batch=self.max_batch,
            max_delay=float(self.max_delay),
            confidence=self.confidence,
            iou=self.iou,
            agnostic=self.agnostic,
            rotated_iou=self.rotated_iou,
            classes=None if self.classes is None else tuple(str(name) for name in self.classes),
            max_detections=self.max_detections,
            masks=self.masks,
            outline=Outline(self.polygon_tolerance, self.polygon_parts),
            top_k=self.top_k,
            tiles=self._cut(),
            options=self.options,
        )

    def where(self, base: Path) -> Path | Endpoint:
        """The file, or the server. Raises ConfigError."""
        if is_url(self.path):
            return Endpoint.parse(self.path, self.api_key, self.options)
        if self.api_key is not None:
            raise ConfigError(f"{redact(self.path)}: api_key is for models behind a URL; this one is a file")
        return catalogue.locate(at_base(self.path, base))

    def _cut(self) -> Tiles | None:
        if self.tiles is None:
            return None
        across, down = map(int, self.tiles.split("x"))
        return Tiles(across, down, max(across, down) < _SMALLEST_TILE, self.tile_overlap, self.tile_whole)


class StreamConfig(_Closed):
    """A source and the model that watches it."""

    url: str = Field(description="a file, a folder or glob of pictures, camera:0, rtsp://..., testsrc:, sample:")
    model: str | None = Field(None, description="id of a model of this file; may be left out when there is one")
    mode: Literal["auto", "live", "lossless"] = Field(
        "auto",
        description="lossless: every frame, in order, the source waits; live: always the newest frame, the rest is "
        "dropped and counted; auto is lossless for files and live for cameras and networks",
    )
    fps_limit: float | None = Field(None, gt=0, description="at most so many frames per second of media time")


class Site(_Closed):
    """What Vidette runs: models, the streams they watch, and where results go.

    Keys that begin with `x-` are ignored: a place for YAML anchors (`x-camera: &camera {...}`, `<<: *camera`).
    """

    model_config = ConfigDict(json_schema_extra={"patternProperties": {"^x-": {}}})

    models: dict[str, ModelConfig] = Field(default_factory=dict, description="models by id")
    streams: dict[str, StreamConfig] = Field(default_factory=dict, description="streams by id")
    sinks: list[dict[str, Any]] = Field(
        default_factory=list,
        description="receivers: a type, that type's own fields, and streams: [...] where it should not get all",
    )
    server: ServerConfig | None = Field(None, description="how `vidette serve` answers clients")

    def requests(self, base: Path) -> dict[str, ModelRequest]:
        """All models as plain values. `base` is the folder that relative paths start from. Raises ConfigError."""
        return {id: model.request(id, base) for id, model in self.models.items()}

    def job(self, base: Path, sinks: list[SinkRequest]) -> Job:
        """What runs, as plain values. Raises ConfigError."""
        models = self.requests(base)
        streams = []
        for id, stream in self.streams.items():
            model = stream.model or next(iter(self.models))
            url = at_base(stream.url, base)
            mode = default_mode(url) if stream.mode == "auto" else stream.mode
            streams.append(StreamRequest(id, url, model, mode, stream.fps_limit))
        used = {stream.model for stream in streams}
        refuse_shared_paths(sinks)
        return Job([model for id, model in models.items() if id in used], streams, sinks)


def one_model_job(
    sources: list[tuple[str, str]],
    model: ModelConfig,
    mode: Any,
    fps_limit: float | None,
    sinks: list[SinkRequest],
    called: Callable[[str], str] = str,
) -> Job:
    """The job of a command line or a Python call: every (id, url) is watched by one model; see `parse` for `called`.

    Raises ConfigError.
    """
    if not sources:
        raise ConfigError("no source: name a video, a folder of pictures, a camera or a URL")
    model_id = model.where(Path()).stem
    options = {"model": model_id, "mode": mode, "fps_limit": fps_limit}
    streams = {id: parse(StreamConfig, {"url": url, **options}, called) for id, url in sources}
    return Site(models={model_id: model}, streams=streams, server=None).job(Path(), sinks)


Parsed = TypeVar("Parsed", bound=BaseModel)


def parse(cls: type[Parsed], fields: dict[str, Any], called: Callable[[str], str] = str) -> Parsed:
    """Fields that stand in no file. Raises ConfigError on the first mistake; `called` is the user's name of a field."""
    try:
        return cls.model_validate(fields)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        field = str(first["loc"][0])
        message = first["msg"].removeprefix("Value error, ")
        if first["type"] == "extra_forbidden":
            near = difflib.get_close_matches(field, cls.model_fields, 1)
            message = "unknown; " + (f"did you mean {near[0]}?" if near else f"known: {', '.join(cls.model_fields)}")
        raise ConfigError(f"{called(field)}: {message}") from None


def default_model(named: str) -> str:
    """The model that is used when none is `named`, which is how a user names one. Raises ConfigError with the command
    that fetches it."""
    path = catalogue.default_model()
    if path is None:
        raise ConfigError(
            f"no model: name one with {named}, or type `vidette models get faces` once for a small face detector"
        )
    return str(path)


def find_sources(texts: Iterable[str]) -> list[tuple[str, str]]:
    """(id, url) of all that paths, globs and URLs mean; ids are made to differ: a, a-2, a-3. Raises ConfigError."""
    return unique_ids(pair for text in texts for pair in expand(text))


def at_base(url: str, base: Path) -> str:
    """A relative path of a site file, seen from the working directory; URLs and names without a file stay."""
    is_file = (base / url).exists() or (len(urlsplit(url).scheme) < 2 and (Path(url).suffix or glob.has_magic(url)))
    return str(base / url) if is_file and base != Path() else url


def make_sink(fields: dict[str, Any], base: Path) -> SinkRequest:
    """A sink from its fields in a site file. Raises ConfigError or pydantic's ValidationError."""
    fields = dict(fields)
    name = fields.pop("type", None)
    if not isinstance(name, str):
        raise ConfigError("a sink needs a type, such as jsonl")
    streams = fields.pop("streams", None)
    if streams is not None and not (isinstance(streams, list) and all(isinstance(id, str) for id in streams)):
        raise ConfigError("streams is a list of stream ids")
    cls = sink_type(name)
    if isinstance(fields.get("path"), str):
        fields["path"] = at_base(fields["path"], base)
    return SinkRequest(cls(cls.Settings.model_validate(fields)), None if streams is None else frozenset(streams))


def refuse_shared_paths(sinks: list[SinkRequest]) -> None:
    """Two sinks on one file would overwrite each other. Raises ConfigError."""
    seen: set[Path] = set()
    for request in sinks:
        for text in request.sink.paths():
            path = Path(text).resolve()
            if path in seen:
                raise ConfigError(f"two sinks write to {text}; give each its own path")
            seen.add(path)
