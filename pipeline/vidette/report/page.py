"""A run as one HTML page that needs nothing else: no script, no request, light and dark.

Every text that comes from outside (stream names, labels, the command, error messages) passes `safe`.
"""

import base64
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from vidette.predictions.classification import Classification
from vidette.predictions.detections import Detections
from vidette.predictions.labels import class_name
from vidette.predictions.semantic import SemanticMap
from vidette.report.charts import Series, confidence_histogram, objects_over_time, position, safe, stage_bars
from vidette.report.collect import BestFrame, ReportCollector, StreamSummary
from vidette.report.style import CSS
from vidette.report.words import MIXED, WORDS, Words

_COLOURS = 6  # classes with a colour of their own; the seventh is that of all others
_OPEN_STREAMS = 8
_TABLE_CLASSES = 25

# Even if an escape were forgotten: a page under this rule runs no script and fetches nothing.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"

Report = Mapping[str, Any]


def page(report: Report, collector: ReportCollector) -> str:
    """The page for a report as `files.write_report` completes it, and what was collected during the run."""
    streams, names, words = report["streams"], _series_names(collector), _words(collector)
    parts = [
        _head(report),
        _tiles(report, words),
        "<h2>Frames</h2>",
        _frames(streams, words),
        "<h2>Models</h2>",
        _models(report["models"]),
        "<h2>Streams</h2>" if streams else "",
        *(
            _stream(stream, collector.streams.get(stream["stream"]), names, len(streams) <= _OPEN_STREAMS)
            for stream in streams
        ),
        "<h2>Sinks</h2>",
        _sinks([sink for sink in report["sinks"] if sink["sink"] != ReportCollector.name]),
    ]
    title = safe(" ".join(["Vidette report", *(stream["stream"] for stream in streams[:3])]))
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{CSS}</style></head>\n<body><main>\n"
        + "\n".join(part for part in parts if part)
        + f"\n<footer>vidette {_text(report['version'])}</footer></main></body></html>\n"
    )


def _head(report: Report) -> str:
    word, tone = _verdict(report)
    date = str(report["date"]).replace("T", " ").replace("+00:00", " UTC")
    return (
        f'<header><div class="top"><h1>Run report</h1><span class="pill {tone}">{word}</span></div>'
        f'<p class="about">{_text(date)} · {_duration(report["wall_s"])}</p>'
        f'<code class="command">{_text(report["command"])}</code></header>'
    )


def _verdict(report: Report) -> tuple[str, str]:
    streams = report["streams"]
    lost = sum(sum(sink["lost"].values()) for sink in report["sinks"])
    if any(each["error"] for each in [*streams, *report["sinks"]]) or lost:
        return "with errors", "bad"
    if any(stream["failed"] or stream["unreadable"] for stream in streams):
        return "some frames failed", "bad"
    if report["interrupted"]:
        return "stopped before the end", "warn"
    if any(stream["decoded"] != stream["results"] for stream in streams):
        return "some frames dropped", "warn"
    return ("every decoded frame has its result", "good") if _sum(streams, "decoded") else ("no frames", "warn")


def _words(collector: ReportCollector) -> Words:
    """What all streams' answers together are called."""
    kinds = {seen.kind for seen in collector.streams.values()}
    return WORDS[kinds.pop()] if len(kinds) == 1 else MIXED if kinds else WORDS[Detections]


def _tiles(report: Report, words: Words) -> str:
    streams, wall = report["streams"], report["wall_s"]
    results = _sum(streams, "results")
    dropped, failed = (sum(sum(stream[column].values()) for stream in streams) for column in ("dropped", "failed"))
    tiles = [
        (f"{_sum(streams, 'decoded'):,}", "frames decoded"),
        (f"{results:,}", "results"),
        (f"{_sum(streams, 'objects'):,}", f"{words.many} found"),
        (f"{results / wall:,.1f}" if wall else "–", "results per second"),
        (f"{dropped:,}", "frames dropped"),
        (f"{failed:,}", "frames failed"),
    ]
    return (
        '<div class="tiles">'
        + "".join(f'<div class="tile"><b>{n}</b><span>{t}</span></div>' for n, t in tiles)
        + "</div>"
    )


def _frames(streams: Sequence[Report], words: Words) -> str:
    head = ["stream", "decoded", "inferred", "results", "dropped", "failed", "in flight", "unreadable"]
    head += [words.many, "wall", "frames/s", "mean batch", "latency ms, p50", "p99"]
    rows = [
        [
            _text(stream["stream"]) + _shares(stream) + _error(stream),
            *(f"{stream[column]:,}" for column in ("decoded", "inferred", "results")),
            *(_reasons(stream[column]) for column in ("dropped", "failed")),
            f"{stream['in_flight']:,}",
            _reasons(stream["unreadable"]),
            f"{stream['objects']:,}",
            _duration(stream["wall_s"]),
            _number(stream["fps"]),
            _number(stream["mean_batch"]),
            _number(stream["latency_p50_ms"]),
            _number(stream["latency_p99_ms"]),
        ]
        for stream in streams
    ]
    return _table("frames", head, rows) if rows else '<div class="card"><p class="empty">No streams.</p></div>'


