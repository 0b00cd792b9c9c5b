"""What a request costs the server beyond decoding its JPEG and running the model, and how many it answers per second.

    python benchmarks/serving.py [--seconds 8] [--repeats 3] [--quick] \\
        [--python-roboflow ROBOFLOW_ENV/bin/python] [--python-litserve LITSERVE_ENV/bin/python]

Beside ours a plain FastAPI + ONNX Runtime server and, where their interpreters are named, the same code behind LitServe
(`_litserve_server.py`) and Roboflow's own inference server (`_roboflow_server.py`). All get the same ONNX file, the
same JPEG and the same requests, and are asked over loopback by a load generator (`_load.py`) that has one core. One
server runs at a time; in each round every server is started anew and warmed up. The limit is measured in turns with
them: decoding the same JPEG and running the same model at the same shape, precision and threads.

Aim: CPU of the server per request <= 1.08x the limit (more than 1.15x is not done); with one client everything but run
and decoding p95 < 5 ms; requests per second >= 1.5x the plain server's and >= 3x Roboflow's; overload is refused within
50 ms while accepted requests finish.

With all four, as above, a run takes about ten minutes. The rivals' environments (Python 3.11):
    roboflow:  pip install "inference-cpu[http]"
    litserve:  pip install litserve onnxruntime opencv-python-headless
"""

import argparse
import base64
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import cv2

sys.path.insert(0, str(Path(__file__).parent))
import _common

from vidette.budget import tune_malloc
from vidette.frame import Picture
from vidette.job import ModelRequest
from vidette.models import load

HERE = Path(__file__).parent


class Limit:
    """Decoding and running alone."""

    def __init__(self, model: Path, jpeg: bytes) -> None:
        import numpy as np

        self._jpeg = np.frombuffer(jpeg, np.uint8)
        self._model = load(ModelRequest("m", model), "adaptive")
        picture = Picture(cv2.imdecode(self._jpeg, cv2.IMREAD_COLOR))
        box = self._model.letterbox(picture.width, picture.height)
        self._buffer = self._model.session.buffer(box.shape)
        self._model.writer().write(picture, box, self._buffer, 0)
        self._model.session.run(self._buffer, 1)
        self.facts = self._model.run_facts(box.shape)

    def decode_wall_ms(self) -> float:
        """Milliseconds of decoding one picture."""
        times = []
        for _ in range(60):
            begin = time.perf_counter()
            cv2.imdecode(self._jpeg, cv2.IMREAD_COLOR)
            times.append(time.perf_counter() - begin)
        return statistics.median(times) * 1e3

    def ms(self, alone: bool, runs: int = 60) -> float:
        """CPU milliseconds of decoding and running one picture.

        `alone` runs it on all cores with pauses between, as for a single client: the runtime's threads spin for a
        while after each run, which back to back costs nothing.
        """
        begin = _common.cpu_seconds()
        for _ in range(runs):
            cv2.imdecode(self._jpeg, cv2.IMREAD_COLOR)
        for _ in range(runs):
            self._model.session.run(self._buffer, 1, alone=alone)
            if alone:
                time.sleep(0.004)
        return (_common.cpu_seconds() - begin) / runs * 1e3


