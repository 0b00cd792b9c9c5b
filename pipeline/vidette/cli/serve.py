"""`vidette serve`: answer clients of Roboflow's and Ultralytics' APIs."""

import argparse
from pathlib import Path

from vidette.config import ModelConfig, default_model, parse
from vidette.errors import ConfigError
from vidette.job import Job, ModelRequest
from vidette.server_settings import ServerConfig
from vidette.site import SiteFile

EPILOG = """\
examples:
  vidette serve                                                 the installed `faces`, on http://127.0.0.1:9001
  vidette serve --model coco/3=yolo11n.onnx                     clients ask for it as coco/3 (or yolov8n-640)
  vidette serve --models folder/                                a/b.onnx in it is the model a/b
  vidette serve site.yaml                                       cameras, models and `server:` of a file
  vidette serve --host 0.0.0.0 --key "$KEY"                     for the network: every request needs the key

clients: inference_sdk.InferenceHTTPClient(api_url="http://127.0.0.1:9001", api_key=...), the roboflow package,
scripts for Ultralytics HUB, curl; try http://127.0.0.1:9001/ in a browser
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Options of `vidette serve`."""
    parser.epilog = EPILOG
    parser.add_argument("site", nargs="?", metavar="SITE.yaml", help="a site file with `models:` and `server:`")
    parser.add_argument("--model", action="append", default=[], metavar="ID=FILE",
                        help="a model and the id clients ask for; FILE alone takes the file's name as id")  # fmt: skip
    parser.add_argument("--models", metavar="FOLDER", help="every ONNX file in a folder is a model")
    parser.add_argument("--host", help="address to listen on; default 127.0.0.1")
    parser.add_argument("--port", type=int, help="port to listen on; default 9001")
    parser.add_argument("--key", action="append", default=[], metavar="KEY",
                        help="an API key that may do everything; a site file can take it from ${NAME}")  # fmt: skip
    parser.add_argument("--access-log", metavar="FILE|-", help="write a line for each request; - is stderr")
    parser.add_argument("--auth", choices=("keys", "none"), help="none: answer everybody, also beyond this machine")


def call(args: argparse.Namespace) -> int:
    """Serve until a signal. Returns the exit code."""
    try:
        from vidette.serve.server import Server, serve
    except ImportError as error:
        raise ConfigError(f'serving needs {error.name}: pip install "vidette[serve]"') from None
    config, models, job = _settings(args)
    return serve(Server(config, models, job))


def _settings(args: argparse.Namespace) -> tuple[ServerConfig, list[ModelRequest], Job]:
    config, models, job = ServerConfig.model_validate({}), list[ModelRequest](), Job([], [])
    if args.site is not None:
        config, models, job = SiteFile(Path(args.site)).served()
    given = {
        name: value for name in ("host", "port", "auth", "access_log") if (value := getattr(args, name)) is not None
    }
    if args.models is not None:
        given["models_folder"] = args.models
    if args.key:
        scopes = ["infer", "manage", "stream"]
        given["keys"] = [{"name": f"key {n}", "key": key, "scopes": scopes} for n, key in enumerate(args.key, 1)]
    config = parse(ServerConfig, config.model_dump() | given, lambda field: "--" + field.replace("_", "-"))
    models += [_model(text) for text in args.model]
    if config.models_folder is not None:
        models += models_in(Path(config.models_folder))
    if not models:
        models.append(_model(f"faces={default_model('--model ID=FILE')}"))
    seen: set[str] = set()
    for model in models:
        if model.id in seen:
            raise ConfigError(f"two models are called {model.id}: give each its own id")
        seen.add(model.id)
    return config, models, job


def _model(text: str) -> ModelRequest:
    id, _, path = text.rpartition("=")
    id = id or Path(path).stem
    return parse(ModelConfig, {"path": path}, lambda field: "--model").request(id, Path())


def models_in(folder: Path) -> list[ModelRequest]:
    """A model for each ONNX file below a folder. Raises ConfigError when there is none."""
    files = sorted(folder.rglob("*.onnx"))
    if not files:
        raise ConfigError(f"{folder}: no ONNX file there; put models into it, or name one with --model ID=FILE")
    return [_model(f"{file.relative_to(folder).with_suffix('').as_posix()}={file}") for file in files]