def _shares(stream: Report) -> str:
    """Where the decoded frames ended, as one bar."""
    parts = [
        ("ok", "results", stream["results"]),
        ("dropped", "dropped", sum(stream["dropped"].values())),
        ("failed", "failed", sum(stream["failed"].values())),
        ("flight", "in flight", stream["in_flight"]),
    ]
    bars = "".join(
        f'<i class="{colour}" style="flex:{count}" title="{name}: {count:,}"></i>'
        for colour, name, count in parts
        if count
    )
    return f'<span class="share">{bars}</span>'


def _error(stream: Report) -> str:
    return f'<small class="bad">{_text(stream["error"])}</small>' if stream["error"] else ""


def _reasons(counts: Mapping[str, int]) -> str:
    each = "".join(f"<small>{_text(reason)} {count:,}</small>" for reason, count in counts.items())
    return f"{sum(counts.values()):,}{each}"


def _models(models: Sequence[Report]) -> str:
    head = ["model", "family", "runs on", "precision", "input", "callers", "batches", "device busy", "plan"]
    rows = [
        [
            f"{_text(model['model'])}<small>{_text(model['file'])}</small>",
            _text(model["family"]),
            f"{_text(model['runtime'])}<small>{_text(model['device'])}</small>",
            _text(model["precision"]),
            "<br>".join(_text(size) for size in model["inputs"]) or "–",
            f"{model['callers']} x {model['threads']}<small>threads</small>",
            f"{model['batches']:,}<small>up to {max(model['ladder'])}</small>",
            "–" if model["device_busy"] is None else f"{model['device_busy']:.0%}",
            f"{_text(model['plan'])}<small>{_text(model['plan_reason'])}</small>",
        ]
        for model in models
    ]
    return _table("models", head, rows, text=(0, 1, 2, 3, 4, 8)) if rows else ""


def _sinks(sinks: Sequence[Report]) -> str:
    head = ["sink", "handed", "written", "lost", "waiting", "error"]
    rows = [
        [
            _text(sink["sink"]),
            *(f"{sink[column]:,}" for column in ("handed", "written")),
            _reasons(sink["lost"]),
            f"{sink['waiting']:,}",
            _text(sink["error"] or "–"),
        ]
        for sink in sinks
    ]
    return (
        _table("sinks", head, rows, text=(0, 5)) if rows else '<div class="card"><p class="empty">No sinks.</p></div>'
    )


def _stream(stream: Report, seen: StreamSummary | None, names: Sequence[str], opened: bool) -> str:
    words = WORDS[seen.kind if seen else Detections]
    counts = f"{stream['results']:,} results, {words.count(stream['objects'])}"
    parts = [f"<summary>{_text(stream['stream'])}<span>{counts}</span></summary>"]
    if stream["error"]:
        parts.append(f'<p class="note bad">{_text(stream["error"])}</p>')
    if stream["candidates_cut"]:
        parts.append(
            f'<p class="note warn">{stream["candidates_cut"]:,} candidates were left out before suppression '
            "because there were too many: a higher confidence threshold finds fewer of them.</p>"
        )
    if seen is not None and seen.frames < stream["results"]:
        parts.append(
            f'<p class="note warn">The drawings below cover {seen.frames:,} of {stream["results"]:,} results.</p>'
        )
    stages = f"<div><h3>Wall time per result</h3>{stage_bars(stream['stages_ms'])}</div>"
    if seen is None or not seen.objects:
        parts.append(f'<p class="empty">No {words.many} were found.</p>')
        parts.append(f'<div class="two">{stages if stream["results"] else ""}</div>')
    else:
        series = _series(seen, names)
        legend = "".join(f'<li><i class="{one.colour}"></i>{_text(one.name)}</li>' for one in series)
        over_time = objects_over_time(seen.timeline, series, words)
        histogram = confidence_histogram(seen.confidences.tolist(), words)
        parts.append(
            f"<div><h3>{words.many.capitalize()} per {words.whole}, {_step(seen)}</h3>"
            f'<ul class="legend">{legend}</ul><div class="plot">{over_time}</div></div>'
            f'<div class="two"><div><h3>{words.many.capitalize()} by confidence</h3>{histogram}</div>'
            f"{stages}</div>{_classes(seen, words)}{_pictures(seen, words)}"
        )
    return f'<details class="card stream"{" open" if opened else ""}>{"".join(parts)}</details>'


