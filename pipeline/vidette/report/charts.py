"""The page's drawings as inline SVG: no script, colours from the style sheet, values under the pointer as titles."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from vidette.report.collect import CONFIDENCE_BINS
from vidette.report.timeline import Timeline
from vidette.report.words import Words

_TIME_STEPS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800, 43200, 86400)


_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


def safe(text: object) -> str:
    """Text from outside for a page: escaped, control characters and broken bytes replaced by a visible mark."""
    return escape(_CONTROL.sub("\N{REPLACEMENT CHARACTER}", str(text)))


@dataclass(frozen=True, slots=True)
class Series:
    """A class (or the rest of the classes) in a chart: its name, its colour as a CSS class, its class numbers."""

    name: str
    colour: str
    class_ids: frozenset[int]


@dataclass(frozen=True, slots=True)
class _Plot:
    """The area inside the axes, in SVG units."""

    left: float
    top: float
    width: float
    height: float

    @property
    def bottom(self) -> float:
        return self.top + self.height

    @property
    def right(self) -> float:
        return self.left + self.width


def objects_over_time(timeline: Timeline, series: Sequence[Series], words: Words) -> str:
    """Objects or classes per frame, the mean of each bin, stacked bands of series; time without frames stays empty."""
    plot = _Plot(50, 10, 990, 190)
    width, bins = timeline.readable()
    means = [
        [sum(each.objects[c] for c in one.class_ids) / each.frames if each.frames else 0.0 for each in bins]
        for one in series
    ]
    tops: list[list[float]] = []
    for row in means:
        below = tops[-1] if tops else [0.0] * len(bins)
        tops.append([a + b for a, b in zip(below, row, strict=True)])
    ticks = _ticks(max((value for row in tops for value in row), default=0.0))
    end = max(timeline.end + (0 if timeline.in_seconds else 1), width)
    x_scale, y_scale = plot.width / end, plot.height / ticks[-1]

    def x(index: float) -> float:
        return plot.left + min(end, index * width) * x_scale

    def y(value: float) -> float:
        return plot.bottom - value * y_scale

    parts = [_grid(plot, [(y(tick), _number(tick)) for tick in ticks])]
    parts += [
        f'<text class="tick" x="{plot.left + at * x_scale:.1f}" y="{plot.bottom + 17:.1f}" text-anchor="middle">'
        f"{text}</text>"
        for at, text in _time_ticks(end, timeline.in_seconds)
    ]
    for place, one in enumerate(series):
        lower = tops[place - 1] if place else [0.0] * len(bins)
        path = []
        for first, last in _runs([each.frames > 0 for each in bins]):
            upper = [f"{x(i + side):.1f} {y(tops[place][i]):.1f}" for i in range(first, last) for side in (0, 1)]
            under = [f"{x(i + side):.1f} {y(lower[i]):.1f}" for i in reversed(range(first, last)) for side in (1, 0)]
            path.append("M" + "L".join(upper + under) + "Z")
        parts.append(f'<path class="band {one.colour}" d="{"".join(path)}"/>')
    for index, each in enumerate(bins):
        if each.frames:
            lines = [f"{position(index * width, timeline.in_seconds)}: {each.frames} frames"]
            lines += [f"{safe(one.name)}: {means[k][index]:.2f}" for k, one in enumerate(series) if means[k][index]]
            parts.append(
                f'<rect class="hit" x="{x(index):.1f}" y="{plot.top}" width="{max(0.5, x(index + 1) - x(index)):.1f}" '
                f'height="{plot.height}"><title>{chr(10).join(lines)}</title></rect>'
            )
    return _svg(1056, 226, f"{words.many} per {words.whole} over time", parts)


def confidence_histogram(counts: Sequence[int], words: Words) -> str:
    """Objects or classes per confidence, 0 to 1."""
    plot = _Plot(50, 10, 440, 140)
    ticks = _ticks(max(counts, default=0))
    y_scale, step = plot.height / ticks[-1], plot.width / CONFIDENCE_BINS
    parts = [_grid(plot, [(plot.bottom - tick * y_scale, _number(tick)) for tick in ticks])]
    for index, count in enumerate(counts):
        left, high = plot.left + index * step, count * y_scale
        low, up = index / CONFIDENCE_BINS, (index + 1) / CONFIDENCE_BINS
        title = f"<title>{low:.2f} to {up:.2f}: {words.count(count)}</title>"
        if count:
            bar = _bar_up(left + 1, plot.bottom, step - 2, max(1.0, high))
            parts.append(f'<path class="bar" d="{bar}">{title}</path>')
    for tenth in range(0, 11, 2):
        at = plot.left + plot.width * tenth / 10
        parts.append(
            f'<text class="tick" x="{at:.1f}" y="{plot.bottom + 17:.1f}" text-anchor="middle">{tenth / 10:.1f}</text>'
        )
    return _svg(508, 178, f"{words.many} by confidence", parts)


def stage_bars(stages_ms: dict[str, float]) -> str:
    """Wall milliseconds per result in each stage."""
    longest = max(stages_ms.values(), default=0.0) or 1.0
    parts = []
    for row, (name, value) in enumerate(stages_ms.items()):
        top = 8 + row * 30
        length = max(1.0, 330 * value / longest)
        parts.append(
            f'<text class="name" x="80" y="{top + 14}" text-anchor="end">{safe(name)}</text>'
            f'<path class="bar" d="{_bar_right(90, top + 1, length, 18)}"/>'
            f'<text class="value" x="{90 + length + 8:.1f}" y="{top + 14}">{value:,.2f} ms</text>'
        )
    return _svg(508, 178, "wall time per result and stage", parts)


def position(at: float, in_seconds: bool) -> str:
    """A place on a timeline for people: `1:05.2`, `2:00:00`, or `frame 12`."""
    if not in_seconds:
        return f"frame {at:.0f}"
    tenths = round(at * 10)
    hours, minutes, seconds, rest = tenths // 36000, tenths // 600 % 60, tenths // 10 % 60, tenths % 10
    if hours:
        return f"{hours}:{minutes:02}:{seconds:02}"
    return f"{minutes}:{seconds:02}" + (f".{rest}" if rest else "")


def _svg(width: int, height: int, label: str, parts: Sequence[str]) -> str:
    return f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{label}">{"".join(parts)}</svg>'


def _grid(plot: _Plot, ticks: Sequence[tuple[float, str]]) -> str:
    return "".join(
        f'<line class="{"axis" if at == plot.bottom else "grid"}" x1="{plot.left}" x2="{plot.right}" '
        f'y1="{at:.1f}" y2="{at:.1f}"/>'
        f'<text class="tick" x="{plot.left - 8}" y="{at + 4:.1f}" text-anchor="end">{text}</text>'
        for at, text in ticks
    )


def _bar_up(x: float, bottom: float, width: float, height: float) -> str:
    r = min(2.0, height)
    return (
        f"M{x:.1f} {bottom:.1f}v{-(height - r):.1f}q0 {-r} {r} {-r}h{width - 2 * r:.1f}q{r} 0 {r} {r}v{height - r:.1f}Z"
    )


def _bar_right(x: float, top: float, length: float, height: float) -> str:
    r = min(3.0, length)
    return f"M{x} {top}h{length - r:.1f}q{r} 0 {r} {r}v{height - 2 * r}q0 {r} {-r} {r}h{-(length - r):.1f}Z"


def _ticks(largest: float) -> list[float]:
    """Zero and two to five round steps up to at least the largest value."""
    if largest <= 0:
        return [0.0, 1.0]
    raw = largest / 4
    scale = 10 ** math.floor(math.log10(raw))
    step = next(m * scale for m in (1, 2, 2.5, 5, 10) if m * scale >= raw)
    return [step * i for i in range(math.ceil(largest / step - 1e-9) + 1)]


def _time_ticks(end: float, in_seconds: bool) -> list[tuple[float, str]]:
    if in_seconds:
        step = next((step for step in _TIME_STEPS if end / step <= 9), 86400 * math.ceil(end / 86400 / 8))
    else:
        step = max(1.0, (ticks := _ticks(end))[1] - ticks[0])
    return [
        (i * step, position(i * step, True) if in_seconds else f"{i * step:,.0f}") for i in range(int(end / step) + 1)
    ]


def _runs(flags: Sequence[bool]) -> list[tuple[int, int]]:
    """Stretches [first, last) of true flags."""
    edges = [i for i in range(len(flags) + 1) if (i > 0 and flags[i - 1]) != (i < len(flags) and flags[i])]
    return list(zip(edges[::2], edges[1::2], strict=True))


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) else f"{value:g}"
