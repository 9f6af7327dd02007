"""Factorization machines: what they learn, what is documented of them, and what they remember."""

from __future__ import annotations

import io
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.metrics import accuracy_score, f1_score, log_loss, mean_absolute_error

from tests.algorithms.machines import BINARY, NUMBERS, machine, pairs, settings, trained, value
from tidemill.algorithms.factorization_machines import initial
from tidemill.algorithms.factorization_machines.balance import Balance
from tidemill.algorithms.factorization_machines.declaration import DECLARATION
from tidemill.algorithms.factorization_machines.hyperparameters import (
    FactorizationMachinesHyperparameters,
)
from tidemill.algorithms.factorization_machines.learner import FactorizationMachines
from tidemill.algorithms.factorization_machines.model import FactorizationModel
from tidemill.algorithms.factorization_machines.state import factors_of
from tidemill.algorithms.hyperparameters import read
from tidemill.artifact.codec import to_bytes
from tidemill.data.batch import Batch, Csr
from tidemill.errors import Invalid
from tidemill.kernels import factorization_machines as kernel
from tidemill.kernels.factorization_machines import HEAD, SEEN, WEIGHT
from tidemill.training.loop import Position
from tidemill.workers.log_lines import Log


@pytest.mark.parametrize(("kind", "most"), [(NUMBERS, 0.1), (BINARY, 0.15)])
def test_meetings_of_features_are_learned(kind: str, most: float) -> None:
    algorithm = machine(kind, epochs=20)
    model = algorithm.finalize(trained(algorithm, pairs(2000, kind)))
    assert value(algorithm, model, pairs(500, kind, seed=1)) < most
    linear = replace(model, factors=np.zeros_like(model.factors))
    assert value(algorithm, linear, pairs(500, kind, seed=1)) > 3 * most


def test_documented_defaults_hold() -> None:
    given = read(
        FactorizationMachinesHyperparameters,
        {"feature_dim": "8", "num_factors": "3", "predictor_type": NUMBERS},
        algorithm=DECLARATION.name,
    )
    assert (given.epochs, given.mini_batch_size) == (1, 1000)
    assert (given.bias_lr, given.linear_lr, given.factors_lr) == (0.1, 0.001, 0.0001)
    assert (given.bias_wd, given.linear_wd, given.factors_wd) == (0.01, 0.001, 0.00001)
    assert [given.begins(k) for k in ("bias", "linear", "factors")] == [
        ("normal", 0.01), ("normal", 0.01), ("normal", 0.001)
    ]  # fmt: skip
    assert (given.clip_gradient, given.rescale_grad, given.eps) == (None, None, None)
    algorithm = FactorizationMachines(given)
    before = initial.records(given, 0, 0, 8)
    state = algorithm.update(algorithm.start(), pairs(900))  # a first step of Adam is one rate long
    assert state.records is not None
    moved = abs(state.records - before)
    assert_allclose(moved[:, WEIGHT], 0.001, rtol=0.01)
    assert_allclose(moved[:, HEAD : HEAD + 3], 0.0001, rtol=0.1)


def test_rates_of_zero_leave_what_was_begun_with() -> None:
    algorithm = machine(bias_lr=0, linear_lr=0, factors_lr=0, epochs=3)
    state = trained(algorithm, pairs(100))
    assert state.records is not None
    before = initial.records(algorithm.given, 0, 0, 8)
    assert_array_equal(state.records[:, WEIGHT], before[:, WEIGHT])
    assert_array_equal(factors_of(state), before[:, HEAD : HEAD + 4])


def test_features_begin_as_they_are_told_to() -> None:
    given = settings(
        columns=10_000, linear_init_method="uniform", linear_init_scale=0.5,
        factors_init_sigma=0.3, bias_init_method="constant", bias_init_value=-2.0,
    )  # fmt: skip
    records = initial.records(given, 0, 0, 10_000)
    linear, factors = records[:, WEIGHT], records[:, HEAD : HEAD + 4]
    assert abs(linear).max() <= 0.5
    assert linear.std() == pytest.approx(0.5 / 3**0.5, rel=0.05)
    assert factors.std() == pytest.approx(0.3, rel=0.02)
    assert abs(factors.mean()) < 0.01
    assert initial.bias(given, 0)[0] == -2
    assert not records[:, HEAD + 4 :].any()
    assert abs(initial.records(given, 1, 0, 10) - records[:10]).max() > 0


def test_how_a_feature_begins_does_not_depend_on_how_many_there_are() -> None:
    given = settings(columns=10_000)
    whole = initial.records(given, 7, 0, 10_000)
    for first, last in ((0, 3), (4000, 4200), (4096, 8192), (9990, 10_000)):
        assert_array_equal(initial.records(given, 7, first, last), whole[first:last])


