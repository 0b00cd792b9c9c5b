"""The YAML beside a model file: what the file does not say of itself. `yolox.onnx` is explained by `yolox.yaml`.

All that it can say, each line optional::

    family: yolox                    # which decoder; asked alone then
    labels: [cat, dog]               # or {0: cat, 1: dog}, or the path of a file with one name per line
    input:
      layout: nchw                   # or nhwc
      dtype: float32                 # as the file declares it, checked
      colour: rgb                    # or bgr; grey for an input of one channel
      mean: [0.485, 0.456, 0.406]    # value = (pixel * scale - mean) / std, in the order of `colour`
      std: [0.229, 0.224, 0.225]
      scale: 1/255                   # left out: 1/255 where no mean or std is above 1, else 1
      resize: letterbox              # topleft, stretch, crop
      antialias: true                # whether every pixel counts when a picture shrinks, as with Pillow
      margin: 224/256                # with crop and stretch: the part of the scaled sides that is used, its middle
      pad: 114                       # grey of what the picture does not cover
      size: 640                      # longer side of a model that takes any, or the one size: 640x480 (width x height)
      stride: 32                     # what the sides must divide by
    keypoints: [nose, left_eye]      # names in the order of the model, or how many there are
    skeleton: coco-17                # or pairs to join: [[nose, left_eye], [0, 1]]
    refine: quarter                  # how peaks of heat maps are placed between samples: quarter, dark, udp
    activation: none                 # what scores still need: none, sigmoid, softmax
    multi_label: false               # whether several classes of a classifier may hold at once
    output: logits                   # which output holds the answer, of several
"""

import difflib
import math
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn

from vidette.errors import ModelError
from vidette.predictions.skeletons import SKELETONS

_SIDE = 100_000
Key = tuple[str, ...]


class Sidecar(Mapping[str, Any]):
    """The keys of a sidecar, checked and in one form each, and where they stand.

    `labels` is a list of names; `keypoints` a list of names or a number; `skeleton` a known name or a list of pairs of
    point numbers, of names too where `keypoints` does not list them; `mean` and `std` are three numbers, or one for
    all channels, `scale` is one, `size` one side or (width, height).
    """

    def __init__(self, values: Mapping[str, Any], file: str, lines: Mapping[Key, int]) -> None:
        self._values = values
        self._file = file
        self._lines = lines

    def __getitem__(self, key: str) -> Any:
        return self._values[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def where(self, *key: str) -> str:
        """`yolox.yaml:3: input.mean`."""
        return f"{self._file}:{self._lines.get(key, 1)}: {'.'.join(key)}"


def where(sidecar: Mapping[str, Any], *key: str) -> str:
    """Where a key stands, for messages, also in a sidecar that was never a file."""
    return sidecar.where(*key) if isinstance(sidecar, Sidecar) else f"the sidecar's {'.'.join(key)}"


def sidecar_path(model: Path) -> Path:
    """Where the sidecar of a model lies, or would lie."""
    return model.with_suffix(".yaml")


def load_sidecar(model: Path) -> Mapping[str, Any]:
    """What MODEL.yaml beside MODEL.onnx says, checked; empty where there is none.

    Raises ModelError that names file, line and key, and the nearest right name for a wrong one.
    """
    path = sidecar_path(model)
    if not path.is_file():
        return {}
    import yaml  # 20 ms, and most models have no sidecar

    try:
        text = path.read_text(encoding="utf-8")
        document = yaml.safe_load(text)
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"{path}: cannot be read: {error}") from None
    except (yaml.YAMLError, ValueError) as error:  # ValueError: a date such as 2026-13-01
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        raise ModelError(f"{path}{line}: not YAML: {getattr(error, 'problem', None) or error}") from None
    if document is None:
        return {}
    if not isinstance(document, dict) or not isinstance(root, yaml.MappingNode):
        raise ModelError(f"{path}:1: must be a mapping such as `labels: [cat, dog]`")
    lines = _lines(root)
    values = _checked(document, _KEYS, (), path, lines)
    if "skeleton" in values:
        try:
            values["skeleton"] = _numbered(values["skeleton"], values.get("keypoints"))
        except ValueError as error:
            _refuse(path, lines, ("skeleton",), str(error))
    return Sidecar(values, str(path), lines)


