"""Where frames come from: the table of sources by URL scheme, and what a user's text means.

A third party's source registers under the entry-point group `vidette.sources` with its scheme as the name; the object
is a `base.SourceType`.
"""

import glob
import os
import re
from collections.abc import Iterable
from difflib import get_close_matches
from importlib.metadata import EntryPoint, entry_points

from vidette.errors import ConfigError, SourceError
from vidette.sources.base import Mode, Source, SourceOptions, SourceType
from vidette.urls import redact, scheme_of

_VIDEO_SUFFIXES = (
    *(".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".ts", ".m2ts", ".mts", ".mpg", ".mpeg", ".flv", ".wmv"),
    *(
        ".3gp",
        ".ogv",
        ".vob",
        ".mxf",
        ".y4m",
        ".h264",
        ".264",
        ".h265",
        ".265",
        ".hevc",
        ".ivf",
        ".mjpeg",
        ".mjpg",
        ".gif",
    ),
)
"""Endings that make a file of a folder a video; a file that is named itself needs none of them."""

_TABLE = {
    "file": "vidette.sources.files:FileSource",
    "images": "vidette.sources.images:ImageSource",
    "camera": "vidette.sources.camera:CameraSource",
    "testsrc": "vidette.sources.synthetic:TestSource",
    "sample": "vidette.sources.sample:SampleSource",
} | dict.fromkeys(
    ("rtsp", "rtsps", "http", "https", "rtmp", "rtmps", "rtp", "tcp", "udp"), "vidette.sources.network:NetworkSource"
)


def source_types() -> dict[str, EntryPoint]:
    """All sources by scheme, third parties' included; `load()` gives the `SourceType`."""
    theirs = {point.name: point for point in entry_points(group="vidette.sources")}
    return theirs | {scheme: _own(scheme) for scheme in _TABLE}


def open_source(url: str, options: SourceOptions) -> Source:
    """Open what `url` means. Raises SourceError with a stable code; `scheme` where nothing reads this kind."""
    try:
        source_type = _source_type(url)
    except ConfigError as error:
        raise SourceError("scheme", str(error)) from None
    return source_type.open(url, options)


def default_mode(url: str) -> Mode:
    """`lossless` for what is read whole, `live` for cameras and streams. Raises ConfigError."""
    return _source_type(url).default_mode(url)


def missing(url: str) -> str | None:
    """What is wrong with `url`, as far as it shows without opening it; None if nothing."""
    try:
        scheme = _scheme(url)
    except ConfigError as error:
        return str(error)
    path = _path(url) if scheme in ("file", "images") else ""
    if path and not os.path.exists(path) and not (glob.has_magic(path) and glob.glob(path, recursive=True)):
        return f"no such file or folder: {path}{_near_file(path)}"
    return None


def several(url: str) -> str | None:
    """What is wrong with `url` where one source must stand, but a folder or glob means others; None if nothing."""
    if _scheme(url) not in ("file", "images"):
        return None
    path = _path(url)
    if not os.path.isdir(path) and (os.path.lexists(path) or not glob.has_magic(path)):
        return None
    try:
        found = [meant for _, meant in expand(url)]
    except ConfigError as error:
        return str(error)
    videos = [meant for meant in found if meant != path]
    if not videos:
        return None
    names = ", ".join(videos[:3]) + (", ..." if len(videos) > 3 else "")
    return f"{path} holds videos ({names}); a stream has one source: name each video in a stream of its own"


def expand(text: str) -> list[tuple[str, str]]:
    """The streams that a user means by `text`, as (suggested id, url); ids may repeat: `unique_ids`.

    A video is one stream, and so is every video of a folder or glob. The pictures of a folder or glob are one
    stream together. Raises ConfigError where nothing is found.
    """
    scheme = _scheme(text)
    if scheme not in ("file", "images"):
        return [(_id_of(text), text)]
    path = _path(text)
    if os.path.isdir(path):
        names = sorted(name for name in os.listdir(path) if not name.startswith("."))
        found, pictures_url = [os.path.join(path, name) for name in names], path
    elif os.path.lexists(path) or not glob.has_magic(path):
        if not os.path.lexists(path):
            raise ConfigError(f"no such file or folder: {path}{_near_file(path)}")
        return [(_id_of(path), text)]
    else:
        found, pictures_url = sorted(glob.glob(path, recursive=True)), path
        if not found:
            raise ConfigError(f"nothing matches {path}")
    return _videos_and_pictures(found, pictures_url)


def unique_ids(streams: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """The same streams; an id that was there before gets a number: cam, cam-2, cam-3."""
    taken: set[str] = set()
    result = []
    for wanted, url in streams:
        id, number = wanted, 1
        while id in taken:
            number += 1
            id = f"{wanted}-{number}"
        taken.add(id)
        result.append((id, url))
    return result


def _videos_and_pictures(found: list[str], pictures_url: str) -> list[tuple[str, str]]:
    from vidette.sources.images import is_picture

    files = [path for path in found if os.path.isfile(path)]
    is_glob = glob.has_magic(pictures_url) and not os.path.isdir(pictures_url)
    # A glob names its files, so what is no picture is taken for a video and must prove it; a folder holds anything.
    videos = [f for f in files if not is_picture(f) and (is_glob or f.lower().endswith(_VIDEO_SUFFIXES))]
    streams = [(_id_of(video), video) for video in videos]
    if any(is_picture(path) for path in files):
        folder = os.path.dirname(pictures_url) if is_glob else pictures_url
        streams.append((_id_of(os.path.abspath(folder)), pictures_url))
    if not streams:
        raise ConfigError(f"{pictures_url}: neither videos nor pictures there")
    return streams


def _own(scheme: str) -> EntryPoint:
    return EntryPoint(scheme, _TABLE[scheme], "vidette.sources")


def _source_type(url: str) -> SourceType:
    scheme = _scheme(url)
    point = _own(scheme) if scheme in _TABLE else source_types()[scheme]
    loaded: SourceType = point.load()
    return loaded


def _scheme(url: str) -> str:
    """The table's key for `url`; what exists as a file is one, whatever colons are in its name. Raises ConfigError."""
    scheme = "" if os.path.lexists(url) else scheme_of(url)
    if scheme in ("", "file"):
        return _scheme_of_path(_path(url))
    if scheme == "images" or scheme not in _TABLE:  # pictures are known by their names, not by a scheme
        known = source_types().keys() - {"images"}  # some milliseconds, so only now
        if scheme not in known:
            close = get_close_matches(scheme, known, 1)
            hint = f"did you mean {close[0]}:?" if close else f"known: {' '.join(sorted(known))}"
            raise ConfigError(f"{redact(url)}: no such file, and {scheme}: is no kind of source; {hint}")
    return scheme


def _scheme_of_path(path: str) -> str:
    if re.fullmatch(r"/dev/video\d+", path):
        return "camera"
    from vidette.sources.images import is_picture

    if is_picture(path) or os.path.isdir(path):
        return "images"
    is_glob = glob.has_magic(path) and not os.path.lexists(path)
    return "images" if is_glob and any(map(is_picture, glob.iglob(path, recursive=True))) else "file"


def _path(url: str) -> str:
    from vidette.sources.files import path_of

    return url if os.path.lexists(url) else os.path.expanduser(path_of(url))


def _near_file(path: str) -> str:
    folder = os.path.dirname(path)
    try:
        close = get_close_matches(os.path.basename(path), os.listdir(folder or "."), 1)
    except OSError:
        return ""
    return f"; did you mean {os.path.join(folder, close[0])}?" if close else ""


def _id_of(text: str) -> str:
    """A short id: the file's name without ending, or what is left of a URL without secrets."""
    if scheme_of(text) and not os.path.lexists(text):
        text = re.sub(r"^(testsrc|sample):.*", r"\1", redact(text).partition("?")[0])
    stem = os.path.splitext(os.path.basename(os.path.normpath(text)))[0]
    return re.sub(r"[^\w.-]+", "-", stem).strip("-.") or "stream"
