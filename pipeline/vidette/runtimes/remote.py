"""A server as the runtime: pictures go out as JPEG, answers come back as JSON.

One HTTP client keeps as many connections as requests may be under way. It lives in an event loop on a thread of its
own: there a deadline is for a whole exchange, and a stop ends whatever hangs.

What does not come back is not a refusal of the model: the place of such an answer holds the `Trouble`, its frame fails
alone, and the stream goes on. With `throughput`, which is how files run, a picture is asked for again until its
timeout is over. Otherwise pictures age: a frame that failed stays failed, and after a pause the caller takes the
newest. The pauses are for all callers together, grow while nothing succeeds, and are never shorter than the server's
Retry-After, as far as the timeout allows.

A picture of an HTTP client has somebody waiting: a refused connection is its answer at once, whoever speaks meanwhile,
and as long as nothing succeeds its timeout counts from its arrival, so that a queue does not add one to the other.
"""

import asyncio
import logging
import random
import threading
import time
from collections.abc import Sequence
from concurrent.futures import CancelledError
from contextlib import suppress
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from vidette.errors import ModelError
from vidette.frame import Picture
from vidette.pixels.letterbox import Letterbox
from vidette.pixels.preprocess import Preprocess
from vidette.pixels.slot import ArrayBuffer, Buffer, Scaling, SlotWriter
from vidette.remote.dialects import Asked, answers, request, takes_lists
from vidette.remote.endpoint import Endpoint
from vidette.remote.trouble import Trouble, body_of, quiet, unreached
from vidette.runtimes.base import ModelFile, Outputs, Plan, Wish

log = logging.getLogger("vidette.remote")

_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 2.0
_BATCH = 4
"""Pictures in a request where the dialect has lists; more gain little and make each wait for all."""


class Remote:
    """The table's entry; see `Runtime`."""

    name = "remote"

    def available(self) -> str | None:
        """Always: whether the server is there is found out when the model is described."""
        return None

    def plan(self, model: ModelFile, wish: Wish) -> Plan:
        """A caller per request that may be under way. Raises ModelError for what only the server decides."""
        endpoint = model.endpoint
        if endpoint is None:
            raise ModelError("runtime: remote: is for models behind a URL; this one is a file")
        for field in ("device", "precision"):
            if (asked := getattr(wish, field)) != "auto":
                raise ModelError(f"{field}: {asked}: the server decides; leave it at auto")
        if wish.max_batch is not None and wish.max_batch > 1 and not takes_lists(endpoint):
            raise ModelError(f"max_batch: {endpoint.dialect} takes one picture per request; leave it out")
        if model.asked is not None and model.asked.agnostic and endpoint.dialect != "roboflow-v1":
            raise ModelError(f"agnostic: {endpoint.dialect} cannot be asked for it; leave it out")
        top = (wish.max_batch or _BATCH) if takes_lists(endpoint) else 1
        options = endpoint.options
        return Plan(
            runtime=self.name,
            device=f"{endpoint.url}, {endpoint.dialect}",
            precision=f"jpeg {options.quality}",
            mode=wish.mode,
            callers=options.concurrency,
            permits=options.concurrency,
            threads=1,
            ladder=tuple(sorted({*(size for size in (1, 2, 4, 8, 16, 32, 64) if size < top), top})),
            options={"timeout": options.timeout},
            why=f"{options.concurrency} requests under way, up to {top} pictures in each",
        )

    def open(self, model: ModelFile, plan: Plan) -> "RemoteSession":
        """Start the thread of the client; connections are made as they are needed."""
        assert model.endpoint is not None
        return RemoteSession(model.id, model.endpoint, model.asked or Asked(), model.preprocess, plan)


class JpegBuffer:
    """A batch of pictures as they are sent: slots hold `bytes`; `asked` what is asked of each, None for the model's;
    `since` when a client's picture arrived (monotonic), None for a stream's."""

    __slots__ = ("asked", "padded", "since", "slots")

    def __init__(self, count: int) -> None:
        self.asked: list[Asked | None] = [None] * count
        self.since: list[float | None] = [None] * count
        self.slots: npt.NDArray[Any] = np.empty(count, object)
        self.padded: list[object] = [None] * count


