"""The public surface: all of it resolves, nothing else is there, and importing it costs nothing."""

import subprocess
import sys
from pathlib import Path

import pytest

import vidette

HEAVY = (
    "av",
    "cv2",
    "httpx",
    "matplotlib",
    "numba",
    "numpy",
    "onnxruntime",
    "openvino",
    "pydantic",
    "supervision",
    "yaml",
)
PATHS = [str(Path(__file__).parents[1] / part) for part in ("pipeline", "sinks")]


@pytest.mark.parametrize("name", vidette.__all__)
def test_each_public_name_resolves(name: str) -> None:
    found = getattr(vidette, name)
    assert found.__doc__
    assert found.__module__.startswith("vidette.")


def test_what_is_not_public_is_not_there() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Engine'"):
        vidette.Engine  # noqa: B018
    assert set(vidette._HOMES) == set(vidette.__all__)
    code = "import vidette; print(*[name for name in dir(vidette) if not name.startswith('_')])"
    assert set(_python(code).split()) <= {"TYPE_CHECKING", "Any"}


def test_errors_have_one_root() -> None:
    for name in vidette.__all__:
        if name.endswith("Error"):
            assert issubclass(getattr(vidette, name), vidette.VidetteError)


def test_the_version_is_the_packages() -> None:
    from importlib.metadata import version

    assert vidette.__version__ == version("vidette")


@pytest.mark.parametrize(
    "code",
    [
        "import vidette",
        "import vidette; vidette.VidetteError",
        "from vidette.cli import main\ntry: main(['--help'])\nexcept SystemExit: pass",
        "from vidette.cli import main\ntry: main(['--version'])\nexcept SystemExit: pass",
        "from vidette.cli import main\ntry: main([])\nexcept SystemExit: pass",
    ],
)
def test_little_is_imported_before_it_is_needed(code: str) -> None:
    loaded = _python(code + f"\nimport sys; print('loaded:', *[name for name in {HEAVY} if name in sys.modules])")
    assert loaded.splitlines()[-1] == "loaded:"


def test_a_run_imports_only_what_it_uses(detector: Path, tmp_path: Path) -> None:
    """JSONL through ONNX Runtime: nothing of the other runtime, of the network or of drawing."""
    code = (
        "from vidette.cli import main\n"
        f"main(['run', 'testsrc:?frames=3&size=64x64', '--model', {str(detector)!r}, '--runtime', 'onnx', "
        f"'--sink', {str(tmp_path / 'out.jsonl')!r}, '--quiet'])\n"
        "import sys; print('loaded:', *[name for name in ('openvino', 'supervision', 'matplotlib', 'httpx', 'aiomqtt', "
        "'tqdm', 'PIL') if name in sys.modules])"
    )
    assert _python(code).splitlines()[-1] == "loaded:"
    assert (tmp_path / "out.jsonl").read_text().count("\n") == 3


def _python(code: str) -> str:
    start = f"import sys; sys.path[:0] = {PATHS}\n"
    done = subprocess.run([sys.executable, "-c", start + code], capture_output=True, text=True, timeout=100)
    assert "Traceback" not in done.stderr, done.stderr
    return done.stdout
