"""The linear learner under the laws."""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np

from tidemill.data.batch import Batch
from tidemill.registry import declaration
from tidemill.testing.algorithm import Case


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
}
