"""The parameters of `testsrc:?size=640x360&rate=30` and its like."""

from urllib.parse import parse_qsl

from vidette.errors import SourceError

MIN_WIDTH, MIN_HEIGHT, MAX_SIDE = 64, 48, 16384


def parameters(url: str, **defaults: str) -> dict[str, str]:
    """The parameters behind `?` over their defaults. Raises SourceError `parameter` for one that is not known."""
    scheme, _, rest = url.partition(":")
    before, _, query = rest.partition("?")
    if before:
        example = f"{scheme}:?{'&'.join(f'{name}={value}' for name, value in defaults.items() if value)}"
        raise SourceError("parameter", f"{url}: {before!r} not understood; write for example {example}")
    given = dict(parse_qsl(query, keep_blank_values=True))
    for name in given:
        if name not in defaults:
            raise SourceError("parameter", f"{url}: no parameter {name!r}; there are {', '.join(defaults)}")
    return defaults | given


def size_parameter(url: str, text: str) -> tuple[int, int]:
    """`640x360` as (640, 360). Raises SourceError `parameter`."""
    width, _, height = text.lower().partition("x")
    if not (width.isdecimal() and height.isdecimal()):
        raise SourceError("parameter", f"{url}: size={text} is no size like 640x360")
    if not (MIN_WIDTH <= int(width) <= MAX_SIDE and MIN_HEIGHT <= int(height) <= MAX_SIDE):
        raise SourceError(
            "parameter", f"{url}: size={text} is outside {MIN_WIDTH}x{MIN_HEIGHT} to {MAX_SIDE}x{MAX_SIDE}"
        )
    return int(width), int(height)


def number_parameter(url: str, name: str, text: str, low: float, high: float) -> float:
    """A number within limits. Raises SourceError `parameter`."""
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not low <= value <= high:
        raise SourceError("parameter", f"{url}: {name}={text} is no number from {low:g} to {high:g}")
    return value
