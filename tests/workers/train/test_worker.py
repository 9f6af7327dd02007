"""The real training worker, from task.json to exit.json."""

from __future__ import annotations

import gzip
import json
import signal
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.workers.places import (
    KMEANS,
    LINEAR,
    Place,
    csv_bytes,
    events,
    exit_of,
    job,
    recordio_bytes,
    start,
    train,
    train_here,
)
from tidemill.algorithms.kmeans.model import KMeansModel
from tidemill.artifact.archive import MODEL, STATE, extract
from tidemill.artifact.codec import from_bytes
from tidemill.spec.channel import Channel
from tidemill.spec.training_job import MetricDefinition, TrainingJob

CSV = "text/csv;label_size=0"
DICE = np.random.default_rng(3)
ROWS = (DICE.normal(size=(600, 4)) + DICE.integers(0, 3, (600, 1)) * 9).astype(np.float32)
LABELS = (ROWS.sum(axis=1) > 30).astype(np.float32)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def clusters(uri: str, content_type: str | None = None, **more: Any) -> TrainingJob:
    channels = [Channel(name, uri, content_type=content_type) for name in ("train", "test")]
    return job(KMEANS, {"k": 3, "feature_dim": 4}, channels, **more)


def model_of(place: Place, name: str = "job") -> KMeansModel:
    directory = place.root / "opened"
    extract(place.artifact(name), directory)
    return from_bytes(KMeansModel, (directory / MODEL).read_bytes())


def test_a_job_goes_from_objects_to_a_model(place: Place) -> None:
    home = train(place, clusters(place.put("in/rows.pbr", recordio_bytes(ROWS))))
    assert exit_of(home) == {"code": 0}
    assert [e.name for e in events(home, "status")] == ["Downloading", "Training", "Uploading"]
    assert events(home)[-1].message == "s3://mill/out/job/output/model.tar.gz"
    assert events(home)[-1].name == "artifact"
    assert model_of(place).centres.shape == (3, 4)
    assert not home.failure.exists()


def test_metrics_are_told_as_they_are_logged(place: Place) -> None:
    mine = MetricDefinition("mine", r"train msd <loss>=(\S+)")
    uri = place.put("in/rows.csv", csv_bytes(ROWS))
    home = train_here(place, clusters(uri, CSV, metrics=[mine]))
    found = {e.name: e.value for e in events(home, "metric")}
    assert {"train:msd", "test:msd", "train:progress", "mine"} <= set(found)
    assert found["train:progress"] == 100.0
    assert f"test msd <loss>={found['test:msd']!r}" in home.log.read_text()
    assert events(home, "progress")[-1].value == 1.0


def test_csv_and_recordio_make_the_same_model(place: Place) -> None:
    train_here(place, clusters(place.put("in/rows.csv", csv_bytes(ROWS)), CSV, name="a"))
    (place.root / "home").rename(place.root / "before")
    train_here(place, clusters(place.put("in2/rows.pbr", recordio_bytes(ROWS)), name="b"))
    assert place.artifact("a") == place.artifact("b")


def test_the_linear_learner_uses_all_three_channels(place: Place) -> None:
    uri = place.put("in/rows.csv", csv_bytes(np.c_[LABELS, ROWS]))
    channels = [
        Channel(name, uri, content_type="text/csv") for name in ("train", "validation", "test")
    ]
    asked = {"predictor_type": "binary_classifier", "epochs": 3, "num_models": 4}
    home = train_here(place, job(LINEAR, asked, channels))
    assert exit_of(home) == {"code": 0}
    found = {e.name for e in events(home, "metric")}
    assert {"train:objective_loss", "validation:objective_loss"} <= found
    assert "test:binary_classification_accuracy" in found


def test_an_uncompressed_artifact_is_loose_files(place: Place) -> None:
    uri = place.put("in/rows.pbr", recordio_bytes(ROWS))
    home = train_here(place, clusters(uri, compress=False))
    assert events(home)[-1].message == "s3://mill/out/job/output/model/"
    manifest = json.loads(place.buckets.get_bytes("mill", "out/job/output/model/manifest.json"))
    assert (manifest["algorithm"], list(manifest["files"])) == ("kmeans", [MODEL, STATE])


def test_gzip_is_opened_while_reading(place: Place) -> None:
    uri = place.put("in/rows.csv.gz", gzip.compress(csv_bytes(ROWS)))
    channel = Channel("train", uri, content_type=CSV, compression="Gzip")
    home = train_here(place, job(KMEANS, {"k": 3, "feature_dim": 4}, [channel]))
    assert exit_of(home) == {"code": 0}


