"""MQTT: one message per frame."""

import asyncio
import contextlib
import logging
import math
import re
import ssl
from collections.abc import Coroutine, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from vidette.errors import SinkError
from vidette.payloads import payload
from vidette.payloads.record import record_json
from vidette.result import Result
from vidette.sink import Delivery, RunFacts
from vidette_sinks._network import Backoff, ServerSettings, SinkLoop, public, split
from vidette_sinks._settings import DEFAULT_FORMAT, Format, parsed

if TYPE_CHECKING:
    import aiomqtt

_FAREWELL_S = 0.5
_SERVER_UNAVAILABLE = 136  # the one refusal of MQTT's CONNACK that may pass by itself (MQTT 5, table 3.2.2.2)

# aiomqtt and paho report through this; everything that matters is in the exceptions
_quiet = logging.getLogger("vidette.sink.mqtt")
_quiet.setLevel(logging.CRITICAL)


class MqttSettings(ServerSettings):
    """JSON records to an MQTT broker, one message per frame.

    The URL is `mqtt://host[:1883][/topic]`, or `mqtts://host[:8883]` for TLS. This is the plain form: what the broker
    does not take in time is lost and counted. With qos 1 and 2 each message waits for its acknowledgement, so that no
    more messages per second go out than one divided by the round trip.
    """

    topic: str = Field("vidette/{stream}", min_length=1, description="Topic; {stream} becomes the stream's name.")
    qos: Literal[0, 1, 2] = Field(0, description="0: at most once, 1: at least once, 2: exactly once.")
    retain: bool = Field(False, description="Whether the broker keeps the last message for later subscribers.")
    timeout_s: float = Field(
        1.0,
        gt=0,
        le=60,
        description="Seconds until a message that was not taken is lost; a stop waits as long.",
    )
    format: Format = DEFAULT_FORMAT

    @classmethod
    def schemes(cls) -> tuple[str, ...]:
        """URL schemes that are taken."""
        return MqttSink.schemes

    @model_validator(mode="before")
    @classmethod
    def _topic_of_url(cls, data: object) -> object:
        if isinstance(data, dict) and isinstance(data.get("url"), str) and "topic" not in data:
            path = data["url"].partition(split(data["url"]).netloc)[2].strip("/")  # with a ? or # to be refused
            return {**data, "topic": path} if path else data
        return data

    @field_validator("topic")
    @classmethod
    def _publishable(cls, topic: str) -> str:
        if re.search(r"[+#\0{}]", topic.replace("{stream}", "")):
            raise ValueError("a topic to publish to has no + or #, and {stream} as its only placeholder")
        return topic


