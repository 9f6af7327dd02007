"""A worker killed in the middle of an epoch's FIFO leaves the model that an unbroken run leaves."""

from __future__ import annotations

import gzip
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.workers.places import Place, csv_bytes, exit_of, start, train
from tests.workers.train.test_kills import (
    KILLS,
    LABELS,
    LEAST_KILLS,
    ROWS,
    clusters,
    done,
    killed,
    lines,
)
from tidemill.spec.training_job import TrainingJob

pytestmark = [pytest.mark.slow, pytest.mark.serial]


def piped_clusters(place: Place, name: str, hosts: int) -> TrainingJob:
    """Objects dealt anew for every epoch."""
    job = clusters(place, name, hosts)
    channels = [replace(c, input_mode="Pipe", shuffle_seed=8) for c in job.channels]
    return replace(job, channels=tuple(channels))


def piped_lines(place: Place, name: str, hosts: int) -> TrainingJob:
    """Gzip, several objects, a validation channel; both channels through pipes."""
    job = lines(place, name, hosts)
    place.buckets.delete("mill", "l/rows")
    table = np.c_[LABELS, ROWS][:150_000]
    for i, part in enumerate(np.array_split(table, 5)):
        place.put(f"l/{i}", gzip.compress(csv_bytes(part), 1))
    channels = [replace(c, input_mode="Pipe") for c in job.channels]
    channels[0] = replace(channels[0], compression="Gzip")
    return replace(job, channels=tuple(channels))


@pytest.mark.parametrize(
    ("make", "hosts"),
    [
        (piped_clusters, 1),
        pytest.param(piped_lines, 1, marks=pytest.mark.long),
        pytest.param(piped_clusters, 2, marks=pytest.mark.long),
    ],
)
def test_the_artifact_is_the_same_bytes(
    tmp_path: Path, make: Callable[[Place, str, int], TrainingJob], hosts: int
) -> None:
    calm, rough = Place(tmp_path / "calm"), Place(tmp_path / "rough")
    assert done(train(calm, make(calm, "job", hosts)))
    struck = killed(rough, make(rough, "job", hosts), KILLS, seed=21 + hosts)
    assert struck >= LEAST_KILLS
    assert rough.artifact() == calm.artifact()
    log = rough.home().log.read_text()
    resumed = [line for line in log.splitlines() if "Resuming from a checkpoint" in line]
    if hosts == 1:  # several save, and meet, at the end of each epoch, which leaves few others
        assert any("offset=0, skip=0" not in line for line in resumed), "in the middle of one"


def test_a_worker_told_to_stop_in_the_middle_of_an_epoch_leaves_its_model(tmp_path: Path) -> None:
    place = Place(tmp_path)
    job = piped_clusters(place, "job", 1)
    job = replace(job, hyperparameters={**job.hyperparameters, "epochs": "10000"})
    home = place.train_task(job)
    process = start("train", home)
    while not list(home.data.glob("train_*")):
        time.sleep(0.01)
    process.terminate()
    assert process.wait(timeout=60) == 0
    assert exit_of(home) == {"code": 0, "stopped": True}
    assert place.artifact()
    assert not list(home.data.glob("train_*"))
