"""The pictures of a folder, video or camera, one after the other."""

import os
import threading
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from vidette.client.errors import InvalidInputFormatError

if TYPE_CHECKING:
    from vidette.frame import Bgr


def frames(input_uri: str, endings: Sequence[str] | None) -> Iterator[tuple[str | int, "Bgr"]]:
    """Path and pixels of each picture of a folder, in natural order; or number, from 0, and pixels of each frame.

    endings    of the files that count in a folder; None for every kind of picture

    Raises InvalidInputFormatError for a picture that cannot be read, SourceError for everything else that cannot.
    What is damaged inside a video is left out.
    """
    return _of_folder(input_uri, endings) if os.path.isdir(input_uri) else _of_source(input_uri)


def _of_folder(folder: str, endings: Sequence[str] | None) -> Iterator[tuple[str | int, "Bgr"]]:
    from vidette.sources.base import Unreadable
    from vidette.sources.images import natural, pictures_in, read_picture

    if endings is None:
        paths = pictures_in(folder)
    else:
        wanted = tuple(f".{ending.lstrip('.')}" for ending in endings)
        paths = natural(os.path.join(folder, name) for name in os.listdir(folder) if name.endswith(wanted))
    for path in paths:
        pixels = read_picture(path)
        if isinstance(pixels, Unreadable):
            raise InvalidInputFormatError(pixels.message)
        yield path, pixels


def _of_source(url: str) -> Iterator[tuple[str | int, "Bgr"]]:
    from vidette.sources import default_mode, open_source
    from vidette.sources.base import SourceOptions, Unreadable

    source = open_source(url, SourceOptions(url, 0, 1, default_mode(url), threading.Event()))
    try:
        for frame in source.frames():
            if not isinstance(frame, Unreadable):
                yield frame.seq, frame.picture.bgr()
    finally:
        source.close()
