"""Make the environments of the real clients that some tests run: `make clients`. Standard library only.

Each client has an environment of its own: they pin versions of numpy, OpenCV and aiohttp that suit neither each other
nor this package. What is there already is left alone.

    python tests/clients.py [FOLDER]     default: $VIDETTE_CLIENTS, else ~/.cache/vidette-test-clients
"""

import os
import subprocess
import sys
import venv
from pathlib import Path

DEFAULT = Path(os.environ.get("VIDETTE_CLIENTS") or Path.home() / ".cache" / "vidette-test-clients")

CLIENTS = {
    "sdk": ("inference-sdk==1.8.3", "roboflow==1.7.3"),
    "sdk037": ("inference-sdk==0.37.1",),
    "sdk09": ("inference-sdk==0.9.22",),
}
"""Environment -> what is installed into it."""


def python_of(name: str, folder: Path = DEFAULT) -> Path:
    """The interpreter of one environment."""
    return folder / name / "bin" / "python"


def main(folder: Path) -> int:
    """Make what is missing; the number of environments that could not be made."""
    failures = 0
    for name, packages in CLIENTS.items():
        done = folder / name / ".complete"
        if done.is_file() and done.read_text().split() == list(packages):
            continue
        print(f"{name}: {' '.join(packages)}", flush=True)
        venv.create(folder / name, clear=True, with_pip=True)
        command = [str(python_of(name, folder)), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        if subprocess.run([*command, *packages]).returncode:
            print(f"warning: {name} could not be installed; its tests will skip", file=sys.stderr)
            failures += 1
        else:
            done.write_text("\n".join(packages))
    return failures


if __name__ == "__main__":
    sys.exit(1 if main(Path(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT) else 0)
