"""SageMaker's own evaluation metrics, as scikit-learn defines them; rows are not weighed."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float32]
Table = NDArray[np.float64]


def score(name: str, labels: Numbers, margins: Numbers, answers: Numbers) -> float:
    """A metric of ``metrics.OURS``.

    labels : (rows,) · margins : (rows,) or (rows, classes), before the objective turns them into
    answers · answers : what predicting gives

    >>> score("accuracy", np.array([0, 1, 1]), np.array([-1.0, 2.0, -3.0]), np.zeros(3))
    0.6666666666666666
    """
    if name in _OF_NUMBERS:
        return _OF_NUMBERS[name](labels.astype(np.float64), answers.astype(np.float64))
    classes = 2 if margins.ndim == 1 else margins.shape[1]
    guesses = margins > 0 if margins.ndim == 1 else margins.argmax(axis=1)
    return _OF_CLASSES[name](confusion(labels, guesses, classes))


def confusion(labels: NDArray[np.generic], guesses: NDArray[np.generic], classes: int) -> Table:
    """(classes, classes) rows of each class by the class that was guessed."""
    truth = np.asarray(np.rint(np.asarray(labels, np.float64)), np.int64)
    pairs = truth * classes + np.asarray(guesses, np.int64)
    counts = np.bincount(pairs, minlength=classes * classes)
    return counts.reshape(classes, classes).astype(np.float64)


def _share(part: Table, whole: Table) -> Table:
    """Shares, 0 of nothing."""
    return np.divide(part, whole, out=np.zeros(np.shape(whole)), where=whole > 0)


def _right(table: Table) -> Table:
    found: Table = np.diagonal(table)
    return found


def _precisions(table: Table) -> Table:
    return _share(_right(table), table.sum(axis=0))


def _recalls(table: Table) -> Table:
    return _share(_right(table), table.sum(axis=1))


def _f1(table: Table) -> Table:
    return _share(2 * _right(table), table.sum(axis=0) + table.sum(axis=1))


def _accuracy(table: Table) -> float:
    return float(_right(table).sum() / max(1.0, table.sum()))


def _balanced_accuracy(table: Table) -> float:
    """The mean recall of the classes that there are."""
    return float(_recalls(table)[table.sum(axis=1) > 0].mean())


def _macro(of: Callable[[Table], Table]) -> Callable[[Table], float]:
    """The mean over the classes that there are or that were guessed."""
    return lambda table: float(of(table)[(table.sum(axis=0) + table.sum(axis=1)) > 0].mean())


def _positive(of: Callable[[Table], Table]) -> Callable[[Table], float]:
    return lambda table: float(of(table)[1])


_OF_CLASSES: Mapping[str, Callable[[Table], float]] = {
    "accuracy": _accuracy,
    "balanced_accuracy": _balanced_accuracy,
    "f1": _macro(_f1),
    "f1_macro": _macro(_f1),
    "f1_binary": _positive(_f1),
    "precision": _positive(_precisions),
    "precision_macro": _macro(_precisions),
    "precision_micro": _accuracy,
    "recall": _positive(_recalls),
    "recall_macro": _macro(_recalls),
    "recall_micro": _accuracy,
}


def _mse(labels: Table, answers: Table) -> float:
    return float(np.mean((labels - answers) ** 2))


def _r2(labels: Table, answers: Table) -> float:
    lost = float(np.sum((labels - answers) ** 2))
    spread = float(np.sum((labels - labels.mean()) ** 2))
    if spread == 0:
        return 1.0 if lost == 0 else 0.0
    return 1 - lost / spread


_OF_NUMBERS: Mapping[str, Callable[[Table, Table], float]] = {"mse": _mse, "r2": _r2}
