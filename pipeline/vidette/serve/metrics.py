"""Numbers for Prometheus: requests as they end, models and streams as they are when somebody asks."""

from collections.abc import Iterator
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from vidette.serve.registry import Registry

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_BUCKETS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)


class Metrics:
    """Label values are routes (`/infer/{task}`), ids of models and streams, and statuses: all bounded, none secret."""

    def __init__(self) -> None:
        self._prometheus = CollectorRegistry()
        self._requests = Counter(
            "vidette_http_requests", "Requests answered", ["route", "status"], registry=self._prometheus
        )
        self._seconds = Histogram(
            "vidette_http_request_seconds", "Seconds from the first byte of a request to the last of its answer",
            ["route"], buckets=_BUCKETS, registry=self._prometheus,
        )  # fmt: skip
        self.open = Gauge("vidette_http_requests_open", "Requests under way", registry=self._prometheus)
        self._gone = Counter("vidette_http_clients_gone", "Clients that left before their answer",
                             registry=self._prometheus)  # fmt: skip
        self.unforeseen = Counter("vidette_http_unforeseen", "Requests that failed by a mistake of the server",
                                  registry=self._prometheus)  # fmt: skip

    def watch(self, models: Registry, engine: Any) -> None:
        """Tell of these models, and of the cameras of this engine, at every look."""
        self._prometheus.register(_State(models, engine))

    def ended(self, route: str, status: int, seconds: float) -> None:
        """A request was answered; `route` is the pattern, not the path."""
        self._requests.labels(route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def gone(self) -> None:
        """A client did not wait for its answer."""
        self._gone.inc()

    def text(self) -> bytes:
        """Everything, as Prometheus reads it."""
        return generate_latest(self._prometheus)


class _State:
    """Numbers that others keep, read when somebody looks."""

    def __init__(self, models: Registry, engine: Any) -> None:
        self._models = models
        self._engine = engine

    def collect(self) -> Iterator[Any]:
        """See prometheus_client."""
        loaded = GaugeMetricFamily("vidette_model_loaded", "Whether the model answers at once", labels=["model"])
        waiting = GaugeMetricFamily("vidette_model_waiting", "Pictures that wait for a batch", labels=["model"])
        size = GaugeMetricFamily("vidette_model_bytes", "Memory that loading it took", labels=["model"])
        batches = CounterMetricFamily("vidette_model_batches", "Runs of the model", labels=["model"])
        busy = CounterMetricFamily("vidette_model_busy_seconds", "Seconds in runs", labels=["model"])
        for held in self._models.held.values():
            loaded.add_metric([held.id], held.lane is not None)
            if held.lane is not None:
                waiting.add_metric([held.id], held.lane.waiting)
                size.add_metric([held.id], held.bytes)
                batches.add_metric([held.id], held.lane.batches)
                busy.add_metric([held.id], held.lane.busy_s)
        yield from (loaded, waiting, size, batches, busy)
        if self._engine is not None:
            yield from self._streams()

    def _streams(self) -> Iterator[Any]:
        frames = CounterMetricFamily("vidette_stream_frames", "Frames by what became of them", labels=["stream", "end"])
        alive = GaugeMetricFamily("vidette_stream_running", "Whether the stream runs", labels=["stream"])
        for stream, told in zip(self._engine.streams, self._engine.report()["streams"], strict=True):
            id = stream.request.id
            alive.add_metric([id], stream.state == "running")
            frames.add_metric([id, "decoded"], told["decoded"])
            frames.add_metric([id, "result"], told["results"])
            for kind in ("dropped", "failed"):
                for reason, count in told[kind].items():
                    frames.add_metric([id, f"{kind}:{reason}"], count)
        yield from (frames, alive)
