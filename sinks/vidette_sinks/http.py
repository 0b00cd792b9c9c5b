"""HTTP: one POST per frame."""

import asyncio
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field, SecretStr

from vidette.errors import SinkError
from vidette.payloads import payload
from vidette.payloads.record import record_json
from vidette.result import Result
from vidette.sink import Delivery, RunFacts
from vidette_sinks._network import ServerSettings, SinkLoop, public
from vidette_sinks._settings import DEFAULT_FORMAT, Format, parsed

if TYPE_CHECKING:
    import httpx

_ANSWER_BYTES = 65536  # read so that the connection can be used again; a longer answer ends the connection instead


class HttpSettings(ServerSettings):
    """JSON records to an HTTP server, one POST per frame, with basic authentication where user and password are given.

    This is the plain form: a record that is not taken in time, or answered with anything but 2xx, is lost and counted.
    """

    headers: dict[str, SecretStr] = Field({}, description="Further request headers, such as Authorization.")
    timeout_s: float = Field(
        2.0, gt=0, le=60, description="Seconds for connecting, sending and the whole answer; a stop waits as long."
    )
    format: Format = DEFAULT_FORMAT

    @classmethod
    def schemes(cls) -> tuple[str, ...]:
        """URL schemes that are taken."""
        return HttpSink.schemes


class HttpSink:
    """Keeps one connection open and sends one record after the other; redirections are not followed.

    The deadline is for the whole exchange: httpx's own timeouts start anew with every byte, so that a server that drips
    its answer would never meet them. Only connecting is tried twice: what was sent may have arrived.
    """

    Settings = HttpSettings
    suffixes: ClassVar[tuple[str, ...]] = ()
    schemes: ClassVar[tuple[str, ...]] = ("http", "https")
    needs_picture: ClassVar[bool] = False
    delivery: ClassVar[Delivery] = "newest"

    def __init__(self, settings: HttpSettings) -> None:
        self.name = public(settings.url)
        self._settings = settings
        self._payload = payload(settings.format)
        self._client: httpx.AsyncClient
        self._loop: SinkLoop

    @classmethod
    def from_target(cls, target: str) -> HttpSettings:
        """Settings for a URL."""
        return parsed(HttpSettings, public(target), url=target)

    def paths(self) -> Sequence[str]:
        """No files."""
        return []

    def open(self, run: RunFacts) -> None:
        """Prepare; the connection is made with the first record, and anew when it was lost. Raises SinkError."""
        import httpx

        logging.getLogger("httpx").setLevel(logging.WARNING)  # below, it tells each URL with the keys in its query
        settings = self._settings
        headers = {name: value.get_secret_value() for name, value in settings.headers.items()}
        try:
            self._client = httpx.AsyncClient(
                auth=(settings.user, settings.secret() or "") if settings.user else None,
                headers={"content-type": "application/json", "user-agent": "vidette", **headers},
                transport=httpx.AsyncHTTPTransport(retries=1),
                timeout=None,
            )
            httpx.URL(settings.url)
        except (httpx.InvalidURL, UnicodeEncodeError):
            raise SinkError(f"{self.name}: the URL or a header holds characters that HTTP does not allow") from None
        self._loop = SinkLoop()

    def write(self, result: Result) -> None:
        """Send one record and wait for the answer. Raises SinkError."""
        import httpx

        body = record_json(result, self._payload)
        try:
            self._loop.run(self._post(body))
        except TimeoutError:
            raise SinkError(f"{self.name}: no whole answer within {self._settings.timeout_s:g} s") from None
        except httpx.HTTPError as error:
            raise SinkError(
                f"{self.name}: {str(error) or type(error).__name__}: is the server running there?"
            ) from None

    async def _post(self, body: bytes) -> None:
        async with (
            asyncio.timeout(self._settings.timeout_s),
            self._client.stream("POST", self._settings.url, content=body) as answer,
        ):
            if not answer.is_success:
                raise SinkError(f"{self.name}: the server answered {answer.status_code} {answer.reason_phrase}")
            received = 0
            async for part in answer.aiter_raw():
                received += len(part)
                if received > _ANSWER_BYTES:
                    return

    def close(self) -> None:
        """Close the connection."""
        self._loop.run(self._client.aclose())
        self._loop.close()
