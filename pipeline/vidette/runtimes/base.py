"""What runs a graph. The engine knows these types and nothing of ONNX, OpenVINO or CUDA."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from mmap import ACCESS_READ, mmap
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, Literal, Protocol, runtime_checkable

import numpy.typing as npt

from vidette.errors import ModelError
from vidette.frame import Picture
from vidette.onnxcut import Cut, shortened
from vidette.onnxopen import open_shapes
from vidette.pixels.letterbox import Letterbox
from vidette.pixels.preprocess import Preprocess
from vidette.pixels.slot import Buffer, Scaling, SlotWriter
from vidette.protobuf import Data
from vidette.remote.dialects import Asked
from vidette.remote.endpoint import Endpoint
from vidette.signature import Signature, Tensor

PlanMode = Literal["latency", "throughput", "adaptive"]
"""`latency`: all cores on one picture; `throughput`: a caller per core; `adaptive`: throughput, but a picture that is
alone gets all cores, at the price of the weights twice."""

Outputs = Sequence[npt.NDArray[Any]]


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A model on disk and what its file and family say of it; of one behind a URL, `path` is only for messages."""

    id: str
    path: Path
    signature: Signature
    preprocess: Preprocess
    dynamic: bool = False  # fixed sizes in the file are to be opened (families/base.py)
    rebatched: bool = False  # so is its batch (rebatching.py)
    cut: Cut | None = None  # where the graph ends before the file's does (shortening.py)
    endpoint: Endpoint | None = None  # where it answers,
    asked: Asked | None = None  # and what it is asked for

    @property
    def picture(self) -> str:
        """The name of the input that takes pictures: the one that is not constant."""
        constant = {extra.name for extra in self.preprocess.extras}
        return next(tensor.name for tensor in self.signature.inputs if tensor.name not in constant)

    @contextmanager
    def graph(self) -> Iterator[Data]:
        """The file's bytes, with what is to be opened declared open; not cut."""
        axes = self._axes()
        with self.path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as data:
            yield open_shapes(data[:], axes) if axes else data

    def changed(self) -> bytes | None:
        """What is to be loaded in place of the file; None where that is the file itself."""
        if not self._axes() and self.cut is None:
            return None
        with self.graph() as data:
            return b"".join(shortened(data, self.cut)) if self.cut else data[:]

    @contextmanager
    def readable(self) -> Iterator[str]:
        """The path of a file to load: its own, or one in memory. Given bytes, libraries keep the interpreter locked
        while they read them (25 to 40 ms measured)."""
        if not self._axes() and self.cut is None:
            yield str(self.path)
            return
        with open(os.memfd_create("model"), "wb") if hasattr(os, "memfd_create") else NamedTemporaryFile() as file:
            with self.graph() as data:
                file.writelines(shortened(data, self.cut) if self.cut else [data])
            file.flush()
            yield f"/proc/self/fd/{file.fileno()}" if isinstance(file.name, int) else file.name

    def _axes(self) -> dict[int, str]:
        """What of the declaration is to be opened."""
        height, width = (2, 3) if self.preprocess.layout == "nchw" else (1, 2)
        axes = {0: "batch"} if self.rebatched or self.dynamic else {}
        return axes | ({height: "height", width: "width"} if self.dynamic else {})


@dataclass(frozen=True, slots=True)
class Wish:
    """What the user asked of a runtime; None leaves it to the plan."""

    device: str = "auto"  # auto | cpu | cuda | cuda:1
    precision: str = "auto"  # auto | f32 | bf16 | f16
    mode: PlanMode = "throughput"
    cores: int = 1  # the thread budget: affinity and container quota
    max_batch: int | None = None
    options: Mapping[str, Any] = field(default_factory=dict)  # passed to the runtime as they are


