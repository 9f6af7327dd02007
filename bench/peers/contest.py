"""What is measured of one server: started, asked, and each answer that counts known to be right."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import psutil

from bench import load, pace
from bench.peers.systems import System
from bench.peers.table import Rows

PACED_CONNECTIONS = 64
OVERHEAD_REQUESTS = 2000
START_SECONDS = 60.0
POLL_SECONDS = 0.005
TOLERANCE = 1e-4
ONE = "1 row"
Case = tuple[str, int]
"""The name of a request's size, and the number of connections."""
Figures = dict[str, float]


@dataclass
class Contestant:
    """A system with what was found of it. trials: setup → requests/s · starts: seconds to the
    first right answer · the others: the figures of each round · failure: why it is out"""

    system: System
    setup: str = ""
    trials: dict[str, float] = field(default_factory=dict)
    starts: list[float] = field(default_factory=list)
    cases: dict[Case, list[Figures]] = field(default_factory=dict)
    memory: list[Figures] = field(default_factory=list)
    paced: list[Figures] = field(default_factory=list)
    overhead: list[Figures] = field(default_factory=list)
    failure: str = ""


@dataclass(frozen=True, slots=True)
class Asked:
    """What every system is asked: rows by their size's name, and the right answers to them."""

    rows: Mapping[str, Rows]
    wanted: Mapping[str, Any]


@contextmanager
def running(contestant: Contestant, setup: str, asked: Asked) -> Iterator[str]:
    """The system started, right and warm: its URL."""
    system = contestant.system
    begun = time.perf_counter()
    try:
        url = system.start(setup)
        _wait(system, url, asked, begun + START_SECONDS)
        contestant.starts.append(time.perf_counter() - begun)
        body = system.body(asked.rows[ONE])
        load.run(url, system.headers(url, body), body, connections=8, seconds=1)
        yield url
    finally:
        system.stop()


def check(system: System, url: str, size: str, asked: Asked) -> None:
    """Raise unless the answer is the model's."""
    body = system.body(asked.rows[size])
    (answer,) = _answers(url, system.headers(url, body), body, 1)
    if answer.status != 200:
        raise RuntimeError(f"{answer.status}: {answer.body[:200]!r}")
    if not system.is_floor:
        off = np.abs(np.array(system.scores(answer.body)) - asked.wanted[size]).max()
        if not off < TOLERANCE:
            raise ValueError(f"{size}: an answer is off by {off}")


def loaded(system: System, url: str, asked: Asked, case: Case, seconds: int) -> Figures:
    """A case under wrk: every connection asks anew as soon as it has its answer.

    ``CPU ms`` of all the server's processes per answer; what was begun and not answered when the
    time was over counts in, which tells where answers are few.
    """
    size, connections = case
    body = system.body(asked.rows[size])
    headers = system.headers(url, body)
    before = _cpu(system.processes())
    found = load.run(url, headers, body, connections=connections, seconds=seconds)
    used = _cpu(system.processes()) - before
    return {
        "requests/s": found.requests_s,
        "p50 ms": found.p50_ms,
        "p99 ms": found.p99_ms,
        "CPU ms": 1e3 * used / max(1.0, found.requests_s * seconds),
        "errors": found.errors,
    }


def paced(system: System, url: str, asked: Asked, rate: float, seconds: int) -> Figures:
    """One row at a fixed rate; ``generator``: the share of a core that the asking took."""
    body = system.body(asked.rows[ONE])
    found = pace.run(
        url,
        system.headers(url, body),
        body,
        rate=rate,
        connections=PACED_CONNECTIONS,
        seconds=seconds,
    )
    return {
        "asked/s": rate,
        "requests/s": found.requests_s,
        "p50 ms": found.p50_ms,
        "p99 ms": found.p99_ms,
        "errors": found.errors,
        "generator": found.busy,
    }


def overhead(system: System, url: str, asked: Asked) -> Figures:
    """What its answers' Server-Timing tells: ms of a request that were not the model's."""
    body = system.body(asked.rows[ONE])
    answers = _answers(url, system.headers(url, body), body, OVERHEAD_REQUESTS)
    told = (answer.headers["Server-Timing"] for answer in answers)
    spent = sorted(float(line.rpartition("overhead;dur=")[2]) for line in told)
    return {"p50 ms": spent[len(spent) // 2], "p99 ms": spent[len(spent) * 99 // 100]}


def memory(processes: Sequence[psutil.Process]) -> Figures:
    """Resident, and proportional: there, a page that several processes share counts once."""
    resident = proportional = 0.0
    for process in processes:
        with suppress(psutil.Error):
            told = process.memory_full_info()
            resident, proportional = resident + told.rss, proportional + told.pss
    return {"processes": len(processes), "RSS MB": resident / 1e6, "PSS MB": proportional / 1e6}


def _wait(system: System, url: str, asked: Asked, until: float) -> None:
    while True:
        try:
            return check(system, url, ONE, asked)
        except (OSError, RuntimeError, ValueError, LookupError) as error:
            if time.perf_counter() > until:
                raise RuntimeError(f"no right answer in {START_SECONDS:.0f} s: {error}") from error
            time.sleep(POLL_SECONDS)


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    body: bytes
    headers: Mapping[str, str]


def _answers(url: str, headers: Mapping[str, str], body: bytes, count: int) -> list[_Answer]:
    """So many, one after the other, over one connection."""
    parts, found = urlsplit(url), []
    connection = HTTPConnection(parts.hostname or "", parts.port, timeout=30)
    try:
        for _ in range(count):
            connection.request("POST", parts.path, body, dict(headers))
            answer = connection.getresponse()
            found.append(_Answer(answer.status, answer.read(), dict(answer.headers.items())))
    finally:
        connection.close()
    return found


def _cpu(processes: Sequence[psutil.Process]) -> float:
    used = 0.0
    for process in processes:
        with suppress(psutil.Error):
            used += sum(process.cpu_times()[:2])
    return used
