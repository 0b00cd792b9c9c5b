"""What the settings of several sinks share."""

from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, Field, ValidationError

from vidette.errors import ConfigError
from vidette.payloads import DEFAULT, payload_names
from vidette.sink import RunFacts

S = TypeVar("S", bound=BaseModel)


def _known_format(name: str) -> str:
    if name not in (known := payload_names()):
        raise ValueError(f"unknown payload format; known: {', '.join(known)}")
    return name


Format = Annotated[
    str,
    AfterValidator(_known_format),
    Field(description="How predictions are written: roboflow (boxes by centre and size) or ultralytics (by corners)."),
]
DEFAULT_FORMAT = DEFAULT


Append = Annotated[
    bool | None,
    Field(description="Keep what is in the file and write behind it. By default what live streams left is kept: a "
          "camera that is started again goes on. Files that are read again begin anew."),
]  # fmt: skip


def appends(asked: bool | None, run: RunFacts) -> bool:
    """Whether to write behind what is in a file."""
    return any(stream.live for stream in run.streams) if asked is None else asked


def parsed(cls: type[S], target: str, **fields: Any) -> S:
    """Settings of the command line's `--sink TARGET`. Raises ConfigError, without any value that was given."""
    try:
        return cls(**fields)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ConfigError(f"{target}: {where + ': ' if where else ''}{first['msg']}") from None
