"""The streams of the site: what they do, and stopping and starting them."""

import asyncio
import difflib
import logging
import time
from typing import Any, Literal, get_args

from vidette.engine import Engine
from vidette.serve.errors import RequestError, busy
from vidette.stream import Stream
from vidette.urls import redact

log = logging.getLogger("vidette.serve")

Action = Literal["stop", "start", "restart"]

STOP_S = 1.5
"""What a stop leaves for frames that are decoded already, and for a source to return."""

_TOLD = ("fps", "decoded", "results", "objects", "dropped", "failed", "unreadable", "in_flight", "error")


class Streams:
    """Clients say which stream, never a URL: only what the site file names is opened. Used in the event loop."""

    def __init__(self, engine: Engine | None) -> None:
        self._engine = engine
        self._turns: dict[str, asyncio.Lock] = {}  # one action at a time on a stream

    def find(self, id: str) -> Stream:
        """The stream of that id. Raises RequestError 404 naming the nearest."""
        known = {stream.request.id: stream for stream in self._engine.streams} if self._engine is not None else {}
        if id not in known:
            if (above := id.rpartition("/")[0]) in known:
                raise RequestError(404, f"there is no stream {id[:200]!r}; {actions(above)}")
            near = difflib.get_close_matches(id[:200], known, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"streams here: {', '.join(list(known)[:8]) or 'none'}"
            raise RequestError(404, f"there is no stream {id[:200]!r}; {hint}")
        return known[id]

    def told(self) -> list[dict[str, Any]]:
        """`tell` of each, in the order of the site file."""
        return [tell(stream) for stream in self._engine.streams] if self._engine is not None else []

    async def act(self, id: str, action: Action, caller: str) -> dict[str, Any]:
        """Stop, start or restart a stream, and `tell` of it then.

        Raises RequestError: 404; 409 where the stream's state forbids it, or its source has hung since it was stopped;
        503 when the server ends meanwhile.
        """
        stream = self.find(id)
        async with self._turns.setdefault(id, asyncio.Lock()):
            state = stream.state
            if action == "start" and state == "running":
                raise RequestError(409, f"stream {id} is running: POST /streams/{id}/restart opens it anew")
            if action == "stop" and state != "running":
                raise RequestError(409, f"stream {id} {_PAST[state]}: there is nothing to stop")
            stream.stop()
            await _come_to_rest(stream)
            done: Action = "stop"
            try:
                if action != "stop":
                    self._start(stream)
                    done = action
            finally:
                if done == action or state == "running":  # a restart may get no further than the stop
                    log.info("stream %s: %s by %s", id, done, caller)
            return tell(stream)

    def _start(self, stream: Stream) -> None:
        if stream.decoding:
            raise RequestError(409, f"stream {stream.request.id} cannot be started yet: {_HANGS}; try again later")
        if self._engine is None or self._engine.interrupted:  # what starts now would not be joined any more
            raise busy("the server is shutting down", 5)
        stream.start()


def actions(id: str) -> str:
    """How to ask for what can be done to a stream."""
    *first, last = get_args(Action)
    return f"possible are POST /streams/{id}/{', /'.join(first)} and /{last}"


_PAST = {"stopped": "is stopped already", "ended": "has ended by itself", "failed": "has failed"}
_HANGS = "its source has not returned yet"


async def _come_to_rest(stream: Stream) -> None:
    """Let what is decoded come out; after `STOP_S` it is dropped."""
    deadline = time.monotonic() + STOP_S
    while not stream.done and time.monotonic() < deadline:
        await asyncio.sleep(0.01)
    if not stream.done:
        stream.discard()


def tell(stream: Stream) -> dict[str, Any]:
    """What a stream does: state, frames per second while it ran, and every end that its frames came to.

    `reason` says why it has failed, or cannot be started yet; `error` is the last that went wrong, in any epoch.
    """
    state, told = stream.state, stream.report()
    reason = stream.error if state == "failed" else _HANGS if state == "stopped" and stream.decoding else None
    return {
        "id": stream.request.id,
        "source": redact(stream.request.url),
        "model": stream.request.model,
        "mode": stream.request.mode,
        "state": state,
        "reason": reason,
        "epoch": stream.epoch,
        **{name: told[name] for name in _TOLD},
    }