def test_penalties_draw_weights_to_zero() -> None:
    sizes = []
    for wd in (0.0, 0.01, 0.1):
        algorithm = machine(linear_wd=wd, factors_wd=wd, epochs=20)
        model = algorithm.finalize(trained(algorithm, pairs(400)))
        sizes.append((np.linalg.norm(model.linear), np.linalg.norm(model.factors)))
    for lower, higher in zip(sizes[1:], sizes, strict=False):
        assert lower[0] < higher[0]
        assert lower[1] < higher[1]


def test_the_automatic_penalty_keeps_noise_out() -> None:
    """Of features that mean nothing hardly anything is made, and of clean ones much."""
    draws = np.random.default_rng(0)
    noise = replace(pairs(300), labels=draws.normal(size=300).astype(np.float32))
    given: dict[str, Any] = {"epochs": 20, "use_lr_scheduler": True, "linear_wd": None}
    for rows, better in ((noise, True), (pairs(300), False)):
        free, held = machine(factors_wd=0.0, **given), machine(factors_wd=None, **given)
        probe = pairs(300, seed=1)
        if rows is noise:
            probe = replace(probe, labels=draws.normal(size=300).astype(np.float32))
        of_free = value(free, free.finalize(trained(free, rows)), probe)
        of_held = value(held, held.finalize(trained(held, rows)), probe)
        assert of_held < of_free if better else of_held < 0.1


@pytest.mark.parametrize("is_logistic", [False, True])
def test_the_balance_tells_what_sizes_would_be_best(is_logistic: bool) -> None:
    draws = np.random.default_rng(0)
    linear, pairs = draws.normal(size=4000), draws.normal(size=4000)
    truth = 0.9 * linear + 0.4 * pairs + 0.3
    labels = draws.random(4000) < 1 / (1 + np.exp(-truth)) if is_logistic else truth
    each = np.ones(4000)
    whole = Balance.of(linear, pairs, labels, each, is_logistic=is_logistic)
    if is_logistic:  # one step goes too far, but where to is right
        assert whole.sizes()[1] < 0.5 < whole.sizes()[0] < 1
    else:
        assert whole.sizes() == pytest.approx((0.9, 0.4), abs=0.01)
    cut = [slice(0, 1000), slice(1000, 4000)]
    first, rest = (
        Balance.of(linear[c], pairs[c], labels[c], each[c], is_logistic=is_logistic) for c in cut
    )
    assert first.merge(rest).sizes() == pytest.approx(whole.sizes())


def test_held_out_rows_that_do_not_bear_factors_out_hold_them_back() -> None:
    rows, draws = pairs(300), np.random.default_rng(0)
    noise = replace(rows, labels=draws.normal(size=300).astype(np.float32))
    for held, factors_wd, shrinks in (
        (noise, None, True), (rows, None, False), (noise, 0.001, False)
    ):  # fmt: skip
        algorithm = machine(factors_wd=factors_wd)
        state = algorithm.update(algorithm.start(), rows)
        for _ in range(10):
            state = algorithm.update(state, rows)
        before = float(np.linalg.norm(factors_of(state)))
        state = algorithm.close_pass(algorithm.hold_out(state, held))
        after = float(np.linalg.norm(factors_of(state)))
        assert (after < 0.8 * before) == shrinks
        assert (state.strength > 1) == shrinks
        assert state.held is None


def test_falling_rates_come_to_rest() -> None:
    algorithm = machine(epochs=4, use_lr_scheduler=True)
    rows, moves = pairs(400), []
    state = algorithm.start()
    for _ in range(4):
        for batch in rows.split(20):
            before = None if state.records is None else factors_of(state).copy()
            state = algorithm.update(state, batch)
            moves.append(0.0 if before is None else abs(factors_of(state) - before).max())
        state = algorithm.close_pass(state)
    assert not algorithm.wants_another_pass(state)
    assert max(moves[-3:]) < 0.01 < max(moves[:20])


def test_clipped_and_scaled_slopes_are_those_of_smaller_labels() -> None:
    """Adam does not mind the size of slopes, but for what is clipped and for epsilon."""
    rows = pairs(200)
    wd: dict[str, Any] = {"bias_wd": 0.0, "linear_wd": 0.0, "factors_wd": 0.0}
    plain = machine(**wd, mini_batch_size=200)
    state = plain.update(plain.start(), rows)
    for changed in ({"rescale_grad": 3.0}, {"clip_gradient": 1e-4}, {"eps": 1e-12}):
        other = machine(**wd, mini_batch_size=200, **changed)
        again = other.update(other.start(), rows)
        assert_allclose(factors_of(again), factors_of(state), rtol=2e-2, atol=1e-3)
    slow = machine(**wd, mini_batch_size=200, eps=10.0)
    assert state.records is not None
    far = slow.update(slow.start(), rows)
    begun = initial.records(slow.given, 0, 0, 8)[:, HEAD : HEAD + 4]
    assert abs(factors_of(far) - begun).max() < 0.01 * abs(factors_of(state) - begun).max()


