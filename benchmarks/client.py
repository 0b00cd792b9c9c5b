"""What a call of the client costs the process that makes it, beside `inference_sdk`.

    python benchmarks/client.py [--calls 100] [--repeats 9] [--quick]

CPU milliseconds per call, reading and encoding the picture included, blocking and awaited, in both dialects, for a file
and for an array of 640x480. Both clients ask the same server, in turns, each in a process of its own. `inference_sdk`
lives in an environment of its own: `make clients`, or VIDETTE_SDK_PYTHON names its interpreter.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from itertools import product
from pathlib import Path
from typing import Any

import cv2
from _common import MEDIA, MODELS, ROOT, save, table
from serving import free_port, server, warm

sys.path.insert(0, str(ROOT))

from tests.clients import python_of

ASKING = """
import asyncio, sys, time, warnings
warnings.simplefilter("ignore")
package, url, path, awaited, dialect, kind, calls = sys.argv[1:]
from importlib import import_module
client = import_module(package).InferenceHTTPClient(url, "KEY")
client.select_api_v0() if dialect == "v0" else client.select_api_v1()
picture = path
if kind == "array":
    import cv2
    cv2.setNumThreads(1)
    picture = cv2.imread(path)
async def asked(count):
    for _ in range(count):
        if awaited == "awaited":
            await client.infer_async(picture, "coco/3")
        else:
            client.infer(picture, "coco/3")
async def timed(count):
    await asked(5)
    begin = time.process_time()
    await asked(count)
    return (time.process_time() - begin) / count * 1e3
print(asyncio.run(timed(int(calls))))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, default=MODELS / "yolo11n.onnx")
    parser.add_argument("--calls", type=int, default=100)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--quick", action="store_true", help="two repeats; nothing is stored")
    options = parser.parse_args()
    sdk = os.environ.get("VIDETTE_SDK_PYTHON") or str(python_of("sdk"))
    if not Path(sdk).exists():
        print(f"{sdk} is not there: make clients, or VIDETTE_SDK_PYTHON=an interpreter with inference_sdk")
        return
    clients = {"vidette.client": sys.executable, "inference_sdk": sdk}
    load_before = [round(value, 2) for value in os.getloadavg()]
    measured: dict[tuple[str, ...], dict[str, list[float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        picture = Path(folder) / "640x480.jpg"
        bgr = cv2.resize(cv2.imread(str(MEDIA / "bus.jpg")), (640, 480))
        cv2.imwrite(str(picture), bgr, [cv2.IMWRITE_JPEG_QUALITY, 90])
        port = free_port()
        command = [sys.executable, "-m", "vidette", "serve", "--model", f"coco/3={options.model}", "--port", str(port)]
        with server(command, port):
            warm(url := f"http://127.0.0.1:{port}", picture)
            for _ in range(2 if options.quick else options.repeats):
                for case in product(("blocking", "awaited"), ("v0", "v1"), ("file", "array")):
                    for package, python in clients.items():
                        words = [python, "-c", ASKING, package, url, str(picture), *case, str(options.calls)]
                        spent = float(subprocess.run(words, check=True, capture_output=True).stdout)
                        measured.setdefault(case, {}).setdefault(package, []).append(spent)
    rows: list[dict[str, Any]] = []
    for (call, dialect, kind), each in measured.items():
        ours, theirs = ([round(value, 2) for value in each[package]] for package in clients)
        ratio = round(statistics.median(a / b for a, b in zip(ours, theirs, strict=True)), 2)
        row = {"call": call, "dialect": dialect, "picture": kind, "vidette_cpu_ms": statistics.median(ours)}
        row |= {"sdk_cpu_ms": statistics.median(theirs), "ratio": ratio, "vidette_all": ours, "sdk_all": theirs}
        rows.append(row)
    head = ["call", "dialect", "picture", "vidette_cpu_ms", "sdk_cpu_ms", "ratio"]
    print(table([[row[name] for name in head] for row in rows], head))
    if not options.quick:
        facts = {"model": options.model.name, "calls": options.calls, "load_before": load_before}
        print(f"\nstored in {save('client', {**facts, 'rows': rows})}")


if __name__ == "__main__":
    main()