def _step(seen: StreamSummary) -> str:
    width, _ = seen.timeline.readable()
    if seen.timeline.in_seconds:
        return f"mean over {width:g} s each" if width < 120 else f"mean over {position(width, True)} each"
    return "by frame number" if width == 1 else f"mean over {width:g} frames each"


def _classes(seen: StreamSummary, words: Words) -> str:
    """A row per class; what is counted of it depends on what the model says."""
    total, frames = seen.objects, seen.frames
    head = {
        Detections: ["objects", "per frame", "most in one frame", "of frames"],
        Classification: ["pictures", "of pictures"],
        SemanticMap: ["frames", "of frames", "mean share of the picture"],
    }[seen.kind]

    def cells(class_id: int, count: int) -> list[str]:
        present = f"{seen.frames_with[class_id] / frames:.1%}"
        if seen.kind is Detections:
            return [f"{count:,}", f"{count / frames:.2f}", f"{seen.most[class_id]:,}", present]
        share = [f"{seen.shares[class_id] / frames:.1%}"] if seen.kind is SemanticMap else []
        return [f"{count:,}", present, *share]

    rows = [
        [_text(class_name(seen.labels, class_id)), *cells(class_id, count)]
        for class_id, count in total.most_common(_TABLE_CLASSES)
    ]
    if len(total) > _TABLE_CLASSES:
        rest = sum(count for _, count in total.most_common()[_TABLE_CLASSES:])
        per_frame = f"{rest / frames:.2f}" if seen.kind is Detections else ""
        row = [f"{len(total) - _TABLE_CLASSES} more classes", f"{rest:,}", per_frame]
        rows.append([*row, *[""] * (len(head) + 1 - len(row))])
    return _table("classes", ["class", *head], rows, card=False)


def _pictures(seen: StreamSummary, words: Words) -> str:
    if not seen.best:
        return ""
    best = sorted(seen.best, key=lambda one: one.position)
    figures = "".join(_figure(one, words, seen.timeline.in_seconds) for one in best)
    title = f"{words.whole.capitalize()}s with the most {words.many}"
    return f'<div><h3>{title}</h3><div class="pictures">{figures}</div></div>'


def _figure(best: BestFrame, words: Words, in_seconds: bool) -> str:
    at = position(best.position, True) if in_seconds else f"frame {best.seq}"
    objects = words.count(best.objects)
    data = base64.b64encode(best.jpeg).decode("ascii")
    return (
        f'<figure><img src="data:image/jpeg;base64,{data}" alt="{objects} at {at}">'
        f"<figcaption><b>{objects}</b> · {at}</figcaption></figure>"
    )


def _series_names(collector: ReportCollector) -> list[str]:
    """Classes that get a colour, most frequent first: the same colour in every stream."""
    total: Counter[str] = Counter()
    for seen in collector.streams.values():
        for class_id, count in seen.objects.items():
            total[class_name(seen.labels, class_id)] += count
    return [name for name, _ in total.most_common(_COLOURS)]


def _series(seen: StreamSummary, names: Sequence[str]) -> list[Series]:
    by_name: dict[str, set[int]] = {}
    for class_id in seen.objects:
        by_name.setdefault(class_name(seen.labels, class_id), set()).add(class_id)
    series = [
        Series(name, f"c{place + 1}", frozenset(by_name.pop(name)))
        for place, name in enumerate(names)
        if name in by_name
    ]
    if by_name:
        rest = next(iter(by_name)) if len(by_name) == 1 else f"{len(by_name)} more classes"
        series.append(Series(rest, "c7", frozenset().union(*by_name.values())))
    return series


def _table(
    name: str, head: Sequence[str], rows: Iterable[Sequence[str]], text: Sequence[int] = (0,), card: bool = True
) -> str:
    """Rows of ready HTML; columns in `text` are set to the left."""
    marks = [' class="text"' if column in text else "" for column in range(len(head))]
    top = "".join(f"<th{mark}>{cell}</th>" for mark, cell in zip(marks, head, strict=True))
    body = "".join(
        "<tr>" + "".join(f"<td{mark}>{cell}</td>" for mark, cell in zip(marks, row, strict=True)) + "</tr>"
        for row in rows
    )
    table = f'<table id="{name}"><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>'
    return f'<div class="{"card " if card else ""}scroll">{table}</div>'


def _text(value: object) -> str:
    """Text from outside as HTML; its writing direction stays its own affair."""
    return f"<bdi>{safe(value)}</bdi>"


def _sum(streams: Sequence[Report], column: str) -> int:
    return sum(stream[column] for stream in streams)


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:,}"


def _duration(seconds: float) -> str:
    return f"{seconds:,.2f} s" if seconds < 120 else position(seconds, True)
