"""What a request costs the server beyond decoding its JPEG and running the model, and how many it answers per second.

    python benchmarks/serving.py [--seconds 8] [--repeats 3]

The server runs in a process of its own and is asked over loopback by another (`_load.py`). The limit is measured in
turns with it: decoding the same JPEG and running the same model at the same shape, precision and threads. Beside it a
plain FastAPI + ONNX Runtime server, and optionally Roboflow's own.

Aim: CPU of the server per request <= 1.08x the limit (more than 1.15x is not done); with one client everything but run
and decoding p95 < 5 ms; requests per second >= 1.5x the plain server's and >= 3x Roboflow's; overload is refused within
50 ms while accepted requests finish.
"""

import argparse
import base64
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2

sys.path.insert(0, str(Path(__file__).parent))
import _common

from vidette.frame import Picture
from vidette.job import ModelRequest
from vidette.models import load
from vidette.pixels.slot import SlotWriter

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
        SlotWriter(self._model.preprocess).write(picture, box, self._buffer, 0)
        self._model.session.run(self._buffer, 1)
        self.facts = self._model.run_facts(box.shape)

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
    """A server process, once it listens."""
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
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


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def cpu_of(process: subprocess.Popen[bytes]) -> float:
    """User and system seconds of a process so far."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rss_of(process: subprocess.Popen[bytes]) -> float:
    pages = int(Path(f"/proc/{process.pid}/statm").read_text().split()[1])
    return round(pages * os.sysconf("SC_PAGE_SIZE") / 1e6, 1)


def asked(process: subprocess.Popen[bytes], url: str, picture: Path, *options: str) -> dict[str, Any]:
    """One load, with the server's CPU per request."""
    before = cpu_of(process)
    command = [sys.executable, str(HERE / "_load.py"), url, str(picture), *options]
    found: dict[str, Any] = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=_common.MODELS / "yolo11n.onnx")
    parser.add_argument("--picture", type=Path, default=_common.MEDIA / "bus.jpg")
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as folder:
        picture = Path(folder) / "640x480.jpg"
        bgr = cv2.resize(cv2.imread(str(args.picture)), (640, 480))
        cv2.imwrite(str(picture), bgr, [cv2.IMWRITE_JPEG_QUALITY, 90])
        results = measure(args, picture)
    rows = [
        [row["server"], row["clients"], row["per_s"], row["p50_ms"], row["p95_ms"], row["server_cpu_ms"],
         row.get("cpu_ratio"), row["rss_mb"]]
        for row in results["rows"]
    ]  # fmt: skip
    print(_common.table(rows, ["server", "clients", "per s", "p50 ms", "p95 ms", "CPU ms", "to limit", "RSS MB"]))
    print({key: value for key, value in results.items() if key != "rows"})
    print(f"stored: {_common.save('serving', {'question': __doc__.splitlines()[0], **results}).name}")


def measure(args: argparse.Namespace, picture: Path) -> dict[str, Any]:
    limit = Limit(args.model, picture.read_bytes())
    ours, plain = free_port(), free_port()
    serve = [sys.executable, "-m", "vidette", "serve", "--model", f"coco/3={args.model}", "--port", str(ours)]
    plainly = [sys.executable, str(HERE / "_plain_server.py"), str(args.model), str(plain)]
    seconds = str(args.seconds)
    samples: dict[tuple[str, int], list[tuple[dict[str, Any], float]]] = {}
    with server(serve, ours) as vidette, server(plainly, plain) as other:
        servers = {"vidette": (vidette, f"http://127.0.0.1:{ours}"), "plain": (other, f"http://127.0.0.1:{plain}")}
        found = {name: warm(url, picture) for name, (_, url) in servers.items()}
        for _ in range(args.repeats):
            for clients in (1, 8, 64):
                for name, (process, url) in servers.items():
                    before = limit.ms(clients == 1)
                    load = asked(process, url, picture, "--clients", str(clients), "--seconds", seconds)
                    samples.setdefault((name, clients), []).append((load, (before + limit.ms(clients == 1)) / 2))
        capacity = statistics.median(load["per_s"] for load, _ in samples["vidette", 8])
        process, url = servers["vidette"]
        overload = asked(process, url, picture, "--rate", str(capacity * 3), "--seconds", seconds)
    rows = []
    for (name, clients), loads in samples.items():
        row = {key: statistics.median(load[key] for load, _ in loads) for key in
               ("per_s", "p50_ms", "p95_ms", "server_cpu_ms", "rss_mb")}  # fmt: skip
        ratios = [load["server_cpu_ms"] / least for load, least in loads]
        rows.append({
            "server": name, "clients": clients, **row,
            "limit_cpu_ms": round(statistics.median(least for _, least in loads), 3),
            "cpu_ratio": round(statistics.median(ratios), 3), "cpu_ratios": [round(ratio, 3) for ratio in ratios],
        })  # fmt: skip
    return {
        "model": args.model.name, "picture": "640x480 JPEG", "run": limit.facts, "objects": found, "rows": rows,
        "overload": overload,
    }  # fmt: skip


if __name__ == "__main__":
    main()