def _lines(node: Any, above: Key = ()) -> dict[Key, int]:
    """Line of each key of a composed YAML mapping, from 1."""
    found: dict[Key, int] = {}
    for key, value in node.value:
        name = (*above, str(key.value))
        found[name] = key.start_mark.line + 1
        if isinstance(value.value, list) and value.tag.endswith(":map"):
            found |= _lines(value, name)
    return found


def _checked(
    given: Mapping[Any, Any],
    known: Mapping[str, Callable[[Any, Path], Any]],
    above: Key,
    path: Path,
    lines: Mapping[Key, int],
) -> dict[str, Any]:
    values = {}
    for name, value in given.items():
        key = (*above, str(name))
        if name not in known:
            near = difflib.get_close_matches(str(name), known, 1)
            hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(known)}"
            _refuse(path, lines, key, f"unknown; {hint}")
        if key == ("input",):
            if not isinstance(value, dict):
                _refuse(path, lines, key, "must be a mapping such as `input: {resize: stretch}`")
            values[name] = _checked(value, _INPUT, key, path, lines)
            continue
        try:
            values[name] = known[name](value, path)
        except ValueError as error:
            _refuse(path, lines, key, str(error))
    return values


def _refuse(path: Path, lines: Mapping[Key, int], key: Key, message: str) -> NoReturn:
    raise ModelError(f"{path}:{lines.get(key, 1)}: {'.'.join(key)}: {message}") from None


