"""The report's files, whole or not at all."""

import json
import os
import shlex
import sys
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from vidette import __version__
from vidette.errors import ConfigError, SinkError
from vidette.report.collect import ReportCollector
from vidette.urls import redact

_PAGES = (".html", ".htm")


def check_writable(path: Path) -> None:
    """Raise ConfigError unless a report can be written there; makes nothing that stays."""
    if path.suffix.lower() not in (".json", *_PAGES):
        raise ConfigError(f"--report {path}: a report is a .json file, or an .html page to look at")
    if path.is_dir():
        raise ConfigError(f"--report {path}: this is a folder; name a file in it")
    if not path.parent.is_dir():
        raise ConfigError(f"--report {path}: there is no folder {path.parent}; make it first")
    try:
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise ConfigError(
            f"--report {path}: cannot write in {path.parent}: {error.strerror}; choose another folder"
        ) from error


def write_report(path: Path, report: Mapping[str, Any], collector: ReportCollector | None = None) -> None:
    """Write `Engine.report()` with version, date and command: JSON, or the page where the path ends in .html.

    The file appears complete or stays as it was. Raises SinkError.
    """
    whole = {
        "version": __version__,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": shlex.join(["vidette", *(redact(word) for word in sys.argv[1:])]),
        **report,
    }
    if path.suffix.lower() in _PAGES:
        from vidette.report.page import page

        text = page(whole, collector or ReportCollector())
    else:
        text = json.dumps(whole, indent=2) + "\n"
    # a file name of other than UTF-8 bytes reaches us as lone surrogates, which no UTF-8 file can hold
    _replace(path, text.encode("utf-8", "replace"))


def _replace(path: Path, content: bytes) -> None:
    try:
        descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name[:80]}.", dir=path.parent)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
            os.chmod(temporary, 0o666 & ~_umask())  # mkstemp makes files that only their owner can read
            os.replace(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise
    except OSError as error:
        raise SinkError(
            f"cannot write the report {path}: {error.strerror}; make room or name another folder with --report"
        ) from error


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
