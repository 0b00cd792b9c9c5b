"""A load generator in a process of its own: keep-alive connections on raw sockets, which cost it little.

    python benchmarks/_load.py URL PICTURE --clients 8 --seconds 10 [--rate 100] [--form v1|hosted|hub] [--model coco/3]

Closed loop: every client asks again when it has its answer. With --rate requests start at that pace, whatever comes.
It stays on one core, the last that it may use, so that all servers meet it in the same place. Prints one line of JSON.
Answers of the form `hub` tell how long the model ran: what else they took is `beyond_run_p95_ms`.
"""

import argparse
import asyncio
import base64
import json
import os
import statistics
import time
from collections import Counter
from pathlib import Path
from urllib.parse import urlsplit

Answer = tuple[int, float, float]  # status, seconds, those in which the model ran


def request(form: str, model: str, picture: bytes, host: str) -> bytes:
    """The bytes of one request."""
    text = base64.b64encode(picture)
    path, kind, body = f"/{model}?confidence=25&overlap=45", b"application/x-www-form-urlencoded", text
    if form == "v1":
        fields = {"model_id": model, "confidence": 0.25, "iou_threshold": 0.45}
        fields |= {"image": {"type": "base64", "value": text.decode()}}
        path, kind, body = "/infer/object_detection", b"application/json", json.dumps(fields).encode()
    if form == "hub":
        part = b'--x\r\nContent-Disposition: form-data; name="%b"\r\n\r\n%b\r\n'
        file = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n\r\n' + picture
        body = part % (b"model", model.encode()) + file + b"\r\n--x--\r\n"
        path, kind = "/", b"multipart/form-data; boundary=x"
    head = f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(body)}\r\nContent-Type: ".encode()
    return head + kind + b"\r\n\r\n" + body


async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, message: bytes) -> Answer:
    """Send one request, read one answer."""
    begin = time.perf_counter()
    writer.write(message)
    await writer.drain()
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(
        int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")
    )
    body = await reader.readexactly(length)
    took = time.perf_counter() - begin
    ran = json.loads(body)["images"][0]["speed"]["inference"] / 1e3 if b'"speed"' in body else 0.0
    return int(head[9:12]), took, ran


async def closed(host: str, port: int, message: bytes, clients: int, seconds: float) -> list[Answer]:
    """Every client in its own connection, one request after the other."""
    answers: list[Answer] = []
    end = time.perf_counter() + seconds

    async def client() -> None:
        reader, writer = await asyncio.open_connection(host, port)
        while time.perf_counter() < end:
            answers.append(await ask(reader, writer, message))
        writer.close()

    await asyncio.gather(*(client() for _ in range(clients)))
    return answers


async def open_loop(host: str, port: int, message: bytes, rate: float, seconds: float) -> list[Answer]:
    """Requests at a fixed pace, each over a connection that is free."""
    answers: list[Answer] = []
    free: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def one() -> None:
        connection = free.pop() if free else await asyncio.open_connection(host, port)
        answers.append(await ask(*connection, message))
        free.append(connection)

    begin, tasks = time.perf_counter(), []
    for number in range(int(rate * seconds)):
        await asyncio.sleep(max(0.0, begin + number / rate - time.perf_counter()))
        tasks.append(asyncio.create_task(one()))
    await asyncio.gather(*tasks)
    return answers


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url")
    parser.add_argument("picture", type=Path)
    parser.add_argument("--clients", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--rate", type=float)
    parser.add_argument("--form", choices=("v1", "hosted", "hub"), default="v1")
    parser.add_argument("--model", default="coco/3")
    args = parser.parse_args()
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    where = urlsplit(args.url)
    host, port = where.hostname or "127.0.0.1", where.port or 80
    message = request(args.form, args.model, args.picture.read_bytes(), host)
    begin, cpu = time.perf_counter(), time.process_time()
    if args.rate:
        answers = asyncio.run(open_loop(host, port, message, args.rate, args.seconds))
    else:
        answers = asyncio.run(closed(host, port, message, args.clients, args.seconds))
    wall = time.perf_counter() - begin

    def ms(status: bool, quantile: float) -> float | None:
        times = sorted(seconds for code, seconds, _ in answers if (code == 200) == status)
        return round(times[min(len(times) - 1, int(len(times) * quantile))] * 1e3, 2) if times else None

    good = [seconds for code, seconds, _ in answers if code == 200]
    beyond = sorted(seconds - ran for code, seconds, ran in answers if code == 200 and ran)
    print(json.dumps({
        "requests": len(answers), "good": len(good), "wall_s": round(wall, 3), "per_s": round(len(good) / wall, 2),
        "p50_ms": ms(True, 0.5), "p95_ms": ms(True, 0.95),
        "p99_ms": ms(True, 0.99), "refused_p95_ms": ms(False, 0.95),
        "mean_ms": round(statistics.mean(good) * 1e3, 2) if good else None,
        "statuses": dict(Counter(str(code) for code, *_ in answers)),
        "beyond_run_p95_ms": round(beyond[int(len(beyond) * 0.95)] * 1e3, 2) if beyond else None,
        "cpu_s": round(time.process_time() - cpu, 3),
    }))  # fmt: skip


if __name__ == "__main__":
    main()
