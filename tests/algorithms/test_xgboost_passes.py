"""Rounds in several passes: saved, killed, shared by hosts, and always the same bytes."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
import scipy.sparse

from tests.algorithms.cases.xgboost import CASES
from tests.algorithms.test_xgboost import direct, given, numbers
from tidemill.algorithms.xgboost import pace
from tidemill.algorithms.xgboost.hyperparameters import XGBoostHyperparameters
from tidemill.algorithms.xgboost.learner import XGBoost
from tidemill.artifact.codec import from_bytes, to_bytes
from tidemill.data.batch import Batch, Csr, to_csr
from tidemill.data.cursor import START, Cursor
from tidemill.errors import InvalidData
from tidemill.testing import algorithm as laws
from tidemill.testing.algorithm import Stream
from tidemill.training.loop import Position, fit

xgb = pytest.importorskip("xgboost")


@pytest.fixture
def slowly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Passes of few rounds, as of many rows."""
    monkeypatch.setattr(pace, "_SECOND", 6000)


@pytest.mark.usefixtures("slowly")
@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize(
    "law",
    [
        laws.check_killed_anywhere_and_resumed_gives_the_same_bytes,
        laws.check_an_idle_worker_is_harmless_in_every_pass,
        laws.check_workers_that_share_every_pass_lose_little,
        laws.check_progress_ends_at_one,
        laws.check_same_seed_same_bytes,
    ],
    ids=lambda law: law.__name__.removeprefix("check_"),
)
def test_the_laws_hold_with_many_passes_too(name: str, law: laws.Check) -> None:
    law(CASES[name]())


@pytest.mark.usefixtures("slowly")
def test_passes_after_the_first_read_no_rows_and_rounds_are_told_of_once() -> None:
    features, labels = numbers()
    rows, held = Reads(Batch(features, labels)), Reads(Batch(features, labels))
    seen = Passes()
    hyperparameters = given(num_round="30")
    state = fit(XGBoost(hyperparameters), rows, held_out=held, watcher=seen)
    assert len(seen.states) > 3
    assert rows.passes == held.passes == [0]
    assert [line.partition("#")[0] for line in seen.lines] == [f"[{i}]" for i in range(30)]
    wanted = direct(xgb.DMatrix(features, labels), 30)
    assert XGBoost(hyperparameters).finalize(state).booster.tobytes() == wanted
    sizes = [len(to_bytes(s)) - len(s.booster) for s in seen.states]
    assert max(sizes) < 4000, "a closed state holds no rows"


@pytest.mark.usefixtures("slowly")
def test_a_later_attempt_reads_the_rows_again_in_the_order_of_the_first_pass() -> None:
    features, labels = numbers()
    rows, seen = Reads(Batch(features, labels)), Passes()
    hyperparameters = given(num_round="30", subsample="0.7")
    wanted = fit(XGBoost(hyperparameters), rows, watcher=seen)
    for pass_, state in enumerate(seen.states[:-1], 1):
        again = Reads(rows.rows)
        at = Position(from_bytes(type(state), to_bytes(state)), pass_)
        assert to_bytes(fit(XGBoost(hyperparameters), again, resume=at)) == to_bytes(wanted)
        assert again.passes == [0]
    other = Reads(Batch(features, labels + 1))
    with pytest.raises(InvalidData, match="must be those that training began with"):
        fit(XGBoost(hyperparameters), other, resume=Position(seen.states[0], 1))


@pytest.mark.usefixtures("slowly")
def test_hosts_gather_the_rows_of_all_and_train_alike() -> None:
    features, labels = numbers()
    rows = Batch(features, labels)
    parts = [[rows.rows(0, 250)], [rows.rows(250, 300), rows.rows(300, 600)], []]
    hyperparameters = given(num_round="30")
    states = in_step(hyperparameters, parts)
    wanted = direct(xgb.DMatrix(features, labels), 30)
    assert {s.booster.tobytes() for s in states} == {wanted}
    assert all(s.is_over and not s.kept for s in states)
    killed = in_step(hyperparameters, parts, kill=1)
    assert [to_bytes(s) for s in killed] == [to_bytes(s) for s in states]


def test_hosts_whose_sparse_rows_end_earlier_are_as_wide_as_the_widest() -> None:
    features, labels = numbers(missing=0)
    features[np.abs(features) < 0.8] = 0
    features[300:, 4:] = 0
    whole = to_csr(features)
    halves = [Batch(whole.rows(0, 300), labels[:300]), Batch(whole.rows(300, 600), labels[300:])]
    narrow = halves[1].features
    assert isinstance(narrow, Csr)
    halves[1] = Batch(Csr(narrow.indptr, narrow.indices, narrow.values, 4), labels[300:])
    algorithm = XGBoost(given())
    states = [algorithm.update(algorithm.start(), half) for half in reversed(halves)]
    merged = algorithm.close_pass(algorithm.merge(*reversed(states)))
    matrix = xgb.DMatrix(scipy.sparse.csr_matrix(features), labels)
    assert merged.booster.tobytes() == direct(matrix)
    dense = algorithm.update(algorithm.start(), Batch(features[:, :5], labels))
    with pytest.raises(InvalidData, match="rows of one width; got '5 and 6"):
        algorithm.merge(dense, algorithm.update(algorithm.start(), Batch(features, labels)))


class Reads:
    """A channel that remembers which passes were read."""

    def __init__(self, rows: Batch) -> None:
        self.rows, self.passes = rows, list[int]()

    def read(self, pass_: int, start: Cursor = START) -> Iterator[tuple[Batch, Cursor]]:
        self.passes.append(pass_)
        yield from Stream([*self.rows.split(100)]).read(pass_, start)


class Passes:
    """The state after every pass, and the log's lines."""

    def __init__(self) -> None:
        self.states: list[Any] = []
        self.lines: list[str] = []

    def batch(self, position: Position[Any], rows: int) -> None: ...
    def closed(self, position: Position[Any]) -> None:
        self.states.append(position.state)
        self.lines += XGBoost(given()).lines(position.state)


def in_step(
    hyperparameters: XGBoostHyperparameters,
    parts: Sequence[Sequence[Batch]],
    kill: int | None = None,
) -> list[Any]:
    """The last states of hosts that meet after every pass. kill: the host that begins anew after
    the second pass, with nothing but its state."""
    hosts = [XGBoost(hyperparameters) for _ in parts]
    states = [host.start() for host in hosts]
    for pass_ in range(100):
        if pass_ == 2 and kill is not None:
            hosts[kill] = XGBoost(hyperparameters)
        for index, host in enumerate(hosts):
            for batch in () if host.pass_is_over(states[index]) else parts[index]:
                states[index] = host.update(states[index], batch)
        copies = [[from_bytes(type(s), to_bytes(s)) for s in states] for _ in hosts]
        merged = [functools.reduce(h.merge, mine) for h, mine in zip(hosts, copies, strict=True)]
        states = [host.close_pass(state) for host, state in zip(hosts, merged, strict=True)]
        if not any(h.wants_another_pass(s) for h, s in zip(hosts, states, strict=True)):
            return states
    raise AssertionError("never over")
