"""The options of `run` and `bench` that say what runs and how; they mean what the fields of a site file mean."""

import argparse
import os
from itertools import chain, count
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from vidette.config import ModelConfig, default_model, find_sources, one_model_job, parse
from vidette.errors import ConfigError
from vidette.job import Job, SinkRequest
from vidette.payloads import payload_names
from vidette.remote.endpoint import is_url
from vidette.sink import sink_for_target, sink_type

KEY = "VIDETTE_API_KEY"
"""Environment variable with the key of the server behind `--model URL`: command lines are seen by everybody."""

_MODEL_FIELDS = (
    "device", "runtime", "precision", "plan", "input", "scaling", "max_batch", "max_delay", "confidence", "iou",
    "agnostic", "classes", "max_detections", "tiles", "tile_overlap", "masks", "top_k",
)  # fmt: skip


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """`--model` and how it runs."""
    described = {name: field.description for name, field in ModelConfig.model_fields.items()}
    group = parser.add_argument_group("model")
    group.add_argument("--model", metavar="FILE|NAME|URL", help=f"{described['path']} (its key: environment "
                       f"variable {KEY}); default: faces, if installed")  # fmt: skip
    group.add_argument("--confidence", type=float, metavar="C", help=described["confidence"])
    group.add_argument("--iou", type=float, metavar="I", help=described["iou"])
    group.add_argument("--classes", metavar="A,B", help="names or numbers of classes to keep, separated by commas")
    group.add_argument("--agnostic", action="store_const", const=True, help=described["agnostic"])
    group.add_argument("--max-detections", type=int, metavar="N", help=described["max_detections"])
    group = parser.add_argument_group("how it runs")
    group.add_argument("--device", help=described["device"])
    group.add_argument("--runtime", help=described["runtime"])
    group.add_argument("--precision", help=described["precision"])
    group.add_argument("--input", metavar="WxH", help=described["input"])
    group.add_argument("--scaling", help=described["scaling"])
    group.add_argument("--tiles", metavar="CxR|WxH", help=described["tiles"])
    group.add_argument("--tile-overlap", type=float, metavar="0..1", help=f"{described['tile_overlap']}; default 0.2")
    group.add_argument("--masks", help=described["masks"])
    group.add_argument("--top-k", type=int, metavar="N", help=described["top_k"])
    group.add_argument("--plan", help=described["plan"])
    group.add_argument("--max-batch", type=int, metavar="N", help=described["max_batch"])
    group.add_argument("--max-delay", metavar="TIME", help=f"{described['max_delay']}, for example 5ms")


def model_config(args: argparse.Namespace) -> ModelConfig:
    """The model that the options describe. Raises ConfigError naming the option."""
    fields = named(args.model or default_model("--model FILE"))
    fields |= {name: value for name in _MODEL_FIELDS if (value := getattr(args, name)) is not None}
    if isinstance(fields.get("classes"), str):
        fields["classes"] = [name.strip() for name in fields["classes"].split(",") if name.strip()]
    return parse(ModelConfig, fields, option)


def model_at(url: str) -> ModelConfig:
    """The model of a server that a command line names. Raises ConfigError."""
    return parse(ModelConfig, named(url), option)


def named(text: str) -> dict[str, Any]:
    """The fields of a site file for what `--model` names."""
    keyed = is_url(text) and "api_key=" not in text and os.environ.get(KEY)
    return {"path": text} | ({"api_key": os.environ[KEY]} if keyed else {})


def option(field: str) -> str:
    """The option that stands for a field of a site file."""
    return "--model" if field == "path" else "--" + field.replace("_", "-")


def job_from_arguments(args: argparse.Namespace) -> Job:
    """The job that sources and options describe. Raises ConfigError."""
    sources = find_sources(args.sources)
    sinks = explicit_sinks(args) if args.sink else beside_sources(sources, args.format)
    return one_model_job(sources, model_config(args), args.mode, args.fps_limit, sinks, option)


def explicit_sinks(args: argparse.Namespace) -> list[SinkRequest]:
    """What `--sink` names. Raises ConfigError."""
    sinks = []
    for target in args.sink:
        try:
            cls, settings = sink_for_target(target)
        except ConfigError as error:
            raise ConfigError(f"--sink {error}") from None
        sinks.append(SinkRequest(cls(_formatted(settings, args.format))))
    return sinks


def _formatted(settings: BaseModel, format: str | None) -> BaseModel:
    """The settings with `--format`, where the sink writes records at all."""
    has = format and "format" in type(settings).model_fields
    return settings.model_copy(update={"format": format}) if has else settings


def beside_sources(sources: list[tuple[str, str]], format: str | None) -> list[SinkRequest]:
    """Without `--sink`: one JSONL file beside each video or folder, in the working directory for anything else."""
    cls = sink_type("jsonl")
    sinks: list[SinkRequest] = []
    seen: set[Path] = set()
    for id, url in sources:
        path = Path(url)
        names = [path.stem, path.name, id] if path.exists() else [id]
        folder = path.parent if path.exists() else Path()
        further = (f"{id}-{n}" for n in count(2))  # where another source's file is called like this one's id
        target = next(t for name in chain(names, further) if (t := folder / f"{name}.jsonl") not in seen)
        seen.add(target)
        settings = _formatted(cls.from_target(str(target)), format)
        sinks.append(SinkRequest(cls(settings), frozenset([id])))
    return sinks


def add_format_option(parser: argparse.ArgumentParser) -> None:
    """`--format` of the records."""
    parser.add_argument("--format", choices=payload_names(), help="how predictions are written; default roboflow")
