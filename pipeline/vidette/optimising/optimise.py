"""From a model file to a cheaper one, with the proof."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from vidette.errors import DecodeError, ModelError
from vidette.frame import Picture
from vidette.job import ModelRequest
from vidette.models import Described, Model, describe, load
from vidette.optimising import files, folding, graph, quantising
from vidette.optimising.agreement import Agreement
from vidette.optimising.examples import Example, Examples, decode, first_picture, run, spread
from vidette.optimising.timing import Gain, gains
from vidette.runtimes.base import ModelFile

TOLERANCE = 1e-4
"""Largest difference that counts as the same answer, as a part of each value and of 1 for smaller ones, because scores
stand beside pixels in one tensor: float32 adds in another order when a graph is arranged otherwise."""

LOST = 0.01
"""Part of the sure objects that an int8 model may lose."""

Say = Callable[[str], None]


@dataclass(slots=True)
class Optimised:
    """What was made and how it was proven; nothing is `written` when it was refused.

    difference   largest of any raw output of the folded model on the picture, and the largest value there
    head         nodes left in float, of an int8 model
    """

    folded: bool
    difference: tuple[str, float, float] | None = None
    agreement: Agreement | None = None
    convolutions: int = 0
    head: int = 0
    gains: list[Gain] = field(default_factory=list)
    bytes: tuple[int, int] = (0, 0)
    written: list[Path] = field(default_factory=list)

    @property
    def problem(self) -> str | None:
        """Why an int8 model must not be used unasked."""
        found = self.agreement
        if found is None:
            return None
        if not found.objects:
            return "nothing was found in the held-back frames, which proves nothing: take a clip of what it finds"
        if found.lost > LOST * found.objects:
            return f"int8 loses {found.lost} of {found.objects} objects, more than 1 in 100"
        return None


def optimise(
    source: Path,
    target: Path,
    *,
    picture: str = "sample:",
    calibrate: str | None = None,
    frames: int = 24,
    force: bool = False,
    say: Say = lambda line: None,
) -> Optimised:
    """Write `target`: bytes in, normalisation inside the graph, and with `calibrate` (a clip) in int8.

    Raises ModelError when the model cannot be optimised or the folded one answers otherwise, SourceError for the
    picture or clip, ConfigError for a target that cannot be written. An int8 model that lost objects is not written
    unless forced; `problem` says so.
    """
    files.check_target(source, target)
    original = describe(source)
    with files.scratch(target) as folder:
        path = folder / target.name
        shown = first_picture(picture)
        answer = Optimised(_foldable(original, calibrate is not None))
        described = original
        if answer.folded:
            preprocess = original.recognised.preprocess
            graph.save(folding.fold(graph.read(source), _file(original).picture, preprocess), path)
            described = files.explain(path, original, folding.folded(preprocess))
            answer.difference = _prove(source, path, shown, picture)
        if calibrate is not None:
            say(f"calibrating with frames of {calibrate}")
            answer.agreement = Agreement()
            answer.convolutions, answer.head = _quantise(
                described, folder / "int8.onnx", calibrate, frames, answer.agreement
            )
            (folder / "int8.onnx").replace(path)
            files.explain(path, original, described.recognised.preprocess)
        say("measuring CPU time")
        answer.gains = list(gains(source, path, shown))
        answer.bytes = source.stat().st_size, path.stat().st_size
        if answer.problem is None or force:
            answer.written = files.keep(path, target)
    return answer


def _foldable(original: Described, quantised: bool) -> bool:
    """Bytes with the channels last already leave only int8 to do."""
    preprocess = original.recognised.preprocess
    done = (preprocess.layout, preprocess.dtype) == ("nhwc", "uint8")
    if done and not quantised:
        raise ModelError(
            "it takes bytes with the channels last already, there is nothing to fold; int8 is left: --int8 --calibrate "
            "CLIP"
        )
    if quantised and preprocess.dtype == "float16":
        raise ModelError("its weights are float16: quantise the float32 export of the same model")
    return not done


def _file(described: Described) -> ModelFile:
    recognised = described.recognised
    return ModelFile("", described.path, described.signature, recognised.preprocess, recognised.dynamic)


def _open(path: Path) -> Model:
    return load(ModelRequest(path.stem, path, runtime="onnx", device="cpu", precision="f32"), "latency", whole=True)


def _prove(source: Path, path: Path, picture: Picture, url: str) -> tuple[str, float, float]:
    """Both models on one picture, whose pixels are bytes in both. Raises ModelError when raw outputs differ."""
    before, after = _open(source), _open(path)
    try:
        outputs = [run(model, Examples(model, exact=True).of(picture)) for model in (before, after)]
    finally:
        before.session.close()
        after.session.close()
    worst = ("", 0.0, 0.0)
    for tensor, a, b in zip(describe(source).signature.outputs, *outputs, strict=True):
        if a.shape != b.shape or not np.array_equal(np.isfinite(a), np.isfinite(b)):
            raise ModelError(f"output {tensor.name} of the folded model is another on {url}: not written")
        a, b = np.nan_to_num(a.astype(np.float64)), np.nan_to_num(b.astype(np.float64))
        difference, size = np.abs(a - b), np.abs(a)
        largest = float(size.max(initial=0))
        wrong = difference > TOLERANCE * np.maximum(size, min(largest, 1))
        off = float(difference[wrong].max() if wrong.any() else difference.max(initial=0))
        if wrong.any():
            raise ModelError(
                f"output {tensor.name} of the folded model differs by {off:.3g} on {url} (values up to {largest:.3g}): "
                "not written"
            )
        if not worst[0] or off > worst[1]:
            worst = (tensor.name, off, largest)
    return worst


def _quantise(described: Described, path: Path, clip: str, frames: int, agreement: Agreement) -> tuple[int, int]:
    """Write int8 to `path` and compare it with the float model on frames that it was not calibrated with."""
    file = _file(described)
    reference = _open(described.path)
    calibration, held_back = spread(clip, Examples(reference), frames)
    batch = described.recognised.preprocess.batch or 1
    feeds = (
        {file.picture: np.repeat(each.slots, batch, 0)}
        | {extra.name: extra.values(batch, each.letterbox.shape) for extra in file.preprocess.extras}
        for each in calibration
    )
    opened = file.changed()  # the calibration runs the graph at the size of the pictures
    counts = quantising.quantise(graph.read(described.path, opened), feeds, path)
    if opened is not None:
        graph.declare(path, described.path)
    files.explain(path, described, described.recognised.preprocess)
    candidate = _open(path)
    for example in held_back:
        _compare(reference, candidate, example, agreement)
    reference.session.close()
    candidate.session.close()
    return counts


def _compare(reference: Model, candidate: Model, example: Example, agreement: Agreement) -> None:
    try:
        expected = decode(reference, example)
    except DecodeError:
        return  # a picture that the original cannot answer proves nothing
    try:
        agreement.add(expected, decode(candidate, example))
    except DecodeError as error:
        raise ModelError(f"the int8 model's outputs make no sense: {error}") from error
