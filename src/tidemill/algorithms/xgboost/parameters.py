"""Hyperparameters as the library's own parameters."""

from __future__ import annotations

import math
from dataclasses import fields
from typing import Any

from tidemill.algorithms.xgboost import metrics
from tidemill.algorithms.xgboost.hyperparameters import XGBoostHyperparameters

_OURS = (
    "num_round",
    "eval_metric",
    "tuning_objective_metric",
    "early_stopping_rounds",
    "lambda_bias",
    "tree_method",
    "sketch_eps",
    "refresh_leaf",
    "one_drop",
    "csv_weights",
    "nthread",
    "predictor",
    "dsplit",
    "deterministic_histogram",
    "single_precision_histogram",
    "prob_buffer_row",
    "save_model_on_termination",
    "use_dask_gpu_training",
)
"""Not handed on as they are."""


def parameters_of(given: XGBoostHyperparameters, threads: int | None = None) -> dict[str, Any]:
    """What to give ``xgboost.train``: what differs from the defaults, which are the library's too.

    threads: unless nthread is given
    """
    found: dict[str, Any] = {"objective": given.objective}
    for item in fields(given):
        value = getattr(given, item.name)
        if item.name not in _OURS and value != item.default:
            found[item.name] = value
    if given.objective == "reg:linear":
        found["objective"] = "reg:squarederror"
    if names := library_metrics(given):
        found["eval_metric"] = list(names)
    if given.nthread or threads:
        found["nthread"] = given.nthread or threads
    if given.process_type == "update":
        found["refresh_leaf"] = int(given.refresh_leaf)
    if given.one_drop:
        found["one_drop"] = 1
    return {**found, **_tree_method(given)}


def _tree_method(given: XGBoostHyperparameters) -> dict[str, Any]:
    if given.booster == "gblinear" or given.tree_method == "auto":
        return {}
    method = "hist" if given.tree_method == "gpu_hist" else given.tree_method
    if method == "approx" and given.sketch_eps != 0.03 and given.max_bin == 256:
        return {"tree_method": method, "max_bin": max(2, math.ceil(1 / given.sketch_eps))}
    return {"tree_method": method}


def library_metrics(given: XGBoostHyperparameters) -> tuple[str, ...]:
    """The metrics that the library works out, by its own names."""
    power = f"tweedie-nloglik@{given.tweedie_variance_power:g}"
    return tuple(
        power if name == "tweedie-nloglik" else name
        for name in given.metrics
        if name not in metrics.OURS
    )


def own_metrics(given: XGBoostHyperparameters) -> tuple[str, ...]:
    """Those that are worked out here."""
    return tuple(name for name in given.metrics if name in metrics.OURS)


def draws(given: XGBoostHyperparameters) -> bool:
    """Whether rounds draw random numbers, from a generator that no model keeps the state of."""
    shares = (
        given.subsample,
        given.colsample_bytree,
        given.colsample_bylevel,
        given.colsample_bynode,
    )
    drops = given.booster == "dart" and bool(given.rate_drop or given.one_drop)
    return drops or (given.booster != "gblinear" and min(shares) < 1)


def takes_bins(given: XGBoostHyperparameters) -> bool:
    """Whether the library needs no more of the rows than the bins of a histogram."""
    grows = given.updaters in ((), ("grow_quantile_histmaker",))
    by_histogram = given.tree_method in ("auto", "hist", "gpu_hist") and grows
    return given.booster != "gblinear" and given.process_type == "default" and by_histogram
