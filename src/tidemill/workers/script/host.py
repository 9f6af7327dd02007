"""One host of a job that runs a user's program: what it is given, and what it says."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tidemill.spec.channel import Channel
from tidemill.spec.home import Home, WorkerHome
from tidemill.spec.training_job import TrainingJob, from_document
from tidemill.storage.bucket import Buckets
from tidemill.workers import opt_ml
from tidemill.workers.home import Desk
from tidemill.workers.opt_ml import OptMl
from tidemill.workers.script.program import GRACE


@dataclass(frozen=True, slots=True)
class Host:
    """name: algo-1, … · names: of all hosts, sorted · shared: their common directory
    wants_to_stop: true once SIGTERM came · grace: seconds that the program has from then on
    """

    job: TrainingJob
    home: WorkerHome
    opt_ml: OptMl
    name: str
    names: Sequence[str]
    shared: Path
    platform: Home
    desk: Desk
    wants_to_stop: Callable[[], bool]
    grace: float = GRACE

    @property
    def buckets(self) -> Buckets:
        return Buckets(self.platform.buckets)

    @property
    def leads(self) -> bool:
        """Whether this is the one that uploads what all of them have made."""
        return self.name == self.names[0]

    @property
    def code(self) -> Path:
        """Where the job's source is unpacked."""
        return self.home.root / "code"

    @property
    def data_output(self) -> Path:
        """What goes to output.tar.gz."""
        return self.home.output / "data"

    @property
    def intermediate(self) -> Path:
        """What goes to S3 while the program runs."""
        return self.home.output / "intermediate"


def from_task(
    home: WorkerHome, task: Mapping[str, Any], desk: Desk, wants_to_stop: Callable[[], bool]
) -> Host:
    """The host that a task.json describes."""
    return Host(
        job=from_document(task["job"]),
        home=home,
        opt_ml=opt_ml.of(home.root),
        name=task["host"],
        names=tuple(task["hosts"]),
        shared=Path(task["shared"]),
        platform=Home(Path(task["buckets"]).parent),
        desk=desk,
        wants_to_stop=wants_to_stop,
        grace=task.get("grace", GRACE),
    )


def is_dealt(channel: Channel) -> bool:
    """Whether each host gets a share of a channel's objects."""
    return channel.distribution == "ShardedByS3Key"


def say(text: str, level: str = "INFO") -> None:
    """A line of the job's log, stamped as those of SageMaker's containers."""
    stamp = time.strftime("%m/%d/%Y %H:%M:%S", time.gmtime())
    print(f"[{stamp} {level} {os.getpid()}] {text}", flush=True)
