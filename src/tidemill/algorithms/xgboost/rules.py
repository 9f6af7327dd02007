"""Hyperparameters that are right alone and do not fit each other."""

from __future__ import annotations

from collections.abc import Sequence

from tidemill.algorithms.xgboost import metrics
from tidemill.algorithms.xgboost.hyperparameters import (
    LINEAR_UPDATERS,
    NAME,
    TREE_UPDATERS,
    XGBoostHyperparameters,
)
from tidemill.errors import InvalidHyperparameter

_GROWERS = tuple(name for name in TREE_UPDATERS if name.startswith("grow_") or name == "distcol")


def check_together(given: XGBoostHyperparameters) -> None:
    """Raise InvalidHyperparameter where values do not fit each other."""
    _check_classes(given)
    _check_metrics(given)
    _check_updaters(given)
    _check_constraints(given)


def warnings(
    given: XGBoostHyperparameters, *, is_validated: bool, is_grouped: bool
) -> Sequence[str]:
    """What the log should say of hyperparameters that have not the effect they could have.

    is_validated: whether there is a validation channel · is_grouped: whether rows have a qid
    """
    found = []
    if given.tree_method == "gpu_hist":
        found.append("tree_method gpu_hist is hist here, which grows its trees without a GPU.")
    if given.early_stopping_rounds and not is_validated:
        found.append("early_stopping_rounds has no effect without a validation channel.")
    if given.objective.startswith("rank:") and not is_grouped:
        found.append(
            f"{given.objective} ranks all rows as one list: name their lists by a qid, in libsvm."
        )
    return [f"WARNING: {text}" for text in found]


def _check_classes(given: XGBoostHyperparameters) -> None:
    if given.is_multiclass and given.num_class is None:
        raise _wrong(
            f"num_class is required for {given.objective} and must be an integer of at least 2",
            None,
            "Add 'num_class' to HyperParameters.",
        )
    if not given.is_multiclass and given.num_class is not None:
        raise _wrong(
            "num_class is for the objectives multi:softmax and multi:softprob",
            f"{given.num_class} with {given.objective}",
            "Leave out 'num_class', or change 'objective'.",
        )


def _check_metrics(given: XGBoostHyperparameters) -> None:
    for name in given.metrics:
        for names, fits, wanted in _metric_rules(given):
            if metrics.base(name) in names and not fits:
                raise _wrong(
                    f"eval_metric {name} {wanted}",
                    f"objective {given.objective}",
                    "Change 'eval_metric' or 'objective'.",
                )


def _metric_rules(given: XGBoostHyperparameters) -> list[tuple[tuple[str, ...], bool, str]]:
    """(metrics, whether they fit the objective, what they are for)"""
    has_classes = given.is_of_classes or given.objective == "reg:logistic"
    ranks = given.objective.startswith("rank:")
    return [
        (metrics.OF_CLASSES, has_classes, "is of classes, for binary: and multi: objectives"),
        (metrics.OF_TWO_CLASSES, not given.is_multiclass, "is of two classes: see the macro ones"),
        (("auc", "aucpr"), has_classes or ranks, "is for classification and ranking problems"),
        (
            ("aft-nloglik", "interval-regression-accuracy"),
            given.objective == "survival:aft",
            "is for survival:aft",
        ),
    ]


def _check_updaters(given: XGBoostHyperparameters) -> None:
    names = given.updaters
    allowed: tuple[str, ...] = TREE_UPDATERS
    if given.booster == "gblinear":
        allowed = LINEAR_UPDATERS
    elif given.process_type == "update":
        allowed = ("refresh", "prune")
    most = 1 if given.booster == "gblinear" else len(allowed)
    is_wrong = not set(names) <= set(allowed) or len(names) > most
    if is_wrong or (given.process_type == "update" and not names):
        raise _wrong(
            f"updater must be {'one of' if most == 1 else 'some of'} {', '.join(allowed)}, for "
            f"booster {given.booster} with process_type {given.process_type}",
            given.updater,
            "Change 'updater' in HyperParameters.",
        )
    if len(set(names) & set(_GROWERS)) > 1:
        raise _wrong(
            f"updater may have only one of {', '.join(_GROWERS)}",
            given.updater,
            "Leave one of them out.",
        )


def _check_constraints(given: XGBoostHyperparameters) -> None:
    allowed = {
        "monotone_constraints": ("auto", "exact", "hist", "gpu_hist"),
        "interaction_constraints": ("auto", "exact", "hist", "approx", "gpu_hist"),
    }
    for name, methods in allowed.items():
        if getattr(given, name) is not None and given.tree_method not in methods:
            raise _wrong(
                f"{name} can be used only with a tree_method of {', '.join(methods)}",
                given.tree_method,
                "Change 'tree_method' in HyperParameters.",
            )


def _wrong(wanted: str, got: object, do: str) -> InvalidHyperparameter:
    return InvalidHyperparameter(f"{NAME}: {wanted}", got=got, do=do)
