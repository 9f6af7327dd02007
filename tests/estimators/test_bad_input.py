"""What no estimator can work with is a ValueError that names it, and nothing else."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn")
from tidemill import estimators
from tidemill.errors import Invalid, TidemillError

OF_TEXTS = ("TextClassifier", "Word2Vec")
TABULAR = [name for name in estimators.__all__ if name not in OF_TEXTS]
ROWS = np.random.default_rng(3).poisson(3, (40, 4)).astype(float)
LABELS = (ROWS[:, 0] > 2).astype(int)
FREE = ("random_state", "parameters")
"""Parameters that are checked by whoever they are handed to."""


def make(name: str, **parameters: Any) -> Any:
    return getattr(estimators, name)(**parameters)


def test_what_is_invalid_is_a_value_error() -> None:
    assert issubclass(Invalid, ValueError)
    assert not issubclass(TidemillError, ValueError)


@pytest.mark.parametrize("name", TABULAR)
@pytest.mark.parametrize("value", ["nonsense", -1, float("nan")])
def test_a_parameter_that_cannot_be_is_a_value_error(name: str, value: object) -> None:
    for parameter in set(make(name).get_params()) - set(FREE):
        # Those that the other parameters leave without a meaning may be anything.
        with contextlib.suppress(ValueError, TypeError):
            make(name, **{parameter: value}).fit(ROWS, LABELS)


@pytest.mark.parametrize("name", TABULAR)
@pytest.mark.parametrize("scale", [1e20, 1e36])
def test_huge_rows_are_refused_or_answered_in_numbers(name: str, scale: float) -> None:
    fitted = (
        make(name).fit(ROWS, LABELS) if name != "KMeans" else make(name, n_clusters=3).fit(ROWS)
    )
    answer = getattr(fitted, "predict", None) or fitted.transform
    with contextlib.suppress(ValueError):
        assert np.isfinite(answer(ROWS * scale)).all()
    with contextlib.suppress(ValueError):
        fitted.fit(ROWS * scale, LABELS)
        assert np.isfinite(answer(ROWS)).all()


@pytest.mark.parametrize("name", ["LinearLearnerClassifier", "LinearLearnerRegressor"])
@pytest.mark.parametrize(
    ("parameter", "value", "words"),
    [
        ("optimizer", "best", "optimizer must be one of .* got 'best'"),
        ("batch_size", -1, "mini_batch_size must be an integer of at least 1.*; got -1"),
        ("learning_rate", float("nan"), "learning_rate must be a number above 0.*; got nan"),
        ("l1", -0.5, "l1 must be a number of at least 0.*; got -0.5"),
    ],
)
def test_a_linear_learner_names_the_parameter(
    name: str, parameter: str, value: object, words: str
) -> None:
    with pytest.raises(Invalid, match=words):
        make(name, **{parameter: value}).fit(ROWS, LABELS)


def test_class_weights_are_a_dictionary() -> None:
    with pytest.raises(Invalid, match=r"class_weight must be .*got \[1, 2\]"):
        make("LinearLearnerClassifier", class_weight=[1, 2]).fit(ROWS, LABELS)
