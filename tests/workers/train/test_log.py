"""What a training job's log and metrics say, of every kind of model."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from tests.workers.places import KMEANS, LINEAR, Place, csv_bytes, events, job, train_here
from tidemill.spec.channel import Channel

DICE = np.random.default_rng(3)
ROWS = DICE.normal(size=(900, 4)).astype(np.float32)
SCORES = ROWS @ [1, 2, -1, 0] + DICE.logistic(size=900)
LABELS = {
    "binary_classifier": (SCORES > 0).astype(np.float32),
    "multiclass_classifier": np.digitize(SCORES, [-1, 1]).astype(np.float32),
    "regressor": SCORES.astype(np.float32),
}
BOTH = {
    "binary_classifier": "objective_loss binary_classification_accuracy binary_f_beta precision "
    "recall roc_auc_score",
    "multiclass_classifier": "objective_loss multiclass_accuracy multiclass_top_k_accuracy "
    "macro_f_beta macro_precision macro_recall dcg",
    "regressor": "objective_loss mse absolute_loss",
}
EPOCH = re.compile(r"#quality_metric: host=algo-1, epoch=(\S+), (\w+) (\S+) <loss>=(\S+)")


def fitted(tmp_path: Path, kind: str, **asked: object) -> tuple[str, dict[str, float]]:
    """The log, and the last value of each metric."""
    place = Place(tmp_path)
    uri = place.put("in/rows", csv_bytes(np.column_stack([LABELS[kind], ROWS])))
    names = ("train", "validation", "test")
    hyperparameters = {"predictor_type": kind, "num_classes": 3, "num_models": 3, **asked}
    channels = [Channel(name, uri, content_type="text/csv") for name in names]
    home = train_here(place, job(LINEAR, hyperparameters, channels))
    found = {e.name: float(e.value or 0) for e in events(home, "metric")}
    return home.log.read_text(), found


@pytest.mark.parametrize("kind", BOTH)
def test_every_documented_metric_of_a_predictor_is_told_and_no_other(
    tmp_path: Path, kind: str
) -> None:
    log, found = fitted(tmp_path, kind, epochs=2)
    wanted = {f"{channel}:{name}" for channel in ("validation", "test")
              for name in BOTH[kind].split()}  # fmt: skip
    wanted |= {"train:objective_loss", "train:objective_loss:final", "train:progress",
               "train:throughput", "validation:objective_loss:final"}  # fmt: skip
    if kind == "regressor":
        wanted.add("validation:rmse")
    assert set(found) == wanted
    assert all(np.isfinite(value) for value in found.values())
    assert f"{found['validation:objective_loss:final']!r}" in log


@pytest.mark.parametrize("kind", BOTH)
def test_epochs_are_counted_from_zero_and_there_are_as_many_as_were_trained(
    tmp_path: Path, kind: str
) -> None:
    log, _ = fitted(tmp_path, kind, epochs=3, early_stopping_patience=4)
    epochs = [(int(e), channel) for e, channel, *_ in EPOCH.findall(log)]
    assert epochs == [(e, channel) for e in range(3) for channel in ("train", "validation")]
    progress = re.findall(r"#progress_metric: host=algo-1, completed (\S+) % of epochs", log)
    assert progress == ["33.33", "66.67", "100"]
    decides = re.findall(r"#early_stopping_criteria_metric: .* epoch=(\d), criteria=(\S+), ", log)
    objective = EPOCH.findall(log)[0][2]
    assert decides == [(str(e), objective) for e in range(3)]


@pytest.mark.parametrize("epochs", [1, 3])
def test_epochs_of_k_means_are_counted_from_zero(tmp_path: Path, epochs: int) -> None:
    place = Place(tmp_path)
    channel = Channel("train", place.put("in/rows", csv_bytes(ROWS)), content_type="text/csv")
    asked = {"k": 4, "feature_dim": 4, "epochs": epochs, "local_lloyd_tol": 0}
    log = train_here(place, job(KMEANS, asked, [channel])).log.read_text()
    assert [int(e) for e, *_ in EPOCH.findall(log)] == list(range(epochs))


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({}, {"optimizer": "adam", "beta_1": 0.9, "beta_2": 0.999, "bias_lr_mult": 10.0}),
        ({"optimizer": "sgd", "momentum": 0.5}, {"optimizer": "sgd", "momentum": 0.5}),
        ({"optimizer": "rmsprop", "use_lr_scheduler": "false"}, {"lr_scheduler_factor": 1.0}),
        ({"num_models": 1, "learning_rate": 0.07, "wd": 0.3, "l1": 0.002},
         {"learning_rate": 0.07, "wd": 0.3, "l1": 0.002}),
    ],
)  # fmt: skip
def test_the_best_candidate_is_named_in_the_documented_words(
    tmp_path: Path, asked: dict[str, object], words: dict[str, object]
) -> None:
    log, _ = fitted(tmp_path, "binary_classifier", epochs=2, **asked)
    said = re.findall(r"INFO \d+\] Best model found for hyperparameters: (\{.*\})\n", log)
    assert len(said) == 1
    found = json.loads(said[0])
    assert words.items() <= found.items()
    assert {"learning_rate", "l1", "wd", "lr_scheduler_step"} <= set(found)
