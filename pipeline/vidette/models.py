"""A model ready to run: its file read, its family recognised, its runtime open, its limits resolved."""

import difflib
import logging
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from vidette.budget import cores, resident
from vidette.errors import ConfigError, DecodeError, ModelError, UnfinishedError
from vidette.families import recognise
from vidette.families.base import Recognised, Thresholds
from vidette.families.remote import Answers, remote
from vidette.families.unused import unused
from vidette.job import ModelRequest
from vidette.kernels.maps import ones_of
from vidette.onnxfile import read_signature
from vidette.pixels.letterbox import Letterbox, Region, fit, own_shape
from vidette.pixels.preprocess import Preprocess
from vidette.pixels.slot import Buffer
from vidette.pixels.tiles import regions
from vidette.predictions import Predictions
from vidette.predictions.detections import Detections
from vidette.predictions.masks import Masks
from vidette.predictions.semantic import SemanticMap
from vidette.rebatching import rebatched
from vidette.remote.dialects import Asked
from vidette.remote.endpoint import Endpoint
from vidette.remote.probing import Found, probe
from vidette.runtimes import choose
from vidette.runtimes.base import ModelFile, Outputs, PlanMode, Returns, Runtime, Session, Wish, Writer, writer
from vidette.runtimes.cpu import OnnxCpu
from vidette.runtimes.remote import JpegBuffer
from vidette.shortening import shortened
from vidette.signature import Signature

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Described:
    """What a model file is, before anything runs it; `found` instead of a signature where a server has the model."""

    path: Path
    signature: Signature
    recognised: Recognised
    found: Found | None = None


def describe(path: Path | Endpoint) -> Described:
    """Read a model file and recognise its family, or ask the server. Raises ModelError with what would help."""
    if isinstance(path, Endpoint):
        found = probe(path)
        return Described(Path(path.stem), Signature((), ()), remote(found), found)
    signature = read_signature(path)
    try:
        return Described(path, signature, recognise(signature))
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from None


