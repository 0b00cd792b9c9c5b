"""`vidette schema`: the JSON Schema of site files."""

import argparse
import json

from vidette.schema import site_schema


def configure(parser: argparse.ArgumentParser) -> None:
    """Options of `vidette schema`."""
    parser.epilog = """example:
  vidette schema > site.schema.json
then, for editors, as the first line of the site file:
  # yaml-language-server: $schema=site.schema.json"""


def call(args: argparse.Namespace) -> int:
    """Print it."""
    print(json.dumps(site_schema(), indent=2))
    return 0
