"""xgboost under the laws."""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np

from tidemill.data.batch import Batch
from tidemill.registry import declaration
from tidemill.testing.algorithm import Case


def xgboost(objective: str, held_out: bool = False, **hyperparameters: str) -> Case:
    draws = np.random.default_rng(3)
    rows = draws.normal(size=(500, 5))
    scores = rows[:, 0] + np.sin(2 * rows[:, 1]) + (rows[:, 2] > 0) * rows[:, 3]
    scores = scores + draws.normal(size=500) * 0.3
    rows[draws.random(rows.shape) < 0.05] = np.nan
    labels = {
        "reg:squarederror": scores,
        "binary:logistic": scores > 0,
        "multi:softprob": np.digitize(scores, [-0.5, 0.7]),
    }[objective]
    classes = {"num_class": "3"} if objective.startswith("multi:") else {}
    batch = Batch(rows.astype(np.float32), np.asarray(labels, np.float32))
    return Case(
        declaration("xgboost"),
        {"num_round": "20", "max_depth": "3", "nthread": "1", "objective": objective}
        | {"verbosity": "0"} | classes | hyperparameters,
        list(batch.rows(0, 300).split(50)),
        batch.rows(300, 400),
        held_out=list(batch.rows(400, 500).split(50)) if held_out else (),
        slack=0.35,  # of rows that are fewer, and trees that are more
        exceptions={
            "check_state_stays_small_as_rows_pass": (
                "every round goes over all rows: they are gathered in the first pass, beyond 256 "
                "megabytes in a file, and let go of when it closes"
            ),
            "check_state_stays_small_as_workers_join": "as above: the rows of all are gathered",
            "check_sparse_rows_are_the_same_rows": (
                "what a sparse row leaves out is a missing value, and no zero"
            ),
        },
    )  # fmt: skip


CASES: dict[str, Callable[[], Case]] = {
    "xgboost": functools.partial(xgboost, "reg:squarederror"),
    "xgboost, two classes, stopping early": functools.partial(
        xgboost, "binary:logistic", True, early_stopping_rounds="3", eval_metric="auc,logloss",
        eta="0.8", num_round="40",
    ),
    "xgboost, classes by samples": functools.partial(
        xgboost, "multi:softprob", subsample="0.7", colsample_bytree="0.8",
        eval_metric="accuracy,f1_macro",
    ),
    "xgboost, dart": functools.partial(
        xgboost, "reg:squarederror", True, booster="dart", rate_drop="0.2", tree_method="exact"
    ),
    "xgboost, linear": functools.partial(
        xgboost, "reg:squarederror", booster="gblinear", updater="coord_descent"
    ),
}  # fmt: skip
