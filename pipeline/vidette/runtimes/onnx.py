"""What all providers of ONNX Runtime share: the package, making a session, its errors."""

import importlib.metadata
import importlib.util
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from vidette.errors import ModelError
from vidette.giving_way import unlocked
from vidette.runtimes.base import ModelFile

_SILENT = 4  # log only what is fatal: errors arrive as exceptions, and stderr belongs to the user


def packages() -> list[str]:
    """The installed distributions that provide the module `onnxruntime`. They overwrite each other's files."""
    found = []
    for name in ("onnxruntime", "onnxruntime-gpu"):
        try:
            importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
        found.append(name)
    return found


def package_problem() -> str | None:
    """What is wrong with the installed packages, in one line with the remedy; None when exactly one is whole."""
    found = packages()
    again = "pip uninstall -y onnxruntime onnxruntime-gpu, then pip install"
    if len(found) > 1:
        return (
            "onnxruntime and onnxruntime-gpu are both installed and overwrite each other: "
            f'{again} "vidette[cpu]" or "vidette[gpu]"'
        )
    spec = importlib.util.find_spec("onnxruntime")
    if spec is not None and spec.origin is None:  # a folder without __init__.py: left by uninstalling the other package
        return f'onnxruntime is installed in pieces (its folder is left, its code is gone): {again} "vidette[cpu]"'
    if spec is None:
        return 'ONNX Runtime is not installed: pip install "vidette[cpu]"'
    return None


def import_onnxruntime() -> Any:
    """The module. Raises ModelError when it is missing or what is left of an uninstallation."""
    try:
        import onnxruntime
    except ImportError as error:
        raise ModelError(package_problem() or f"ONNX Runtime cannot be imported: {one_line(error)}") from error
    if not hasattr(onnxruntime, "InferenceSession"):
        raise ModelError(package_problem() or "the installed onnxruntime is empty: install it again")
    return onnxruntime


def one_line(error: BaseException) -> str:
    """The library's message without line breaks and its own prefix, shortened."""
    text = " ".join(str(error).split()).removeprefix("[ONNXRuntimeError] : ")
    return text if len(text) <= 200 else f"{text[:197]}..."


def create(
    model: ModelFile,
    providers: Sequence[str | tuple[str, Mapping[str, str]]],
    threads: int,
    config: Mapping[str, str],
    *,
    arena: bool,
) -> Any:
    """An `InferenceSession` of the model. Raises ModelError with the reason why it cannot be loaded."""
    onnxruntime = import_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = arena
    options.log_severity_level = _SILENT
    for key, value in config.items():
        options.add_session_config_entry(key, value)
    try:
        with model.readable() as path, unlocked():
            return onnxruntime.InferenceSession(path, options, providers=list(providers))
    except Exception as error:  # the library's exceptions share no base of their own
        text = one_line(error)
        if "opset" in text.lower() or "IR version" in text:
            text += "; update onnxruntime, or export with an older opset"
        raise ModelError(f"{model.path}: ONNX Runtime cannot load it: {text}") from error


class Stopper:
    """Ends runs under way: one `RunOptions` per caller, as the flag stays raised."""

    def __init__(self) -> None:
        self._options: list[Any] = []
        self._lock = threading.Lock()
        self.stopped = False

    def run_options(self) -> Any:
        """For one caller, who passes them to each of its runs."""
        options = import_onnxruntime().RunOptions()
        options.log_severity_level = _SILENT
        with self._lock:
            options.terminate = self.stopped
            self._options.append(options)
        return options

    def stop(self) -> None:
        """Runs under way end with an exception; later ones at once."""
        with self._lock:
            self.stopped = True
            for options in self._options:
                options.terminate = True
