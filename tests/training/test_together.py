"""Parts learned side by side are what the hosts of one job would learn of them."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from tests.algorithms.test_laws import CASES
from tidemill.algorithms.base import Algorithm
from tidemill.algorithms.hyperparameters import read
from tidemill.artifact.codec import from_bytes, to_bytes
from tidemill.data.batch import Batch, concatenate
from tidemill.testing.algorithm import Case
from tidemill.training.together import go_on

LEARNING = [name for name, make in CASES.items() if make().declaration.learns is not None]


def copied(state: Any) -> Any:
    return from_bytes(type(state), to_bytes(state))


def by_hand(case: Case, before: Any, parts: Sequence[Batch]) -> Any:
    """Every host folds all its rows, pass after pass, and all merge at the end of each."""
    algorithm = case.algorithm()
    states = [algorithm.reopen(copied(before), leads=host == 0) for host in range(len(parts))]
    while True:
        for host, part in enumerate(parts):
            for batch in part.split(algorithm.batch_rows):
                if not algorithm.pass_is_over(states[host]):
                    states[host] = algorithm.update(states[host], batch)
        closed = algorithm.close_pass(functools.reduce(algorithm.merge, states))
        if not algorithm.wants_another_pass(closed):
            return closed
        states = [copied(closed) for _ in parts]


def learning(case: Case) -> Algorithm[Any]:
    declared = case.declaration
    given = read(declared.hyperparameters, case.hyperparameters, algorithm=declared.name)
    if declared.epochs_of_feedback is not None:
        given = replace(given, epochs=declared.epochs_of_feedback)
    algorithm: Algorithm[Any] = declared.algorithm(given)
    return algorithm


@pytest.mark.parametrize("name", LEARNING)
def test_parts_are_hosts(name: str) -> None:
    case = CASES[name]()
    before = case.learned(case.stream[:3])
    parts = [case.stream[3], concatenate(case.stream[4:])]
    state = go_on(case.algorithm(), before, parts)
    assert to_bytes(state) == to_bytes(by_hand(case, before, parts))


@pytest.mark.parametrize("name", LEARNING)
def test_the_state_gone_on_from_stays_as_it_was(name: str) -> None:
    case = CASES[name]()
    before = case.learned(case.stream[:3])
    bytes_before = to_bytes(before)
    go_on(case.algorithm(), before, case.stream[3:5])
    assert to_bytes(before) == bytes_before


@pytest.mark.parametrize("name", LEARNING)
def test_with_a_half_life_old_rows_count_less(name: str) -> None:
    """After a few half-lives next to nothing is left of rows whose labels were the other way."""
    case = CASES[name]()
    algorithm = learning(case)
    if not algorithm.fades:
        pytest.skip("all rows count alike")
    old = [replace(b, features=-b.dense()) for b in case.stream]
    before = case.learned(old)
    with_it = without = before
    for batch in case.stream:
        for part in batch.split(16):
            without = go_on(algorithm, without, [part])
            with_it = go_on(algorithm, with_it, [part], half_life=60)
    first, second = (case.quality(algorithm.finalize(s)) for s in (without, with_it))
    sign = 1 if first.kind == "loss" else -1
    slack = 0.1 if case.declaration.name == "factorization-machines" else 0.0
    assert sign * (second.value - first.value) <= slack * first.value, (first, second)


@pytest.mark.parametrize("name", LEARNING)
def test_many_small_versions_are_nearly_as_good_as_all_rows_at_once(name: str) -> None:
    """As endpoints learn that are told of twenty rows at a time."""
    case = CASES[name]()
    state, algorithm = case.learned(case.stream[:2]), learning(case)
    for batch in case.stream[2:]:
        for part in batch.split(20):
            state = go_on(algorithm, state, [part])
    after = case.quality(algorithm.finalize(state))
    whole = case.quality(case.trained())
    sign = 1 if after.kind == "loss" else -1
    assert sign * (after.value - whole.value) <= 0.22 * whole.value, (after, whole)