@pytest.mark.parametrize("cores", [1, 2, 5])
def test_any_number_of_cores_makes_the_same_model(
    monkeypatch: pytest.MonkeyPatch, cores: int
) -> None:
    rows, given = pairs(500, BINARY), settings(BINARY, mini_batch_size=100, epochs=2)
    wanted = trained(FactorizationMachines(given), rows)
    monkeypatch.setattr(kernel, "WORTH_SHARING", 1)
    monkeypatch.setattr(kernel, "_BLOCK", 64)
    with ThreadPoolExecutor(cores) as pool:
        got = trained(FactorizationMachines(given, each=pool.map), rows)
    assert to_bytes(got) == to_bytes(wanted)


def test_what_one_worker_alone_has_seen_stays_as_it_made_it() -> None:
    algorithm, rows = machine(), pairs(400)
    state = algorithm.close_pass(algorithm.update(algorithm.start(), rows))
    first = rows.take(np.flatnonzero(rows.dense()[:, 0]))
    others = rows.take(np.flatnonzero(rows.dense()[:, 0] == 0))
    left = algorithm.update(replace(state, records=_copy(state.records)), first)
    right = algorithm.update(replace(state, records=_copy(state.records)), others)
    mine, theirs = _copy(left.records), _copy(right.records)
    merged = algorithm.merge(left, right).records
    assert merged is not None
    assert_array_equal(merged[0], mine[0])
    assert_array_equal(merged[1], theirs[1])
    both = mine[5, SEEN] + theirs[5, SEEN]
    share = theirs[5, SEEN] / both
    assert_allclose(merged[5, :SEEN], (1 - share) * mine[5, :SEEN] + share * theirs[5, :SEEN],
                    rtol=1e-5)  # fmt: skip
    assert merged[5, SEEN] == both


def _copy(records: Any) -> Any:
    assert records is not None
    return records.copy()


def test_training_goes_on_with_further_columns() -> None:
    before, after = machine(columns=8), machine(columns=10, epochs=5)
    old = trained(before, pairs(400))
    model = before.finalize(old)
    wider = after.reopen(old)
    grown = after.finalize(wider)
    assert_array_equal(grown.factors[:8], model.factors)
    assert_array_equal(grown.factors[8:], initial.records(after.given, 0, 8, 10)[:, HEAD:][:, :4])
    rows = pairs(400, seed=1)
    more = np.concatenate([rows.dense(), np.eye(2, dtype=np.float32)[np.arange(400) % 2]], axis=1)
    state = trained(after, replace(rows, features=more), resume=Position(wider))
    assert after.finalize(state).columns == 10
    assert state.epoch == 5


def test_fewer_factors_are_made_of_many_without_a_row() -> None:
    many = machine(num_factors=12, epochs=20, factors_wd=0.001)
    rows, probe = pairs(2000), pairs(300, seed=1)
    state = trained(many, rows)
    of_many = value(many, many.finalize(state), probe)
    few = machine(num_factors=2)
    model = few.finalize(few.reopen(state))
    assert model.factors.shape == (8, 2)
    assert value(few, model, probe) < of_many + 0.05  # two are what the rows are made of
    one = machine(num_factors=1)
    state = trained(many, rows)
    assert value(one, one.finalize(one.reopen(state)), probe) > 2 * of_many


def test_a_turn_of_all_factors_changes_no_score() -> None:
    draws, rows = np.random.default_rng(0), pairs(50)
    factors = draws.normal(size=(8, 5)) @ draws.normal(size=(5, 12))  # of rank 5
    algorithm, few = machine(num_factors=12), machine(num_factors=5)
    state = algorithm.update(algorithm.start(), rows)
    assert state.records is not None
    state.records[:, HEAD : HEAD + 12] = factors
    wanted = algorithm.finalize(state).raw(rows)
    assert_allclose(few.finalize(few.reopen(state)).raw(rows), wanted, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"columns": 7}, r"feature_dim must be at least 8.*got 7"),
        ({"num_factors": 5}, r"num_factors must be at most 4.*got 5"),
        ({"kind": BINARY}, r"predictor_type must stay.*'binary_classifier'"),
    ],
)
def test_what_cannot_go_on_from_a_state_says_so(changed: dict[str, Any], told: str) -> None:
    algorithm = machine()
    state = trained(algorithm, pairs(100))
    with pytest.raises(Invalid, match=told):
        machine(**changed).reopen(state)


