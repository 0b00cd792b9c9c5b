"""What a model that is being loaded costs the answers of another one.

    python benchmarks/loading.py [--seconds 5] [--repeats 5] [--clients 1] [--quick]

A server answers for one model in a closed loop. In turns, a second model is loaded and unloaded the whole time, or not.
Aim: p99 of the first model's answers moves < 10 %.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import urllib.request
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
import _common
from serving import free_port, server

HERE = Path(__file__).parent


def post(url: str, **fields: str) -> None:
    """A request of an operator."""
    headers = {"Content-Type": "application/json"}
    urllib.request.urlopen(urllib.request.Request(url, json.dumps(fields).encode(), headers), timeout=60).read()


def ask(url: str, picture: Path, clients: int, seconds: float) -> dict[str, Any]:
    """What the load generator measured."""
    command = [sys.executable, str(HERE / "_load.py"), url, str(picture), "--clients", str(clients)]
    command += ["--seconds", str(seconds), "--form", "hosted", "--model", "first/1"]
    found: dict[str, Any] = json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout)
    return found


def main() -> None:
    """Measure, print, store."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--clients", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="measure little, store nothing")
    parser.add_argument("--first", type=Path, default=_common.MODELS / "yolo11n.onnx")
    parser.add_argument("--second", type=Path, default=_common.MODELS / "yolo11s-seg-slider.onnx")
    args = parser.parse_args()
    if args.quick:
        args.seconds, args.repeats = 2, 1
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    rows: dict[str, list[dict[str, Any]]] = {"alone": [], "loading": []}
    loads = 0
    with tempfile.TemporaryDirectory() as folder:
        site = Path(folder) / "site.yaml"
        site.write_text(
            f"models: {{first/1: {{path: {args.first}}}, second/1: {{path: {args.second}}}}}\n"
            f"server: {{port: {port}, preload: [first/1]}}\n"
        )
        with server([sys.executable, "-m", "vidette", "serve", str(site)], port):
            post(f"{url}/model/add", model_id="second/1")  # what is compiled once is compiled now
            post(f"{url}/model/remove", model_id="second/1")
            ask(url, _common.MEDIA / "bus.jpg", args.clients, 1)
            for _ in range(args.repeats):
                rows["alone"].append(ask(url, _common.MEDIA / "bus.jpg", args.clients, args.seconds))
                done = threading.Event()

                def load(done: threading.Event = done) -> None:
                    nonlocal loads
                    while not done.is_set():
                        post(f"{url}/model/add", model_id="second/1")
                        post(f"{url}/model/remove", model_id="second/1")
                        loads += 1

                loader = threading.Thread(target=load)
                loader.start()
                rows["loading"].append(ask(url, _common.MEDIA / "bus.jpg", args.clients, args.seconds))
                done.set()
                loader.join()
    names = ("p50_ms", "p99_ms", "per_s")
    told = {
        kind: {name: statistics.median(row[name] for row in found) for name in names} for kind, found in rows.items()
    }
    ratio = told["loading"]["p99_ms"] / told["alone"]["p99_ms"]
    print(_common.table([[kind, *(round(row[name], 2) for name in names)] for kind, row in told.items()], ["", *names]))
    print(f"p99 while loading / alone: {ratio:.2f} (aim < 1.10), {loads} loads")
    result = {"clients": args.clients, "seconds": args.seconds, "repeats": args.repeats, "loads": loads, "ratio": ratio}
    if not args.quick:
        _common.save("loading", result | told)


if __name__ == "__main__":
    main()