class Model:
    """An open model: shared by all streams that name it and by all callers that run it."""

    def __init__(
        self,
        request: ModelRequest,
        described: Described,
        session: Session,
        limits: Thresholds,
        reasons: Sequence[str] = (),
    ) -> None:
        self.id = request.id
        self.request = request
        self.family = described.recognised.family
        self.task = described.recognised.task
        self.labels = described.recognised.labels
        self.decoder = described.recognised.decoder
        self.preprocess = described.recognised.preprocess
        self.session = session
        self.limits = limits
        self.bytes = 0  # what opening it took, at least the size of the file
        self.reasons = reasons  # what decided for this runtime, where the choice was left to us
        self._found = described.found
        self._outputs = session.returned if isinstance(session, Returns) else described.signature.outputs
        self._one_by_one = described.recognised.one_by_one
        self._boxes: dict[tuple[int, int, Region, int | None], Letterbox] = {}
        self._facts: dict[tuple[int, int], dict[str, Any]] = {}
        self._lock = threading.Lock()

    def writer(self) -> Writer:
        """What fills the session's slots; one for each caller."""
        return writer(self.session, self.preprocess, self.request.scaling)

    def letterbox(self, width: int, height: int) -> Letterbox:
        """Where a whole picture of this size lies in the model's input; one object per size, so identity can be
        compared."""
        return self._letterbox(width, height, (0, 0, width, height))

    def letterboxes(self, width: int, height: int, size: int | None = None) -> tuple[Letterbox, ...]:
        """The same for all parts of a picture that the model sees: one, unless tiles are asked for. `size` is the
        longer side of the input in place of the model's own, where it takes any."""
        tiles = self.request.tiles
        if size is not None:
            return (self._letterbox(width, height, (0, 0, width, height), size),)
        if tiles is None:
            return (self.letterbox(width, height),)
        return tuple(self._letterbox(width, height, region) for region in regions(width, height, tiles))

    def _letterbox(self, width: int, height: int, region: Region, side: int | None = None) -> Letterbox:
        key = (width, height, region, side)
        box = self._boxes.get(key)
        if box is None:
            with self._lock:
                how = self.preprocess if side is None else replace(self.preprocess, size=side)
                size = input_size(how, self.request.input if side is None else None, *region[2:])
                box = fit(width, height, *size, how.resize, region, margin=how.margin)
                box = self._boxes.setdefault(key, box)
        return box

    def ask(self, buffer: Buffer, index: int, limits: Thresholds, since: float | None = None) -> None:
        """Say what holds for a slot that is written: a server applies the thresholds of each picture itself. A
        classifier's server tells as many scores as it was configured for, whatever is shown of them. `since` is when a
        client's picture arrived (monotonic), None for a stream's."""
        if self._found is not None and isinstance(buffer, JpegBuffer):
            buffer.since[index] = since
            if self.task == "classification":
                limits = replace(limits, confidence=self.limits.confidence)
            buffer.asked[index] = _asked(self.request, self._found, limits)

    def warm(self) -> None:
        """Compile what decoding and records need, or load it from its cache, by decoding outputs of which one object is
        made: where there is none, decoders leave out what they need for objects.

        All numbers are 1, and so are sizes that the file leaves open. A decoder that refuses such outputs gets those of
        a real run, of a black picture.
        """
        side = self.preprocess.size
        box = self.letterbox(side, side)
        first = 0 if self._one_by_one else 1
        ones = [ones_of([size or 1 for size in output.shape[first:]], output.dtype) for output in self._outputs]
        limits = replace(self.limits, confidence=1e-9, classes=None, max_detections=1, max_candidates=1)
        try:
            found = self.decoder(ones, box, limits)
        except DecodeError:
            try:
                found = self.decoder(self.rows(self.session.run(self.session.buffer(box.shape), 1), 0), box, limits)
            except (DecodeError, ModelError):
                return  # they belong to frames, and are told there
        _warm_records(found)

    def rows(self, outputs: Outputs, index: int) -> Outputs:
        """What of all outputs belongs to one picture of a batch: what its decoder takes."""
        return outputs if self._one_by_one else [output[index] for output in outputs]

    @property
    def endpoint(self) -> Endpoint | None:
        """Where a server answers for the model, with its dialect."""
        return None if self._found is None else self._found.endpoint

    @property
    def inputs(self) -> list[str]:
        """Input shapes that have run, each `WIDTHxHEIGHT` as in a site file."""
        return [facts["input"] for _, facts in sorted(self._facts.items())]

    def run_facts(self, shape: tuple[int, int]) -> dict[str, Any]:
        """What really runs at a shape (height, width), for every record: runtime, device, precision, threads, the input
        as `WIDTHxHEIGHT`, and what pixels become on the way there."""
        facts = self._facts.get(shape)
        if facts is None:
            plan = self.session.plan
            facts = self._facts[shape] = {
                "runtime": plan.runtime,
                "device": plan.device,
                "precision": plan.precision,
                "input": f"{shape[1]}x{shape[0]}",
                "threads": plan.threads,
                "scaling": self.request.scaling,
                "preprocess": self.preprocess.identity,
            }
        return facts


def _warm_records(found: Predictions) -> None:
    """Compile what records will ask of answers like this one, whose arrays have their types; of none they ask nothing,
    so it is asked of one object."""
    if isinstance(found, Detections) and found.masks is not None:
        one = Masks.of([np.ones((1, 1), np.uint8)], np.array([[0.0, 0, 1, 1]]), found.masks.outline)
        one.outlines()
        one.rle(1, 1)
    elif isinstance(found, SemanticMap):
        present = replace(found, class_id=np.zeros(1, np.int32))
        present.polygons()
        present.rle()
        _ = present.confidence


