"""Requests at a fixed rate, whether or not the answers come: latency without coordinated omission.

Each request has its instant, kept by a timer of the kernel's; one that finds no free connection
waits its turn, and its latency counts from its instant all the same (Gil Tene, wrk2).
"""

from __future__ import annotations

import asyncio
import ctypes
import json
import math
import os
import re
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import cast
from urllib.parse import urlsplit

import uvloop

WARM_UP_SECONDS = 0.5
LAST_ANSWERS_SECONDS = 1.0
_LENGTH = re.compile(rb"(?i)content-length: *(\d+)")
_LAST_CHUNK = b"\r\n0\r\n\r\n"
_ABSOLUTE, _MONOTONIC = 1, 1
_FLAGS = os.O_NONBLOCK | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Paced:
    """requests_s: answered with 200 · latencies from each request's instant · errors: all other
    ends · busy: share of a core that the generator took"""

    requests_s: float
    p50_ms: float
    p99_ms: float
    worst_ms: float
    errors: int
    busy: float


def run(
    url: str,
    headers: Mapping[str, str],
    body: bytes,
    *,
    rate: float,
    connections: int,
    seconds: float,
) -> Paced:
    """POST ``rate`` times a second over so many connections, from a process of its own."""
    asked: dict[str, object] = {"url": url, "headers": dict(headers), "body": body.hex()}
    asked |= {"rate": rate, "connections": connections, "seconds": seconds}
    command = [sys.executable, "-m", "bench.pace"]
    out = subprocess.run(
        command, input=json.dumps(asked), capture_output=True, text=True, check=True
    )
    return Paced(**json.loads(out.stdout))


class _Pace:
    """What is due, what is free and what was taken. Instants: seconds of CLOCK_MONOTONIC."""

    def __init__(self, request: bytes, start: float, interval: float) -> None:
        self.request = request
        self.start = start
        self.interval = interval
        self.count = 0
        self.due: deque[float] = deque()
        self.free: list[_Sender] = []
        self.taken: list[tuple[float, float]] = []
        self.errors = 0

    def tick(self, instants: int) -> None:
        """So many more instants have come."""
        for index in range(self.count, self.count + instants):
            instant = self.start + index * self.interval
            if self.free:
                self.free.pop().send(instant)
            else:
                self.due.append(instant)
        self.count += instants

    def answered(self, sender: _Sender, is_good: bool) -> None:
        """A connection is free again."""
        self.errors += not is_good
        if is_good:
            self.taken.append((sender.instant, time.perf_counter() - sender.instant))
        if self.due:
            sender.send(self.due.popleft())
        else:
            self.free.append(sender)


class _Sender(asyncio.Protocol):
    def __init__(self, pace: _Pace) -> None:
        self.pace = pace
        self.instant = 0.0
        self.is_waiting = False
        self.buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.write = cast(asyncio.Transport, transport).write
        self.pace.free.append(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.pace.errors += 1

    def send(self, instant: float) -> None:
        self.instant = instant
        self.write(self.pace.request)

    def data_received(self, data: bytes) -> None:
        data = self.buffer + data
        self.buffer = b"" if _is_whole(data) else data
        if not self.buffer:
            self.pace.answered(self, data.startswith(b"HTTP/1.1 200"))


def _is_whole(answer: bytes) -> bool:
    head = answer.find(b"\r\n\r\n")
    length = _LENGTH.search(answer) if head > 0 else None
    if length is None:
        return answer.endswith(_LAST_CHUNK)
    return len(answer) >= head + 4 + int(length[1])


async def _paced(url: str, request: bytes, rate: float, connections: int, seconds: float) -> Paced:
    parts, loop = urlsplit(url), asyncio.get_running_loop()
    start = time.perf_counter() + WARM_UP_SECONDS
    pace = _Pace(request, start, 1 / rate)
    made = [
        await loop.create_connection(
            lambda: _Sender(pace),
            parts.hostname or "",
            parts.port or 80,
            family=socket.AF_INET,
        )
        for _ in range(connections)
    ]
    timer = _timer(start, 1 / rate)
    loop.add_reader(timer, lambda: pace.tick(int.from_bytes(os.read(timer, 8), sys.byteorder)))
    cpu = time.process_time()
    await asyncio.sleep(WARM_UP_SECONDS * 2 + seconds)
    loop.remove_reader(timer)
    busy = (time.process_time() - cpu) / (WARM_UP_SECONDS + seconds)
    await asyncio.sleep(LAST_ANSWERS_SECONDS)
    waiting = connections - len(pace.free) + len(pace.due)
    first = start + WARM_UP_SECONDS
    counted = sorted(took for at, took in pace.taken if first <= at < first + seconds)
    errors = pace.errors
    for transport, _ in made:
        transport.abort()
    os.close(timer)
    p50, p99, worst = (_quantile(counted, q) * 1e3 for q in (0.5, 0.99, 1.0))
    return Paced(len(counted) / seconds, p50, p99, worst, errors + waiting, busy)


def _quantile(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else math.nan


def _request(url: str, headers: Mapping[str, str], body: bytes) -> bytes:
    parts = urlsplit(url)
    named = {"Host": parts.netloc, **headers, "Content-Length": str(len(body))}
    lines = [f"POST {parts.path} HTTP/1.1", *(f"{n}: {v}" for n, v in named.items())]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class _Moment(ctypes.Structure):
    """struct itimerspec of timerfd_settime(2)."""

    _fields_ = [(n, ctypes.c_long) for n in ("every_s", "every_ns", "first_s", "first_ns")]


def _timer(start: float, interval: float) -> int:
    """A file that becomes readable at each instant; the event loop's own timers count in ms."""
    system = ctypes.CDLL(None, use_errno=True)
    file: int = system.timerfd_create(_MONOTONIC, _FLAGS)
    every, first = divmod(round(interval * 1e9), 10**9), divmod(round(start * 1e9), 10**9)
    if system.timerfd_settime(file, _ABSOLUTE, ctypes.byref(_Moment(*every, *first)), None):
        raise OSError(ctypes.get_errno(), "timerfd_settime")
    return file


if __name__ == "__main__":
    given = json.load(sys.stdin)
    wire = _request(given["url"], given["headers"], bytes.fromhex(given["body"]))
    found = _paced(given["url"], wire, given["rate"], given["connections"], given["seconds"])
    json.dump(asdict(uvloop.run(found)), sys.stdout)
