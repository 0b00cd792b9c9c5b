"""The closing words of a run: the ledger, one line per stream, model and sink."""

from typing import Any


def summary(report: dict[str, Any]) -> str:
    """The report as text for a person."""
    lines = []
    for stream in report["streams"]:
        parts = [f"{stream['decoded']} decoded", f"{stream['results']} results", f"{stream['objects']} objects"]
        for column in ("dropped", "failed", "unreadable"):
            parts += [f"{count} {column} ({reason})" for reason, count in sorted(stream[column].items())]
        if stream["in_flight"]:
            parts.append(f"{stream['in_flight']} in flight")
        if stream["candidates_cut"]:
            parts.append(f"{stream['candidates_cut']} candidates cut before NMS")
        if stream["fps"] is not None:
            parts.append(f"{stream['fps']} fps")
        lines.append(f"stream {stream['stream']}: " + ", ".join(parts))
        if stream["results"]:
            stages = ", ".join(f"{name} {value:.1f}" for name, value in stream["stages_ms"].items())
            lines.append(
                f"    ms per frame: {stages}; latency p50 {stream['latency_p50_ms']}, p99 {stream['latency_p99_ms']}; "
                f"mean batch {stream['mean_batch']}"
            )
        if stream["error"]:
            lines.append(f"    error: {stream['error']}")
    for model in report["models"]:
        shapes = ", ".join(model["inputs"]) or "nothing"
        lines.append(
            f"model {model['model']}: ran {shapes} on {model['runtime']} ({model['device']}, {model['precision']}, "
            f"{model['callers']} callers x {model['threads']} threads), {model['batches']} runs"
        )
    for sink in report["sinks"]:
        lost = "".join(f", {count} lost ({reason})" for reason, count in sorted(sink["lost"].items()))
        error = "; " + sink["error"].removeprefix(f"{sink['sink']}: ") if sink["error"] else ""
        lines.append(f"sink {sink['sink']}: {sink['written']} written{lost}{error}")
    return "\n".join(lines)
