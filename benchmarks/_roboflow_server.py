"""Roboflow's own HTTP server around an ONNX file on disk, without its hub, in its interpreter.

    python benchmarks/_roboflow_server.py MODEL PORT

What its Docker image for CPUs starts: one process of uvicorn around `HttpInterface`, with the settings it has by
itself. Only what would reach for the network is turned off, and a folder may be a model: `coco/3`, below the working
directory.
"""

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from _roboflow_package import write_package

QUIET = {
    "API_LOGGING_ENABLED": "False",
    "LOG_LEVEL": "ERROR",
    "METRICS_ENABLED": "False",
    "OFFLINE_MODE": "True",
    "TELEMETRY_OPT_OUT": "True",
}


def app() -> Any:
    """The application; reads the environment as it is imported."""
    from inference.core.interfaces.http.http_api import HttpInterface
    from inference.core.managers.base import ModelManager
    from inference.core.managers.decorators.fixed_size_cache import WithFixedSizeCache
    from inference.core.registries.roboflow import RoboflowModelRegistry
    from inference.models.utils import ROBOFLOW_MODEL_TYPES

    manager = ModelManager(model_registry=RoboflowModelRegistry(ROBOFLOW_MODEL_TYPES))
    return HttpInterface(WithFixedSizeCache(manager, max_size=8)).app


def main(model: str, port: int) -> None:
    """Serve until terminated."""
    sys.path.remove(str(Path(__file__).resolve().parent))  # its imports must not find our scripts
    with tempfile.TemporaryDirectory() as folder:
        package = Path(folder, "coco", "3")
        package.mkdir(parents=True)
        for page in ("static", "_next/static"):  # its start page, which the package lacks and it insists on
            Path(folder, "inference/landing/out", page).mkdir(parents=True)
        write_package(package, model, 640)
        os.chdir(folder)
        os.environ |= {**QUIET, "MODEL_CACHE_DIR": f"{folder}/cache"}
        os.environ["ALLOW_INFERENCE_MODELS_DIRECTLY_ACCESS_LOCAL_PACKAGES"] = "True"
        import uvicorn

        uvicorn.run(app(), host="127.0.0.1", port=port, log_level="error")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
