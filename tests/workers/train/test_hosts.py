"""Several hosts that share the objects of a channel: evenly, unevenly, or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from tests.workers.places import (
    KMEANS,
    LINEAR,
    Place,
    csv_bytes,
    events,
    exit_of,
    job,
    train,
)
from tidemill.algorithms.kmeans.model import KMeansModel
from tidemill.algorithms.linear_learner.model import LinearModel
from tidemill.artifact.archive import MODEL, extract
from tidemill.artifact.codec import from_bytes
from tidemill.data.batch import Batch
from tidemill.spec.channel import Channel

DICE = np.random.default_rng(5)
ROWS = DICE.normal(size=(3000, 4)).astype(np.float32)
LABELS = (ROWS @ [1, -1, 2, 0] + DICE.logistic(size=3000) > 0).astype(np.float32)
SPOTS = (DICE.normal(size=(3000, 4)) * 0.3 + 8 * DICE.integers(0, 2, (3000, 4))).astype(np.float32)
TABLES = {"kmeans": SPOTS, "linear-learner": np.column_stack([LABELS, ROWS])}
# How the rows lie in objects: parts of 3000, in hundreds; text for what is no row.
LAYOUTS: dict[str, list[int | bytes]] = {
    "a file each": [10, 10, 10],
    "more files than hosts": [4, 4, 4, 4, 4, 4, 6],
    "very uneven": [1, 27, 2],
    "one file": [30],
    "an object without a byte": [15, b"", 15],
    "an object without a row": [15, b"\n\n", 15],
}


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def put(place: Place, table: np.ndarray, layout: Sequence[int | bytes]) -> None:
    at = 0
    for number, part in enumerate(layout):
        rows = 0 if isinstance(part, bytes) else 100 * part
        data = part if isinstance(part, bytes) else csv_bytes(table[at : at + rows])
        place.put(f"in/{number}.csv", data)
        at += rows


def fitted(place: Place, name: str, hosts: int) -> bytes:
    """The model's bytes, after a job of so many hosts that all ended well."""
    asked: dict[str, object] = {"k": 16, "feature_dim": 4, "epochs": 3, "mini_batch_size": 500}
    if name == "linear-learner":
        asked = {"predictor_type": "binary_classifier", "num_models": 4, "mini_batch_size": 50}
    channel = Channel(
        "train", "s3://mill/in/", content_type="text/csv", distribution="ShardedByS3Key"
    )
    train(place, job(KMEANS if name == "kmeans" else LINEAR, asked, [channel], instances=hosts))
    for number in range(hosts):
        home = place.home(f"algo-{number + 1}")
        assert exit_of(home) == {"code": 0}, home.failure.read_text()
    assert [e.name for e in events(place.home(), "note")] == ["artifact"]
    directory = place.root / "opened"
    extract(place.artifact(), directory)
    return (directory / MODEL).read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("hosts", [2, 3])
@pytest.mark.parametrize("name", TABLES)
def test_however_the_rows_are_shared_the_model_is_as_good(
    place: Place, name: str, hosts: int, layout: str
) -> None:
    put(place, TABLES[name], LAYOUTS[layout])
    blob = fitted(place, name, hosts)
    if name == "kmeans":
        centres = from_bytes(KMeansModel, blob).centres
        apart = np.square(SPOTS[:, None] - centres).sum(axis=2).min(axis=1)
        assert apart.mean() < 0.4
        return
    scores = from_bytes(LinearModel, blob).raw(Batch(ROWS))
    peer = LogisticRegression().fit(ROWS, LABELS).decision_function(ROWS)
    assert roc_auc_score(LABELS, scores) > roc_auc_score(LABELS, peer) - 0.005


@pytest.mark.parametrize("name", TABLES)
def test_a_channel_without_a_row_on_any_host_is_refused(place: Place, name: str) -> None:
    put(place, TABLES[name], [b"\n", b"", b"\n"])
    with pytest.raises(AssertionError, match="ClientError: "):
        fitted(place, name, 2)


def test_files_of_different_widths_on_different_hosts_are_refused(place: Place) -> None:
    place.put("in/0", csv_bytes(np.column_stack([LABELS, ROWS])))
    place.put("in/1", csv_bytes(np.column_stack([LABELS, ROWS[:, :3]])))
    with pytest.raises(AssertionError, match="ClientError: .*3"):
        fitted(place, "linear-learner", 2)
