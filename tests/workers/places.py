"""A platform of one directory for the tests of workers: S3, homes, and the real processes."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tidemill.data.recordio.encode import records
from tidemill.spec.channel import Channel
from tidemill.spec.event import Event, from_line
from tidemill.spec.home import WorkerHome
from tidemill.spec.training_job import MetricDefinition, TrainingJob
from tidemill.storage.bucket import Buckets
from tidemill.workers.train.__main__ import main

BUCKET = "mill"
KMEANS = "382416733822.dkr.ecr.us-east-1.amazonaws.com/kmeans:1"
LINEAR = "382416733822.dkr.ecr.us-east-1.amazonaws.com/linear-learner:1"
# A third of the machine's threads would do: the tests' own processes share it.
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def csv_bytes(table: np.ndarray[Any, Any]) -> bytes:
    return b"".join(b",".join(b"%.9g" % v for v in row) + b"\n" for row in table.tolist())


def recordio_bytes(
    features: np.ndarray[Any, Any], labels: np.ndarray[Any, Any] | None = None
) -> bytes:
    return b"".join(records(features, labels))


@dataclass(frozen=True, slots=True)
class Place:
    """S3 under ``root/s3``, worker homes beside it."""

    root: Path

    @property
    def buckets(self) -> Buckets:
        return Buckets(self.root / "s3")

    def put(self, key: str, data: bytes) -> str:
        """The URI of a new object in the bucket ``mill``."""
        if not (self.root / "s3" / BUCKET).exists():
            self.buckets.create(BUCKET, "us-east-1")
        self.buckets.put_bytes(BUCKET, key, data)
        return f"s3://{BUCKET}/{key}"

    def home(self, host: str = "algo-1") -> WorkerHome:
        return WorkerHome(self.root / "home" / host)

    def write_task(self, home: WorkerHome, task: Mapping[str, Any]) -> WorkerHome:
        home.root.mkdir(parents=True, exist_ok=True)
        common = {"buckets": str(self.root / "s3"), "wake": str(self.root / "nobody.sock")}
        home.task.write_text(json.dumps({**common, **task}))
        return home

    def train_task(self, job: TrainingJob, host: str = "algo-1", **more: object) -> WorkerHome:
        """The home of a host with its task written."""
        hosts = [f"algo-{i + 1}" for i in range(job.instances)]
        task = {
            "kind": "train",
            "job": asdict(job),
            "host": host,
            "hosts": hosts,
            "shared": str(self.root / "shared"),
            "attempt": 1,
            **more,
        }
        return self.write_task(self.home(host), task)

    def artifact(self, name: str = "job") -> bytes:
        return self.buckets.get_bytes(BUCKET, f"out/{name}/output/model.tar.gz")


def job(
    image: str,
    hyperparameters: Mapping[str, object],
    channels: Sequence[Channel],
    *,
    name: str = "job",
    instances: int = 1,
    metrics: Sequence[MetricDefinition] = (),
    compress: bool = True,
) -> TrainingJob:
    return TrainingJob(
        name=name,
        arn=f"arn:aws:sagemaker:us-east-1:123456789012:training-job/{name}",
        region="us-east-1",
        image=image,
        hyperparameters={k: str(v) for k, v in hyperparameters.items()},
        channels=tuple(channels),
        output_uri=f"s3://{BUCKET}/out/",
        instances=instances,
        metric_definitions=tuple(metrics),
        compress=compress,
    )


def start(worker: str, home: WorkerHome) -> subprocess.Popen[bytes]:
    """The real process, as the engine starts it."""
    with home.log.open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", f"tidemill.workers.{worker}", str(home.root)],
            cwd=home.root,
            env=ENVIRONMENT,
            stdout=log,
            stderr=log,
        )


def train(place: Place, job: TrainingJob) -> WorkerHome:
    """Run all hosts of a job to their end."""
    homes = [place.train_task(job, f"algo-{i + 1}") for i in range(job.instances)]
    processes = [start("train", home) for home in homes]
    for process in processes:
        process.wait(timeout=60)
    return homes[0]


def train_here(place: Place, job: TrainingJob) -> WorkerHome:
    """The same for a job of one host, in this process: quicker."""
    home = place.train_task(job)
    before = signal.getsignal(signal.SIGTERM)
    try:
        with home.log.open("a") as log, contextlib.redirect_stdout(log):
            main(home.root)
    finally:
        signal.signal(signal.SIGTERM, before)
    return home


def events(home: WorkerHome, kind: str = "") -> list[Event]:
    found = [from_line(line) for line in home.events.read_text().splitlines()]
    return [e for e in found if not kind or e.kind == kind]


def exit_of(home: WorkerHome) -> dict[str, Any]:
    record: dict[str, Any] = json.loads(home.exit.read_text())
    return record