class MqttSink:
    """Speaks MQTT 3.1.1 through aiomqtt, in an event loop that runs while the sink works.

    A lost connection is made anew with the next result; after failures with pauses that double from 0.5 to 30 s, in
    which results are refused at once. A broker that cannot be reached when the run starts is tried again like one that
    went away; one that refuses user or password ends the start.
    """

    Settings = MqttSettings
    suffixes: ClassVar[tuple[str, ...]] = ()
    schemes: ClassVar[tuple[str, ...]] = ("mqtt", "mqtts")
    needs_picture: ClassVar[bool] = False
    delivery: ClassVar[Delivery] = "newest"

    def __init__(self, settings: MqttSettings) -> None:
        parts = split(settings.url)
        self._tls = parts.scheme.lower() == "mqtts"
        self._host = parts.hostname or ""
        self._port = parts.port or (8883 if self._tls else 1883)
        self.name = f"{parts.scheme}://{parts.netloc}/{settings.topic}"
        self._settings = settings
        self._payload = payload(settings.format)
        self._client: aiomqtt.Client | None = None
        self._connecting: asyncio.Task[aiomqtt.Client] | None = None
        self._backoff = Backoff()
        self._loop: SinkLoop

    @classmethod
    def from_target(cls, target: str) -> MqttSettings:
        """Settings for a URL."""
        return parsed(MqttSettings, public(target), url=target)

    def paths(self) -> Sequence[str]:
        """No files."""
        return []

    def open(self, run: RunFacts) -> None:
        """Connect. Raises SinkError when the broker will not have us; one that is not there yet is tried again."""
        self._loop = SinkLoop()
        try:
            self._loop.run(self._in_time(self._connected()))
        except _Refused:
            self._loop.close()
            raise
        except SinkError:
            pass  # it is the same as one that goes away later: each result says so until it is there

    def write(self, result: Result) -> None:
        """Publish one record and wait until it is out, for qos 1 and 2 acknowledged. Raises SinkError."""
        topic = self._settings.topic.replace("{stream}", re.sub(r"[+#/\0]", "_", result.stream))
        self._loop.run(self._in_time(self._publish(topic, record_json(result, self._payload))))

    def close(self) -> None:
        """Say goodbye, within half a second."""
        if self._client is not None:
            self._loop.run(_leave(self._client))
        self._loop.close()

    async def _in_time(self, work: Coroutine[Any, Any, object]) -> None:
        from aiomqtt import MqttError

        try:
            async with asyncio.timeout(self._settings.timeout_s):
                await work
        except TimeoutError:
            self._give_up_connection()
            raise SinkError(f"{self.name}: the broker did not answer within {self._settings.timeout_s:g} s") from None
        except MqttError as error:
            self._give_up_connection()
            raise SinkError(f"{self.name}: connection lost: {error}") from None

    async def _publish(self, topic: str, body: bytes) -> None:
        from aiomqtt import MqttError

        for _ in range(2):  # one turn to see that the broker has hung up since the last call, one to act on it
            await asyncio.sleep(0)
        settings = self._settings
        if self._client is not None:
            try:
                await self._client.publish(topic, body, settings.qos, settings.retain, timeout=math.inf)
                return
            except MqttError:
                self._give_up_connection()  # perhaps it was gone long since: what follows tells
        client = await self._connected()
        await client.publish(topic, body, settings.qos, settings.retain, timeout=math.inf)

    async def _connected(self) -> "aiomqtt.Client":
        if self._client is None:
            if self._connecting is None:
                self._backoff.check(self.name)
                self._connecting = asyncio.create_task(self._connect())
            # shielded: an attempt that takes longer than this result may wait goes on for the next one
            outcome = await asyncio.shield(self._connecting)
            self._connecting = None
            if isinstance(outcome, SinkError):
                raise outcome
            self._backoff.succeeded()
            self._client = outcome
        return self._client

    async def _connect(self) -> "aiomqtt.Client | SinkError":
        import aiomqtt
        from aiomqtt.exceptions import MqttConnectError

        client = aiomqtt.Client(
            self._host,
            self._port,
            username=self._settings.user,
            password=self._settings.secret(),
            tls_context=ssl.create_default_context() if self._tls else None,
            timeout=self._settings.timeout_s,
            logger=_quiet,
        )
        try:
            return await client.__aenter__()
        except MqttConnectError as error:
            if getattr(error.rc, "value", error.rc) != _SERVER_UNAVAILABLE:
                return _Refused(f"{self.name}: the broker refuses the connection: {error}: check user and password")
            return SinkError(f"{self.name}: {error}")
        except aiomqtt.MqttError as error:
            await _leave(client)
            return SinkError(f"{self.name}: cannot connect: {error}: does a broker listen there?")

    def _give_up_connection(self) -> None:
        if self._client is not None:
            self._leaving = asyncio.create_task(_leave(self._client))
            self._client = None


class _Refused(SinkError):
    """The broker answered that it does not want us: trying again does not help."""


async def _leave(client: "aiomqtt.Client") -> None:
    from aiomqtt import MqttError

    with contextlib.suppress(MqttError, TimeoutError):
        async with asyncio.timeout(_FAREWELL_S):
            await client.__aexit__(None, None, None)
