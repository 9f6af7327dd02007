"""Artifacts to learn on, and replicas' logs that are written by hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from tidemill import registry
from tidemill.artifact import archive
from tidemill.artifact.codec import to_bytes
from tidemill.data.batch import Batch
from tidemill.testing.algorithm import Stream
from tidemill.training.loop import fit
from tidemill.workers.serve.learning import log, rows
from tidemill.workers.serve.learning.leader import Leader
from tidemill.workers.serve.learning.opened import Opened, open_artifact
from tidemill.workers.serve.learning.places import Places
from tidemill.workers.serve.learning.version import KEPT, Versions

MILLS: Mapping[str, Mapping[str, str]] = {
    "linear-learner": {"predictor_type": "binary_classifier", "epochs": "3", "num_models": "2"},
    "kmeans": {"feature_dim": "3", "k": "2"},
    "factorization-machines": {
        "feature_dim": "3",
        "num_factors": "2",
        "predictor_type": "regressor",
        "epochs": "3",
    },
    "randomcutforest": {"feature_dim": "3", "num_trees": "50", "num_samples_per_tree": "8"},
}


def draw(name: str, count: int, seed: int = 0) -> Batch:
    """Rows as the algorithm learns from them."""
    draws = np.random.default_rng(seed)
    features = draws.normal(size=(count, 3)).astype(np.float32)
    if registry.declaration(name).learns == "rows":
        return Batch(features)
    score = features @ np.array([1.0, -1.0, 0.5]) + 0.3 * draws.normal(size=count)
    labels = score > 0 if name == "linear-learner" else score
    return Batch(features, np.asarray(labels, np.float32))


def trained(name: str, *, state: bool = True) -> bytes:
    """The artifact of a small training."""
    declared = registry.declaration(name)
    given = registry.check(name, MILLS[name])
    algorithm = declared.algorithm(given)
    learned = fit(algorithm, Stream([draw(name, 100)]))
    files = {archive.MODEL: to_bytes(algorithm.finalize(learned))}
    if state:
        files[archive.STATE] = to_bytes(learned)
    return archive.pack(name, asdict(given), files)


class Mill:
    """One variant's learning in a directory, with a log for each replica."""

    def __init__(self, root: Path, name: str) -> None:
        self.name, self.model = name, root / "model"
        archive.unpack(trained(name), self.model)
        self.places = Places(root / "learning")
        self.published: list[int] = []
        self._logs: dict[str, log.Writer] = {}
        self._id = 0

    def opened(self) -> Opened:
        return open_artifact(self.name, self.model, "s3://mill/model.tar.gz")

    def leader(self, opened: Opened | None = None) -> Leader:
        said: list[str] = []
        return Leader(opened or self.opened(), self.places, self._publish, said.append)

    def tell(self, replica: str, batch: Batch, id: int = 0, *, again: bool = False) -> int:
        """Rows that a replica accepts; the id of the feedback."""
        writer = self._logs.get(replica) or log.Writer(self.places.logs, replica)
        self._logs[replica] = writer
        self._id += 1
        writer.add(id or self._id, again, rows.to_bytes(batch))
        return id or self._id

    def end(self, replica: str) -> None:
        self._logs.pop(replica).close()

    def close(self) -> None:
        for replica in list(self._logs):
            self.end(replica)

    @property
    def versions(self) -> Versions:
        return Versions(self.places.versions)

    def files(self) -> dict[str, bytes]:
        """All bytes of all versions that are kept."""
        found = {}
        for number in range(max(1, self.versions.newest() - KEPT + 1), self.versions.newest() + 1):
            place = self.places.versions / f"{number:06d}"
            found.update({f"{number}/{p.name}": p.read_bytes() for p in place.iterdir()})
        return found

    def _publish(self, number: int, files: Mapping[str, Any]) -> None:
        self.published.append(number)
