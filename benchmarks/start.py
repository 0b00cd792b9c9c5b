"""How soon does it answer? CPU and wall seconds from the start of the process.

    python benchmarks/start.py [--repeats 7] [--quick]

`vidette --help`, and the first result of `vidette run` on a 720p clip, as a line on stdout. Once with the numba cache
that a first run leaves (the normal case), once without any (the very first run after an installation).
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import av
from _common import MODELS, children_cpu_seconds, save, table

from vidette.kernels._jit import sources
from vidette.runtimes import RUNTIMES
from vidette.sources import open_source
from vidette.sources.base import SourceOptions

HELP_S, FIRST_S = 0.3, 2.0
VIDETTE = [sys.executable, "-m", "vidette"]


def help_cpu() -> dict[str, float]:
    """CPU and wall seconds of `vidette --help`."""
    begin, cpu = time.monotonic(), children_cpu_seconds()
    subprocess.run([*VIDETTE, "--help"], check=True, stdout=subprocess.DEVNULL)
    return {"cpu_s": children_cpu_seconds() - cpu, "wall_s": time.monotonic() - begin}


def first_result(words: list[str], cache: Path) -> dict[str, float]:
    """CPU and wall seconds until the first line; the run is ended then."""
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(cache)}
    begin = time.monotonic()
    process = subprocess.Popen(
        [*VIDETTE, "run", *words, "--sink", "-", "--quiet"], stdout=subprocess.PIPE, env=environment
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    wall = time.monotonic() - begin
    ticks = Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()[11:13]
    process.kill()
    process.communicate()
    if not line.startswith(b"{"):
        raise SystemExit(f"no result came: {line!r}")
    return {"cpu_s": sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK"), "wall_s": wall}


def clip(path: Path, frames: int) -> str:
    """720p H.264 of the sample picture."""
    source = open_source(
        f"sample:?size=1280x720&frames={frames}", SourceOptions("s", 0, 1, "lossless", threading.Event())
    )
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30, options={"preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = 1280, 720, "yuv420p"
        for frame in source.frames():
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame.picture.bgr(), format="bgr24")))  # type: ignore[union-attr]
        container.mux(stream.encode(None))
    return str(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--model", type=Path, default=MODELS / "yolo11n.onnx")
    parser.add_argument("--quick", action="store_true", help="two repeats; nothing is stored")
    options = parser.parse_args()
    repeats = 2 if options.quick else options.repeats
    load_before = os.getloadavg()
    if not options.model.exists():
        raise SystemExit(f"{options.model} is not there: make fetch, or name another with --model")
    runtimes = [name for name in ("openvino", "onnx") if RUNTIMES[name]().available() is None]
    measured: dict[str, list[dict[str, float]]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        video = clip(folder / "clip.mp4", 60)
        words = {runtime: [video, "--model", str(options.model), "--runtime", runtime] for runtime in runtimes}
        for runtime in runtimes:
            first_result(words[runtime], folder / "warm")  # fills the cache, and the disk's
        for number in range(repeats):
            measured.setdefault("vidette --help", []).append(help_cpu())
            for runtime in runtimes:
                warm = first_result(words[runtime], folder / "warm")
                measured.setdefault(f"first result, {runtime}", []).append(warm)
            if number < 2:  # compiling takes long and varies little
                shutil.rmtree(folder / "cold", ignore_errors=True)
                (folder / "cold" / sources()).mkdir(parents=True)  # else it is filled with what lies beside the kernels
                cold = first_result(words[runtimes[0]], folder / "cold")
                measured.setdefault(f"first result, {runtimes[0]}, no numba cache", []).append(cold)
    rows: list[dict[str, Any]] = []
    for what, repeated in measured.items():
        cpu, wall = (statistics.median(run[key] for run in repeated) for key in ("cpu_s", "wall_s"))
        aim, ok = "", True
        if what == "vidette --help":
            aim, ok = f"CPU < {HELP_S} s", cpu < HELP_S
        elif "no numba" not in what:
            aim, ok = f"wall < {FIRST_S:g} s", wall < FIRST_S
        rows.append({"what": what, "cpu_s": round(cpu, 3), "wall_s": round(wall, 3), "aim": aim, "ok": ok})
    verdict = {True: "ok", False: "MISSED"}
    cells = [[row["what"], row["cpu_s"], row["wall_s"], row["aim"], verdict[row["ok"]]] for row in rows]
    print(table(cells, ["", "CPU s", "wall s", "aim", ""]))
    if not options.quick:
        load = [round(value, 2) for value in load_before]
        stored = save("start", {"model": options.model.name, "repeats": repeats, "load_before": load, "rows": rows})
        print(f"\nstored in {stored}")


if __name__ == "__main__":
    main()
