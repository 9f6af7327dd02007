"""What is told of every round: the library's metrics, SageMaker's own, in SageMaker's lines."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
import sklearn.metrics
from hypothesis import given as hypothetically
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tests.algorithms.test_xgboost import given, labels_for, numbers, trained
from tidemill.algorithms.xgboost import metrics
from tidemill.algorithms.xgboost.declaration import DECLARATION
from tidemill.algorithms.xgboost.scores import score
from tidemill.data.batch import Batch
from tidemill.spec.training_job import MetricDefinition
from tidemill.workers.metric_tap import MetricTap

pytest.importorskip("xgboost")
PEERS: dict[str, Any] = {
    "accuracy": sklearn.metrics.accuracy_score,
    "balanced_accuracy": sklearn.metrics.balanced_accuracy_score,
    "f1": lambda y, g: sklearn.metrics.f1_score(y, g, average="macro"),
    "f1_macro": lambda y, g: sklearn.metrics.f1_score(y, g, average="macro"),
    "f1_binary": sklearn.metrics.f1_score,
    "precision": lambda y, g: sklearn.metrics.precision_score(y, g, zero_division=0),
    "precision_macro": lambda y, g: sklearn.metrics.precision_score(
        y, g, average="macro", zero_division=0
    ),
    "precision_micro": lambda y, g: sklearn.metrics.precision_score(y, g, average="micro"),
    "recall": lambda y, g: sklearn.metrics.recall_score(y, g, zero_division=0),
    "recall_macro": lambda y, g: sklearn.metrics.recall_score(
        y, g, average="macro", zero_division=0
    ),
    "recall_micro": lambda y, g: sklearn.metrics.recall_score(y, g, average="micro"),
}


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", metrics.OF_CLASSES)
@hypothetically(
    st.integers(2, 4), st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1)
)
@settings(deadline=None, max_examples=60)
def test_metrics_of_classes_are_scikit_learns(
    name: str, classes: int, pairs: list[tuple[int, int]]
) -> None:
    if name in metrics.OF_TWO_CLASSES:
        classes = 2
    truth, guesses = np.array(pairs).T % classes
    if classes == 2:
        margins = np.where(guesses > 0, 0.5, -0.5).astype(np.float32)
    else:
        margins = np.eye(classes, dtype=np.float32)[guesses]
    found = score(name, truth.astype(np.float32), margins, margins)
    assert found == pytest.approx(PEERS[name](truth, guesses), abs=1e-12)


ROWS = arrays.arrays(np.float32, st.integers(1, 20), elements=st.integers(-9, 9).map(float))


@hypothetically(st.data(), ROWS)
@settings(deadline=None)
def test_metrics_of_numbers_are_scikit_learns(data: st.DataObject, labels: Any) -> None:
    answers = data.draw(arrays.arrays(np.float32, labels.shape, elements=st.integers(-9, 9)))
    wanted = sklearn.metrics.mean_squared_error(labels, answers)
    assert score("mse", labels, answers, answers) == pytest.approx(wanted)
    if len(labels) > 1:
        wanted = sklearn.metrics.r2_score(labels.astype(float), answers.astype(float))
        assert score("r2", labels, answers, answers) == pytest.approx(wanted)


def lines_of(text: dict[str, str], **more: Any) -> list[str]:
    features, scores = numbers(300)
    hyperparameters = given(num_round="3", **text)
    rows = Batch(features, labels_for(hyperparameters.objective, scores))
    return list(trained(hyperparameters, rows.rows(0, 200), rows.rows(200, 300), **more).lines)


def test_a_line_has_every_metric_of_every_channel() -> None:
    lines = lines_of(
        {
            "objective": "multi:softprob",
            "num_class": "3",
            "eval_metric": '["merror","accuracy", "f1_macro"]',
            "_tuning_objective_metric": "validation:mlogloss",
        }
    )
    names = ["merror", "mlogloss", "accuracy", "f1_macro"]
    wanted = [[f"{c}-{n}" for c in ("train", "validation") for n in part] for part in
              (names[:2], names[2:])]  # fmt: skip
    for number, line in enumerate(lines):
        head, *cells = line.split("#011")
        assert head == f"[{number}]"
        assert [cell.partition(":")[0] for cell in cells] == wanted[0] + wanted[1]
        values = {name: float(value) for name, _, value in (c.partition(":") for c in cells)}
        assert values["train-accuracy"] == pytest.approx(1 - values["train-merror"], abs=2e-5)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ({}, {"rmse"}),
        ({"objective": "binary:logistic", "eval_metric": "error@0.3,f1"}, {"error", "f1"}),
        ({"objective": "reg:tweedie", "eval_metric": "tweedie-nloglik,r2"},
         {"tweedie-nloglik", "r2"}),
        ({"objective": "rank:ndcg", "eval_metric": "ndcg@5-"}, {"ndcg"}),
        ({"objective": "rank:map", "eval_metric": "map@3,auc"}, {"map", "auc"}),
        ({"objective": "survival:aft"}, {"aft-nloglik"}),
        ({"objective": "binary:logistic", "eval_metric": "accuracy"}, {"accuracy", "logloss"}),
    ],
)  # fmt: skip
def test_the_declared_metrics_are_found_in_the_lines(text: dict[str, str], names: set[str]) -> None:
    found: dict[str, float] = {}
    tap = MetricTap(
        [MetricDefinition(m.name, m.regex) for m in DECLARATION.metrics], found.__setitem__
    )
    for line in lines_of(text):
        tap(line)
    assert set(found) == {f"{channel}:{n}" for channel in ("train", "validation") for n in names}


def test_sagemakers_own_expressions_find_them_too() -> None:
    for line in lines_of({"objective": "binary:logistic", "eval_metric": "auc"}):
        for channel in ("train", "validation"):
            match = re.search(rf".*\[[0-9]+\].*#011{channel}-auc:(\S+)", line)
            assert match is not None
            assert 0 <= float(match[1].partition("#")[0]) <= 1


def test_better_is_larger_or_smaller_as_documented() -> None:
    goals = {m.name: m.direction for m in DECLARATION.metrics}
    assert len(goals) == 2 * len(metrics.NAMES)
    for name in ("accuracy", "auc", "f1", "map", "ndcg", "r2", "aucpr", "precision_micro"):
        assert goals[f"validation:{name}"] == "Maximize"
    for name in ("error", "logloss", "mae", "merror", "mlogloss", "mse", "rmse", "mape"):
        assert goals[f"validation:{name}"] == "Minimize"
    assert metrics.is_better_large("ndcg@5-")
    assert metrics.is_better_large("map-")
    assert not metrics.is_better_large("error@0.7")


def test_what_has_no_effect_is_told_in_the_log() -> None:
    features, scores = numbers(100)
    rows = Batch(features, labels_for("rank:ndcg", scores))
    text = {"tree_method": "gpu_hist", "early_stopping_rounds": "2", "objective": "rank:ndcg"}
    lines = trained(given(num_round="1", **text), rows).lines
    assert [line.split()[1] for line in lines[:-1]] == [
        "tree_method", "early_stopping_rounds", "rank:ndcg",
    ]  # fmt: skip
