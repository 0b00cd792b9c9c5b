"""What a model that is being loaded costs the answers of another one.

    python benchmarks/loading.py [--seconds 26] [--repeats 2] [--clients 1] [--quick]

A server answers for one model in a closed loop: alone; while further models are loaded, one after the other, into
memory that has room for them; and while one is swapped, that is loaded and unloaded again. The three take turns.
Aim: p99 of the first model's answers moves < 10 % while others are loaded.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
import _common
from serving import free_port, server

HERE = Path(__file__).parent
OTHERS = 12  # models that are loaded within one turn, at most
FIGURES = ("p50_ms", "p95_ms", "p99_ms", "per_s")


def post(url: str, **fields: str) -> None:
    """A request of an operator."""
    headers = {"Content-Type": "application/json"}
    urllib.request.urlopen(urllib.request.Request(url, json.dumps(fields).encode(), headers), timeout=120).read()


def ask(url: str, picture: Path, clients: int, seconds: float) -> dict[str, Any]:
    """What the load generator measured."""
    command = [sys.executable, str(HERE / "_load.py"), url, str(picture), "--clients", str(clients)]
    command += ["--seconds", str(seconds), "--form", "hosted", "--model", "first/1"]
    found: dict[str, Any] = json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout)
    return found


@contextmanager
def meanwhile(work: Callable[[], bool]) -> Iterator[list[float]]:
    """`work` again and again in a thread of its own until the block ends or it has no more to do; yields the seconds
    that each took."""
    took: list[float] = []
    done = threading.Event()

    def loop() -> None:
        begin = time.monotonic()
        while not done.is_set() and work():
            took.append(time.monotonic() - begin)
            begin = time.monotonic()

    thread = threading.Thread(target=loop)
    thread.start()
    try:
        yield took
    finally:
        done.set()
        thread.join()


def measure(args: argparse.Namespace, url: str) -> tuple[dict[str, list[dict[str, Any]]], dict[str, list[float]]]:
    """Rows of all turns, and the seconds that loading and swapping took, by kind."""
    rows: dict[str, list[dict[str, Any]]] = {"alone": [], "loading": [], "swapping": []}
    took: dict[str, list[float]] = {kind: [] for kind in rows}
    loaded: list[str] = []

    def load() -> bool:
        if len(loaded) == OTHERS:
            return False
        loaded.append(f"second/{len(loaded) + 1}")
        post(f"{url}/model/add", model_id=loaded[-1])
        return True

    def unload() -> None:
        while loaded:
            post(f"{url}/model/remove", model_id=loaded.pop())

    def swap() -> bool:
        load()
        unload()
        return True

    swap()  # what is compiled once is compiled now
    ask(url, _common.MEDIA / "bus.jpg", args.clients, 2)
    works: dict[str, Callable[[], bool]] = {"alone": lambda: False, "loading": load, "swapping": swap}
    for _ in range(args.repeats):
        for kind, work in works.items():
            with meanwhile(work) as seconds:
                rows[kind].append(ask(url, _common.MEDIA / "bus.jpg", args.clients, args.seconds))
            took[kind] += seconds
            unload()
    return rows, took


def main() -> None:
    """Measure, print, store."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=26, help="loading beside one client takes that long")
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--clients", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="measure little, store nothing")
    parser.add_argument("--first", type=Path, default=_common.MODELS / "yolo11n.onnx")
    parser.add_argument("--second", type=Path, default=_common.MODELS / "yolo11s-seg-slider.onnx")
    args = parser.parse_args()
    if args.quick:
        args.seconds, args.repeats = 3, 1
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        site = Path(folder) / "site.yaml"
        others = "".join(f"  second/{number}: {{path: {args.second}}}\n" for number in range(1, OTHERS + 1))
        site.write_text(
            f"models:\n  first/1: {{path: {args.first}}}\n{others}server: {{port: {port}, preload: [first/1]}}\n"
        )
        with server([sys.executable, "-m", "vidette", "serve", str(site)], port):
            rows, took = measure(args, f"http://127.0.0.1:{port}")
    told = {kind: {name: statistics.median(row[name] for row in found) for name in FIGURES}
            for kind, found in rows.items()}  # fmt: skip
    for kind, row in told.items():
        row["to_alone"] = round(row["p99_ms"] / told["alone"]["p99_ms"], 3)
        row["times"] = len(took[kind])
        row["took_s"] = round(statistics.median(took[kind]), 2) if took[kind] else None
    head = [*FIGURES, "to_alone", "times", "took_s"]
    print(_common.table([[kind, *(row[name] for name in head)] for kind, row in told.items()], ["", *head]))
    print("aim: p99 while loading < 1.10 of alone")
    if not args.quick:
        singles = {f"{kind}_p99_ms_all": [row["p99_ms"] for row in found] for kind, found in rows.items()}
        asked = {"clients": args.clients, "seconds": args.seconds, "repeats": args.repeats}
        name = "loading" if args.clients == 1 else f"loading_{args.clients}_clients"
        stored = _common.save(name, {"question": __doc__.splitlines()[0], **asked, **told, **singles})
        print(f"stored: {stored.name}")


if __name__ == "__main__":
    main()
