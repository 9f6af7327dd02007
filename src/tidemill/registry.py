"""Which built-in algorithm a name or an image URI means; nothing is imported until it is wanted."""

from __future__ import annotations

import difflib
import importlib
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tidemill.algorithms.hyperparameters import read
from tidemill.errors import NotFound

if TYPE_CHECKING:  # its module takes NumPy along, and the control plane needs names alone
    from tidemill.algorithms.base import Declaration

BUILT_IN = {
    "blazingtext": "tidemill.algorithms.blazingtext",
    "factorization-machines": "tidemill.algorithms.factorization_machines",
    "kmeans": "tidemill.algorithms.kmeans",
    "knn": "tidemill.algorithms.knn",
    "lda": "tidemill.algorithms.lda",
    "linear-learner": "tidemill.algorithms.linear_learner",
    "pca": "tidemill.algorithms.pca",
    "randomcutforest": "tidemill.algorithms.randomcutforest",
    "xgboost": "tidemill.algorithms.xgboost",
}
ALSO_CALLED = {"sagemaker-xgboost": "xgboost"}
"""Other repositories of the same algorithm."""
SENT_TO_ALL = ("feature_dim", "mini_batch_size", "force_dense")
# Accounts and regions differ and tags are versions of AWS's containers: the repository decides.
_IMAGE = re.compile(r"^(?:[^/]+/)*(?P<name>[^/:@]+)(?::[^/@]+)?(?:@.+)?$")


def names() -> list[str]:
    """The built-in algorithms, sorted."""
    return sorted(BUILT_IN)


def name_of(image: str) -> str:
    """The built-in that an image URI, or a plain name, stands for.

    >>> name_of("382416733822.dkr.ecr.us-east-1.amazonaws.com/kmeans:1")
    'kmeans'
    >>> name_of("linear_learner")
    'linear-learner'
    >>> name_of("683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1")
    'xgboost'
    """
    match = _IMAGE.match(image)
    name = (match["name"] if match else image).replace("_", "-").lower()
    name = ALSO_CALLED.get(name, name)
    if name not in BUILT_IN:
        near = difflib.get_close_matches(name, BUILT_IN, 1)
        hint = f"Did you mean {near[0]!r}?" if near else f"Built in are: {', '.join(names())}."
        raise NotFound("an algorithm image that Tidemill knows", got=image, do=hint)
    return name


def declaration(name: str) -> Declaration:
    """All that is declared of one algorithm; imports it."""
    found: Declaration = importlib.import_module(BUILT_IN[name_of(name)]).DECLARATION
    return found


def check(name: str, given: Mapping[str, str]) -> Any:
    """The algorithm's hyperparameters read from their text; raises InvalidHyperparameter.

    Names that AWS's own SDK sends to every algorithm are passed over where they mean nothing.
    """
    declared = declaration(name)
    known = declared.hyperparameters.__dataclass_fields__
    ignored = tuple(n for n in SENT_TO_ALL if n not in known)
    return read(declared.hyperparameters, given, algorithm=declared.name, ignored=ignored)
