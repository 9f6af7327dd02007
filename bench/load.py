"""A load generator for one request sent over and over: wrk where there is one, else our own."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import uvloop

WARM_UP_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Load:
    """requests_s: answered with 200 · p50_ms, p99_ms: latency · errors: all other ends"""

    requests_s: float
    p50_ms: float
    p99_ms: float
    errors: int


def run(
    url: str, headers: Mapping[str, str], body: bytes, *, connections: int, seconds: float
) -> Load:
    """Send the POST for some seconds over so many connections, each waiting for its answer."""
    tool = _wrk if shutil.which("wrk") else _own
    return tool(url, headers, body, connections, seconds)


def _wrk(
    url: str, headers: Mapping[str, str], body: bytes, connections: int, seconds: float
) -> Load:
    with tempfile.TemporaryDirectory() as folder:
        payload, script = Path(folder, "body"), Path(folder, "post.lua")
        payload.write_bytes(body)
        lines = [f"wrk.headers[{json.dumps(n)}] = {json.dumps(v)}" for n, v in headers.items()]
        script.write_text(
            f'local f = io.open("{payload}", "rb"); wrk.body = f:read("*all"); f:close()\n'
            'wrk.method = "POST"\n' + "\n".join(lines) + "\n"
            "done = function(s, l, r) io.write(string.format("
            "'RESULT %f %f %d %d %d\\n', l:percentile(50) / 1000, l:percentile(99) / 1000, "
            "s.requests, s.duration, s.errors.status + s.errors.connect + s.errors.read "
            "+ s.errors.write + s.errors.timeout)) end\n"
        )
        command = ["wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s"]
        command += ["--timeout", "10s", "-s", str(script), url]
        out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = re.search(r"RESULT (\S+) (\S+) (\d+) (\d+) (\d+)", out)
    assert found, out
    p50, p99, count, micros, errors = (float(x) for x in found.groups())
    return Load((count - errors) / (micros / 1e6), p50, p99, int(errors))


def _own(
    url: str, headers: Mapping[str, str], body: bytes, connections: int, seconds: float
) -> Load:
    """In its own process, so that its work is not counted as the server's neighbour in one loop."""
    document = json.dumps(
        {"url": url, "headers": dict(headers), "body": body.hex(), "n": connections, "s": seconds}
    )
    command = [sys.executable, "-m", "bench.load"]
    out = subprocess.run(command, input=document, capture_output=True, text=True, check=True)
    return Load(**json.loads(out.stdout))


class _Sender(asyncio.Protocol):
    def __init__(self, request: bytes, taken: list[tuple[float, float]]) -> None:
        self.request = request
        self.taken = taken
        self.errors = 0
        self.buffer = b""
        self.ended = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: asyncio.Transport = transport  # type: ignore[assignment]
        self.send()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.ended.done():
            self.ended.set_result(None)

    def send(self) -> None:
        self.since = time.perf_counter()
        self.transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head, found, rest = self.buffer.partition(b"\r\n\r\n")
        if not found:
            return
        length = re.search(rb"(?i)content-length: *(\d+)", head)
        if length is None or len(rest) < int(length[1]):
            return
        self.buffer = b""
        now = time.perf_counter()
        if head.startswith(b"HTTP/1.1 200"):
            self.taken.append((now, now - self.since))
        else:
            self.errors += 1
        self.send()


async def _load(
    url: str, headers: Mapping[str, str], body: bytes, connections: int, seconds: float
) -> Load:
    parts = urlsplit(url)
    lines = [f"POST {parts.path} HTTP/1.1", *(f"{n}: {v}" for n, v in headers.items())]
    lines.append(f"Content-Length: {len(body)}")
    request = "\r\n".join(lines).encode() + b"\r\n\r\n" + body
    taken: list[tuple[float, float]] = []
    loop = asyncio.get_running_loop()
    made = [
        await loop.create_connection(
            lambda: _Sender(request, taken),
            parts.hostname,
            parts.port,
            family=socket.AF_INET,
        )
        for _ in range(connections)
    ]
    start = time.perf_counter() + WARM_UP_SECONDS
    await asyncio.sleep(WARM_UP_SECONDS + seconds)
    senders = [sender for _, sender in made]
    lost = sum(sender.ended.done() for sender in senders)
    counted = sorted(took for at, took in taken if at > start)
    for transport, _ in made:
        transport.abort()
    errors = lost + sum(sender.errors for sender in senders)
    if not counted:
        return Load(0.0, 0.0, 0.0, errors)
    p50, p99 = (counted[int(len(counted) * q)] * 1e3 for q in (0.5, 0.99))
    return Load(len(counted) / seconds, p50, p99, errors)


if __name__ == "__main__":
    asked = json.load(sys.stdin)
    load = uvloop.run(
        _load(asked["url"], asked["headers"], bytes.fromhex(asked["body"]), asked["n"], asked["s"])
    )
    json.dump(
        {n: getattr(load, n) for n in ("requests_s", "p50_ms", "p99_ms", "errors")}, sys.stdout
    )
