"""Pages of other sites, where nobody needs a key: any page that a browser near the server shows can send requests."""

import ipaddress
from urllib.parse import urlsplit

from starlette.requests import Request

from vidette.serve.errors import RequestError
from vidette.server_settings import ServerConfig


def refuse_other_pages(request: Request, config: ServerConfig) -> None:
    """Let pass who is no page (browsers say the `Origin` of a page's requests, clients say none), pages whose origin
    `cors` names, and the server's own page. Raises RequestError 403.

    A page is the server's own when its origin is the `Host` that is asked, and that is localhost, an IP address, or
    `config.host`. Another name proves nothing: whoever owns it can let it point here (DNS rebinding). What a page of
    such a name reads with GET cannot be told from a client: browsers leave the origin out there.
    """
    origin = request.headers.get("origin")
    if origin is None or origin in config.cors:
        return
    host = request.headers.get("host", "")
    if origin.partition("://")[2] != host or not _own(host, config.host):
        raise RequestError(
            403, "pages of other sites may only ask for predictions here: configure keys, or name the page's origin "
            "(`http://name:port`) in `server: cors`"
        )  # fmt: skip


def _own(host: str, configured: str) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname or ""  # in lower case, without port and brackets
    except ValueError:
        return False
    if name in ("localhost", configured.lower()):
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
