"""Principal components: what numpy's own decomposition finds, whatever the rows are like."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from tidemill.algorithms.hyperparameters import read
from tidemill.algorithms.pca import scatter
from tidemill.algorithms.pca.components import components
from tidemill.algorithms.pca.declaration import DECLARATION
from tidemill.algorithms.pca.hyperparameters import PcaHyperparameters
from tidemill.algorithms.pca.learner import Pca
from tidemill.algorithms.pca.model import PcaModel, exports, imports
from tidemill.algorithms.pca.rows import origin_of
from tidemill.algorithms.pca.state import PcaState
from tidemill.artifact.codec import to_bytes
from tidemill.artifact.ndarrays import decode, encode
from tidemill.data.batch import Batch, Csr, Floats, to_csr
from tidemill.errors import Invalid, InvalidData, InvalidHyperparameter
from tidemill.kernels.pca import check_rows
from tidemill.testing.algorithm import Stream
from tidemill.training.loop import Position, fit

Wide = Callable[[], None]


def learner(columns: int, count: int, **more: Any) -> Pca:
    return Pca(PcaHyperparameters(feature_dim=columns, num_components=count, **more))


def train(algorithm: Pca, rows: Floats | Csr, batch_rows: int = 200) -> PcaState:
    return fit(algorithm, Stream(list(Batch(rows).split(batch_rows))))


def model_of(rows: Floats | Csr, count: int, **more: Any) -> PcaModel:
    algorithm = learner(rows.shape[1], count, **more)
    return algorithm.finalize(train(algorithm, rows))


def drawn(rows: int, columns: int, seed: int = 0) -> Floats:
    """Rows along turned axes, of variances 1, 1/4, 1/9 …"""
    draws = np.random.default_rng(seed)
    turn = np.linalg.qr(draws.normal(size=(columns, columns)))[0]
    return (draws.normal(size=(rows, columns)) / np.arange(1, columns + 1) @ turn).astype(
        np.float32
    )


def by_numpy(rows: Floats, count: int, subtract_mean: bool = True) -> tuple[Any, Any]:
    """(columns, count) right singular vectors, (count,) singular values, in float64."""
    exact = rows.astype(np.float64)
    exact = exact - exact.mean(axis=0) if subtract_mean else exact
    _, values, vectors = np.linalg.svd(exact, full_matrices=False)
    return vectors[:count].T, values[:count]


def assert_same_axes(found: Any, wanted: Any, tolerance: float) -> None:
    """Columns that are the same up to their sign."""
    assert_allclose(np.abs(np.einsum("ij,ij->j", found, wanted)), 1.0, atol=tolerance)


@pytest.fixture
def wide(monkeypatch: pytest.MonkeyPatch) -> Wide:
    """Tables are filled tile by tile, as those of many columns are."""

    def set_sizes() -> None:
        for name, value in (("_NARROW", 0), ("_TILE", 5), ("_BLOCK", 70)):
            monkeypatch.setattr(scatter, name, value)

    return set_sizes


@pytest.mark.parametrize("is_wide", [False, True])
@pytest.mark.parametrize("subtract_mean", [True, False])
@pytest.mark.parametrize("count", [1, 4, 12])
def test_components_are_those_of_a_singular_value_decomposition(
    count: int, subtract_mean: bool, is_wide: bool, wide: Wide
) -> None:
    if is_wide:
        wide()
    rows = drawn(1000, 12) + np.float32(0.5)
    model = model_of(rows, count, subtract_mean=subtract_mean)
    vectors, values = by_numpy(rows, count, subtract_mean)
    assert_same_axes(model.v, vectors[:, ::-1], 1e-5)
    assert_allclose(model.s, values[::-1], rtol=1e-5)
    assert (model.mean is not None) == subtract_mean


def test_the_strongest_component_comes_last() -> None:
    rows = drawn(1000, 5)
    model = model_of(rows, 3)
    projected = model.predict(Batch(rows))["projection"]
    assert (np.diff(model.s) > 0).all()
    assert (np.diff(projected.var(axis=0)) > 0).all()
    assert projected.dtype == np.float32


@pytest.mark.parametrize("far", [0.0, 10.0, 1e3, 1e5])
def test_a_mean_far_from_zero_costs_no_digits_but_those_of_the_rows(far: float) -> None:
    rows = drawn(3000, 8) + np.float32(far) * np.linspace(-1, 1, 8, dtype=np.float32)
    vectors, values = by_numpy(rows, 4)
    model = model_of(rows, 4)
    assert_same_axes(model.v, vectors[:, ::-1], 1e-5)
    assert_allclose(model.s, values[::-1], rtol=2e-5)


def test_columns_of_very_different_scales_keep_their_digits() -> None:
    scales = 10.0 ** np.arange(-4, 4)
    rows = (np.random.default_rng(0).normal(size=(4000, 8)) * scales + 3 * scales).astype(
        np.float32
    )
    vectors, values = by_numpy(rows, 8)
    model = model_of(rows, 8)
    assert_allclose(model.s[-5:], values[4::-1], rtol=1e-4)
    assert_same_axes(model.v[:, -5:], vectors[:, 4::-1], 1e-4)


def test_a_mean_that_wanders_is_followed() -> None:
    rows = drawn(4000, 6) + np.linspace(0, 3000, 4000, dtype=np.float32)[:, None]
    vectors, values = by_numpy(rows, 3)
    model = model_of(rows, 3)
    assert_same_axes(model.v[:, -1:], vectors[:, :1], 1e-6)
    assert_allclose(model.s, values[::-1], rtol=1e-3)


@pytest.mark.parametrize("share", [0.02, 0.5])
@pytest.mark.parametrize("mode", ["regular", "randomized"])
def test_sparse_rows_are_the_same_rows(share: float, mode: str) -> None:
    draws = np.random.default_rng(0)
    columns = 60 if mode == "regular" else 2100
    dense = draws.normal(size=(600, columns)) * np.linspace(3, 1, columns)
    dense = (dense * (draws.random(dense.shape) < share) + 0).astype(np.float32)
    given = {"algorithm_mode": mode, "extra_components": 40}
    left = model_of(dense, 3, **given)
    right = model_of(to_csr(dense), 3, **given)
    assert_allclose(left.s, right.s, rtol=1e-3)
    assert_same_axes(left.v, right.v, 1e-3)
    assert left.mean is not None
    assert_allclose(left.mean, right.mean, atol=1e-5)


def test_sparse_entries_may_come_in_any_order_and_more_than_once() -> None:
    indptr = np.array([0, 3, 5, 6, 9])
    indices = np.array([7, 2, 2, 50, 0, 3, 90, 3, 90])
    values = np.array([1.0, 2, 3, 4, 5, 6, 7, 8, 9], np.float32)
    rows = Csr(indptr, indices, values, 100)
    left, right = model_of(rows, 3), model_of(rows.to_dense(), 3)
    assert_allclose(left.s, right.s, rtol=1e-5)


@pytest.mark.parametrize("bad", [-1, 100, 2**40])
def test_sparse_columns_out_of_range_are_refused(bad: int) -> None:
    rows = Csr(np.array([0, 2]), np.array([3, bad]), np.ones(2, np.float32), 100)
    with pytest.raises((InvalidData, ValueError)):
        model_of(rows, 1)


@pytest.mark.parametrize("indptr", [[0, 3], [1, 2], [0, 2, 1, 2], [0, -1, 2]])
def test_sparse_pointers_out_of_range_are_refused(indptr: list[int]) -> None:
    rows = Csr(np.array(indptr), np.array([3, 4]), np.ones(2, np.float32), 100)
    algorithm = learner(100, 1)
    with pytest.raises((InvalidData, ValueError)):
        algorithm.update(algorithm.start(), Batch(rows))


def test_sparse_pointers_whose_differences_overflow_are_refused() -> None:
    with pytest.raises(InvalidData, match="row after row"):
        check_rows(np.array([0, 2, -(2**63), -1, 2]), np.array([3, 4]), 2, 100)


@pytest.mark.parametrize("is_sparse", [False, True])
@pytest.mark.parametrize("mode", ["regular", "randomized"])
def test_a_weight_of_two_is_a_row_that_comes_twice_and_zero_none(
    mode: str, is_sparse: bool
) -> None:
    columns = 8 if mode == "regular" else 2100
    draws = np.random.default_rng(0)
    rows = np.zeros((300, columns), np.float32)
    rows[:, :8] = drawn(300, 8)
    weights = draws.integers(0, 3, 300)
    often = rows.repeat(weights, axis=0)
    algorithm = learner(columns, 3, algorithm_mode=mode)
    features = to_csr(rows) if is_sparse else rows
    state = algorithm.update(algorithm.start(), Batch(features, weights=weights.astype(np.float32)))
    vectors, values = by_numpy(often, 3)
    model = algorithm.finalize(state)
    assert_allclose(model.s, values[::-1], rtol=1e-4)
    assert_same_axes(model.v, vectors[:, ::-1], 1e-4)


def test_a_sketch_is_nearly_as_good_as_all_products() -> None:
    draws = np.random.default_rng(0)
    shades = draws.normal(size=(900, 200)) * np.arange(1, 201) ** -0.7
    rows = (shades @ draws.normal(size=(200, 2100)) / 40).astype(np.float32)
    rows += 0.02 * draws.standard_normal(rows.shape, dtype=np.float32) + 1
    vectors, values = by_numpy(rows, 20)
    algorithm = learner(2100, 20, algorithm_mode="randomized")
    model = algorithm.finalize(train(algorithm, rows, 300))
    told = np.linalg.norm((rows - rows.mean(axis=0)) @ model.v) ** 2
    assert told >= 0.995 * (values**2).sum()
    assert_allclose(model.s[-10:], values[9::-1], rtol=0.02)
    assert_allclose(model.v.T @ model.v, np.eye(20), atol=1e-4)


def test_a_sketch_notices_directions_that_come_late() -> None:
    draws = np.random.default_rng(0)
    rows = np.zeros((2000, 2100), np.float32)
    rows[:1000, :60] = draws.normal(size=(1000, 60))  # more directions than the sketch keeps
    rows[1000:, 60:70] = draws.normal(size=(1000, 10)) * 3  # and nothing along these
    algorithm = learner(2100, 10, algorithm_mode="randomized")
    model = algorithm.finalize(train(algorithm, rows, 500))
    told = np.linalg.norm(model.v[60:70], axis=0)
    assert_allclose(told, 1.0, atol=1e-3)


def test_a_sketch_keeps_as_many_directions_as_it_is_told_to() -> None:
    rows = np.random.default_rng(0).normal(size=(2000, 2100)).astype(np.float32)
    for extra, kept in ((0, 4), (3, 7), (-1, 14)):
        algorithm = learner(2100, 4, algorithm_mode="randomized", extra_components=extra)
        state = train(algorithm, rows, 700)
        assert state.sketch is not None
        assert state.sketch.directions == kept
        assert len(state.sketch.rows) <= 2 * kept


@pytest.mark.parametrize("subtract_mean", [False, True])
def test_rows_that_are_all_alike_have_components_of_no_strength(subtract_mean: bool) -> None:
    rows = np.ones((3000, 2100), np.float32)
    given = {"algorithm_mode": "randomized", "subtract_mean": subtract_mean}
    model = model_of(rows, 3, **given)
    assert_allclose(model.s[:2], 0, atol=1e-2)
    assert_allclose(model.v.T @ model.v, np.eye(3), atol=1e-5)


def test_of_few_columns_randomized_mode_is_exact() -> None:
    rows = drawn(500, 12)
    assert to_bytes(model_of(rows, 3, algorithm_mode="randomized")) == to_bytes(model_of(rows, 3))


@pytest.mark.parametrize("mode", ["regular", "randomized"])
def test_the_order_in_which_blocks_are_done_changes_no_bit(mode: str, wide: Wide) -> None:
    def backwards(work: Any, items: Any) -> Sequence[Any]:
        return [work(item) for item in reversed(list(items))][::-1]

    columns = 2100 if mode == "randomized" else 20
    rows = np.random.default_rng(0).normal(size=(9000 // (columns // 20), columns))
    given = PcaHyperparameters(num_components=2, algorithm_mode=mode)
    for set_sizes in (lambda: None, wide):
        set_sizes()
        states = [
            algorithm.update(algorithm.start(), Batch(features))
            for features in (rows.astype(np.float32), to_csr(rows.astype(np.float32)))
            for algorithm in (Pca(given), Pca(given, each=backwards))
        ]
        assert to_bytes(states[0]) == to_bytes(states[1])
        assert to_bytes(states[2]) == to_bytes(states[3])


@pytest.mark.parametrize("count", [1, 3, 12])
@pytest.mark.parametrize("subtract_mean", [True, False])
def test_one_state_gives_any_number_of_components(count: int, subtract_mean: bool) -> None:
    rows = drawn(500, 12) + np.float32(1)
    state = train(learner(12, 2), rows)
    other = learner(12, count, subtract_mean=subtract_mean)
    wanted = other.finalize(train(other, rows))
    got = other.finalize(other.reopen(state))
    assert to_bytes(got) == to_bytes(wanted)


def test_a_sketch_gives_as_many_components_as_it_kept_and_no_more() -> None:
    rows = np.random.default_rng(0).normal(size=(600, 2100)).astype(np.float32)
    given = {"algorithm_mode": "randomized", "extra_components": 6}
    state = train(learner(2100, 4, **given), rows)
    for count in (1, 10):
        for subtract_mean in (True, False):
            other = learner(2100, count, **given, subtract_mean=subtract_mean)
            assert other.finalize(other.reopen(state)).v.shape == (2100, count)
    with pytest.raises(Invalid, match=r"from 1 to 10, the directions .* sketch kept; got 11"):
        learner(2100, 11, **given).reopen(state)
    with pytest.raises(Invalid, match="algorithm_mode must be randomized"):
        learner(2100, 4).reopen(state)


def test_exact_sums_go_on_in_either_mode() -> None:
    rows = np.random.default_rng(0).normal(size=(300, 2100)).astype(np.float32)
    state = train(learner(2100, 2), rows[:200])
    other = learner(2100, 2, algorithm_mode="randomized")
    after = fit(other, Stream([Batch(rows[200:])]), resume=Position(other.reopen(state)))
    assert after.scatter is not None
    assert after.rows == 300


def test_another_width_than_in_the_earlier_training_is_refused() -> None:
    state = train(learner(5, 2), drawn(100, 5))
    with pytest.raises(Invalid, match="feature_dim must be 5, as in the earlier training; got 6"):
        learner(6, 2).reopen(state)


def test_more_components_than_columns_are_refused_at_once() -> None:
    with pytest.raises(InvalidHyperparameter, match="from 1 to 4, the number of columns"):
        learner(4, 9)
    algorithm = Pca(PcaHyperparameters(num_components=9))
    state = algorithm.update(algorithm.start(), Batch(drawn(50, 4)))
    with pytest.raises(Invalid, match=r"from 1 to 4, the lesser of 50 rows and 4 columns; got 9"):
        algorithm.finalize(state)


def test_more_components_than_rows_are_refused() -> None:
    with pytest.raises(Invalid, match="the lesser of 3 rows and 8 columns; got 4. Lower num"):
        model_of(drawn(3, 8), 4)


def test_no_rows_say_so() -> None:
    algorithm = learner(4, 2)
    with pytest.raises(InvalidData, match="must have rows; got 'none'"):
        algorithm.finalize(algorithm.start())


def test_too_many_columns_for_regular_mode_name_the_other() -> None:
    rows = Csr(np.array([0, 1]), np.array([7]), np.ones(1, np.float32), 1_000_000)
    algorithm = Pca(PcaHyperparameters(num_components=1))
    with pytest.raises(Invalid, match="Set algorithm_mode to randomized"):
        algorithm.update(algorithm.start(), Batch(rows))


@pytest.mark.parametrize("is_wide", [False, True])
@pytest.mark.parametrize("value", [np.nan, np.inf, 1e30])
@pytest.mark.parametrize("is_sparse", [False, True])
@pytest.mark.parametrize("columns", [100, 2100])
def test_what_cannot_be_measured_is_refused(
    columns: int, is_sparse: bool, value: float, is_wide: bool, wide: Wide
) -> None:
    if is_wide:
        wide()
    rows = np.zeros((50, columns), np.float32)
    rows[:, :3] = drawn(50, 3)
    rows[30, 2] = value
    algorithm = learner(columns, 2, algorithm_mode="randomized")
    batch = Batch(to_csr(rows) if is_sparse else rows)
    if value == 1e30 and is_sparse and columns == 100:
        algorithm.update(algorithm.start(), batch)  # added up in float64, where it can be squared
        return
    words = "row 31, feature 3: must be a finite" if value != 1e30 else "float32 can square"
    with pytest.raises(InvalidData, match=words):
        algorithm.update(algorithm.start(), batch)


def test_a_column_that_is_missing_everywhere_is_named() -> None:
    rows = drawn(50, 4)
    rows[:, 1] = np.nan
    with pytest.raises(InvalidData, match="feature 2: must be a finite number; got nan"):
        model_of(rows, 2)


def test_rows_of_another_width_are_refused() -> None:
    algorithm = learner(3, 2)
    with pytest.raises(InvalidData, match="3 features"):
        algorithm.update(algorithm.start(), Batch(drawn(3, 4)))
    with pytest.raises(InvalidData, match="3 features, as in training; got '4 features'"):
        model_of(drawn(9, 3), 2).predict(Batch(drawn(1, 4)))
    apart = [
        learner.update(learner.start(), Batch(drawn(9, width)))
        for learner, width in ((Pca(PcaHyperparameters(num_components=1)), w) for w in (3, 4))
    ]
    with pytest.raises(InvalidData, match="the same number of features; got '3 on one host"):
        algorithm.merge(*apart)


def test_the_width_is_taken_from_the_data_when_it_is_not_given() -> None:
    rows = drawn(300, 4)
    taken = Pca(PcaHyperparameters(num_components=2))
    assert_array_equal(taken.finalize(train(taken, rows)).v, model_of(rows, 2).v)
    idle = taken.merge(taken.start(), train(taken, rows))
    assert idle.rows == taken.merge(idle, taken.start()).rows == 300


def test_constant_rows_have_components_of_no_strength() -> None:
    model = model_of(np.full((20, 3), 7, np.float32), 2)
    assert_allclose(model.s, 0, atol=1e-6)
    assert_allclose(model.predict(Batch(np.full((2, 3), 7, np.float32)))["projection"], 0)


def test_what_the_test_channel_tells_is_what_projections_lose() -> None:
    rows, probe = drawn(1000, 6) + np.float32(2), drawn(300, 6, seed=5) + np.float32(2)
    for subtract_mean in (True, False):
        algorithm = learner(6, 2, subtract_mean=subtract_mean)
        model = algorithm.finalize(train(algorithm, rows))
        for batch in (Batch(probe), Batch(to_csr(probe))):
            told = {m.name: m.value for m in algorithm.evaluate(model, batch).measures()}
            about = probe - (0 if model.mean is None else model.mean)
            back = about @ model.v @ model.v.T
            wanted = ((about - back) ** 2).sum(axis=1).mean()
            assert_allclose(told["reconstruction_error"], wanted, rtol=1e-3)
            share = (back**2).sum() / (about**2).sum()
            assert_allclose(told["explained_variance_ratio"], share, rtol=1e-4)


def test_metrics_are_found_in_the_log_lines() -> None:
    lines = [
        "#quality_metric: host=algo-1, test reconstruction_error <loss>=12.5",
        "#quality_metric: host=algo-1, test explained_variance_ratio <score>=0.99",
        "#progress_metric: host=algo-1, completed 100 %",
        "#throughput_metric: host=algo-1, train throughput=1234.5 records/second",
    ]
    found = {
        metric.name: [m[1] for line in lines if (m := re.search(metric.regex, line))]
        for metric in DECLARATION.metrics
    }
    assert found == {
        "test:reconstruction_error": ["12.5"],
        "test:explained_variance_ratio": ["0.99"],
        "train:progress": ["100"],
        "train:throughput": ["1234.5"],
    }


def test_what_the_sdk_sends_is_read() -> None:
    sent = {
        "num_components": "50",
        "feature_dim": "784",
        "mini_batch_size": "500",
        "algorithm_mode": "randomized",
        "extra_components": "-1",
        "subtract_mean": "True",
        "_num_gpus": "auto",
    }
    given = read(PcaHyperparameters, sent, algorithm="pca")
    assert given.directions == 100
    assert Pca(given).batch_rows == 32_768


def test_the_origin_moves_only_in_columns_far_from_zero() -> None:
    rows = np.random.default_rng(0).normal(size=(1000, 3)).astype(np.float32)
    rows[:, 1] += 100
    for batch in (Batch(rows), Batch(to_csr(rows))):
        origin = origin_of(batch)
        assert_allclose(origin, [0, 100, 0], atol=0.5)
        assert origin[0] == origin[2] == 0


def summed(rows: Any) -> PcaState:
    return PcaState(len(rows), float(len(rows)), np.zeros(rows.shape[1]), rows.T @ rows)


def test_a_few_of_many_components_are_found_to_rounding() -> None:
    rows = np.random.default_rng(0).normal(size=(1500, 1100)) * np.arange(1, 1101) ** -0.5
    strengths, directions = np.linalg.eigh(rows.T @ rows)
    found = components(summed(rows), 10)
    assert_allclose(found.strengths, strengths[-10:], rtol=1e-12)
    assert_same_axes(found.directions, directions[:, -10:], 1e-9)
    lower = PcaState(1500, 1500.0, np.zeros(1100), np.tril(rows.T @ rows) + np.triu(rows[:1100], 1))
    assert_allclose(components(lower, 10).strengths, found.strengths, rtol=1e-12)


@pytest.mark.parametrize("rank", [0, 3])
def test_of_many_columns_that_spread_along_few_axes_the_rest_is_any(rank: int) -> None:
    draws = np.random.default_rng(0)
    rows = draws.normal(size=(50, rank)) @ draws.normal(size=(rank, 1100))
    first, again = (components(summed(rows), 10) for _ in range(2))
    assert_allclose(first.directions.T @ first.directions, np.eye(10), atol=1e-12)
    assert_array_equal(first.directions, again.directions)
    assert (first.strengths[: 10 - rank] < 1e-6).all()


@pytest.mark.parametrize("subtract_mean", [True, False])
def test_an_artifact_as_sagemaker_writes_it_comes_back(tmp_path: Path, subtract_mean: bool) -> None:
    model = model_of(drawn(100, 5) + np.float32(1), 3, subtract_mean=subtract_mean)
    (blob,) = exports(model).values()
    held = decode(blob)
    assert {name: array.shape for name, array in held.items()} == {
        **({"mean": (1, 5)} if subtract_mean else {}),
        "v": (5, 3),
        "s": (3,),
    }
    (tmp_path / "model_algo-1").write_bytes(blob)
    assert to_bytes(imports(tmp_path)) == to_bytes(model)


@pytest.mark.parametrize(
    "held",
    [
        {"s": np.ones(3)},
        {"v": np.ones(3)},
        {"v": np.ones((5, 3)), "mean": np.ones((1, 4))},
        {"v": np.ones((5, 3)), "s": np.ones(4)},
    ],
)
def test_an_artifact_of_something_else_is_refused(tmp_path: Path, held: dict[str, Any]) -> None:
    with pytest.raises(InvalidData, match="with a file model_algo-1"):
        imports(tmp_path)
    (tmp_path / "model_algo-1").write_bytes(encode(held))
    with pytest.raises(InvalidData, match=r"v of \(columns, components\)"):
        imports(tmp_path)
