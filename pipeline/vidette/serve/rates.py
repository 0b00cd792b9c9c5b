"""How many requests one key may make in a window of time."""

import math
import time
from collections import deque
from collections.abc import Callable

from vidette.serve.errors import RequestError
from vidette.server_settings import RateConfig

_CALLERS = 10_000


_CALLERS = 10_000
"""Callers that are counted at once."""


class Rates:
    """Counts requests per caller in a sliding window. Raises RequestError 429 beyond it, with Retry-After."""

    def __init__(self, config: RateConfig | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._config = config
        self._clock = clock
        self._times: dict[str, deque[float]] = {}

    def count(self, caller: str) -> None:
        """Count one request of `caller`; a refused one does not count."""
        if self._config is None:
            return
        now, window = self._clock(), float(self._config.window)
        if len(self._times) >= _CALLERS:
            self._forget(now - window)
        if caller not in self._times and len(self._times) >= _CALLERS:
            del self._times[next(iter(self._times))]  # the one that came first: addresses are cheap, memory is not
        times = self._times.setdefault(caller, deque())
        while times and times[0] <= now - window:
            times.popleft()
        if len(times) >= self._config.requests:
            wait = math.ceil(times[0] + window - now)
            message = f"more than {self._config.requests} requests in {self._config.window}; try again in {wait} s"
            raise RequestError(429, message, {"Retry-After": str(max(1, wait))})
        times.append(now)

    def _forget(self, before: float) -> None:
        """Without keys every address is a caller: those that have not asked lately are let go."""
        for caller in [caller for caller, times in self._times.items() if not times or times[-1] <= before]:
            del self._times[caller]
