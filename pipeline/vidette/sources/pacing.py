"""Playing media at its own speed."""

import threading
import time
from collections.abc import Callable

_LONGEST_GAP_S = 10.0
"""A jump in media time beyond this is a break in the time line, not a still picture: do not sit it out."""


class Pacer:
    """Holds frames back until their media time has come, counted from the first one.

    Frames without a time, and those that come late, pass at once.
    """

    def __init__(self, stop: threading.Event, clock: Callable[[], float] = time.monotonic) -> None:
        self._stop = stop
        self._clock = clock
        self._offset: float | None = None  # clock minus media time
        self._last = 0.0

    def wait(self, pts_s: float | None) -> bool:
        """Block until `pts_s` is due. False when the run was stopped meanwhile."""
        if pts_s is None:
            return not self._stop.is_set()
        now = self._clock()
        if self._offset is None or not 0 <= pts_s - self._last <= _LONGEST_GAP_S:
            self._offset = now - pts_s
        self._last = pts_s
        early = pts_s + self._offset - now
        return not (self._stop.wait(early) if early > 0 else self._stop.is_set())