@dataclass(frozen=True, slots=True)
class Plan:
    """How a model will run on a device: a pure value, made without opening anything.

    callers      threads that prepare, run and decode, where those of the streams do not (spells.py)
    permits      runs that may be under way at once (on a GPU 1: the others prepare and decode meanwhile)
    threads      compute threads of one run
    wide         compute threads of a run that is alone; 0 when that makes no difference
    ladder       batch sizes that exist, ascending; a batch of 5 on (1, 2, 4, 8) runs as 8
    options      what is handed to the library
    why          one line: what decided
    """

    runtime: str
    device: str
    precision: str
    mode: PlanMode
    callers: int
    permits: int
    threads: int
    ladder: tuple[int, ...]
    options: Mapping[str, Any]
    why: str
    wide: int = 0

    def bucket(self, count: int) -> int:
        """The smallest batch size that holds `count` pictures."""
        return next(size for size in self.ladder if size >= count)


class Session(Protocol):
    """An open model. Methods may be called from several threads, each with a buffer of its own."""

    plan: Plan
    """What really runs: precision and device as the library reports them."""

    def buffer(self, shape: tuple[int, int]) -> Buffer:
        """Input memory for the largest batch at (height, width). Raises ModelError when the model cannot run at it."""
        ...

    def run(self, buffer: Buffer, count: int, alone: bool = False) -> Outputs:
        """Run the first `count` slots. Arrays (count or more, ...) valid until the buffer's next run.

        `alone` says that nothing else waits or runs: plans with `wide` threads use them all then.

        Raises ModelError; with `stop()` called meanwhile it may end early.
        """
        ...

    def stop(self) -> None:
        """End runs under way as soon as possible (shutdown)."""
        ...

    def close(self) -> None:
        """Release memory; no run may be under way."""
        ...


class Writer(Protocol):
    """Fills the slots of a buffer for one caller: `SlotWriter`, unless a session has its own."""

    def write(self, picture: Picture, letterbox: Letterbox, buffer: Buffer, index: int) -> None:
        """Fill slot `index` with the letterbox's part of the picture."""
        ...

    def warm(self) -> None:
        """Do beforehand what the first picture would have to wait for."""
        ...


@runtime_checkable
class Writes(Protocol):
    """A session whose slots hold something else than input values."""

    def writer(self, scaling: Scaling) -> Writer:
        """A writer for one caller."""
        ...


@runtime_checkable
class Returns(Protocol):
    """A session whose arrays are of other types than the file says."""

    @property
    def returned(self) -> tuple[Tensor, ...]:
        """What they are; uint16 in place of float32 is bfloat16, which numpy does not have."""
        ...


def writer(session: Session, preprocess: Preprocess, scaling: Scaling = "fast") -> Writer:
    """What fills the session's slots; one for each caller."""
    return session.writer(scaling) if isinstance(session, Writes) else SlotWriter(preprocess, scaling)


class Runtime(Protocol):
    """One file, one table line in `runtimes/__init__.py`."""

    name: str

    def available(self) -> str | None:
        """None when it can be used here, else one line that says what is missing and what to install."""
        ...

    def plan(self, model: ModelFile, wish: Wish) -> Plan:
        """Decide callers, threads and options; opens nothing. Raises ModelError for a wish it cannot grant."""
        ...

    def open(self, model: ModelFile, plan: Plan) -> Session:
        """Load. Raises ModelError when the file is broken or the wanted device is not the one that came up."""
        ...


def check_shape(model: ModelFile, shape: tuple[int, int]) -> None:
    """Raise ModelError when the file fixes another (height, width)."""
    fixed = model.preprocess.height or shape[0], model.preprocess.width or shape[1]
    if fixed != shape:
        raise cannot_run_at(model, shape, f"the file fixes {fixed[1]}x{fixed[0]}")


def cannot_run_at(model: ModelFile, shape: tuple[int, int], reason: str) -> ModelError:
    """The error for a size that the graph refuses although its declaration leaves it open."""
    height, width = shape
    fixed_height, fixed_width = model.preprocess.height, model.preprocess.width
    size = model.preprocess.size
    remedy = f"{fixed_width or size}x{fixed_height or size}"
    return ModelError(f"{model.path}: does not run at {width}x{height} (try `input: {remedy}`): {reason}")
