"""Pictures by URL: only from where the configuration allows it.

A client that can make a server fetch can make it look behind its firewall. So names are resolved here, the addresses
are checked, and the connection goes to the very address that was checked; each redirect passes the same gate. Nothing
of the environment (proxies, .netrc) is used.
"""

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Iterable
from typing import Any
from urllib.parse import urljoin, urlsplit

from vidette.serve.errors import RequestError
from vidette.server_settings import FetchConfig
from vidette.urls import redact

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_REDIRECTS = 5
_CONNECTIONS = 100
"""Of all clients together: a few hosts that are slow must not hold up the others' pictures."""
_CARRIERS = tuple(map(ipaddress.IPv6Network, ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32", "::/96")))
"""IPv6 networks whose addresses mean IPv4 ones: NAT64, 6to4, Teredo, IPv4-compatible."""


class Refused(OSError):
    """An address that may not be fetched from."""


def is_public(address: Address) -> bool:
    """Whether an address is one of the open internet: not private, loopback, link-local (cloud metadata), multicast,
    reserved, nor one that carries an IPv4 address inside."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return is_public(address.ipv4_mapped)
        if any(address in network for network in _CARRIERS):
            return False
    return address.is_global and not address.is_multicast and not address.is_reserved


class Fetcher:
    """Fetches what clients name by URL, within the bounds of `server: fetch:`."""

    def __init__(self, config: FetchConfig) -> None:
        self._config = config
        self._names = {host.lower().rstrip(".") for host in config.hosts}
        self._networks = list(_networks(config.hosts))
        self._pool: Any = None

    async def fetch(self, url: str) -> bytes:
        """The bytes behind a URL. Raises RequestError 400 that says why not, and which option decides."""
        if self._config.policy == "off":
            raise _no(url, "pictures by URL are off here (`server: fetch: policy`)")
        try:
            async with asyncio.timeout(float(self._config.timeout)):
                return await self._follow(url)
        except TimeoutError:
            raise _no(url, f"no answer within {self._config.timeout}") from None

    async def close(self) -> None:
        """Close the connections that are kept."""
        if self._pool is not None:
            await self._pool.aclose()

    def allows(self, host: str, address: Address) -> bool:
        """Whether a resolved address may be connected to."""
        listed = host in self._names or any(address in network for network in self._networks)
        return listed or (self._config.policy == "public" and is_public(address))

    async def _follow(self, url: str) -> bytes:
        import httpcore

        if self._pool is None:
            self._pool = httpcore.AsyncConnectionPool(
                ssl_context=ssl.create_default_context(), network_backend=_backend(self), keepalive_expiry=5,
                max_connections=_CONNECTIONS,
            )  # fmt: skip
        first = url
        for _ in range(_REDIRECTS + 1):
            _check_form(url, first)
            try:
                async with self._pool.stream("GET", url, headers={"User-Agent": "vidette", "Accept": "*/*"}) as answer:
                    location = {name.lower(): value for name, value in answer.headers}.get(b"location")
                    if answer.status in (301, 302, 303, 307, 308) and location is not None:
                        url = urljoin(url, location.decode("latin-1"))
                        continue
                    if answer.status != 200:
                        raise _no(first, f"it answered {answer.status}")
                    return await self._body(answer, first)
            except Refused as error:
                raise _no(first, str(error)) from None
            except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException, OSError) as error:
                raise _no(first, f"it cannot be reached ({type(error).__name__})") from None
            except (httpcore.UnsupportedProtocol, UnicodeError, ValueError):
                raise _no(first, "it is not a URL that can be fetched") from None
        raise _no(first, f"more than {_REDIRECTS} redirects")

    async def _body(self, answer: Any, url: str) -> bytes:
        most = float(self._config.max_size)
        chunks: list[bytes] = []
        size = 0
        async for chunk in answer.aiter_stream():
            size += len(chunk)
            if size > most:
                raise _no(url, f"it is larger than {self._config.max_size} (`server: fetch: max_size`)")
            chunks.append(chunk)
        return b"".join(chunks)


def _networks(hosts: Iterable[str]) -> Iterable[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    for host in hosts:
        try:
            yield ipaddress.ip_network(host, strict=False)
        except ValueError:
            continue  # a name


def _check_form(url: str, first: str) -> None:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise _no(first, "it is not a URL") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise _no(first, "only http:// and https:// URLs are fetched")
    if parts.username is not None or parts.password is not None:
        raise _no(first, "URLs with a user name are not fetched")


def _no(url: str, why: str) -> RequestError:
    return RequestError(400, f"Could not load input image. Cause: {redact(url)[:200]}: {why}")


def _backend(fetcher: Fetcher) -> Any:
    """A network backend of httpcore that connects to checked addresses only."""
    from httpcore import AnyIOBackend, AsyncNetworkBackend, AsyncNetworkStream

    class Checked(AsyncNetworkBackend):
        def __init__(self) -> None:
            self._plain = AnyIOBackend()

        async def connect_tcp(
            self,
            host: str,
            port: int,
            timeout: float | None = None,
            local_address: str | None = None,
            socket_options: Any = None,
        ) -> AsyncNetworkStream:
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
            addresses = [ipaddress.ip_address(str(entry[4][0]).split("%")[0]) for entry in found]
            checked = [address for address in addresses if fetcher.allows(host.lower().rstrip("."), address)]
            if not checked:
                raise Refused("its address may not be fetched from (`server: fetch:` allows hosts and networks)")
            return await self._plain.connect_tcp(str(checked[0]), port, timeout, local_address, socket_options)

        async def connect_unix_socket(
            self, path: str, timeout: float | None = None, socket_options: Any = None
        ) -> AsyncNetworkStream:
            raise Refused("sockets of this machine are not fetched from")

        async def sleep(self, seconds: float) -> None:
            await self._plain.sleep(seconds)

    return Checked()
