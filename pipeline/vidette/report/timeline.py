"""Objects per class over time, in memory that does not grow."""

from collections import Counter
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
            self._merge()
        while len(self.bins) <= index:
            self.bins.append(Bin())
        return self.bins[index]

    def _merge(self) -> None:
        for left in range(0, len(self.bins) - 1, 2):
            self.bins[left].add(self.bins[left + 1])
        self.bins = self.bins[::2]
        self.width *= 2

    def _start_seconds(self) -> None:
        before = Bin()
        for each in self.bins:
            before.add(each)
        self.in_seconds, self.width, self.end = True, _FIRST_BIN_S, 0.0
        self.bins = [before] if before.frames else []
