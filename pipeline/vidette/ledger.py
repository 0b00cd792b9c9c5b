"""The counts and stage times: the only place where numbers are kept.

Every decoded frame ends in exactly one column: `results`, `dropped[reason]`, `failed[reason]` or `in_flight`.
"""

import math
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from vidette.result import StageTimes

_BUCKETS_PER_OCTAVE = 8


class Histogram:
    """Durations in logarithmic buckets (9 % wide, from 1 microsecond): constant memory for runs of months."""

    __slots__ = ("_counts",)

    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()

    def add(self, seconds: float) -> None:
        """Count one duration."""
        self._counts[int(math.log2(max(seconds, 1e-6) * 1e6) * _BUCKETS_PER_OCTAVE)] += 1

    def quantile(self, share: float) -> float | None:
        """The upper edge, in seconds, of the bucket that holds the given share (0..1); None when empty."""
        total = sum(self._counts.values())
        seen = 0
        for bucket in sorted(self._counts):
            seen += self._counts[bucket]
            if seen >= share * total:
                return float(2 ** ((bucket + 1) / _BUCKETS_PER_OCTAVE)) / 1e6
        return None


class StreamLedger:
    """One stream's numbers, over all its epochs.

    `decoded` and `unreadable` belong to the decoding thread, `dropped` has a lock of its own, the rest belongs to
    whoever holds the exit of the stream.
    """

    def __init__(self, stream: str, model: str) -> None:
        self.stream = stream
        self.model = model
        self.decoded = 0
        self.inferred = 0
        self.results = 0
        self.objects = 0
        self.cut = 0
        self.dropped: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()
        self.unreadable: Counter[str] = Counter()
        self.error: str | None = None  # the last
        self.latency = Histogram()
        self.stages = StageTimes()
        self.batch_sum = 0
        self.started: float | None = None
        self.ended: float | None = None
        self.expected: int | None = None
        self._earlier_s = 0.0  # of the epochs before this one
        self._dropping = threading.Lock()

    def begin(self) -> None:
        """An epoch begins; the pause before it is no time of the stream."""
        now = time.monotonic()
        if self.started is not None:
            self._earlier_s += (now if self.ended is None else self.ended) - self.started
        self.started, self.ended = now, None

    @property
    def ended_frames(self) -> int:
        """What has come to an end in whatever way, for progress."""
        return self.results + self.dropped.total() + self.failed.total() + self.unreadable.total()

    def drop(self, reason: str, count: int = 1) -> None:
        """Count decoded frames that will not be inferred; from any thread."""
        if count:
            with self._dropping:
                self.dropped[reason] += count

    def add_result(self, stages: StageTimes, batch: int, objects: int, cut: int, latency: float) -> None:
        """Count a frame that came out."""
        self.inferred += 1
        self.results += 1
        self.objects += objects
        self.cut += cut
        self.batch_sum += batch
        total = self.stages
        total.decode += stages.decode
        total.queue += stages.queue
        total.scale += stages.scale
        total.run += stages.run
        total.postprocess += stages.postprocess
        self.latency.add(latency)

    def complete(self, live: bool) -> bool:
        """Whether all went as it should.

        Every frame became a result but for those that `fps_limit` left out; a live stream may also drop and skip
        damaged packets, by design.
        """
        if self.error is not None or self.failed:
            return False
        return live or (not self.unreadable and self.decoded == self.results + self.dropped["fps_limit"])

    def report(self) -> dict[str, Any]:
        """Plain values for JSON; durations in seconds, stage times in milliseconds per result."""
        end = self.ended if self.ended is not None else time.monotonic()
        wall = self._earlier_s + (end - self.started if self.started is not None else 0.0)
        # Ends first, then what was decoded: frames that move on meanwhile are in flight, and the columns add up.
        results, dropped, failed = self.results, dict(self.dropped), dict(self.failed)
        decoded = self.decoded
        count = max(1, results)
        stages = self.stages
        return {
            "stream": self.stream,
            "model": self.model,
            "decoded": decoded,
            "inferred": self.inferred,
            "results": results,
            "dropped": dropped,
            "failed": failed,
            "unreadable": dict(self.unreadable),
            "in_flight": decoded - results - sum(dropped.values()) - sum(failed.values()),
            "objects": self.objects,
            "candidates_cut": self.cut,
            "error": self.error,
            "wall_s": round(wall, 3),
            "fps": round(results / wall, 2) if wall > 0 else None,
            "mean_batch": round(self.batch_sum / count, 2) if results else None,
            "latency_p50_ms": _ms(self.latency.quantile(0.5)),
            "latency_p99_ms": _ms(self.latency.quantile(0.99)),
            "stages_ms": {
                name: round(getattr(stages, name) / count * 1e3, 3)
                for name in ("decode", "queue", "scale", "run", "postprocess")
            },
        }


@dataclass(slots=True)
class SinkLedger:
    """One sink's numbers: handed = written + lost + waiting."""

    sink: str
    handed: int = 0
    written: int = 0
    lost: Counter[str] = field(default_factory=Counter)
    error: str | None = None

    @property
    def waiting(self) -> int:
        """Results in its queue."""
        return self.handed - self.written - self.lost.total()

    def report(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "sink": self.sink,
            "handed": self.handed,
            "written": self.written,
            "lost": dict(self.lost),
            "waiting": self.waiting,
            "error": self.error,
        }


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1e3, 2)
