"""`vidette serve`: answer clients of Roboflow's and Ultralytics' APIs."""

import argparse
import logging
import sys
from dataclasses import replace
from pathlib import Path

from vidette.budget import tune_malloc
from vidette.cli.job_arguments import KEY, named
from vidette.cli.signals import leave
from vidette.cli.summary import summary
from vidette.config import ModelConfig, default_model, parse
from vidette.errors import ConfigError, VidetteError
from vidette.job import Job, ModelRequest
from vidette.server_settings import LOOPBACK, ServerConfig
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
cameras: curl -X POST http://127.0.0.1:9001/streams/ID/stop (or start, restart); GET /streams says which there are
"""

_OPTIONS = {"keys": "--key", "models_folder": "--models"}
"""Fields of the section `server` -> their options, where the names differ."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Options of `vidette serve`."""
    parser.epilog = EPILOG
    parser.add_argument("site", nargs="?", metavar="SITE.yaml", help="a site file with `models:` and `server:`")
    parser.add_argument("--model", action="append", default=[], metavar="ID=FILE|URL",
                        help="a model and the id clients ask for; FILE alone takes the file's name as id; a URL is "
                        f"another server's model, which is asked on (its key: environment variable {KEY})")  # fmt: skip
    parser.add_argument(
        "--models", metavar="FOLDER", help="every ONNX file in a folder is a model, also those that come later"
    )
    parser.add_argument("--host", help="address to listen on; default 127.0.0.1")
    parser.add_argument("--port", type=int, help="port to listen on; default 9001")
    parser.add_argument("--key", action="append", default=[], metavar="KEY",
                        help="an API key that may do everything; a site file can take it from ${NAME}")  # fmt: skip
    parser.add_argument("--access-log", metavar="FILE|-", help="write a line for each request; - is stderr")
    parser.add_argument("--auth", choices=("keys", "none"), help="none: answer everybody, also beyond this machine")
    parser.add_argument("--quiet", action="store_true", help="say nothing unless something is wrong")


def call(args: argparse.Namespace) -> int:
    """Serve until a signal. Returns the exit code."""
    try:
        from vidette.serve.itself import refuse_itself
        from vidette.serve.listening import Listener, serve
        from vidette.serve.server import Server
    except ImportError as error:
        raise ConfigError(f'serving needs {error.name}: pip install "vidette[serve]"') from None
    tune_malloc()
    config, models, job = _settings(args)
    listener = Listener(server := Server(config, models, job))
    refuse_itself(models, listener.addresses)
    if not args.quiet:
        logging.getLogger("vidette.serve").setLevel(logging.INFO)
        print(f"vidette: {listener.url} answers {_whom(config)}", file=sys.stderr)
    try:
        code = serve(listener)
    except VidetteError as error:
        print(f"vidette: {error}", file=sys.stderr)
        code = 1
    if server.engine is not None and server.engine.started is not None and not args.quiet:
        print(summary(server.engine.report()), file=sys.stderr)
    leave(code)
    return code


def _whom(config: ServerConfig) -> str:
    if config.keys:
        return f"holders of {len(config.keys)} keys" if len(config.keys) > 1 else "the holder of one key"
    return "this machine; keys are not asked for" if config.host in LOOPBACK else "everybody; keys are not asked for"


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
    config = parse(
        ServerConfig, config.model_dump() | given, lambda field: _OPTIONS.get(field, "--" + field.replace("_", "-"))
    )
    models += [_model(text) for text in args.model]
    if not models and config.models_folder is None:
        models.append(_model(f"faces={default_model('--model ID=FILE')}"))
    seen: set[str] = set()
    for model in models:
        if model.id in seen:
            raise ConfigError(f"two models are called {model.id}: give each its own id")
        seen.add(model.id)
    return config, models, job


def _model(text: str) -> ModelRequest:
    id, given, source = text.partition("=")
    if not given or "://" in id:  # a URL may have `=` in it
        id, source = "", text
    request = parse(ModelConfig, named(source), lambda field: "--model").request(id, Path())
    return request if id else replace(request, id=request.path.as_posix() if request.endpoint else request.path.stem)
