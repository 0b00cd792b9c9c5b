"""The command line: one module per command, imported only when it is called."""

import argparse
import importlib
import logging
import sys

from vidette import __version__
from vidette.errors import ConfigError, VidetteError

COMMANDS = {
    "run": "detect objects in videos, pictures and cameras, and send what was found to files and receivers",
    "serve": "answer clients of Roboflow's and Ultralytics' APIs over HTTP, in the same batches as cameras",
    "check": "look for mistakes in a site file without starting anything",
    "models": "what a model file is; fetch models from the catalogue",
    "bench": "what decoding, scaling and running cost on this machine, and so how many cameras fit",
    "schema": "print the JSON Schema of site files",
    "doctor": "name what is missing or doubled in this installation",
}

EXAMPLES = """\
start here:
  vidette models get faces            fetch a small face detector (MIT), used when no --model is given
  vidette run people.mp4              people.jsonl beside the video, a summary at the end
  vidette run people.mp4 --model yolo11n.onnx --sink out.jsonl --sink annotated.mp4
  vidette run site.yaml               many cameras, models and sinks from a file

vidette COMMAND --help tells more about each.
"""


def main(argv: list[str] | None = None) -> int:
    """Entry point; returns the exit code: 0 done, 1 something failed or was lost, 2 wrong usage, 130/143 stopped."""
    try:
        return _call(sys.argv[1:] if argv is None else argv)
    except ConfigError as error:
        print(f"vidette: {error}", file=sys.stderr)
        return 2
    except VidetteError as error:
        print(f"vidette: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        return 1
    except KeyboardInterrupt:  # before a run has begun, or in a command that has nothing to bring to an end
        return 130


def _call(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="vidette",
        description="Cameras and files in, detections out, every frame accounted for.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"vidette {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    chosen = next((word for word in argv if not word.startswith("-")), None)
    for name, summary in COMMANDS.items():
        sub = commands.add_parser(
            name, help=summary, description=summary, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        if name == chosen:
            module = importlib.import_module(f"vidette.cli.{name}")
            module.configure(sub)
            sub.set_defaults(call=module.call)
    args = parser.parse_args(argv)
    logging.basicConfig(level=logging.WARNING, format="vidette: %(message)s", stream=sys.stderr)
    code: int = args.call(args)
    return code
