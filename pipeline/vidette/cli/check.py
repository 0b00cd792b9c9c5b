"""`vidette check`: a site file without starting anything."""

import argparse
import errno
import os
from collections.abc import Iterator
from pathlib import Path

from vidette.cli.job_arguments import option
from vidette.errors import ConfigError
from vidette.job import Job, ModelRequest
from vidette.models import mistakes
from vidette.site import SiteFile


def configure(parser: argparse.ArgumentParser) -> None:
    """Options of `vidette check`."""
    parser.epilog = "exit code 0: nothing wrong; 2: each mistake is a line with file, line and field"
    parser.add_argument("site", metavar="SITE.yaml")


def call(args: argparse.Namespace) -> int:
    """Ask everything that a run would ask before it starts."""
    job = checked_job(Path(args.site))
    served = _check_server(SiteFile(Path(args.site)))
    parts = [f"{served or len(job.models)} models", f"{len(job.streams)} streams", f"{len(job.sinks)} sinks"]
    print(f"{args.site}: {', '.join(parts)}{', a server' if served is not None else ''}: nothing wrong")
    return 0


def _check_server(site: SiteFile) -> int | None:
    """How many models the file's server has, each one looked at; None without `server:`. Raises ConfigError."""
    if "server" not in site.data:
        return None
    config, models, _ = site.served()
    found = [
        f"{site.where(('models', model.id, field))}: {message}"
        for model in models
        for field, message in mistakes(model)
    ]
    if config.tls is not None:
        try:
            from vidette.serve.listening import tls_context
        except ImportError as error:
            found.append(f'{site.where(("server",))}: serving needs {error.name}: pip install "vidette[serve]"')
        else:
            try:
                tls_context(config.tls)
            except ConfigError as error:
                found.append(f"{site.where(('server', 'tls'))}{str(error).removeprefix('server.tls')}")
    if found:
        raise ConfigError("\n".join(found))
    return len(models)


def checked_job(path: Path) -> Job:
    """The job of a site file that this machine can run. Raises ConfigError, one mistake a line."""
    site = SiteFile(path)
    job = site.job()
    found = [
        f"{site.where(('models', model.id, field))}: {message}"
        for model in job.models
        for field, message in mistakes(model)
    ]
    found += [f"{site.where(('sinks', index, 'path'))}: {message}" for index, message in _sink_mistakes(job)]
    if found:
        raise ConfigError("\n".join(found))
    return job


def check_model_option(model: ModelRequest) -> None:
    """The same for the model of a command line. Raises ConfigError naming the options."""
    found = [f"{option(field)}: {message}" for field, message in mistakes(model)]
    if found:
        raise ConfigError("\n".join(found))


def check_sink_options(job: Job) -> None:
    """The same for the sinks of a command line. Raises ConfigError naming the option."""
    found = [f"--sink {message}" for _, message in _sink_mistakes(job)]
    if found:
        raise ConfigError("\n".join(found))


def _sink_mistakes(job: Job) -> Iterator[tuple[int, str]]:
    """(number of the sink, message) for each file that cannot be made, or that is read at the same time."""
    for index, request in enumerate(job.sinks):
        for path in request.sink.paths():
            for stream in job.streams:
                if os.path.exists(path) and os.path.exists(stream.url) and os.path.samefile(path, stream.url):
                    yield index, f"{path}: stream {stream.id} is read from it; choose another name"
            if reason := _unwritable(Path(path)):
                yield index, f"{path}: {reason}"


def _unwritable(path: Path) -> str | None:
    folder = path.parent
    if folder == Path("/dev"):
        return None  # what stands behind standard output need not be ours to open
    if not folder.is_dir():
        return (
            f"{os.strerror(errno.ENOTDIR)}: {folder}"
            if folder.exists()
            else f"there is no folder {folder}; make it first"
        )
    if path.is_dir():
        return "this is a folder; name a file in it"
    if not os.access(path if path.exists() else folder, os.W_OK):
        return "no permission to write there; give it, or choose another folder"
    return None
