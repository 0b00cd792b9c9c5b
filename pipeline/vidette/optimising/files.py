"""An optimised model on disk: beside it the sidecar without which it would not be taken for what it is."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from vidette.errors import ConfigError, ModelError
from vidette.models import Described, describe
from vidette.pixels.preprocess import Preprocess
from vidette.sidecar import sidecar_path

_STATED = ("colour", "resize", "antialias", "margin", "pad", "stride")


def check_target(source: Path, target: Path) -> None:
    """Raise ConfigError when `target` cannot be written without harm."""
    if target.suffix.lower() != ".onnx":
        raise ConfigError(f"{target}: the file to write must end in .onnx")
    if target.exists() and target.samefile(source):
        raise ConfigError(f"{target}: this is the model itself; give the optimised one another name")
    if not target.parent.is_dir():
        raise ConfigError(f"{target}: there is no folder {target.parent}; make it first")
    if sidecar_path(target).exists():
        raise ConfigError(f"{sidecar_path(target)} is there already and would speak for {target.name}: move it away")


@contextmanager
def scratch(target: Path) -> Iterator[Path]:
    """A folder beside the target for what is not proven yet, gone afterwards. Raises ConfigError."""
    try:
        with TemporaryDirectory(prefix=".part-", dir=target.parent) as folder:
            yield Path(folder)
    except OSError as error:
        raise ConfigError(f"{target.parent}: cannot be written ({error.strerror})") from None


def explain(path: Path, original: Described, wanted: Preprocess) -> Described:
    """Write a sidecar beside the new file unless it explains itself; what comes back has `wanted` and the old labels.

    Raises ModelError when the family does not take the new file for its own.
    """
    try:
        found = describe(path)
    except ModelError:
        found = None
    if found is None or original.signature.sidecar or not _same(found, original, wanted):
        import yaml

        text = yaml.safe_dump(_sidecar(original, wanted), sort_keys=False, allow_unicode=True, default_flow_style=None)
        sidecar_path(path).write_text(text, encoding="utf-8")
        found = describe(path)
    if not _same(found, original, wanted):
        raise ModelError(f"{path.name}: would be taken for something else than the original, and no sidecar mends that")
    return found


def keep(path: Path, target: Path) -> list[Path]:
    """Move the proven file, and its sidecar, to where they are wanted; returns what was written."""
    written = []
    if sidecar_path(path).exists():
        written.append(sidecar_path(path).replace(sidecar_path(target)))
    return [path.replace(target), *written]


def _same(found: Described, original: Described, wanted: Preprocess) -> bool:
    new, old = found.recognised, original.recognised
    return (new.family, new.labels, new.preprocess) == (old.family, old.labels, wanted)


def _sidecar(original: Described, wanted: Preprocess) -> Mapping[str, Any]:
    """All that the original's sidecar says, the family and the labels, and the input of the new file."""
    kept = {key: value for key, value in original.signature.sidecar.items() if key != "input"}
    if "skeleton" in kept and not isinstance(kept["skeleton"], str):
        kept["skeleton"] = [list(pair) for pair in kept["skeleton"]]
    labels = {} if "names" in original.signature.metadata else {"labels": list(original.recognised.labels)}
    stated: dict[str, Any] = {"layout": wanted.layout, "dtype": wanted.dtype}
    if wanted.dtype == "uint8":
        stated["scale"] = 1
    else:
        stated |= {"mean": list(wanted.mean), "std": [1 / scale for scale in wanted.scale], "scale": 1}
    stated |= {key: getattr(wanted, key) for key in _STATED}
    if "size" in original.signature.sidecar.get("input", {}):
        size = original.signature.sidecar["input"]["size"]
        stated["size"] = size if isinstance(size, int) else f"{size[0]}x{size[1]}"
    return {"family": original.recognised.family, **labels, **kept, "input": stated}
