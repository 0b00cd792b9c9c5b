"""Annotated video files: boxes, labels and landmarks drawn into the picture."""

import io
import re
from collections.abc import Callable, Sequence
from itertools import chain, count
from pathlib import Path
from typing import Any, ClassVar

import av
from pydantic import BaseModel, ConfigDict, Field, field_validator

from vidette.drawing import prepare
from vidette.errors import SinkError
from vidette.frame import Bgr
from vidette.result import Result
from vidette.sink import Delivery, RunFacts
from vidette_sinks._annotated import AnnotatedVideo, picture_of
from vidette_sinks._files import check_folder, file_error, refuse_inputs
from vidette_sinks._settings import parsed

# Fragments of at most a second reach the disk as they are made (flush_packets), so that a process that is killed loses
# no more than that; at the end hybrid_fragmented makes a plain file of it, which every player can seek in.
_MP4 = {"movflags": "hybrid_fragmented+frag_keyframe", "frag_duration": "1000000", "flush_packets": "1"}
_CONTAINERS = {
    ".mp4": ("mp4", _MP4),
    ".mov": ("mov", _MP4),
    ".mkv": ("matroska", {"cluster_time_limit": "1000", "flush_packets": "1"}),
}


class VideoSettings(BaseModel):
    """A video file (.mp4, .mov, .mkv) with what was found drawn into it; one file per stream.

    With several streams the stream's name is put behind the file's: `annotated.mp4` becomes `annotated-cam1.mp4`. Times
    are those of the source, counted from its first picture. Where the size of the picture changes, all later pictures
    are scaled to the size of the first.
    """

    model_config = ConfigDict(extra="forbid")

    path: str = Field(min_length=1, description="The file; its folder must exist.")
    crf: int = Field(23, ge=0, le=51, description="Quality of H.264: 18 is nearly lossless, 28 is small.")
    fps: float = Field(25, gt=0, le=1000, description="Pictures per second where the source gives no times.")

    @field_validator("path")
    @classmethod
    def _known_ending(cls, path: str) -> str:
        if Path(path).suffix.lower() not in _CONTAINERS:
            raise ValueError(f"the file must end with one of {' '.join(_CONTAINERS)}")
        return path


class VideoSink:
    """Encodes with libx264, the least effort and one thread: about 3 ms of CPU per 720p picture, drawing included.

    What is in the file can be played at any moment up to the last second, also after a crash or on a full disk.
    """

    Settings = VideoSettings
    suffixes: ClassVar[tuple[str, ...]] = tuple(_CONTAINERS)
    schemes: ClassVar[tuple[str, ...]] = ()
    needs_picture: ClassVar[bool] = True
    delivery: ClassVar[Delivery] = "every"

    def __init__(self, settings: VideoSettings) -> None:
        self.name = settings.path
        self._settings = settings
        self._paths: dict[str, str] = {}
        self._videos: dict[str, _VideoFile] = {}

    @classmethod
    def from_target(cls, target: str) -> VideoSettings:
        """Settings for a path."""
        return parsed(VideoSettings, target, path=target)

    def paths(self) -> Sequence[str]:
        """The path of the settings, and once the sink is open those of the streams."""
        return list(self._paths.values()) or [self._settings.path]

    def open(self, run: RunFacts) -> None:
        """Name the files; they are made with the first picture of each stream. Raises SinkError."""
        for stream in run.streams:
            self._paths[stream.id] = self._settings.path if len(run.streams) == 1 else self._path(stream.id)
        if len(run.streams) > 1:
            path = Path(self._settings.path)
            self.name = str(path.with_stem(f"{path.stem}-{{stream}}"))
        check_folder(self._settings.path)
        refuse_inputs(self.paths(), run)
        prepare()

    def _path(self, stream: str) -> str:
        path = Path(self._settings.path)
        plain = re.sub(r"[^\w.-]+", "_", stream)
        endings = chain([""], (f"-{n}" for n in count(2)))  # for `a/b` beside `a_b`
        paths = (str(path.with_stem(f"{path.stem}-{plain}{ending}")) for ending in endings)
        return next(name for name in paths if name not in self._paths.values())

    def write(self, result: Result) -> None:
        """Draw and append one picture. Raises SinkError."""
        bgr = picture_of(result)
        video = self._videos.get(result.stream)
        if video is None:
            path = self._paths.get(result.stream) or self._paths.setdefault(result.stream, self._path(result.stream))
            video = self._videos[result.stream] = _VideoFile(path, bgr, self._settings)
        video.write(result, bgr)

    def close(self) -> None:
        """Finish all files. Raises SinkError for the first that could not be finished, after finishing the others."""
        errors = []
        for video in self._videos.values():
            try:
                video.close()
            except SinkError as error:
                errors.append(error)
        if errors:
            raise errors[0]


class _Disk(io.FileIO):
    """A file that remembers its first failure and from then on swallows what is written.

    A muxer that meets an error still writes its trailer, and over the head of the file too: on a full disk that would
    make a file unreadable whose first hours are good.
    """

    def __init__(self, path: str) -> None:
        super().__init__(path, "w")
        self.failure: OSError | None = None

    def write(self, data: Any) -> int:
        left = memoryview(data)
        try:
            while left and self.failure is None:
                left = left[super().write(left) or 0 :]
        except OSError as error:
            self.failure = error
        return len(data)


class _VideoFile:
    """One file. After its first failure it takes nothing more, and what it holds up to then can be played."""

    def __init__(self, path: str, first: Bgr, settings: VideoSettings) -> None:
        self._path = path
        self._size = f"{first.shape[1]}x{first.shape[0]}"
        muxer, options = _CONTAINERS[Path(path).suffix.lower()]
        try:
            self._disk = _Disk(path)
        except OSError as error:
            raise file_error(path, error) from error
        self._container = av.open(self._disk, "w", format=muxer, options=options)
        self._video = AnnotatedVideo(self._container, first, settings.crf, settings.fps)
        self._error: SinkError | None = None

    def write(self, result: Result, bgr: Bgr) -> None:
        if self._error is None:
            self._guarded(lambda: self._container.mux(self._video.encode(result, bgr)))
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        failed_before = self._error is not None  # and was reported then
        if not failed_before:
            self._guarded(lambda: self._container.mux(self._video.finish()))
        self._guarded(self._container.close)
        self._disk.close()
        if self._error is not None and not failed_before:
            raise self._error

    def _guarded(self, step: Callable[[], None]) -> None:
        whole = self._disk.tell()
        try:
            step()
        except av.FFmpegError as error:
            self._error = self._error or SinkError(
                f"cannot encode {self._path} from {self._size} pictures: {error.strerror}"
            )
        if self._disk.failure is not None and self._error is None:
            self._disk.truncate(whole)  # a fragment is written in one go, so those before it are whole
            self._error = file_error(self._path, self._disk.failure)