def input_size(preprocess: Preprocess, wanted: tuple[int, int] | None, width: int, height: int) -> tuple[int, int]:
    """(width, height) of the input for a picture: fixed by the file, else asked for, else the picture's own shape;
    a square where pictures are cropped."""
    cropped = preprocess.resize == "crop"
    own = (preprocess.size,) * 2 if cropped else own_shape(width, height, preprocess.size, preprocess.stride)
    if preprocess.resize in ("within", "around"):
        return wanted or (preprocess.width or own[0], preprocess.height or own[1])
    want = wanted or own
    return preprocess.width or want[0], preprocess.height or want[1]


def mistakes(request: ModelRequest) -> list[tuple[str, str]]:
    """What `load` would refuse before it opens the model, as (field of the model, message); empty when nothing.

    A runtime's message begins with the field that it is about, `precision: f16: ...`; one that does not is put down to
    `runtime`.
    """
    found = []
    described: Described | None = None
    try:
        described = describe(request.source)
        _check_input(request, described.recognised.preprocess)
        resolve_limits(request, described.recognised)
    except ConfigError as error:
        found.append(("classes", str(error).removeprefix("classes: ")))
    except ModelError as error:
        found.append(("path" if described is None else "input", str(error)))
    if described is not None and (problem := _tiles_problem(request, described.recognised)):
        found.append(("tiles", problem))
    try:
        runtime = _runtime(request)
        if described is not None:
            runtime.plan(_file(request, described), _wish(request, "throughput"))
    except ModelError as error:
        field, _, message = str(error).partition(": ")
        known = field in ("device", "runtime", "precision", "max_batch", "agnostic", "options")
        found.append((field, message) if known else ("runtime", str(error)))
    return found


def load(request: ModelRequest, mode: PlanMode, described: Described | None = None, *, whole: bool = False) -> Model:
    """Open a model as asked; `whole`: its graph must not end early (`shortening.py`). Raises ModelError, and
    ConfigError for classes it does not know."""
    described = described or describe(request.source)
    recognised = described.recognised
    _check_input(request, recognised.preprocess)
    if problem := _tiles_problem(request, recognised):
        raise ConfigError(f"tiles: {problem}")
    limits = resolve_limits(request, recognised)
    if note := unused(described.signature, recognised):
        _log.warning("%s", note)
    if isinstance(recognised.decoder, Answers):
        recognised = replace(recognised, decoder=recognised.decoder.only(request.classes))
        described = replace(described, recognised=recognised)
    reasons: list[str] = []
    runtime, before = _runtime(request, reasons), resident()
    runtime.plan(_file(request, described), _wish(request, mode))  # a wish that cannot be granted is told as such
    try:
        opened = _open(request, described, runtime, mode, whole)
    except UnfinishedError:
        raise
    except ModelError as error:
        other = OnnxCpu()
        if request.runtime != "auto" or runtime.name != "openvino" or other.available():
            raise
        try:
            opened = _open(request, described, other, mode, whole)
        except ModelError:
            raise error from None
        reasons.append("onnx: OpenVINO cannot run this graph")
    described, session, notes = opened
    model = Model(request, described, session, limits, reasons + notes)
    model.bytes = max(resident() - before, _size(request.path))
    return model


def _size(path: Path) -> int:
    with suppress(OSError):  # a server's model is no file
        return path.stat().st_size
    return 0


def _open(
    request: ModelRequest, described: Described, runtime: Runtime, mode: PlanMode, whole: bool
) -> tuple[Described, Session, list[str]]:
    """The file as it runs, its session, and what is to be said of it."""
    file, recognised, notes = _file(request, described), described.recognised, []
    wish = _wish(request, mode)
    if not recognised.one_by_one:
        file, batch = rebatched(runtime, file, wish)
        notes = [batch] if batch else []
    if not whole:
        file, recognised = shortened(runtime, file, recognised)
    if file.cut is not None:
        notes.append("boxes and scores for candidates only")
    recognised = replace(recognised, preprocess=file.preprocess)
    session = runtime.open(file, runtime.plan(file, wish))
    return replace(described, signature=file.signature, recognised=recognised), session, notes


