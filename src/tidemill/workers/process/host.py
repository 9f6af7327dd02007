"""One host of a processing job: what it is given."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tidemill.errors import Invalid
from tidemill.spec.home import Home, WorkerHome
from tidemill.spec.processing_job import Input, Output, ProcessingJob, from_document
from tidemill.storage.bucket import Buckets
from tidemill.workers import opt_ml
from tidemill.workers.home import Desk
from tidemill.workers.opt_ml import OptMl
from tidemill.workers.script.program import GRACE


@dataclass(frozen=True, slots=True)
class Host:
    """name: algo-1, … · names: of all hosts, sorted · platform: the home of all
    wants_to_stop: true once SIGTERM came · grace: seconds that the command has from then on
    """

    job: ProcessingJob
    home: WorkerHome
    opt_ml: OptMl
    name: str
    names: Sequence[str]
    platform: Home
    desk: Desk
    wants_to_stop: Callable[[], bool]
    grace: float = GRACE

    @property
    def buckets(self) -> Buckets:
        return Buckets(self.platform.buckets)

    @property
    def number(self) -> int:
        """Its place among the hosts, from 0."""
        return list(self.names).index(self.name)

    @property
    def code(self) -> Path:
        """Where the command begins: a directory of its own."""
        return self.home.root / "code"

    @property
    def message(self) -> Path:
        """What the program wants to be known when it has ended (ExitMessage)."""
        return self.home.output / "message"

    def place(self, of: Input | Output) -> Path:
        """Where the files of an input or output lie; raises Invalid."""
        place = self.opt_ml.meant(of.path)
        if place is None or not place.is_relative_to(self.home.processing):
            raise Invalid(
                f"LocalPath of {of.name!r} must be below /opt/ml/processing",
                got=of.path,
                do="Name a directory there.",
            )
        return place


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
        platform=Home(Path(task["buckets"]).parent),
        desk=desk,
        wants_to_stop=wants_to_stop,
        grace=task.get("grace", GRACE),
    )
