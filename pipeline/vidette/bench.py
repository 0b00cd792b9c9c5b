"""What one frame costs on this machine, part by part, and so how many cameras fit.

Each part runs alone on real frames of the source, as a run with many streams would call it: decoding with one thread,
writing the model's input, running the model with as many callers as the plan has, decoding its outputs. CPU seconds
(user + system, all threads of the process) are counted: a busy neighbour changes them least.
"""

import ctypes
import gc
import itertools
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

import cv2
import numpy as np

from vidette.budget import cores, resident
from vidette.errors import DecodeError, ModelError, SourceError
from vidette.frame import Picture
from vidette.job import ModelRequest, StreamRequest
from vidette.models import Described, Model, describe, load
from vidette.pixels.letterbox import Letterbox
from vidette.pixels.slot import Buffer, SlotWriter
from vidette.runtimes import RUNTIMES
from vidette.runtimes.base import Outputs, PlanMode, Writer
from vidette.sources import open_source
from vidette.sources.base import SourceOptions, Unreadable

RESERVE = 0.2
"""Part of the cores that is kept free: sinks, bursts, scenes that are dearer than the one measured."""

_FRAMES = 300  # decoded at most
_KEPT = 16  # of which so many are kept for the other parts, spread over them
_DECODE_S, _RUN_S, _SHORT_S = 5.0, 3.0, 0.4  # how long each part is measured


@dataclass(frozen=True, slots=True)
class Footage:
    """What decoding the source costs, and some of its frames.

    decode_ms   CPU milliseconds per frame with one decoder thread
    fps         as the source declares it, None where it does not
    """

    pictures: Sequence[Picture]
    frames: int
    decode_ms: float
    fps: float | None


@dataclass(frozen=True, slots=True)
class Cost:
    """What a model costs on that footage: CPU milliseconds per frame unless said otherwise.

    input            (width, height)
    run_wall_ms      wall milliseconds of one run with all callers at work
    run_fps          frames per second that all callers together get through `run`
    memory_mb        what loading and running it added to the process, its library too where this was its first use
    cores            that this process may use
    """

    runtime: str
    device: str
    precision: str
    input: tuple[int, int]
    callers: int
    threads: int
    batch: int
    decode_ms: float
    scale_ms: float
    run_ms: float
    postprocess_ms: float
    run_wall_ms: float
    run_fps: float
    memory_mb: float
    cores: int

    @property
    def total_ms(self) -> float:
        """CPU milliseconds per frame of all parts."""
        return self.decode_ms + self.scale_ms + self.run_ms + self.postprocess_ms

    @property
    def cores_got(self) -> float:
        """Cores that the model's runs had on average; fewer than asked for when others use the machine."""
        return self.run_ms * self.run_fps / 1e3

    @property
    def fps(self) -> float:
        """Frames per second that fit on this machine with the reserve kept."""
        by_cores = self.cores / self.total_ms * 1e3
        return (1 - RESERVE) * (by_cores if self.device == "cpu" else min(by_cores, self.run_fps))