def _one_of(*words: str) -> Callable[[Any, Path], str]:
    def check(value: Any, path: Path) -> str:
        if value in words:
            return str(value)
        near = difflib.get_close_matches(str(value).lower(), words, 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise ValueError(f"{value!r} is none of {', '.join(words)}{hint}")

    return check


def _name(value: Any, path: Path) -> str:
    if isinstance(value, str) and value:
        return value
    raise ValueError("must be a name")


def _whole(low: int, high: int) -> Callable[[Any, Path], int]:
    def check(value: Any, path: Path) -> int:
        if isinstance(value, int) and not isinstance(value, bool) and low <= value <= high:
            return value
        raise ValueError(f"{value!r} is no whole number of {low} to {high}")

    return check


def _flag(value: Any, path: Path) -> bool:
    if isinstance(value, bool):
        return value
    raise ValueError(f"{value!r} is neither true nor false")


def _number(value: Any) -> float | None:
    """A finite number, also as the quotient that YAML has no notation for: `1/255`."""
    if isinstance(value, str) and (quotient := re.fullmatch(r"([\d.]+)\s*/\s*([\d.]+)", value)):
        try:
            value = float(quotient[1]) / float(quotient[2])
        except (ValueError, ZeroDivisionError):
            return None
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return float(value)
    return None


def _channels(value: Any, path: Path) -> tuple[float, ...]:
    given = [_number(each) for each in (value if isinstance(value, list) else [value])]
    numbers = tuple(number for number in given if number is not None)
    if len(numbers) != len(given) or len(numbers) not in (1, 3):
        raise ValueError(f"{value!r} is neither a number nor a list of three, one for each channel")
    return numbers


def _divisors(value: Any, path: Path) -> tuple[float, ...]:
    numbers = _channels(value, path)
    if min(numbers) <= 0:
        raise ValueError(f"{value!r}: values are divided by it, so it must be above 0")
    return numbers


def _scale(value: Any, path: Path) -> float:
    number = _number(value)
    if number is None or number <= 0:
        raise ValueError(f"{value!r} is no number above 0, such as 1 or 1/255")
    return number


def _margin(value: Any, path: Path) -> float:
    number = _number(value)
    if number is None or not 0 < number <= 1:
        raise ValueError(f"{value!r} is no part of a side, such as 0.875 or 224/256")
    return number


def _size(value: Any, path: Path) -> int | tuple[int, int]:
    sides = [value]
    if isinstance(value, str) and re.fullmatch(r"\d{1,6}x\d{1,6}", value):
        sides = [int(side) for side in value.split("x")]
    if all(isinstance(side, int) and not isinstance(side, bool) and 0 < side <= _SIDE for side in sides):
        return (sides[0], sides[1]) if len(sides) == 2 else int(sides[0])
    raise ValueError(f"{value!r} is no size: write the longer side, or WIDTHxHEIGHT like 640x480")


def _labels(value: Any, path: Path) -> list[str]:
    if isinstance(value, str):
        names = path.parent / value
        try:
            found = [name.strip() for name in names.read_text(encoding="utf-8").splitlines() if name.strip()]
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(f"{names} cannot be read: {error}") from None
        if not found:
            raise ValueError(f"{names} holds no names")
        return found
    if isinstance(value, list) and value and all(isinstance(name, str | int | float) for name in value):
        return [str(name) for name in value]
    if isinstance(value, dict) and value and all(isinstance(index, int) and 0 <= index < _SIDE for index in value):
        return [str(value.get(index, index)) for index in range(max(value) + 1)]
    raise ValueError("must be a list of names, a mapping from number to name, or the path of a text file")


def _keypoints(value: Any, path: Path) -> int | list[str]:
    if isinstance(value, list) and value and all(isinstance(name, str | int) for name in value):
        return [str(name) for name in value]
    if isinstance(value, int) and not isinstance(value, bool) and 0 < value < _SIDE:
        return value
    raise ValueError(f"{value!r} is neither a list of names nor how many there are")


def _skeleton(value: Any, path: Path) -> str | list[list[Any]]:
    if isinstance(value, str):
        return _one_of(*SKELETONS)(value, path)
    if isinstance(value, list) and all(isinstance(pair, list) and len(pair) == 2 for pair in value):
        return value
    raise ValueError(f"must be one of {', '.join(SKELETONS)}, or pairs of keypoints to join: [[0, 1], [1, 2]]")


def _numbered(skeleton: str | list[list[Any]], keypoints: int | list[str] | None) -> str | list[tuple[Any, Any]]:
    """Pairs of point numbers, whatever was written. Raises ValueError for a point that there is not.

    Names that `keypoints` does not list stay: the model, or its family, may know them.
    """
    names = keypoints if isinstance(keypoints, list) else []
    count = len(keypoints) if isinstance(keypoints, list) else keypoints
    if isinstance(skeleton, str):
        points = len(SKELETONS[skeleton].points)
        if count is not None and points != count:
            raise ValueError(f"{skeleton} has {points} points, but keypoints says {count}")
        return skeleton

    def number(point: Any) -> Any:
        if point in names:
            return names.index(point)
        if isinstance(point, str) and not names:
            return point
        if isinstance(point, int) and not isinstance(point, bool) and 0 <= point < (count or _SIDE):
            return point
        near = difflib.get_close_matches(str(point), names, 1)
        raise ValueError(f"there is no keypoint {point!r}{f'; did you mean {near[0]}?' if near else ''}")

    return [(number(a), number(b)) for a, b in skeleton]


_INPUT: dict[str, Callable[[Any, Path], Any]] = {
    "layout": _one_of("nchw", "nhwc"),
    "dtype": _one_of("float32", "float16", "uint8", "int32", "int64", "float64", "int8"),
    "colour": _one_of("rgb", "bgr", "grey"),
    "mean": _channels,
    "std": _divisors,
    "scale": _scale,
    "resize": _one_of("letterbox", "topleft", "stretch", "crop"),
    "antialias": _flag,
    "margin": _margin,
    "pad": _whole(0, 255),
    "size": _size,
    "stride": _whole(1, 1024),
}

_KEYS: dict[str, Callable[[Any, Path], Any]] = {
    "family": _name,
    "labels": _labels,
    "input": lambda value, path: value,
    "keypoints": _keypoints,
    "skeleton": _skeleton,
    "refine": _one_of("quarter", "dark", "udp"),
    "activation": _one_of("none", "sigmoid", "softmax"),
    "multi_label": _flag,
    "output": _name,
}
