"""`vidette check`: a site file without starting anything."""

import argparse
from pathlib import Path

from vidette.errors import ConfigError, ModelError
from vidette.models import describe, resolve_limits
from vidette.site import SiteFile
from vidette.sources import missing


def configure(parser: argparse.ArgumentParser) -> None:
    """Options of `vidette check`."""
    parser.epilog = "exit code 0: nothing wrong; 2: each mistake is a line with file, line and field"
    parser.add_argument("site", metavar="SITE.yaml")


def call(args: argparse.Namespace) -> int:
    """Read everything that a run would read before it starts."""
    job = SiteFile(Path(args.site)).job()
    mistakes = []
    for model in job.models:
        try:
            resolve_limits(model, describe(model.path).recognised)
        except (ConfigError, ModelError) as error:
            mistakes.append(f"{args.site}: models.{model.id}: {error}")
    for stream in job.streams:
        if (problem := missing(stream.url)) is not None:
            mistakes.append(f"{args.site}: streams.{stream.id}.url: {problem}")
    if mistakes:
        raise ConfigError("\n".join(mistakes))
    print(f"{args.site}: {len(job.models)} models, {len(job.streams)} streams, {len(job.sinks)} sinks: nothing wrong")
    return 0