@contextmanager
def server(
    command: list[str], port: int, environment: dict[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A server process, once it listens; all that it has started ends with it."""
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, process_group=0)
        try:
            deadline = time.monotonic() + 120
            while True:
                try:
                    urllib.request.urlopen(f"http://127.0.0.1:{port}/readiness", timeout=10).close()
                    break
                except urllib.error.HTTPError as error:
                    if error.code != 503:  # others have no such path
                        break
                    time.sleep(0.1)
                except OSError:
                    if process.poll() is not None or time.monotonic() > deadline:
                        log.seek(0)
                        raise SystemExit(f"{command[0]} did not start: {log.read().decode()[-2000:]}") from None
                    time.sleep(0.1)
            yield process
        finally:
            process.terminate()
            process.wait(30)
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # LitServe leaves its workers behind, with the socket


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def family(pid: int) -> list[int]:
    """A process and all below it: some servers answer with several."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has ended
            parents[int(path.parent.name)] = int(path.read_text().rsplit(")", 1)[1].split()[1])
    found = [pid]
    for each in found:
        found.extend(child for child, parent in parents.items() if parent == each)
    return found


def cpu_of(process: subprocess.Popen[bytes]) -> float:
    """User and system seconds of a server so far."""
    spent = 0
    for pid in family(process.pid):
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        spent += int(fields[11]) + int(fields[12])
    return spent / os.sysconf("SC_CLK_TCK")


def rss_of(process: subprocess.Popen[bytes]) -> float:
    """MB (10^6 bytes) of memory that a server's processes hold."""
    pages = sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in family(process.pid))
    return round(pages * os.sysconf("SC_PAGE_SIZE") / 1e6, 1)


def asked(process: subprocess.Popen[bytes], url: str, picture: Path, *options: str) -> dict[str, Any]:
    """One load, with the server's CPU per request."""
    before = cpu_of(process)
    command = [sys.executable, str(HERE / "_load.py"), url, str(picture), *options]
    found: dict[str, Any] = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    if process.poll() is not None:
        raise SystemExit(f"the server at {url} has ended by itself")
    spent = cpu_of(process) - before
    found["server_cpu_ms"] = round(spent / max(1, found["requests"]) * 1e3, 3)
    found["rss_mb"] = rss_of(process)
    return found


def warm(url: str, picture: Path) -> int:
    """Ask until it answers; returns how many objects it found."""
    body = {"model_id": "coco/3", "confidence": 0.25, "iou_threshold": 0.45,
            "image": {"type": "base64", "value": base64.b64encode(picture.read_bytes()).decode()}}  # fmt: skip
    count = 0
    for _ in range(5):
        ask = urllib.request.Request(f"{url}/infer/object_detection", json.dumps(body).encode(),
                                     {"Content-Type": "application/json"})  # fmt: skip
        with urllib.request.urlopen(ask, timeout=120) as answer:
            count = len(json.load(answer)["predictions"])
    return count


def contenders(args: argparse.Namespace, port: int) -> dict[str, list[str]]:
    """What starts each server: the rivals in their own interpreters, those that are not named left out."""
    rivals = {
        "plain": (sys.executable, "_plain_server.py"),
        "litserve": (args.python_litserve, "_litserve_server.py"),
        "roboflow": (args.python_roboflow, "_roboflow_server.py"),
    }
    ours = [sys.executable, "-m", "vidette", "serve", "--model", f"coco/3={args.model}", "--port", str(port)]
    return {"vidette": ours} | {
        name: [python, str(HERE / script), str(args.model), str(port)]
        for name, (python, script) in rivals.items()
        if python is not None
    }


@contextmanager
def started(args: argparse.Namespace, name: str) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """One of the servers and its URL."""
    port = free_port()
    with server(contenders(args, port)[name], port) as process:
        yield process, f"http://127.0.0.1:{port}"


def measure(args: argparse.Namespace, picture: Path) -> dict[str, Any]:
    """All loads of all servers, as medians over the rounds."""
    limit = Limit(args.model, picture.read_bytes())
    seconds = ["--seconds", str(args.seconds)]
    samples: dict[tuple[str, int], list[tuple[dict[str, Any], float]]] = {}
    found: dict[str, int] = {}
    overheads: list[float] = []
    for turn in range(args.repeats):
        for name in contenders(args, 0):
            print(f"\r{turn + 1}/{args.repeats} {name:20}", end="", file=sys.stderr, flush=True)
            with started(args, name) as (process, url):
                found[name] = warm(url, picture)
                asked(process, url, picture, "--clients", "8", "--seconds", "2")
                for clients in (1, 8, 64):
                    before = limit.ms(clients == 1)
                    load = asked(process, url, picture, "--clients", str(clients), *seconds)
                    samples.setdefault((name, clients), []).append((load, (before + limit.ms(clients == 1)) / 2))
                if name == "vidette":
                    hub = asked(process, url, picture, "--clients", "1", "--form", "hub", *seconds)
                    overheads.append(round(hub["beyond_run_p95_ms"] - limit.decode_wall_ms(), 2))
    capacity = statistics.median(load["per_s"] for load, _ in samples["vidette", 8])
    with started(args, "vidette") as (process, url):
        warm(url, picture)
        overload = asked(process, url, picture, "--rate", str(capacity * 3), *seconds)
    print(file=sys.stderr)
    rows = []
    for (name, clients), loads in samples.items():
        row = {key: statistics.median(load[key] for load, _ in loads) for key in
               ("per_s", "p50_ms", "p95_ms", "server_cpu_ms", "rss_mb")}  # fmt: skip
        ours = statistics.median(load["per_s"] for load, _ in samples["vidette", clients])
        ratios = [load["server_cpu_ms"] / least for load, least in loads]
        rows.append({
            "server": name, "clients": clients, **row, "ours_to_it": round(ours / row["per_s"], 2),
            "busy_cores": round(row["server_cpu_ms"] * row["per_s"] / 1e3, 2),
            "limit_cpu_ms": round(statistics.median(least for _, least in loads), 3),
            "cpu_ratio": round(statistics.median(ratios), 3), "cpu_ratios": [round(ratio, 3) for ratio in ratios],
            "per_s_all": [load["per_s"] for load, _ in loads], "statuses": [load["statuses"] for load, _ in loads],
        })  # fmt: skip
    rivals = {"roboflow": args.python_roboflow, "litserve": args.python_litserve}
    return {
        "model": args.model.name, "picture": "640x480 JPEG", "run": limit.facts, "objects": found, "rows": rows,
        "overhead_p95_ms": statistics.median(overheads), "overhead_p95_ms_all": overheads,
        "overload": overload, "packages": {name: _common.versions(python) for name, python in rivals.items() if python},
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python-roboflow", metavar="PATH", help="interpreter with Roboflow's inference server")
    parser.add_argument("--python-litserve", metavar="PATH", help="interpreter with LitServe")
    parser.add_argument("--model", type=Path, default=_common.MODELS / "yolo11n.onnx")
    parser.add_argument("--picture", type=Path, default=_common.MEDIA / "bus.jpg")
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="measure little, store nothing")
    args = parser.parse_args()
    if args.quick:
        args.seconds, args.repeats = 2, 1
    cv2.setNumThreads(1)
    tune_malloc()
    with tempfile.TemporaryDirectory() as folder:
        picture = Path(folder) / "640x480.jpg"
        bgr = cv2.resize(cv2.imread(str(args.picture)), (640, 480))
        cv2.imwrite(str(picture), bgr, [cv2.IMWRITE_JPEG_QUALITY, 90])
        results = measure(args, picture)
    head = ["server", "clients", "per_s", "ours_to_it", "p50_ms", "p95_ms", "server_cpu_ms", "cpu_ratio", "rss_mb"]
    print(_common.table([[row[name] for name in head] for row in results["rows"]], head))
    print({key: value for key, value in results.items() if key != "rows"})
    if not args.quick:
        print(f"stored: {_common.save('serving', {'question': __doc__.splitlines()[0], **results}).name}")


if __name__ == "__main__":
    main()
