"""`vidette check`: a site file without starting anything."""

import argparse
from pathlib import Path

from vidette.errors import ConfigError, ModelError
from vidette.job import Job
from vidette.models import describe, resolve_limits
from vidette.site import SiteFile


def configure(parser: argparse.ArgumentParser) -> None:
    """Options of `vidette check`."""
    parser.epilog = "exit code 0: nothing wrong; 2: each mistake is a line with file, line and field"
    parser.add_argument("site", metavar="SITE.yaml")


def call(args: argparse.Namespace) -> int:
    """Read everything that a run would read before it starts."""
    job = checked_job(Path(args.site))
    print(f"{args.site}: {len(job.models)} models, {len(job.streams)} streams, {len(job.sinks)} sinks: nothing wrong")
    return 0


def checked_job(path: Path) -> Job:
    """The job of a site file whose models are what they should be. Raises ConfigError, one mistake a line."""
    site = SiteFile(path)
    job = site.job()
    mistakes = []
    for model in job.models:
        try:
            resolve_limits(model, describe(model.path).recognised)
        except ModelError as error:
            mistakes.append(f"{site.where(('models', model.id, 'path'))}: {error}")
        except ConfigError as error:
            mistakes.append(f"{site.where(('models', model.id, 'classes'))}: {str(error).removeprefix('classes: ')}")
    if mistakes:
        raise ConfigError("\n".join(mistakes))
    return job
