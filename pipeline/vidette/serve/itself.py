"""A server whose model is said to be on itself would wait for its own answer: that is said before it does."""

import ipaddress
import socket
from collections.abc import Iterable, Sequence
from urllib.parse import urlsplit

from vidette.errors import ConfigError
from vidette.job import ModelRequest
from vidette.remote.endpoint import Endpoint

_PORTS = {"http": 80, "https": 443}


def refuse_itself(models: Iterable[ModelRequest], listening: Sequence[tuple[str, int]]) -> None:
    """Raise ConfigError for a model whose URL leads to one of the addresses (host, port) that this server has."""
    for model in models:
        if model.endpoint is not None and _leads_to(model.endpoint, listening):
            raise ConfigError(f"model {model.id}: {model.endpoint} is this server; name another one, or a file")


def _leads_to(endpoint: Endpoint, listening: Sequence[tuple[str, int]]) -> bool:
    parts = urlsplit(endpoint.url)
    port = parts.port or _PORTS[parts.scheme]
    hosts = {host for host, own in listening if own == port}
    if not hosts:
        return False
    try:
        found = socket.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return False  # told when the model is asked for
    return any(str(address[0]) in hosts or _through_any(str(address[0]), hosts) for *_, address in found)


def _through_any(address: str, hosts: set[str]) -> bool:
    """Whether it is one of this machine's, on all of which the server listens; connecting to the unspecified address
    is connecting to this machine."""
    if ipaddress.ip_address(address.partition("%")[0]).is_unspecified:
        return True
    any_of_family = "::" if ":" in address else "0.0.0.0"
    if not hosts & {any_of_family, "::"}:
        return False
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as tried:
        try:
            tried.bind((address, 0))  # only what is this machine's can be bound
        except OSError:
            return False
    return True
