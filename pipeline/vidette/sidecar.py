"""The YAML beside a model file: what the file does not say of itself. `yolox.onnx` is explained by `yolox.yaml`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vidette.errors import ModelError


def load_sidecar(path: Path) -> Mapping[str, Any]:
    """The mapping in MODEL.yaml beside MODEL.onnx; empty where there is none.

    `labels` comes back as a list of names, whether it was a list, a mapping from number to name (gaps become the
    number as text) or the path of a file with one name per line, relative to the sidecar. The other keys are the
    families' own. Raises ModelError that names file and line.
    """
    sidecar = path.with_suffix(".yaml")
    if not sidecar.is_file():
        return {}
    import yaml  # 20 ms, and most models have no sidecar

    try:
        text = sidecar.read_text(encoding="utf-8")
        document = yaml.safe_load(text)
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"{sidecar}: cannot be read: {error}") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        raise ModelError(f"{sidecar}{line}: not YAML: {getattr(error, 'problem', None) or error}") from None
    if document is None:
        return {}
    if not isinstance(document, dict) or not isinstance(root, yaml.MappingNode):
        raise ModelError(f"{sidecar}:1: must be a mapping such as `labels: [cat, dog]`")
    for key, _ in root.value:
        if key.value == "labels":
            document["labels"] = _labels(document["labels"], sidecar, key.start_mark.line + 1)
    return document


def _labels(value: Any, sidecar: Path, line: int) -> list[str]:
    if isinstance(value, str):
        names = sidecar.parent / value
        try:
            return [name.strip() for name in names.read_text(encoding="utf-8").splitlines() if name.strip()]
        except (OSError, UnicodeDecodeError) as error:
            raise ModelError(f"{sidecar}:{line}: labels: {names} cannot be read: {error}") from None
    if isinstance(value, list) and all(isinstance(name, str | int | float) for name in value):
        return [str(name) for name in value]
    if isinstance(value, dict) and value and all(isinstance(index, int) and 0 <= index < 100_000 for index in value):
        return [str(value.get(index, index)) for index in range(max(value) + 1)]
    raise ModelError(
        f"{sidecar}:{line}: labels: must be a list of names, a mapping from number to name, or the path of a text file"
    )
