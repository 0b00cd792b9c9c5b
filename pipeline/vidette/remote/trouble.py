"""What an exchange with a server came to, where it brought no answer."""

import logging
import re
import time
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from vidette.errors import VidetteError
from vidette.remote.endpoint import Endpoint
from vidette.remote.requests import PASSING, hide

if TYPE_CHECKING:
    import httpx

_ABOUT_THE_PICTURE = (400, 413, 422)
_TEXT = 200  # characters of a server's message that are shown


class Trouble(VidetteError):
    """No answer. `again`: asking again may help, at the earliest after `after` seconds; `status` 0: no server spoke.

    `picture` says that only what was sent is to blame: other pictures need not wait. `broken` says that the connection
    ended before the answer, as one does that was kept too long; `refused` that there was none.
    """

    def __init__(
        self, message: str, *, status: int = 0, again: bool = False, after: float = 0.0, broken: bool = False,
        refused: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(message)
        self.refused = refused
        self.status = status
        self.broken = broken
        self.again = again
        self.after = after
        self.picture = status in _ABOUT_THE_PICTURE


def quiet() -> None:
    """Keep httpx from logging each URL with the key in its query."""
    for name in ("httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.WARNING)


def unreached(endpoint: Endpoint, error: Exception) -> Trouble:
    """No connection, or one that broke."""
    import httpx

    broken = isinstance(error, httpx.RemoteProtocolError | httpx.ReadError | httpx.WriteError)
    reason = without_key(endpoint, str(error) or type(error).__name__)
    remedy = "is the server running there?"
    if "self-signed certificate" in reason or "unable to get local issuer" in reason:
        remedy = "name the certificate that is to be trusted in the environment: SSL_CERT_FILE=server.pem"
    message = f"{endpoint}: {reason}; {remedy}"
    return Trouble(message, again=True, broken=broken, refused=isinstance(error, httpx.ConnectError))


def body_of(endpoint: Endpoint, response: "httpx.Response") -> Any:
    """The JSON of an answer. Raises Trouble for anything else than success."""
    import orjson

    status = response.status_code
    if 300 <= status < 400:
        raise Trouble(f"{endpoint}: the server answered {status}, it wants another URL: name that one", status=status)
    try:
        body = orjson.loads(response.content)
    except orjson.JSONDecodeError:
        body = None
    if status < 300 and body is not None:
        return body
    if status < 300:
        raise Trouble(f"{endpoint}: the server's answer is not JSON; is this the right URL?", status=status)
    said = without_key(endpoint, _said(body))
    message = f"{endpoint}: the server answered {status} {response.reason_phrase}{': ' + said if said else ''}"
    raise Trouble(message, status=status, again=status in PASSING, after=_retry_after(response))


def without_key(endpoint: Endpoint, text: str) -> str:
    """A text of others, in which the key may stand, as it may be shown: one line, not too long."""
    shown = hide(text, () if endpoint.secret is None else (endpoint.secret,))
    return " ".join(shown.split())[:_TEXT]


def without_address(endpoint: Endpoint, text: str) -> str:
    """A message as the clients of a server that asks on may see it: where the model really is, is not their business.

    Names of one word are left, unless a port follows: `server` may be any word of the message.
    """
    parts = urlsplit(endpoint.url)
    name = re.escape(parts.hostname or "")
    port = r"(:\d+)?" if "." in name or ":" in name else r":\d+"
    shown = text.replace(f"{endpoint}: ", "")
    for address in (str(endpoint), endpoint.url):
        shown = shown.replace(address, "its server")
    return re.sub(rf"(?<![\w.-])\[?{name}\]?{port}(?![\w-])", "its server", shown)


def _said(body: Any) -> str:
    if not isinstance(body, dict):
        return ""
    for name in ("message", "Message", "error", "detail"):
        if isinstance(body.get(name), str):
            return str(body[name])
    return ""


def _retry_after(response: "httpx.Response") -> float:
    """Seconds, or the time until a date (RFC 9110, 10.2.3)."""
    given = response.headers.get("retry-after", "").strip()
    if given.isascii() and given.isdigit():
        return float(given)
    try:
        return max(0.0, parsedate_to_datetime(given).timestamp() - time.time())
    except (ValueError, TypeError):
        return 0.0