def test_far_scores_are_certain_and_not_lost() -> None:
    model = FactorizationModel(
        BINARY, 0.0, np.array([200.0], np.float32), np.zeros((1, 1), np.float32)
    )
    said = model.predict(Batch(np.array([[1], [-1], [0]], np.float32)))
    assert_allclose(said["score"], [1, 0, 0.5], atol=1e-30)
    assert_array_equal(said["predicted_label"], [1, 0, 1])


def test_measures_are_scikit_learns() -> None:
    rows = pairs(300, BINARY)
    algorithm = machine(BINARY, epochs=2)
    model = algorithm.finalize(trained(algorithm, rows))
    noisy = replace(rows, labels=np.where(np.arange(300) % 7, rows.labels, 1 - rows.labels))
    said = model.predict(noisy)
    evidence = algorithm.evaluate(model, noisy)
    assert evidence is not None
    assert noisy.labels is not None
    got = {m.name: m.value for m in evidence.measures()}
    assert got == pytest.approx(
        {
            "binary_classification_cross_entropy": log_loss(noisy.labels, said["score"]),
            "binary_classification_accuracy": accuracy_score(noisy.labels, said["predicted_label"]),
            "binary_f_1.000": f1_score(noisy.labels, said["predicted_label"]),
        },
        rel=1e-4,
    )
    numbers = machine(epochs=2)
    model = numbers.finalize(trained(numbers, pairs(300)))
    probe = pairs(100, seed=1)
    evidence = numbers.evaluate(model, probe)
    assert evidence is not None
    assert probe.labels is not None
    got = {m.name: m.value for m in evidence.measures()}
    error = model.predict(probe)["score"] - probe.labels
    assert got == pytest.approx(
        {
            "rmse": np.sqrt((error**2).mean()),
            "mse": (error**2).mean(),
            "absolute_loss": mean_absolute_error(probe.labels, model.predict(probe)["score"]),
        },
        rel=1e-4,
    )


def test_the_reported_loss_is_that_of_rows_before_their_step() -> None:
    algorithm, rows = machine(mini_batch_size=50), pairs(50)
    model = FactorizationModel(
        NUMBERS, float(initial.bias(algorithm.given, 0)[0]),
        *(lambda r: (r[:, WEIGHT].copy(), r[:, HEAD : HEAD + 4].copy()))(
            initial.records(algorithm.given, 0, 0, 8)
        ),
    )  # fmt: skip
    state = algorithm.close_pass(algorithm.update(algorithm.start(), rows))
    assert algorithm.report(state)["train"][0].value == pytest.approx(value(algorithm, model, rows))


@pytest.mark.parametrize("kind", [NUMBERS, BINARY])
def test_declared_metrics_are_found_in_the_lines(kind: str) -> None:
    algorithm, rows = machine(kind), pairs(100, kind)
    state = trained(algorithm, rows)
    evidence = algorithm.evaluate(algorithm.finalize(state), rows)
    assert evidence is not None
    out = io.StringIO()
    log = Log("algo-1", out=out)
    for measure in algorithm.report(state)["train"]:
        log.quality("train", measure, 0)
    for measure in evidence.measures():
        log.quality("test", measure)
    found = {m.name for m in DECLARATION.metrics if re.search(m.regex, out.getvalue())}
    words = {
        NUMBERS: {"rmse", "mse", "absolute_loss"},
        BINARY: {
            "binary_classification_accuracy", "binary_classification_cross_entropy",
            "binary_f_beta",
        },
    }[kind]  # fmt: skip
    assert found == {f"{channel}:{word}" for channel in ("train", "test") for word in words}
    if kind == NUMBERS:
        assert "#quality_metric: host=algo-1, epoch=0, train rmse <loss>=" in out.getvalue()
        assert "#quality_metric: host=algo-1, test rmse <loss>=" in out.getvalue()


def test_a_model_of_many_columns_costs_what_its_rows_touch() -> None:
    """A million columns, of which a row has two: what is not touched is not even looked at."""
    columns = 1_000_000
    algorithm = machine(columns=columns, num_factors=2, linear_init_sigma=0.0)
    draws = np.random.default_rng(0)
    indices = np.sort(draws.integers(0, columns // 2, (200, 2)) * 2, axis=1)
    rows = Csr(np.arange(0, 401, 2), indices.ravel(), np.ones(400, np.float32), columns)
    state = algorithm.update(algorithm.start(), Batch(rows, np.ones(200, np.float32)))
    assert state.records is not None
    assert state.records[:, SEEN].sum() == 400
    assert not state.records[1::2, WEIGHT].any()
    assert state.records[np.unique(indices), WEIGHT].all()
