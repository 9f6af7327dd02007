"""The evaluation metrics: which there are, which way they are better, who works them out."""

from __future__ import annotations

import re

LARGER_IS_BETTER = (
    "accuracy",
    "auc",
    "aucpr",
    "balanced_accuracy",
    "f1",
    "f1_binary",
    "f1_macro",
    "map",
    "ndcg",
    "precision",
    "precision_macro",
    "precision_micro",
    "r2",
    "recall",
    "recall_macro",
    "recall_micro",
)
SMALLER_IS_BETTER = (
    "aft-nloglik",
    "cox-nloglik",
    "error",
    "gamma-deviance",
    "gamma-nloglik",
    "interval-regression-accuracy",
    "logloss",
    "mae",
    "mape",
    "merror",
    "mlogloss",
    "mphe",
    "mse",
    "poisson-nloglik",
    "rmse",
    "rmsle",
    "tweedie-nloglik",
)
NAMES = tuple(sorted(LARGER_IS_BETTER + SMALLER_IS_BETTER))

OF_CLASSES = (
    "accuracy",
    "balanced_accuracy",
    "f1",
    "f1_binary",
    "f1_macro",
    "precision",
    "precision_macro",
    "precision_micro",
    "recall",
    "recall_macro",
    "recall_micro",
)
OF_TWO_CLASSES = ("f1_binary", "precision", "recall")
OURS = (*OF_CLASSES, "mse", "r2")
"""SageMaker's own, beside those of the library; they do not weigh rows."""

PARAMETERS = {
    "error": r"@[0-9.]+",
    "map": r"(?:@[0-9]+)?-?",
    "ndcg": r"(?:@[0-9]+)?-?",
    "tweedie-nloglik": r"@[0-9.]+",
}
"""What may follow a name: the threshold of ``error@0.3``, how far down ``ndcg@5-`` looks."""

_NAME = "|".join(
    name + (f"(?:{PARAMETERS[name]})?" if name in PARAMETERS else "")
    for name in sorted(NAMES, key=len, reverse=True)
)
PATTERN = rf'\[?\s*"?(?:{_NAME})(?:"?\s*,\s*"?(?:{_NAME}))*"?\s*\]?'
FORM = f"a comma-separated list of {', '.join(NAMES)}, also as error@t, ndcg@n, map@n, ndcg@n-"


def split(text: str) -> tuple[str, ...]:
    """The metrics of a list.

    >>> split("auc, error@0.3")
    ('auc', 'error@0.3')
    """
    return tuple(dict.fromkeys(re.findall(r"[a-z0-9_@.-]+", text)))


def base(name: str) -> str:
    """A metric's name without its parameter.

    >>> base("ndcg@5-")
    'ndcg'
    """
    plain = name.partition("@")[0]
    return plain if plain in NAMES else plain.removesuffix("-")


def is_better_large(name: str) -> bool:
    """Whether a larger value of this metric, with or without parameter, is the better one."""
    return base(name) in LARGER_IS_BETTER
