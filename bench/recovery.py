"""How long an endpoint is silent, or the API, when a part is killed with SIGKILL: 20 times each.

Floor: a Python process with NumPy takes 0.1 s to start; the router needs less than that, a replica
its model on top, the control plane botocore's service model (0.25 s).
"""

from __future__ import annotations

import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from tests.end_to_end import processes
from tests.end_to_end.conftest import Platform, start, tidemill

from bench.measure import Row, write
from tidemill.sdk.endpoint import Endpoint, deploy
from tidemill.sdk.train import train

KILLS = 20


def silence(ask: Callable[[], None], part: str, home: Path, draw: random.Random) -> list[float]:
    """Seconds from each kill to the next answer."""
    gaps = []
    while len(gaps) < KILLS:
        time.sleep(draw.uniform(0.3, 0.6))
        ask()
        if not processes.kill(part, home):
            continue
        killed = time.perf_counter()
        while True:
            try:
                ask()
                break
            except (ClientError, BotoCoreError):
                time.sleep(0.002)
        gaps.append(time.perf_counter() - killed)
    return gaps


def worker_gaps(platform: Platform, draw: random.Random) -> list[float]:
    """Seconds from each kill of a training worker to its successor's start."""
    rows = np.random.default_rng(0).normal(size=(300_000, 30)).astype(np.float32)
    gaps: list[float] = []
    while len(gaps) < KILLS:
        job = train("kmeans", rows, k=100, epochs=10, connection=platform.connection)
        while len(gaps) < KILLS and job.status == "InProgress":
            time.sleep(draw.uniform(0.2, 0.5))
            before = {p.pid for p in processes.of("training worker", platform.home)}
            if not processes.kill("training worker", platform.home):
                continue
            killed = time.perf_counter()
            while not {p.pid for p in processes.of("training worker", platform.home)} - before:
                if job.status != "InProgress":
                    break
            else:
                gaps.append(time.perf_counter() - killed)
        job.wait(quiet=True)
    return gaps


def main() -> int:
    home = Path(tempfile.mkdtemp(prefix="tidemill-bench-"))
    platform, draw, rows = start(home), random.Random(0), []
    try:
        points = np.random.default_rng(0).normal(size=(500, 2)).astype(np.float32)
        job = train("kmeans", points, k=3, connection=platform.connection).wait(quiet=True)
        endpoint = deploy(job, connection=platform.connection)
        for part, ask in questions(platform, endpoint).items():
            rows.append(_row(part, silence(ask, part, home, draw)))
        rows.append(_row("training worker", worker_gaps(platform, draw)))
    finally:
        tidemill("down", "--home", str(home))
    write("recovery", rows)
    return 0


def questions(platform: Platform, endpoint: Endpoint) -> dict[str, Callable[[], None]]:
    """What each part is needed for; without retries of the client's own."""
    once = Config(retries={"total_max_attempts": 1})
    runtime = platform.connection.client("sagemaker-runtime")
    control = platform.connection.client("sagemaker")
    for client in (runtime, control):
        client.meta.config.merge(once)

    def invoke() -> None:
        runtime.invoke_endpoint(EndpointName=endpoint.name, Body=b"1,2", ContentType="text/csv")

    return {"router": invoke, "replica": invoke, "control plane": lambda: control.list_models()}


def _row(part: str, gaps: list[float]) -> Row:
    figures = {"kills": len(gaps), "median s": statistics.median(gaps), "worst s": max(gaps)}
    return Row("recovery", f"SIGKILL {part}", "tidemill", figures=figures)


if __name__ == "__main__":
    sys.exit(main())
