"""Vidette from Python: the command line's `run` as an iterator of results."""

import queue
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

from pydantic import BaseModel

from vidette.config import ModelConfig, default_model, find_sources, one_model_job, parse
from vidette.engine import Engine
from vidette.errors import ConfigError, VidetteError
from vidette.job import Job, SinkRequest
from vidette.result import Result
from vidette.sink import Delivery, RunFacts, sink_for_target


class _Collector:
    """The sink behind the iterator.

    It blocks while the reader is busy, which holds the decoders of files back; of live streams the reader gets the
    newest.
    """

    Settings: ClassVar[type[BaseModel]] = BaseModel
    suffixes: ClassVar[tuple[str, ...]] = ()
    schemes: ClassVar[tuple[str, ...]] = ()
    name = "python"

    def __init__(self, pictures: bool, live: bool) -> None:
        self.needs_picture = pictures
        self.delivery: Delivery = "newest" if live else "every"
        self.results: queue.Queue[Result | None] = queue.Queue(maxsize=1)
        self.abandoned = threading.Event()

    @classmethod
    def from_target(cls, target: str) -> BaseModel:
        raise ConfigError(f"{target}: results for Python have no target")

    def paths(self) -> Sequence[str]:
        return ()

    def open(self, run: RunFacts) -> None:
        pass

    def write(self, result: Result) -> None:
        while not self.abandoned.is_set():
            try:
                self.results.put(result, timeout=0.1)
            except queue.Full:
                continue
            return

    def close(self) -> None:
        pass

    def end(self) -> None:
        """Tell the reader that nothing more comes."""
        while not self.abandoned.is_set():
            try:
                self.results.put(None, timeout=0.1)
            except queue.Full:
                continue
            return


class Run:
    """A run that is iterated over once: `for result in run: ...`; afterwards `run.report` holds the ledger.

    Leaving the loop early stops the run. `model` options are the fields of a site file's model (confidence, input,
    runtime, ...). Raises ConfigError, ModelError or SinkError before the first result.
    """

    def __init__(self, job: Job, pictures: bool) -> None:
        live = all(stream.mode == "live" for stream in job.streams)
        self._collector = _Collector(pictures, live)
        reader = SinkRequest(self._collector, stall_s=float("inf"), capacity=1 if live else 8)
        sinks = [*job.sinks, reader]
        self._engine = Engine(Job(job.models, job.streams, sinks))
        self._begun = False

    @property
    def report(self) -> dict[str, Any]:
        """The ledger so far, as `--report` writes it."""
        return self._engine.report()

    @property
    def complete(self) -> bool:
        """Whether every frame became a result and every sink took all of them."""
        return self._engine.complete

    def __iter__(self) -> Iterator[Result]:
        if self._begun:
            raise VidetteError("this run has been iterated over; call vidette.run again for another")
        self._begun = True
        return self._results()

    def _results(self) -> Iterator[Result]:
        self._engine.start()
        thread = threading.Thread(target=self._finish, name="vidette:run", daemon=True)
        thread.start()
        try:
            while (result := self._collector.results.get()) is not None:
                yield result
        finally:
            self._collector.abandoned.set()
            if thread.is_alive():
                self._engine.request_stop()
            thread.join()

    def _finish(self) -> None:
        self._engine.wait()
        self._engine.stop()
        self._collector.end()


def run(
    *sources: str | Path,
    model: str | Path | None = None,
    sinks: str | Path | Sequence[str | Path] = (),
    mode: str = "auto",
    fps_limit: float | None = None,
    pictures: bool = False,
    **model_options: Any,
) -> Run:
    """Detect in sources, as `vidette run` does.

    sources    videos, folders, globs, cameras, URLs
    model      an ONNX file or an installed name of the catalogue; the installed `faces` when left out
    sinks      a further receiver or several, each a path or URL as behind `--sink`
    pictures   whether `result.picture` is there: `result.picture.bgr()` gives the upright BGR array
    """
    config = parse(ModelConfig, {"path": str(model or default_model("model=FILE")), **model_options})
    found = find_sources(str(source) for source in sources)
    requests = []
    for target in [sinks] if isinstance(sinks, str | Path) else sinks:
        cls, settings = sink_for_target(str(target))
        requests.append(SinkRequest(cls(settings)))
    return Run(one_model_job(found, config, mode, fps_limit, requests), pictures)
