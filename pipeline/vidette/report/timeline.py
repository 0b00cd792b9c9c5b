"""Objects per class over time, in memory that does not grow."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

MAX_BINS = 240
_FIRST_BIN_S = 0.1


@dataclass(slots=True)
class Bin:
    """What was seen in one stretch of time: frames, and objects per class number."""

    frames: int = 0
    objects: Counter[int] = field(default_factory=Counter)

    def add(self, other: "Bin") -> None:
        """Take in another stretch."""
        self.frames += other.frames
        self.objects.update(other.objects)


class Timeline:
    """At most 240 bins of equal width from 0 on; when time runs out of them, neighbours merge and the width doubles.

    The axis is media time in seconds from the stream's first frame on. A source that is opened again starts its clock
    anew (a new epoch); its time is then continued by the wall clock that passed between. As long as no frame has a
    time of its own, the axis is the count of frames, and `width` and positions are frames.
    """

    def __init__(self) -> None:
        self.in_seconds = False
        self.width = 1.0
        self.bins: list[Bin] = []
        self.end = 0.0
        self._frames = 0
        self._epoch: int | None = None
        self._zero = 0.0
        self._wall = 0.0

    def add(self, epoch: int, pts_s: float | None, wall: float, objects: Counter[int]) -> float:
        """Count one frame; returns its position on the axis."""
        if pts_s is not None and not self.in_seconds:
            self._start_seconds()
        position = self._position(epoch, pts_s, wall)
        self._frames += 1
        self._wall = wall
        self.end = max(self.end, position)
        self._bin(position).add(Bin(1, objects))
        return position

    def readable(self) -> tuple[float, list[Bin]]:
        """Width and bins for a drawing: a bin of seconds that has frames has two of them in the mean.

        Bins narrower than the time between frames would show a comb instead of what was seen.
        """
        width, bins = self.width, self.bins
        while self.in_seconds and len(bins) > 1 and sum(b.frames for b in bins) < 2 * sum(b.frames > 0 for b in bins):
            width, bins = 2 * width, _pairs(bins)
        return width, bins

    def _position(self, epoch: int, pts_s: float | None, wall: float) -> float:
        if not self.in_seconds:
            return float(self._frames)
        if pts_s is None:  # the first frame of many cameras has none: it belongs to the moment reached so far
            return self.end
        if epoch != self._epoch:
            pause = max(0.0, wall - self._wall) if self._epoch is not None else 0.0
            self._zero = pts_s - self.end - pause
            self._epoch = epoch
        return max(0.0, pts_s - self._zero)

    def _bin(self, position: float) -> Bin:
        while (index := int(position / self.width)) >= MAX_BINS:
            self.width, self.bins = 2 * self.width, _pairs(self.bins)
        while len(self.bins) <= index:
            self.bins.append(Bin())
        return self.bins[index]

    def _start_seconds(self) -> None:
        before = _merged(self.bins)
        self.in_seconds, self.width, self.end = True, _FIRST_BIN_S, 0.0
        self.bins = [before] if before.frames else []


def _pairs(bins: Sequence[Bin]) -> list[Bin]:
    return [_merged(bins[left : left + 2]) for left in range(0, len(bins), 2)]


def _merged(bins: Iterable[Bin]) -> Bin:
    whole = Bin()
    for each in bins:
        whole.add(each)
    return whole
