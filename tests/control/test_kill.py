"""SIGKILL of the control plane at random moments: nothing acknowledged is lost, nothing doubled."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.control.mill import REGION, Mill
from tidemill.control import endpoint, training_job
from tidemill.spec.endpoint_config import ProductionVariant
from tidemill.store.base import Row

ROOT = Path(__file__).parents[2]
KILLS = 12


@contextmanager
def control(mill: Mill) -> Iterator[subprocess.Popen[bytes]]:
    """A control plane in its own process, killed at the end."""
    command = [sys.executable, "-m", "tests.control.loop", str(mill.root)]
    with subprocess.Popen(command, cwd=ROOT) as process:
        try:
            yield process
        finally:
            process.kill()


def until(mill: Mill, name: str, kind: str, *statuses: str) -> Row:
    """The row once it stands so, by the work of the other process."""

    def there() -> Row | None:
        row = mill.verbs.describe(kind, REGION, name)
        return row if row.status in statuses else None

    row: Row = mill.until(there, tick=False)
    return row


@pytest.mark.serial
@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_the_control_plane_may_be_killed_at_any_moment(mill: Mill, seed: int) -> None:
    dice = random.Random(seed)
    for i in range(KILLS):
        with control(mill):
            time.sleep(0.3)  # until it has started, more or less
            mill.train(f"job-{i}", steps=dice.randrange(1, 60), instances=dice.choice([1, 1, 2]))
            if i % 4 == 0:
                mill.serve(f"mill-{i}", count=dice.choice([1, 2]))
            if i % 4 == 2:
                endpoint.delete(mill.verbs, REGION, f"mill-{i - 2}")
            time.sleep(dice.random() * 0.25)
    with control(mill):
        for i in range(KILLS):
            row = until(mill, f"job-{i}", "training_job", "Completed")
            state = row.document["state"]
            assert state["progress"] == 1.0
            for host in Path(state["home"]).glob("algo-*"):
                assert not (host / "DOUBLED").exists()
                # A job whose control plane dies is not disturbed by that.
                assert (host / "attempts").read_text().split() == ["1"], row.name
        for i in range(0, KILLS, 4):
            mill.until(lambda n=f"mill-{i}": gone(mill, n), tick=False)
        assert list(mill.home.endpoints.glob("*/*")) == []
    assert left_running(mill) == []


@pytest.mark.serial
@pytest.mark.slow
def test_everything_may_be_killed_at_any_moment(mill: Mill) -> None:
    """The control plane, the workers and the replicas, in turn; one endpoint rolls over."""
    dice = random.Random(3)
    mill.serve("mill", count=2)
    mill.config("newer", ProductionVariant("main", "newer-model", 2))
    mill.train("job", steps=400)
    for i in range(KILLS):
        with control(mill):
            time.sleep(0.3 + dice.random() * 0.2)
            if i == KILLS // 2:
                until(mill, "mill", "endpoint", "InService")
                endpoint.update(mill.verbs, REGION, "mill", "newer", {})
            rows = [mill.job("job"), mill.endpoint("mill")]
            victims = [h for row in rows for h in mill.handles(row)]
            if victims:
                kill(dice.choice(victims))
            time.sleep(dice.random() * 0.1)
    with control(mill):
        job = until(mill, "job", "training_job", "Completed")
        row = mill.until(lambda: settled(mill.endpoint("mill")), tick=False)
        assert row.document["state"]["config"] == "newer"
        assert list(mill.root.glob("*/*/*/*/DOUBLED")) == []
        assert job.document["state"]["metrics"][0]["Value"] == 400
        # The last kill may come to light after all had seemed settled.
        mill.until(lambda: len(mill.routes()["mill"].variants[0].replicas) == 2, tick=False)


def test_a_stop_before_the_kill_is_kept(mill: Mill) -> None:
    mill.train("job", steps=100_000)
    mill.until_job("job", "Training")
    training_job.stop(mill.verbs, REGION, "job")
    mill.restart()
    mill.until_job("job", "Stopped")


def left_running(mill: Mill) -> list[str]:
    """Command lines of workers of this home that still run."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            line = path.read_bytes().decode(errors="replace").replace("\0", " ")
            if str(mill.root) in line and "dummy_" in line:
                found.append(line)
    return found


def gone(mill: Mill, name: str) -> bool:
    row = mill.store.get("endpoint", REGION, name)
    if row is not None and row.status in ("InService", "Failed"):
        endpoint.delete(mill.verbs, REGION, name)
    return row is None


def settled(row: Row) -> Row | None:
    replicas = row.document["state"]["replicas"].values()
    right = [r for r in replicas if r["generation"] == 2 and r["ready"]]
    return row if row.status == "InService" and len(replicas) == len(right) == 2 else None


def kill(handle: str) -> None:
    pid = int(handle.split(":")[0])
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
