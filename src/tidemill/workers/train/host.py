"""One host of a training job: what it is given to work with."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tidemill.spec.home import WorkerHome
from tidemill.spec.training_job import TrainingJob, from_document
from tidemill.storage.bucket import Buckets
from tidemill.workers.checkpoint import LEAST_PAUSE, fingerprint
from tidemill.workers.home import Desk, write_json


@dataclass(frozen=True, slots=True)
class Host:
    """name: algo-1, … · names: of all hosts, in the order of merging · shared: their common
    directory · wants_to_stop: true once SIGTERM came · checkpoint_seconds: between two, at least
    """

    job: TrainingJob
    home: WorkerHome
    name: str
    names: Sequence[str]
    shared: Path
    buckets: Buckets
    desk: Desk
    wants_to_stop: Callable[[], bool]
    checkpoint_seconds: float = LEAST_PAUSE

    @property
    def leads(self) -> bool:
        """Whether this is the one that tests and uploads the model, which all of them have."""
        return self.name == self.names[0]

    @property
    def is_alone(self) -> bool:
        return len(self.names) == 1

    def run(self, sizes: Mapping[str, Sequence[int]]) -> str:
        """Names what is learned, so that checkpoints of anything else are left alone.

        sizes: bytes of each file, by channel
        """
        return fingerprint(
            {
                "image": self.job.image,
                "hyperparameters": self.job.hyperparameters,
                "channels": [asdict(c) for c in self.job.channels],
                "host": self.name,
                "hosts": list(self.names),
                "sizes": sizes,
            }
        )

    @property
    def meeting(self) -> Path:
        """Where the hosts meet. A run that was stopped and goes on meets in another place, for in
        the old one lies what was said when it stopped, in the middle of a pass.
        """
        return self.shared / f"round-{self._stops()}"

    def count_stop(self) -> None:
        """Remember that the hosts stopped together."""
        write_json(self._stops_file, {"stops": self._stops() + 1})

    @property
    def _stops_file(self) -> Path:
        return self.home.root / "stops.json"

    def _stops(self) -> int:
        if not self._stops_file.exists():
            return 0
        return int(json.loads(self._stops_file.read_text())["stops"])


def from_task(
    home: WorkerHome, task: Mapping[str, Any], desk: Desk, wants_to_stop: Callable[[], bool]
) -> Host:
    """The host that a task.json describes."""
    return Host(
        job=from_document(task["job"]),
        home=home,
        name=task["host"],
        names=tuple(task["hosts"]),
        shared=Path(task["shared"]),
        buckets=Buckets(Path(task["buckets"])),
        desk=desk,
        wants_to_stop=wants_to_stop,
        checkpoint_seconds=task.get("checkpoint_seconds", LEAST_PAUSE),
    )
