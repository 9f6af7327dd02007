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


CASES: dict[str, Callable[[], Case]] = {
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
