"""Requests at a fixed rate, whether or not the answers come: latency without coordinated omission.

Each request has its instant, kept by a timer of the kernel's; one that finds no free connection
waits its turn, and its latency counts from its instant all the same (Gil Tene, wrk2).
"""

from __future__ import annotations

import ctypes
import gc
import json
import math
import os
import re
import select
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from urllib.parse import urlsplit

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
    """One loop over the timer and the connections, with as little between as Python has.

    Instants: seconds of CLOCK_MONOTONIC.
    """

    def __init__(self, url: str, request: bytes, rate: float, connections: int) -> None:
        parts = urlsplit(url)
        address = parts.hostname or "", parts.port or 80
        self.request = request
        self.interval = 1 / rate
        self.sockets = [socket.create_connection(address) for _ in range(connections)]
        self.free = [each.fileno() for each in self.sockets]
        self.instants: dict[int, float] = {}  # of those that wait for their answer
        self.parts: dict[int, bytes] = {}  # of answers that are not whole yet
        self.due: deque[float] = deque()
        self.taken: list[tuple[float, float]] = []
        self.errors = 0

    def run(self, start: float, end: float) -> None:
        """Ask at every instant between, and wait a second for the last answers."""
        timer, ready, count = _timer(start, self.interval), select.epoll(), 0
        for file in (timer, *self.free):
            ready.register(file, select.EPOLLIN)
        while (now := time.perf_counter()) < end + LAST_ANSWERS_SECONDS:
            if now > end and not self.instants and not self.due:
                break
            for file, _ in ready.poll(0.1):
                if file != timer:
                    self.receive(file, ready)
                    continue
                come = int.from_bytes(os.read(timer, 8), sys.byteorder)
                instants = (start + i * self.interval for i in range(count, count + come))
                self.due.extend(instant for instant in instants if instant < end)
                count += come
            while self.due and self.free:
                self.send(self.free.pop())
        os.close(timer)

    def send(self, file: int) -> None:
        """The next request that is due."""
        self.instants[file] = self.due.popleft()
        if os.write(file, self.request) != len(self.request):
            raise OSError("a request that fits a socket's buffer is needed")

    def receive(self, file: int, ready: select.epoll) -> None:
        """More of an answer, or the end of a connection."""
        more = b""
        with suppress(ConnectionError):
            more = os.read(file, 65536)
        answer = self.parts.pop(file, b"") + more
        if more and not _is_whole(answer):
            self.parts[file] = answer
            return
        instant = self.instants.pop(file, 0.0)
        if answer.startswith(b"HTTP/1.1 200") and more:
            self.taken.append((instant, time.perf_counter() - instant))
        else:
            self.errors += 1
        if more:
            self.free.append(file)
        else:
            ready.unregister(file)
            self.free = [each for each in self.free if each != file]


def _is_whole(answer: bytes) -> bool:
    head = answer.find(b"\r\n\r\n")
    length = _LENGTH.search(answer) if head > 0 else None
    if length is None:
        return answer.endswith(_LAST_CHUNK)
    return len(answer) >= head + 4 + int(length[1])


def _paced(url: str, request: bytes, rate: float, connections: int, seconds: float) -> Paced:
    pace = _Pace(url, request, rate, connections)
    gc.disable()  # what is noted grows by the request: each look at it would be a pause of ours
    start = time.perf_counter() + 0.01
    first, end = start + WARM_UP_SECONDS, start + WARM_UP_SECONDS + seconds
    cpu = time.process_time()
    pace.run(start, end)
    busy = (time.process_time() - cpu) / (end - start)
    counted = sorted(took for at, took in pace.taken if at >= first)
    p50, p99, worst = (_quantile(counted, q) * 1e3 for q in (0.5, 0.99, 1.0))
    errors = pace.errors + len(pace.instants) + len(pace.due)
    return Paced(len(counted) / seconds, p50, p99, worst, errors, busy)


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
    """A file that becomes readable at each instant; epoll's own patience is counted in ms."""
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
    json.dump(asdict(found), sys.stdout)