@pytest.mark.parametrize("hosts", [2, 3])
def test_hosts_train_one_model_and_the_first_uploads_it(place: Place, hosts: int) -> None:
    for i, part in enumerate(np.array_split(ROWS, 5)):
        place.put(f"in/{i}", recordio_bytes(part))
    channel = Channel("train", "s3://mill/in/", distribution="ShardedByS3Key")
    asked = {"k": 3, "feature_dim": 4, "epochs": 4}
    train(place, job(KMEANS, asked, [channel], instances=hosts))
    for i in range(hosts):
        assert exit_of(place.home(f"algo-{i + 1}")) == {"code": 0}
    assert [e.name for e in events(place.home("algo-1"), "note")] == ["artifact"]
    assert events(place.home("algo-2"), "note") == []
    assert events(place.home("algo-2"), "metric") == []
    centres = model_of(place).centres
    near = np.linalg.norm(ROWS[:, None] - centres, axis=2).min(axis=1)
    assert (near**2).mean() < 6


def test_a_host_without_a_share_is_harmless(place: Place) -> None:
    place.put("in/0", recordio_bytes(ROWS))
    channel = Channel("train", "s3://mill/in/", distribution="ShardedByS3Key")
    train(place, job(KMEANS, {"k": 3, "feature_dim": 4}, [channel], instances=2))
    assert exit_of(place.home("algo-2")) == {"code": 0}
    assert model_of(place).centres.shape == (3, 4)


def long_job(place: Place) -> TrainingJob:
    many = np.tile(ROWS, (200, 1))
    place.put("in/a", recordio_bytes(many))
    place.put("in/b", recordio_bytes(many[::-1]))
    channel = Channel("train", "s3://mill/in/", distribution="ShardedByS3Key")
    asked = {"k": 3, "feature_dim": 4, "epochs": 5000, "local_lloyd_tol": 0, "mini_batch_size": 500}
    return job(KMEANS, asked, [channel])


@pytest.mark.serial
def test_sigterm_keeps_what_was_learned(place: Place) -> None:
    home = place.train_task(long_job(place))
    process = start("train", home)
    wait_for_progress(home)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=20) == 0
    assert exit_of(home) == {"code": 0, "stopped": True}
    assert events(home)[-1].name == "artifact"
    assert model_of(place).centres.shape == (3, 4)


@pytest.mark.serial
def test_sigterm_to_one_host_stops_all(place: Place) -> None:
    asked = replace(long_job(place), instances=2)
    homes = [place.train_task(asked, host) for host in ("algo-1", "algo-2")]
    processes = [start("train", home) for home in homes]
    wait_for_progress(homes[0])
    processes[1].send_signal(signal.SIGTERM)
    assert [p.wait(timeout=20) for p in processes] == [0, 0]
    assert [exit_of(h) for h in homes] == [{"code": 0, "stopped": True}] * 2
    assert model_of(place).centres.shape == (3, 4)


@pytest.mark.serial
@pytest.mark.slow
@pytest.mark.parametrize("hosts", [1, 2])
def test_a_run_that_was_stopped_with_the_platform_goes_on_as_if_it_had_not(
    tmp_path: Path, hosts: int
) -> None:
    calm, rough = Place(tmp_path / "calm"), Place(tmp_path / "rough")
    asked = replace(long_job(calm), instances=hosts)
    asked.hyperparameters["epochs"] = "40"
    long_job(rough)
    train(calm, asked)
    names = [f"algo-{i + 1}" for i in range(hosts)]
    homes = [rough.train_task(asked, name) for name in names]
    for _ in range(2):
        processes = [start("train", home) for home in homes]
        wait_for_progress(homes[0])
        for process in processes:
            process.send_signal(signal.SIGTERM)
        assert [p.wait(timeout=20) for p in processes] == [0] * hosts
        assert exit_of(homes[0])["stopped"]
        homes[0].events.unlink()
    train(rough, asked)
    assert exit_of(homes[0]) == {"code": 0}
    assert rough.artifact() == calm.artifact()


@pytest.mark.parametrize("host", ["algo-1", "algo-2"])
def test_a_host_that_fails_fails_the_others_with_its_reason(place: Place, host: str) -> None:
    good, bad = recordio_bytes(ROWS), recordio_bytes(ROWS)[:-3]
    place.put("in/0", bad if host == "algo-1" else good)
    place.put("in/1", bad if host == "algo-2" else good)
    channel = Channel("train", "s3://mill/in/", distribution="ShardedByS3Key")
    train(place, job(KMEANS, {"k": 3, "feature_dim": 4}, [channel], instances=2))
    said = [place.home(h).failure.read_text() for h in ("algo-1", "algo-2")]
    assert said[0] == said[1]
    assert said[0].startswith("ClientError: channel 'train'")


def wait_for_progress(home: Any) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if home.events.exists() and events(home, "progress"):
            return
        time.sleep(0.01)
    raise AssertionError(home.log.read_text())
