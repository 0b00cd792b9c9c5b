"""A model behind a URL, as a plain value: read once from what the user wrote, without asking the server."""

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, get_args
from urllib.parse import parse_qsl, unquote, urlsplit

from pydantic import SecretStr

from vidette.errors import ConfigError
from vidette.remote.requests import HOSTED
from vidette.units import Duration
from vidette.urls import redact, scheme_of

DialectName = Literal["roboflow-v1", "roboflow-v0", "hub"]
DIALECTS: tuple[DialectName, ...] = get_args(DialectName)

_ULTRALYTICS_HOSTS = re.compile(r"(.+\.)?ultralytics\.com")


@dataclass(frozen=True, slots=True)
class Options:
    """How a server is asked; the field `options` of a model in a site file.

    dialect      `auto` judges by the URL, and asks the server's registry where it says nothing
    concurrency  requests that may be under way at once
    quality      of the JPEG pictures that are sent, 1 to 100
    timeout      seconds for one frame, everything included: waiting for a server that is gone, and asking again
    """

    dialect: Literal["auto", "roboflow-v1", "roboflow-v0", "hub"] = "auto"
    concurrency: int = 4
    quality: int = 90
    timeout: float = 10.0

    @classmethod
    def read(cls, given: Mapping[str, Any]) -> "Options":
        """Raises ConfigError that names the option."""
        known = [field.name for field in fields(cls)]
        for name in given:
            if name not in known:
                near = difflib.get_close_matches(str(name), known, 1)
                hint = f"did you mean {near[0]}?" if near else f"a model behind a URL has {', '.join(known)}"
                raise ConfigError(f"options: {name} is unknown; {hint}")
        dialect = given.get("dialect", "auto")
        if dialect not in ("auto", *DIALECTS):
            raise ConfigError(f"options: dialect: {dialect!r} is none of auto, {', '.join(DIALECTS)}")
        try:
            timeout = float(Duration(given.get("timeout", "10s")))
        except (ValueError, TypeError) as error:
            raise ConfigError(f"options: timeout: {error}") from None
        if not timeout > 0:
            raise ConfigError("options: timeout: must be longer than 0s")
        return cls(dialect, _whole(given, "concurrency", 4, 64), _whole(given, "quality", 90, 100), timeout)


def _whole(given: Mapping[str, Any], name: str, default: int, most: int) -> int:
    value = given.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise ConfigError(f"options: {name}: {value!r} is not a whole number from 1 to {most}")
    return value


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A model of a server.

    url      of the server without query, without a slash at its end; with HUB's dialect where forms are posted to
    model    the model's id there; empty where the URL alone says it
    dialect  None as long as nobody knows it: probing.py finds out
    key      never shown: `str` and `repr` have only what may be seen
    """

    url: str
    model: str
    dialect: DialectName | None
    key: SecretStr | None = None
    options: Options = Options()

    @classmethod
    def parse(cls, text: str, key: SecretStr | None = None, options: Mapping[str, Any] | None = None) -> "Endpoint":
        """Read `https://host:9001/coco/3`, `https://host/prefix?model=coco/3`, `https://host/predict`, each perhaps
        with `api_key=`. Raises ConfigError, never with the key in it.
        """
        shown = redact(text)
        try:
            parts = urlsplit(text)
            port = parts.port
        except ValueError:
            raise ConfigError(f"{shown}: not a usable URL") from None
        if parts.scheme.lower() not in ("http", "https") or not parts.hostname:
            raise ConfigError(f"{shown}: a model's URL begins with http:// or https:// and a host")
        if parts.username is not None or parts.password is not None:
            raise ConfigError(f"{shown}: leave user and password out; the key of a server is `api_key`")
        query = {name.lower(): value.strip() for name, value in parse_qsl(parts.query)}
        further = sorted(set(query) - {"api_key", "model"})
        if further:
            raise ConfigError(
                f"{shown}: {', '.join(further)} cannot stand in the URL; thresholds are fields of the model"
            )
        if query.get("api_key") and key is not None:
            raise ConfigError(f"{shown}: the key stands in the URL and in api_key; leave one out")
        key = SecretStr(query["api_key"]) if query.get("api_key") else key
        if key is not None and not _sendable(key.get_secret_value()):
            raise ConfigError(f"{shown}: api_key is empty or holds characters that HTTP does not allow")
        asked = Options.read(options or {})
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        server = f"{parts.scheme.lower()}://{host}" + ("" if port is None else f":{port}")
        path = re.sub("/+", "/", parts.path).rstrip("/")
        dialect = _guessed(parts.hostname, path) if asked.dialect == "auto" else asked.dialect
        if "model" in query or dialect == "hub":
            return cls(server + path, query.get("model", ""), dialect, key, asked)
        segments = [unquote(part) for part in path.split("/") if part]
        if not segments:
            raise ConfigError(f"{shown}: say which model of the server, like {server}/coco/3 or {server}/?model=coco/3")
        prefix = "".join(f"/{part}" for part in path.split("/")[1:-2])
        return cls(server + prefix, "/".join(segments[-2:]), dialect, key, asked)

    @property
    def stem(self) -> str:
        """What the model is called where nobody names it."""
        return self.model.rpartition("://")[2] or urlsplit(self.url).hostname or self.url

    def __str__(self) -> str:
        if self.dialect == "hub":
            return self.url + (f"?model={self.model}" if self.model else "")
        return f"{self.url}/{self.model}"

    @property
    def secret(self) -> str | None:
        """The key itself, for a request and nothing else."""
        return None if self.key is None else self.key.get_secret_value()


def is_url(text: str) -> bool:
    """Whether a model's `path` is the URL of one."""
    return scheme_of(text) in ("http", "https")


def _guessed(host: str, path: str) -> DialectName | None:
    if host.lower() in (*HOSTED, "segment.roboflow.com"):
        return "roboflow-v0"
    if path.endswith("/predict") or _ULTRALYTICS_HOSTS.fullmatch(host.lower()):
        return "hub"
    return None


def _sendable(key: str) -> bool:
    return bool(key.strip()) and key.isascii() and key.isprintable()