def watch(stream: StreamRequest) -> Footage:
    """Decode the beginning of the source, alone. Raises SourceError when it cannot be opened or gives no frame."""
    stop = threading.Event()
    source = open_source(stream.url, SourceOptions(stream.id, 0, 1, stream.mode, stop))
    kept: list[Picture] = []
    count, spent = 0, 0.0
    try:
        expected = min(_FRAMES, source.facts.frames or _FRAMES)
        deadline = time.monotonic() + _DECODE_S
        frames = source.frames()
        while count < _FRAMES and (count == 0 or time.monotonic() < deadline):
            begin = time.process_time()
            frame = next(frames, None)
            spent += time.process_time() - begin
            if frame is None:
                break
            if isinstance(frame, Unreadable):
                continue
            if count % max(1, expected // _KEPT) == 0 and len(kept) < _KEPT:
                kept.append(frame.picture)
            count += 1
        fps = source.facts.fps
    finally:
        stop.set()
        source.close()
    if not kept:
        raise SourceError("no-frames", f"{stream.id}: no frame could be read")
    return Footage(kept, count, spent / count * 1e3, fps)


def measure(request: ModelRequest, footage: Footage, described: Described | None = None) -> Cost:
    """Open the model as asked, run it on the footage, close it. Raises ModelError and ConfigError as `load` does."""
    cv2.setNumThreads(1)
    described = described or describe(request.path)
    preprocess = described.recognised.preprocess
    for slots in (preprocess, preprocess.levels):
        SlotWriter(slots, request.scaling).warm()  # the kernels are no part of the session
    before = _resident()
    model = load(request, _mode(request), described)
    try:
        return _measure(model, footage, before)
    finally:
        model.session.stop()
        model.session.close()


def _measure(model: Model, footage: Footage, resident_before: int) -> Cost:
    plan = model.session.plan
    boxes = [model.letterbox(picture.width, picture.height) for picture in footage.pictures]
    # A folder of photographs has many shapes; the first one stands for all.
    shown = [(p, box) for p, box in zip(footage.pictures, boxes, strict=True) if box.shape == boxes[0].shape]
    writer = model.writer()
    buffers = [model.session.buffer(boxes[0].shape) for _ in range(plan.permits)]
    batch = len(buffers[0].slots)
    turns = itertools.cycle(shown)

    def write() -> None:
        picture, box = next(turns)
        # Only what the frame brought along: a picture keeps the BGR array that somebody asked for.
        writer.write(Picture(picture.pixels, picture.rotation), box, buffers[0], 0)

    write()
    scale_ms = _cpu_ms(write)
    for buffer in buffers:
        for index, (picture, box) in zip(range(batch), itertools.cycle(shown), strict=False):
            writer.write(picture, box, buffer, index)
    run_ms, run_wall_ms, run_fps = _run(model, buffers, batch)
    memory = _resident() - resident_before
    answers = itertools.cycle(list(_answers(model, shown, writer, buffers[0])))

    def postprocess() -> None:
        outputs, box = next(answers)
        with suppress(DecodeError):  # counted in a run as a failed frame; the time it took counts here too
            model.decoder(outputs, box, model.limits)

    postprocess()
    height, width = boxes[0].shape
    return Cost(
        plan.runtime, plan.device, plan.precision, (width, height), plan.callers, plan.threads, batch,
        footage.decode_ms, scale_ms, run_ms, _cpu_ms(postprocess), run_wall_ms, run_fps, memory / 1e6, cores(),
    )  # fmt: skip


def _run(model: Model, buffers: Sequence[Buffer], batch: int) -> tuple[float, float, float]:
    """All callers at once. CPU ms per picture, wall ms per run, pictures per second."""
    for buffer in buffers:
        model.session.run(buffer, batch)
    counts = [0] * len(buffers)
    errors: list[ModelError] = []
    begin, cpu = time.monotonic(), time.process_time()

    def call(caller: int) -> None:
        try:
            while counts[caller] < 3 or time.monotonic() < begin + _RUN_S:
                model.session.run(buffers[caller], batch)
                counts[caller] += 1
        except ModelError as error:
            errors.append(error)

    threads = [threading.Thread(target=call, args=(n,), daemon=True) for n in range(len(buffers))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wall, cpu = time.monotonic() - begin, time.process_time() - cpu
    if errors:
        raise errors[0]
    pictures = sum(counts) * batch
    return cpu / pictures * 1e3, wall * len(buffers) / sum(counts) * 1e3, pictures / wall


def _answers(
    model: Model, shown: Sequence[tuple[Picture, Letterbox]], writer: Writer, buffer: Buffer
) -> Iterator[tuple[Outputs, Letterbox]]:
    """What the model says to each picture, copied: outputs are valid until the next run only."""
    for picture, box in shown:
        writer.write(picture, box, buffer, 0)
        yield [np.array(output) for output in model.rows(model.session.run(buffer, 1), 0)], box


def _cpu_ms(call: Callable[[], None]) -> float:
    count, begin = 0, time.process_time()
    while count < 3 or time.process_time() < begin + _SHORT_S:
        call()
        count += 1
    return (time.process_time() - begin) / count * 1e3


def _mode(request: ModelRequest) -> PlanMode:
    """Many cameras are asked about, and they keep every core busy."""
    return "throughput" if request.plan == "auto" else request.plan


def variants(request: ModelRequest, described: Described, picture: Picture) -> list[ModelRequest]:
    """The request with everything that it leaves at auto tried out: runtime, precision, own shape and square."""
    runtimes = [request.runtime]
    if request.runtime == "auto":
        runtimes = [name for name, make in RUNTIMES.items() if make().available() is None and _fits(name, request)]
    inputs = [request.input]
    preprocess = described.recognised.preprocess
    any_size = preprocess.height is None and preprocess.width is None
    if request.input is None and any_size and picture.width != picture.height:
        inputs.append((preprocess.size, preprocess.size))
    found = []
    for runtime, size in itertools.product(runtimes, inputs):
        precisions = ["auto", "f32"] if request.precision == "auto" and runtime != "onnx" else [request.precision]
        found += [replace(request, runtime=runtime, input=size, precision=precision) for precision in precisions]
    return found


def _fits(runtime: str, request: ModelRequest) -> bool:
    if runtime == "remote":
        return False
    return request.device == "auto" or request.device.startswith("cuda") == (runtime == "cuda")


def _resident() -> int:
    """Resident bytes of this process without what it has freed."""
    gc.collect()
    with suppress(OSError, AttributeError):  # glibc only
        ctypes.CDLL("libc.so.6").malloc_trim(0)
    return resident()
