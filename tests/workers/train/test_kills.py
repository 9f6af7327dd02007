"""A worker killed at any moment, again and again, leaves the model that an unbroken run leaves."""

from __future__ import annotations

import random
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from tests.workers.places import (
    KMEANS,
    LINEAR,
    Place,
    csv_bytes,
    exit_of,
    job,
    recordio_bytes,
    start,
    train,
)
from tidemill.spec.channel import Channel
from tidemill.spec.home import WorkerHome
from tidemill.spec.training_job import TrainingJob

KILLS, LEAST_KILLS = 8, 4
DICE = np.random.default_rng(5)
ROWS = (DICE.normal(size=(400_000, 8)) + DICE.integers(0, 9, (400_000, 1))).astype(np.float32)
LABELS = (ROWS.sum(axis=1) > 32).astype(np.float32)


def clusters(place: Place, name: str, hosts: int) -> TrainingJob:
    for i, part in enumerate(np.array_split(ROWS, 4)):
        place.put(f"k/{i}", recordio_bytes(part))
    asked = {"k": 9, "feature_dim": 8, "epochs": 20, "local_lloyd_tol": 0, "mini_batch_size": 3000}
    channel = Channel("train", "s3://mill/k/", distribution="ShardedByS3Key")
    return job(KMEANS, asked, [channel], name=name, instances=hosts)


def lines(place: Place, name: str, hosts: int) -> TrainingJob:
    place.put("l/rows", csv_bytes(np.c_[LABELS, ROWS][:150_000]))
    place.put("v/rows", csv_bytes(np.c_[LABELS, ROWS][-5_000:]))
    asked = {"predictor_type": "binary_classifier", "epochs": 10, "mini_batch_size": 300}
    asked["early_stopping_patience"] = 99
    channels = [
        Channel("train", "s3://mill/l/", content_type="text/csv", shuffle_seed=3),
        Channel("validation", "s3://mill/v/", content_type="text/csv"),
    ]
    return job(LINEAR, asked, channels, name=name, instances=hosts)


def killed(place: Place, asked: TrainingJob, kills: int, seed: int) -> int:
    """Run a job whose hosts are killed at random moments; how many kills struck."""
    dice = random.Random(seed)
    hosts = [f"algo-{i + 1}" for i in range(asked.instances)]
    homes = {h: place.train_task(asked, h, checkpoint_seconds=0.02) for h in hosts}
    running: dict[str, subprocess.Popen[bytes]] = {h: start("train", homes[h]) for h in hosts}
    struck = 0
    while running:
        host = dice.choice(list(running))
        if struck == kills:
            running[host].wait(timeout=120)
        elif struck % 2:
            until_saved(running[host], homes[host])
        try:
            # From before the worker has read its task to amid its start, or amid its training.
            running[host].wait(timeout=dice.uniform(0.0, 0.05 if struck % 2 else 0.5))
        except subprocess.TimeoutExpired:
            running[host].kill()
            running[host].wait()
            struck += 1
        if done(homes[host]):
            running.pop(host).wait()
        elif running[host].poll() is not None:
            running[host] = start("train", homes[host])
    return struck


def until_saved(process: subprocess.Popen[bytes], home: WorkerHome) -> None:
    """Wait for a new checkpoint, or the end."""
    before = saved(home)
    while saved(home) == before and process.poll() is None:
        time.sleep(0.002)


def saved(home: WorkerHome) -> set[tuple[str, int]]:
    found = set()
    for path in home.checkpoints.glob("**/*"):
        with suppress(FileNotFoundError):
            found.add((path.name, path.stat().st_mtime_ns))
    return found


def done(home: WorkerHome) -> bool:
    if not home.exit.exists():
        return False
    assert exit_of(home) == {"code": 0}, home.failure.read_text()
    return True


@pytest.mark.slow
@pytest.mark.serial
@pytest.mark.parametrize(
    ("make", "hosts"),
    [(lines, 1), (clusters, 2), pytest.param(clusters, 1, marks=pytest.mark.long)],
)
def test_the_artifact_is_the_same_bytes(tmp_path: Path, make: object, hosts: int) -> None:
    assert callable(make)
    calm, rough = Place(tmp_path / "calm"), Place(tmp_path / "rough")
    assert done(train(calm, make(calm, "job", hosts)))
    struck = killed(rough, make(rough, "job", hosts), KILLS, seed=11 + hosts)
    assert struck >= LEAST_KILLS
    assert rough.artifact() == calm.artifact()
    log = rough.home().log.read_text()
    assert "Resuming from a checkpoint" in log
