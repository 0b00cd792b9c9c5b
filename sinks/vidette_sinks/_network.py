"""What sinks share that send to a server: URLs without secrets, and an event loop that can always be left."""

import asyncio
import logging
import re
import threading
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar
from urllib.parse import SplitResult, unquote, urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from vidette.errors import SinkError

log = logging.getLogger("vidette.sink.network")

P = ParamSpec("P")
T = TypeVar("T")


def public(url: str) -> str:
    """The URL as it may be shown: without user, password, query and fragment."""
    return re.split(r"[?#]", re.sub(r"//.*@", "//", url))[0]


def split(url: str) -> SplitResult:
    """The parts of a URL with host and port in order. Raises ValueError, which does not quote it."""
    try:
        parts = urlsplit(url)
        found = bool(parts.hostname) and (parts.port or 1)
    except ValueError:  # its text would quote a part of the password where that holds a slash
        found = False
    if not found:
        raise ValueError("not a URL with host and port (special characters in a password are written as %2F)")
    return parts


class ServerSettings(BaseModel):
    """Where a server is and who we are to it. User and password may also stand in the URL; it is kept without them."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    url: str = Field(repr=False, description="Where to; a query may hold a key and is never shown.")
    user: str | None = Field(None, description="User name, where the server asks for one.")
    password: SecretStr | None = Field(
        None, description="Password; never shown anywhere. `${NAME}` keeps it out of the file."
    )

    @model_validator(mode="before")
    @classmethod
    def _without_user_info(cls, data: Any) -> Any:
        if not isinstance(data, dict) or not isinstance(data.get("url"), str):
            return data
        parts = split(data["url"])
        if parts.scheme.lower() not in cls.schemes():
            raise ValueError(f"the URL must begin with {' or '.join(f'{scheme}://' for scheme in cls.schemes())}")
        given: dict[str, Any] = {}
        if parts.username:
            given["user"] = unquote(parts.username)
        if parts.password:
            given["password"] = unquote(parts.password)
        return {**given, **data, "url": parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()}

    @classmethod
    def schemes(cls) -> tuple[str, ...]:
        """URL schemes that are taken."""
        raise NotImplementedError

    def secret(self) -> str | None:
        """The password in the clear, for the library that speaks to the server."""
        return None if self.password is None else self.password.get_secret_value()


class Backoff:
    """When to connect again: at once, then after pauses that double from 0.5 to 30 s until it succeeds."""

    FIRST_S, LONGEST_S = 0.5, 30.0

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._pause = self.FIRST_S
        self._next = 0.0

    def check(self, name: str) -> None:
        """Call before each attempt. Raises SinkError while it is too early for one."""
        now = self._clock()
        if now < self._next:
            raise SinkError(f"{name}: no connection; tried again in {self._next - now:.1f} s")
        self._next = now + self._pause
        self._pause = min(2 * self._pause, self.LONGEST_S)

    def succeeded(self) -> None:
        """The attempt made a connection."""
        self._pause = self.FIRST_S


class _DaemonThreads(ThreadPoolExecutor):
    """Runs each call in a daemon thread of its own.

    asyncio resolves names and aiomqtt connects in the loop's executor. The threads of the usual one are joined when the
    interpreter exits: a name server or broker that does not answer would then hold the whole process back.
    """

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        future: Future[T] = Future()

        def work() -> None:
            try:
                future.set_result(fn(*args, **kwargs))
            except BaseException as error:  # noqa: BLE001 - belongs to whoever waits for the future
                future.set_exception(error)

        future.set_running_or_notify_cancel()
        threading.Thread(target=work, name=f"{threading.current_thread().name}:call", daemon=True).start()
        return future


class SinkLoop:
    """An event loop that runs in the sink's thread while the sink works, and stands still between its calls."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._loop.set_default_executor(_DaemonThreads())
        # What fails on our behalf is raised by `run`; the rest is what libraries leave behind of broken connections.
        self._loop.set_exception_handler(lambda _, context: log.debug("%s", context.get("message")))

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run until `work` is done; other tasks of the loop go on meanwhile."""
        return self._loop.run_until_complete(work)

    def close(self) -> None:
        """Cancel what still runs, wait for it for at most 0.2 s, and close the loop."""
        if tasks := asyncio.all_tasks(self._loop):
            for task in tasks:
                task.cancel()
            self._loop.run_until_complete(asyncio.wait(tasks, timeout=0.2))
        self._loop.close()
