"""Every built-in keeps the laws of algorithms, or says which it cannot keep and why."""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
import pytest

from tidemill import registry
from tidemill.data.batch import Batch
from tidemill.registry import declaration
from tidemill.testing.algorithm import CHECKS, Case, Check
from tidemill.testing.hyperparameters import (
    check_bad_hyperparameters_name_themselves,
    check_the_documented_words_and_bounds_are_accepted,
    check_unknown_hyperparameters_are_told_of,
)


def kmeans(**hyperparameters: str) -> Case:
    draws = np.random.default_rng(5)
    centres = draws.normal(size=(6, 5)) * 4
    rows = centres[draws.integers(0, 6, 400)] + draws.normal(size=(400, 5))
    batch = Batch(rows.astype(np.float32))
    return Case(
        declaration("kmeans"),
        {"feature_dim": "5", "k": "6", **hyperparameters},
        list(batch.rows(0, 300).split(64)),
        batch.rows(300, 400),
        exceptions={
            "check_a_stream_cut_anywhere_merges_to_the_whole": (
                "the centres of two workers are reduced to K; the loss stays within the slack"
            ),
            "check_batch_size_does_not_matter": (
                "centres are seeded by, and move after, every mini-batch"
            ),
        },
    )


def linear_learner(
    kind: str, held_out: bool = False, slack: float = 0.1, **hyperparameters: str
) -> Case:
    draws = np.random.default_rng(7)
    rows = draws.normal(size=(400, 4)) * [1, 5, 0.1, 2] + [0, 3, -1, 0]
    scores = rows @ [1, 0.2, 5, -0.5] + draws.logistic(size=400) * 0.3
    labels = {
        "regressor": scores,
        "binary_classifier": scores > scores.mean(),
        "multiclass_classifier": np.digitize(scores, np.quantile(scores, [0.3, 0.6])),
    }[kind]
    batch = Batch(rows.astype(np.float32), np.asarray(labels, np.float32))
    return Case(
        declaration("linear-learner"),
        {
            "predictor_type": kind,
            "num_classes": "3",
            "num_models": "4",
            "epochs": "6",
            "mini_batch_size": "50",
            "num_point_for_scaler": "120",
            **hyperparameters,
        },
        list(batch.rows(0, 300).split(50)),
        batch.rows(300, 400),
        held_out=list(batch.rows(200, 300).split(50)) if held_out else (),
        slack=slack,
        exceptions={
            "check_a_stream_cut_anywhere_merges_to_the_whole": (
                "the mean of two workers' models is not the model of all rows, and each surveys "
                "num_point_for_scaler rows of its own; the loss stays within the slack"
            ),
            "check_sparse_rows_are_the_same_rows": (
                "sparse columns are scaled by their stored values and not centred: that would "
                "fill every zero"
            ),
        },
    )


CASES: dict[str, Callable[[], Case]] = {
    "linear-learner": functools.partial(linear_learner, "binary_classifier"),
    "linear-learner, validated": functools.partial(
        linear_learner, "binary_classifier", held_out=True, loss="hinge_loss", optimizer="rmsprop"
    ),
    "linear-learner, classes": functools.partial(
        linear_learner, "multiclass_classifier", l1="0.001", balance_multiclass_weights="true"
    ),
    "linear-learner, numbers": functools.partial(
        linear_learner,
        "regressor",
        optimizer="sgd",
        momentum="0.9",
        learning_rate="0.01",
        slack=0.5,  # of a loss near zero: half the rows are half as many of these small steps
    ),
    "kmeans": kmeans,
    "kmeans, few centres, five epochs": functools.partial(
        kmeans, epochs="5", extra_center_factor="2", local_lloyd_num_trials="2"
    ),
    "kmeans, forgetful": functools.partial(
        kmeans, half_life_time_size="100", init_method="kmeans++", extra_center_factor="4"
    ),
}
NAMES = pytest.mark.parametrize("name", CASES)


@NAMES
@pytest.mark.parametrize("check", CHECKS, ids=lambda c: c.__name__.removeprefix("check_"))
def test_law(name: str, check: Check) -> None:
    case = CASES[name]()
    if reason := case.exceptions.get(check.__name__):
        pytest.skip(reason)
    check(case)


@NAMES
def test_exceptions_are_of_laws_that_there_are(name: str) -> None:
    case = CASES[name]()
    assert set(case.exceptions) <= {c.__name__ for c in CHECKS}
    assert all(case.exceptions.values())


@pytest.mark.parametrize("name", registry.names())
def test_every_built_in_has_a_case(name: str) -> None:
    assert name in {make().declaration.name for make in CASES.values()}


@NAMES
@pytest.mark.parametrize(
    "check",
    [
        check_bad_hyperparameters_name_themselves,
        check_unknown_hyperparameters_are_told_of,
        check_the_documented_words_and_bounds_are_accepted,
    ],
)
def test_hyperparameter_law(name: str, check: Callable[..., None]) -> None:
    case = CASES[name]()
    check(case.declaration, case.hyperparameters)
