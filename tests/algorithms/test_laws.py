"""Every built-in keeps the laws of algorithms, or says which it cannot keep and why.

The cases stand in ``cases``, a module for each algorithm.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable

import pytest

from tests.algorithms import cases
from tidemill import registry
from tidemill.testing.algorithm import CHECKS, Case, Check
from tidemill.testing.hyperparameters import (
    check_bad_hyperparameters_name_themselves,
    check_the_documented_words_and_bounds_are_accepted,
    check_unknown_hyperparameters_are_told_of,
)

CASES: dict[str, Callable[[], Case]] = {
    name: make
    for module in pkgutil.iter_modules(cases.__path__)
    for name, make in importlib.import_module(f"{cases.__name__}.{module.name}").CASES.items()
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
