"""What all tests share: a tiny detector, jobs made of it, and what was fetched."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest
from pydantic import BaseModel

from tests.fetch import PACKAGES
from tests.threads import left_behind
from tests.tiny import make_detector
from vidette.engine import Engine
from vidette.job import Job, ModelRequest, SinkRequest, StreamRequest
from vidette.result import Result
from vidette.sink import Delivery, RunFacts

__all__ = ["left_behind"]  # a fixture

FETCHED = Path(os.environ.get("VIDETTE_TEST_MODELS") or Path.home() / ".cache" / "vidette-test-models")


@pytest.fixture(scope="session")
def fetched() -> Callable[[str], Path]:
    """The path of a fetched file, or a visible skip."""

    def path(name: str) -> Path:
        found = FETCHED / name
        if not found.exists():
            comes = any(name in files for files in PACKAGES.values())
            pytest.skip(
                f"{name} is not {'fetched: make fetch' if comes else 'here, and is made: docs/verification.md'}"
            )
        return found

    return path


@pytest.fixture(scope="session")
def detector(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny detector that takes any size."""
    return make_detector(tmp_path_factory.mktemp("models") / "tiny.onnx")


class Collecting:
    """A sink that keeps what it gets; `write` can be replaced to fail or hang."""

    Settings: ClassVar[type[BaseModel]] = BaseModel
    suffixes: ClassVar[tuple[str, ...]] = ()
    schemes: ClassVar[tuple[str, ...]] = ()
    needs_picture = False
    delivery: Delivery = "every"

    def __init__(self, name: str = "collecting") -> None:
        self.name = name
        self.results: list[Result] = []
        self.facts: RunFacts | None = None
        self.closed = 0

    @classmethod
    def from_target(cls, target: str) -> BaseModel:
        return BaseModel()

    def paths(self) -> Sequence[str]:
        return ()

    def open(self, run: RunFacts) -> None:
        self.facts = run

    def write(self, result: Result) -> None:
        self.results.append(result)

    def close(self) -> None:
        self.closed += 1

    def of(self, stream: str) -> list[Result]:
        return [result for result in self.results if result.stream == stream]


def make_job(model: Path, urls: dict[str, str], sinks: Sequence[Any] = (), **options: Any) -> Job:
    """One model for all streams; `mode` and `fps_limit` are the streams', the rest the model's."""
    mode, fps_limit = options.pop("mode", "lossless"), options.pop("fps_limit", None)
    streams = [StreamRequest(id, url, "m", mode, fps_limit) for id, url in urls.items()]
    requests = [sink if isinstance(sink, SinkRequest) else SinkRequest(sink) for sink in sinks]
    return Job([ModelRequest("m", model, **options)], streams, requests)


@pytest.fixture
def run() -> Callable[[Job], Engine]:
    """Run a job to its end and return the engine."""

    def finish(job: Job) -> Engine:
        engine = Engine(job)
        engine.start()
        engine.wait()
        engine.stop()
        return engine

    return finish