def _file(request: ModelRequest, described: Described) -> ModelFile:
    recognised, found = described.recognised, described.found
    if found is None:
        return ModelFile(request.id, request.path, described.signature, recognised.preprocess, recognised.dynamic)
    asked = _asked(request, found, resolve_limits(request, recognised))
    return ModelFile(
        request.id, request.path, described.signature, recognised.preprocess, endpoint=found.endpoint, asked=asked
    )


def _asked(request: ModelRequest, found: Found, limits: Thresholds) -> Asked:
    classes = request.classes
    if limits.names is not None:
        classes = tuple(sorted(name for name in limits.names if classes is None or name in classes))
    return Asked(
        limits.confidence, limits.iou, limits.agnostic, classes, limits.max_detections, limits.masks,
        found.task_type, max(request.input) if request.input else None,
    )  # fmt: skip


def _runtime(request: ModelRequest, reasons: list[str] | None = None) -> Runtime:
    """The runtime for a request; `reasons` gets what decided. Raises ModelError."""
    if request.endpoint is not None:
        if request.runtime not in ("auto", "remote"):
            raise ModelError(f"runtime: {request.runtime}: runs files; for a model behind a URL leave it at auto")
        return choose("remote")
    return choose(request.runtime, request.device, *([] if reasons is None else [reasons.append]))


def _wish(request: ModelRequest, mode: PlanMode) -> Wish:
    return Wish(request.device, request.precision, mode, cores(), request.max_batch, request.options)


_LIMITS = ("confidence", "iou", "agnostic", "rotated_iou", "max_detections", "masks", "outline", "top_k")


def resolve_limits(request: ModelRequest, recognised: Recognised) -> Thresholds:
    """The family's defaults with what the user set on top; class names become ids. Raises ConfigError."""
    asked = {name: getattr(request, name) for name in _LIMITS}
    limits = replace(recognised.defaults, **{name: value for name, value in asked.items() if value is not None})
    if request.classes is None or isinstance(recognised.decoder, Answers):
        return limits  # a server's classes come to be known later
    return replace(limits, classes=tuple(sorted({_class_id(name, recognised.labels) for name in request.classes})))


def _class_id(name: str, labels: Sequence[str]) -> int:
    if name in labels:
        return labels.index(name)
    if name.isdecimal() and (not labels or int(name) < len(labels)):
        return int(name)
    near = difflib.get_close_matches(name, labels, 1)
    hint = f"did you mean {near[0]!r}?" if near else f"it knows {len(labels)} classes: {', '.join(labels[:8])} ..."
    raise ConfigError(f"classes: the model has no class {name!r}; {hint}")


def _tiles_problem(request: ModelRequest, recognised: Recognised) -> str | None:
    if request.tiles is None or recognised.task not in ("classification", "semantic"):
        return None
    return f"the model's task is {recognised.task}, which looks at whole pictures: leave tiles out"


def _check_input(request: ModelRequest, preprocess: Preprocess) -> None:
    if request.input is None or preprocess.resize in ("within", "around"):
        return
    for side, wanted, fixed in zip(
        ("width", "height"), request.input, (preprocess.width, preprocess.height), strict=True
    ):
        if fixed is not None and fixed != wanted:
            raise ModelError(
                f"{request.path.name}: its input {side} is fixed at {fixed}, but input asks for {wanted}; "
                "leave input at auto, or export the model with dynamic=True"
            )
        if fixed is None and wanted % preprocess.stride:
            near = max(1, round(wanted / preprocess.stride)) * preprocess.stride
            raise ModelError(
                f"{request.path.name}: input {side} must be a multiple of {preprocess.stride}, got {wanted}; try {near}"
            )