class JpegWriter:
    """Writes pictures into slots as JPEG, scaled on the decoder's planes as for any model; one per thread."""

    def __init__(self, preprocess: Preprocess, scaling: Scaling, quality: int) -> None:
        self._writer = SlotWriter(preprocess, scaling)
        self._how = [cv2.IMWRITE_JPEG_QUALITY, quality]
        self._pixels = ArrayBuffer(np.empty((1, 0, 0, 3), np.uint8))

    def write(self, picture: Picture, letterbox: Letterbox, buffer: Buffer, index: int) -> None:
        """Fill slot `index` with the letterbox's part of the picture."""
        if self._pixels.slots.shape[1:3] != letterbox.shape:
            self._pixels = ArrayBuffer(np.empty((1, *letterbox.shape, 3), np.uint8))
        self._writer.write(picture, letterbox, self._pixels, 0)
        buffer.slots[index] = cv2.imencode(".jpg", self._pixels.slots[0], self._how)[1].tobytes()

    def warm(self) -> None:
        """Compile the kernels that the first picture will need."""
        self._writer.warm()


class RemoteSession:
    """A server that is asked; see `Session`."""

    def __init__(self, id: str, endpoint: Endpoint, asked: Asked, preprocess: Preprocess, plan: Plan) -> None:
        import httpx

        quiet()
        self.plan = plan
        self._id = id
        self._endpoint = endpoint
        self._asked = asked
        self._preprocess = preprocess
        self._patient = plan.mode == "throughput"
        self._failures = 0
        self._not_before = 0.0  # monotonic: when the server may be asked again,
        self._trouble = Trouble("")  # and why not earlier
        self._told = False  # whether the log has why clients get no answers
        self._stopping = False
        limits = httpx.Limits(max_connections=plan.permits, max_keepalive_connections=plan.permits)
        self._client = httpx.AsyncClient(limits=limits, timeout=None, headers={"user-agent": "vidette"})
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=f"vidette:remote:{id}", daemon=True)
        self._thread.start()

    def writer(self, scaling: Scaling) -> JpegWriter:
        """What fills this session's slots (runtimes/base.py: `Writes`)."""
        return JpegWriter(self._preprocess, scaling, self._endpoint.options.quality)

    def buffer(self, shape: tuple[int, int]) -> JpegBuffer:
        """Places for the largest batch; pictures may have any size."""
        return JpegBuffer(self.plan.ladder[-1])

    def run(self, buffer: Buffer, count: int, alone: bool = False) -> Outputs:
        """Send the first `count` pictures: (count,) objects, each an answer as a dictionary or the Trouble in place of
        it. Raises ModelError once it is to stop."""
        if self._stopping:
            raise ModelError(f"{self._id}: stopped")
        assert isinstance(buffer, JpegBuffer)
        groups: dict[tuple[Asked, bool], list[int]] = {}  # one request asks the same of all its pictures
        for index in range(count):
            key = buffer.asked[index] or self._asked, buffer.since[index] is not None
            groups.setdefault(key, []).append(index)
        pictures = [bytes(buffer.slots[index]) for index in range(count)]
        exchange = asyncio.run_coroutine_threadsafe(self._of_groups(groups, pictures, list(buffer.since)), self._loop)
        try:
            found = exchange.result()
        except CancelledError:
            raise ModelError(f"{self._id}: stopped") from None
        outputs = np.empty(count, object)
        for index, answer in found:
            outputs[index] = answer
        return [outputs]

    @property
    def silent(self) -> bool:
        """Whether the server has not answered since it failed last."""
        return self._failures > 0

    def stop(self) -> None:
        """End all exchanges at once."""
        self._stopping = True
        self._loop.call_soon_threadsafe(self._cancel)

    def close(self) -> None:
        """Close the connections and end the thread."""
        self._stopping = True
        with suppress(TimeoutError):  # a peer that does not say goodbye
            asyncio.run_coroutine_threadsafe(self._client.aclose(), self._loop).result(0.5)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _cancel(self) -> None:
        for task in asyncio.all_tasks(self._loop):
            task.cancel()

    async def _of_groups(
        self, groups: dict[tuple[Asked, bool], list[int]], pictures: Sequence[bytes], since: Sequence[float | None]
    ) -> list[tuple[int, dict[str, Any] | Trouble]]:
        now, timeout = time.monotonic(), self._endpoint.options.timeout

        async def of(asked: Asked, client: bool, indexes: list[int]) -> list[tuple[int, dict[str, Any] | Trouble]]:
            late: list[tuple[int, dict[str, Any] | Trouble]] = []
            deadline = now + timeout
            if client and self.silent:
                ends = {index: (since[index] or 0.0) + timeout for index in indexes}
                late = [(index, self._trouble) for index in indexes if ends[index] <= now]
                indexes = [index for index in indexes if ends[index] > now]
                deadline = min((ends[index] for index in indexes), default=now)
            if not indexes:
                return late
            found = await self._answers(asked, [pictures[index] for index in indexes], deadline, client)
            return [*late, *zip(indexes, found, strict=True)]

        pairs = await asyncio.gather(*(of(*key, indexes) for key, indexes in groups.items()))
        return [pair for each in pairs for pair in each]

    async def _answers(
        self, asked: Asked, pictures: Sequence[bytes], deadline: float, client: bool
    ) -> list[dict[str, Any] | Trouble]:
        if self._stopping:
            raise asyncio.CancelledError
        try:
            return list(await self._asked_for(asked, pictures, deadline, client))
        except Trouble as trouble:
            if len(pictures) > 1 and trouble.picture:  # one must not cost its neighbours
                until = deadline if client else time.monotonic() + self._endpoint.options.timeout
                alone = [await self._answers(asked, [picture], until, client) for picture in pictures]
                return [answer for answers in alone for answer in answers]
            return [trouble] * len(pictures)

    async def _asked_for(
        self, asked: Asked, pictures: Sequence[bytes], deadline: float, client: bool
    ) -> list[dict[str, Any]]:
        """Raises Trouble when the frames' time is over, or asking again is no use."""
        broken = False
        while True:
            if await self._paused(deadline, client):
                raise self._trouble
            try:
                async with asyncio.timeout(max(0.0, deadline - time.monotonic())):
                    found = await self._exchange(asked, pictures)
            except TimeoutError:
                seconds = self._endpoint.options.timeout
                trouble = Trouble(f"{self._endpoint}: no answer within {seconds:g} s", again=True)
            except Trouble as failed:
                trouble = failed
                if failed.broken and not broken:  # a connection that was kept, and that the server closed meanwhile
                    broken = True
                    continue
            else:
                self._succeeded()
                return found
            if not trouble.picture:
                self._failed(trouble, client)
            given_up = trouble.picture or not trouble.again or (client and trouble.refused)
            if given_up or time.monotonic() >= deadline:
                raise trouble

    def _succeeded(self) -> None:
        self._failures = 0
        if self._told:
            self._told = False
            log.warning("model %s: %s answers again", self._id, self._endpoint)

    def _failed(self, trouble: Trouble, client: bool) -> None:
        self._failures += 1
        self._trouble = trouble
        self._not_before = max(self._not_before, time.monotonic() + self._wait(trouble))
        if client and not self._told:  # of streams' frames the stream tells
            self._told = True
            log.warning("model %s: %s", self._id, trouble)

    async def _paused(self, deadline: float, client: bool) -> bool:
        """Wait until the server may be asked again, but not beyond the deadline.

        True when the picture is not to be sent any more: it is too late, or a live stream has a newer one by now. A
        client does not wait for a server that refused the connection: to try costs nothing.
        """
        if client and self._trouble.refused:
            return False
        waited = False
        while (wait := min(self._not_before, deadline) - time.monotonic()) > 0:
            await asyncio.sleep(wait)
            waited = True
        return waited and (not (self._patient or client) or time.monotonic() >= deadline)

    def _wait(self, trouble: Trouble) -> float:
        """Seconds, drawn at random so that many clients of a server do not come back together."""
        longest = min(_LONGEST_PAUSE_S, _PAUSE_S * 2.0 ** min(self._failures - 1, 16))
        return trouble.after + longest * random.uniform(0.5, 1)

    async def _exchange(self, asked: Asked, pictures: Sequence[bytes]) -> list[dict[str, Any]]:
        import httpx

        endpoint = self._endpoint
        try:
            response = await self._client.request(**request(endpoint, asked, pictures).arguments())
        except (httpx.TransportError, httpx.InvalidURL) as error:
            raise unreached(endpoint, error) from None
        body = body_of(endpoint, response)
        try:
            return answers(endpoint, body, len(pictures))
        except ValueError as error:
            raise Trouble(f"{endpoint}: {error}", status=response.status_code) from None
