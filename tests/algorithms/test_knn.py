"""k-nearest neighbours: what is learned, answered and refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tidemill import registry
from tidemill.algorithms.knn import DECLARATION
from tidemill.algorithms.knn.hyperparameters import PARTS, KnnHyperparameters
from tidemill.algorithms.knn.learner import Knn
from tidemill.algorithms.knn.model import KnnModel
from tidemill.algorithms.knn.quantised import Quantised
from tidemill.artifact.codec import from_bytes, to_bytes
from tidemill.data.batch import Batch, to_csr
from tidemill.errors import Invalid, InvalidData, InvalidHyperparameter, Missing
from tidemill.stats.reservoir import Reservoir
from tidemill.workers.serve.form import form_of

DRAWS = np.random.default_rng(0)
ROWS = DRAWS.normal(size=(600, 8)).astype(np.float32)
LABELS = (ROWS[:, 0] > 0).astype(np.float32) + (ROWS[:, 1] > 0)
QUERIES = Batch(DRAWS.normal(size=(40, 8)).astype(np.float32))


def knn(**given: Any) -> Knn:
    seed = given.pop("seed", 0)
    each = given.pop("each", map)
    named = {"k": 5, "predictor_type": "classifier", "sample_size": 1000, **given}
    return Knn(KnnHyperparameters(**named), seed=seed, each=each)


def learned(rows: Any = ROWS, labels: Any = LABELS, **given: Any) -> Reservoir:
    algorithm = knn(**given)
    return algorithm.update(algorithm.start(), Batch(rows, labels))


def trained(rows: Any = ROWS, labels: Any = LABELS, **given: Any) -> KnnModel:
    return knn(**given).finalize(learned(rows, labels, **given))


def apart(rows: Any, queries: Any) -> Any:
    return ((queries[:, None].astype(float) - rows[None]) ** 2).sum(axis=2)


def test_the_answer_is_what_most_of_the_nearest_say() -> None:
    said = trained().predict(QUERIES)
    order = apart(ROWS, QUERIES.dense()).argsort(axis=1)[:, :5]
    np.testing.assert_array_equal(np.sort(said["labels"]), np.sort(LABELS[order]))
    np.testing.assert_array_equal(said["labels"], LABELS[order])
    squares = np.take_along_axis(apart(ROWS, QUERIES.dense()), order, 1)
    np.testing.assert_allclose(said["distances"], squares, rtol=1e-6)
    for label, near in zip(said["predicted_label"], LABELS[order], strict=True):
        values, counts = np.unique(near, return_counts=True)
        assert label == values[counts.argmax()]


def test_of_several_most_common_labels_the_smallest_is_said() -> None:
    rows = np.array([[0], [1], [2], [3]], np.float32)
    model = trained(rows, np.array([9, -2, 9, -2], np.float32), k=4)
    assert model.predict(Batch(rows[:1]))["predicted_label"].tolist() == [-2]


def test_a_regressor_says_the_mean() -> None:
    numbers = ROWS.sum(axis=1)
    model = trained(labels=numbers, predictor_type="regressor", k=3)
    said = model.predict(QUERIES)
    order = apart(ROWS, QUERIES.dense()).argsort(axis=1)[:, :3]
    wanted = numbers[order].mean(axis=1, dtype=float)
    np.testing.assert_allclose(said["predicted_label"], wanted, rtol=1e-6)


def test_equal_rows_are_at_no_distance_from_themselves() -> None:
    for more in ({}, {"dimension_reduction_type": "sign", "dimension_reduction_target": 5}):
        said = trained(k=1, **more).predict(Batch(ROWS))
        np.testing.assert_array_equal(said["distances"], 0)
        np.testing.assert_array_equal(said["predicted_label"], LABELS)


@pytest.mark.parametrize(
    ("metric", "told"),
    [
        ("COSINE", lambda p, q, r: 1 - p / np.outer(q, r)),
        ("INNER_PRODUCT", lambda p, q, r: -p),
    ],
)
def test_other_metrics_have_distances_that_rise_too(metric: str, told: Any) -> None:
    said = trained(index_metric=metric, k=7).predict(QUERIES)["distances"]
    lengths = [np.linalg.norm(v.astype(float), axis=1) for v in (QUERIES.dense(), ROWS)]
    wanted = np.sort(told(QUERIES.dense().astype(float) @ ROWS.T, *lengths), axis=1)[:, :7]
    np.testing.assert_allclose(said, wanted, rtol=1e-4, atol=1e-6)


def test_rows_of_nothing_have_a_cosine_of_zero() -> None:
    rows = np.array([[0, 0], [1, 1], [-1, 0]], np.float32)
    said = trained(rows, np.array([0, 1, 2], np.float32), index_metric="COSINE", k=3)
    np.testing.assert_allclose(
        said.predict(Batch(rows[1:2] * 0))["distances"], [[1, 1, 1]], rtol=1e-6
    )


@pytest.mark.parametrize("rows", [100, 6000, pytest.param(30_000, marks=pytest.mark.long)])
@pytest.mark.parametrize("columns", [2, 100])
def test_search_is_exact_however_it_goes_about_it(
    rows: int, columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    draws = np.random.default_rng(rows)
    shape = draws.normal(size=(12, columns)) * np.linspace(3, 0.1, 12)[:, None]
    held = (draws.normal(size=(rows, 12)) @ shape).astype(np.float32) + 5
    held += draws.normal(size=held.shape).astype(np.float32) * 0.05
    asked = held[:90] + draws.normal(size=(90, columns)).astype(np.float32) * 0.3
    labels = np.zeros(rows, np.float32)
    wanted = np.sort(apart(held, asked), axis=1)[:, :10]
    answers = []
    for has_bytes in (True, False):
        if not has_bytes:
            monkeypatch.setattr("tidemill.algorithms.knn.plan.has_bytes", lambda: False)
        model = trained(held, labels, k=10, sample_size=rows)
        answers.append(model.predict(Batch(asked))["distances"])
    np.testing.assert_allclose(answers[0], wanted, rtol=1e-6)
    np.testing.assert_array_equal(answers[0], answers[1])


def test_looking_into_all_cells_is_exact_and_into_some_nearly() -> None:
    draws = np.random.default_rng(4)
    rows = draws.normal(size=(8000, 16)).astype(np.float32)
    labels = np.arange(8000, dtype=np.float32)
    given: dict[str, Any] = {"k": 10, "sample_size": 8000, "predictor_type": "regressor"}
    flat = trained(rows, labels, **given)
    found = flat.predict(Batch(rows[:200] + 0.1))["labels"]
    shares = []
    for probes in (1, 4, 40):
        cells = {"faiss_index_ivf_nlists": 40, "faiss_index_nprobe": probes}
        model = trained(rows, labels, **given, index_type="faiss.IVFFlat", **cells)
        again = model.predict(Batch(rows[:200] + 0.1))["labels"]
        shares.append(
            np.mean([len(set(a) & set(b)) / 10 for a, b in zip(found, again, strict=True)])
        )
    assert shares[0] < shares[1] < shares[2] == 1.0


@pytest.mark.parametrize("index", ["faiss.IVFFlat", "faiss.IVFPQ"])
def test_cells_with_few_rows_still_give_k(index: str) -> None:
    more: dict[str, Any] = {"faiss_index_ivf_nlists": 300, "faiss_index_nprobe": 1}
    model = trained(k=50, index_type=index, faiss_index_pq_m="2", **more)
    said = model.predict(QUERIES)
    assert np.isfinite(said["distances"]).all()
    assert said["labels"].shape == (40, 50)


@pytest.mark.parametrize("parts", [p for p in PARTS if p <= 12])
def test_bytes_stand_for_rows_whatever_their_number(parts: int) -> None:
    model = trained(index_type="faiss.IVFPQ", faiss_index_pq_m=str(parts), faiss_index_nprobe=50)
    assert isinstance(model.index, Quantised)
    assert model.index.codes.shape == (600, parts)
    assert model.index.centres.shape[1] % parts == 0
    right = model.predict(Batch(ROWS))["predicted_label"] == LABELS
    assert right.mean() > (0.6 if parts < 4 else 0.8)


def test_few_rows_make_few_words() -> None:
    model = trained(ROWS[:20], LABELS[:20], k=20, index_type="faiss.IVFPQ", faiss_index_pq_m="8")
    said = model.predict(Batch(ROWS[:20]))
    np.testing.assert_allclose(said["distances"][:, 0], 0, atol=1e-4)


def test_a_graph_finds_nearly_all() -> None:
    pytest.importorskip("faiss")
    rows = np.random.default_rng(8).normal(size=(3000, 40)).astype(np.float32)
    labels = np.arange(3000, dtype=np.float32)
    given: dict[str, Any] = {"k": 10, "sample_size": 3000}
    for metric in ("L2", "INNER_PRODUCT", "COSINE"):
        found = [
            trained(rows, labels, **given, index_metric=metric, **more).predict(
                Batch(rows[:100] + 0.1)
            )["labels"]
            for more in ({}, {"index_type": "faiss.HNSW", "faiss_index_hnsw_ef_search": 200})
        ]
        same = [len(set(a) & set(b)) / 10 for a, b in zip(*found, strict=True)]
        assert np.mean(same) > 0.9, metric


def test_without_faiss_a_graph_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "faiss", None)
    with pytest.raises(Missing, match=r"pip install 'tidemill\[knn\]'"):
        knn(index_type="faiss.HNSW")


@pytest.mark.parametrize("kind", ["sign", "fjlt"])
def test_fewer_columns_nearly_keep_what_is_near(kind: str) -> None:
    rows = np.random.default_rng(1).normal(size=(500, 300)).astype(np.float32)
    model = trained(
        rows, ROWS[:500, 0], dimension_reduction_type=kind, dimension_reduction_target=128, k=499
    )
    assert model.reduction is not None
    told = (model.reduction.type, model.reduction.target_dim, model.reduction.input_dim)
    assert told == (kind, 128, 300)
    ratio = model.predict(Batch(rows[:20]))["distances"].astype(float)[:, 1:].mean()
    assert abs(ratio / apart(rows, rows[:20])[:, 1:].mean() - 1) < 0.1


def test_bytes_would_rather_have_more_columns_than_zeros() -> None:
    given: dict[str, Any] = {"dimension_reduction_type": "sign", "index_type": "faiss.IVFPQ"}
    for target, parts, columns in ((5, "3", 6), (7, "4", 7)):
        model = trained(**given, dimension_reduction_target=target, faiss_index_pq_m=parts)
        assert model.reduction is not None
        assert model.reduction.target_dim == columns


def test_one_state_makes_models_of_every_kind() -> None:
    state = learned()
    for given in (
        {"k": 1},
        {"k": 600},
        {"predictor_type": "regressor"},
        {"index_metric": "COSINE"},
        {"index_type": "faiss.IVFFlat"},
        {"index_type": "faiss.IVFPQ", "faiss_index_pq_m": "4"},
        {"dimension_reduction_type": "fjlt", "dimension_reduction_target": 3},
    ):
        made = knn(**given).finalize(knn(**given).reopen(state))
        assert to_bytes(made) == to_bytes(trained(**given)), given


def test_a_smaller_sample_is_made_of_a_larger_one() -> None:
    made = knn(sample_size=50).finalize(knn(sample_size=50).reopen(learned()))
    assert to_bytes(made) == to_bytes(trained(sample_size=50))


def test_new_rows_come_into_a_sample_as_often_as_old_ones() -> None:
    algorithm = knn(sample_size=200)
    state = algorithm.reopen(learned(sample_size=200))
    later = algorithm.update(state, Batch(ROWS + 100, LABELS))
    new = (later.ordered().rows[:, 0] > 50).sum()
    assert len(later) == 200
    assert 70 < new < 130


def test_an_enlarged_sample_grows_with_new_rows() -> None:
    algorithm = knn(sample_size=400)
    state = algorithm.reopen(learned(sample_size=100))
    assert len(state) == 100
    later = algorithm.update(state, Batch(ROWS + 100, LABELS))
    assert 150 < len(later) < 260


def test_the_number_of_cores_changes_no_byte() -> None:
    from concurrent.futures import ThreadPoolExecutor

    rows = np.random.default_rng(2).normal(size=(9000, 20)).astype(np.float32)
    labels = (rows[:, 0] > 0).astype(np.float32)
    with ThreadPoolExecutor(3) as pool:
        for more in (
            {"index_type": "faiss.IVFFlat"},
            {"index_type": "faiss.IVFPQ", "faiss_index_pq_m": "4"},
        ):
            given: dict[str, Any] = {"sample_size": 9000, **more}
            alone, together = (trained(rows, labels, each=e, **given) for e in (map, pool.map))
            assert to_bytes(alone) == to_bytes(together)
            left, right = (
                m.nearest(Batch(rows), each=e) for m, e in ((alone, map), (together, pool.map))
            )
            np.testing.assert_array_equal(left[0], right[0])
            np.testing.assert_array_equal(left[1], right[1])


def test_an_index_is_opened_once_and_kept() -> None:
    model = trained()
    model.predict(QUERIES)
    opened = model.opened()
    for _ in range(3):  # the first rows are answered before the index is ready for many
        said = model.predict(QUERIES)
        np.testing.assert_array_equal(said["distances"], trained().predict(QUERIES)["distances"])
    assert model.opened() is opened
    other = model.with_k(2)
    assert other.opened() is opened
    assert other.predict(QUERIES)["labels"].shape == (40, 2)
    assert to_bytes(other) == to_bytes(trained(k=2))


def test_sparse_rows_are_the_same_rows() -> None:
    rows = np.where(ROWS > 0.5, ROWS, 0).astype(np.float32)
    dense = trained(rows)
    algorithm = knn()
    state = algorithm.update(algorithm.start(), Batch(to_csr(rows), LABELS))
    assert to_bytes(algorithm.finalize(state)) == to_bytes(dense)


def test_what_is_measured_has_sagemakers_names() -> None:
    model = trained(k=1)
    labels = LABELS.copy()
    labels[:150] = 7  # which no row of the index has
    found = knn().evaluate(model, Batch(ROWS, labels))
    assert found is not None
    measured = {m.name: m.value for m in found.measures()}
    assert measured["accuracy"] == 0.75
    assert 0 < measured["macro_f_1.000"] < 0.75
    regressor = trained(k=1, predictor_type="regressor")
    again = knn(predictor_type="regressor").evaluate(regressor, Batch(ROWS, LABELS + 2))
    assert again is not None
    assert [(m.name, m.value, m.kind) for m in again.measures()] == [("mse", 4.0, "loss")]
    assert knn().evaluate(model, Batch(ROWS)) is None


@pytest.mark.parametrize(
    ("accept", "body"),
    [
        ("application/json", b'{"predictions":[{"predicted_label":1.0}]}'),
        (
            "application/json; verbose=true",
            b'{"predictions":[{"predicted_label":1.0,"distances":[0.0,1.0],"labels":[1.0,1.0]}]}',
        ),
        (
            "application/jsonlines; verbose=true",
            b'{"predicted_label":1.0,"distances":[0.0,1.0],"labels":[1.0,1.0]}\n',
        ),
    ],
)
def test_verbose_answers_tell_of_the_neighbours(accept: str, body: bytes) -> None:
    rows = np.array([[0], [1], [5]], np.float32)
    model = trained(rows, np.array([1, 1, 2], np.float32), k=2)
    from tidemill.data import content_type as types

    form = form_of(DECLARATION, types.parse("text/csv"), accept)
    loads, errors = form.load([b"0"])
    assert not errors
    assert form.deal(model.predict(loads[0].batch), loads[0]) == [body]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"k": 601}, "k = 601 neighbours need at least 601 rows"),
        ({"k": 30, "sample_size": 20}, "20 rows, with a sample_size of 20"),
        (
            {"index_type": "faiss.IVFFlat", "faiss_index_ivf_nlists": 601},
            "faiss_index_ivf_nlists = 601 cells need at least 601 rows",
        ),
        (
            {"dimension_reduction_type": "sign", "dimension_reduction_target": 8},
            "dimension_reduction_target must be below 8",
        ),
    ],
)
def test_what_the_rows_cannot_give_is_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(Invalid, match=message):
        trained(**given)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"dimension_reduction_type": "sign"}, "got 'no dimension_reduction_target'"),
        ({"dimension_reduction_target": 3}, "got 'no dimension_reduction_type'"),
        (
            {
                "dimension_reduction_target": 3,
                "dimension_reduction_type": "fjlt",
                "feature_dim": 3,
            },
            "must be below 3",
        ),
        ({"index_type": "faiss.IVFPQ"}, "faiss_index_pq_m is required"),
        (
            {"index_type": "faiss.IVFPQ", "faiss_index_pq_m": "4", "index_metric": "COSINE"},
            "index_metric of faiss.IVFPQ must be L2",
        ),
    ],
)
def test_hyperparameters_that_do_not_go_together_are_refused(
    given: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidHyperparameter, match=message):
        knn(**given)


def test_hyperparameters_come_as_text() -> None:
    read = registry.check(
        "knn",
        {"k": "3", "predictor_type": "classifier", "sample_size": "9", "_faiss_index_nprobe": "2"},
    )
    assert (read.k, read.sample_size, read.faiss_index_nprobe) == (3, 9, 5)
    with pytest.raises(InvalidHyperparameter, match="faiss_index_pq_m must be one of 1, 2, 3, 4"):
        registry.check(
            "knn",
            {"k": "3", "predictor_type": "regressor", "sample_size": "9", "faiss_index_pq_m": "5"},
        )


def test_rows_of_another_width_are_refused() -> None:
    algorithm, narrow = knn(), Batch(ROWS[:, :3].copy(), LABELS)
    with pytest.raises(InvalidData, match="rows must have 8 features"):
        algorithm.update(learned(), narrow)
    with pytest.raises(InvalidData, match="rows must have 8 features"):
        algorithm.merge(learned(), algorithm.update(algorithm.start(), narrow))
    with pytest.raises(InvalidData, match="rows must have 8 features"):
        trained().predict(narrow)
    with pytest.raises(Invalid, match="feature_dim must be 8, .* got 5"):
        knn(feature_dim=5).reopen(learned())
    with pytest.raises(InvalidData, match="rows must have 5 features"):
        knn(feature_dim=5).update(knn(feature_dim=5).start(), Batch(ROWS, LABELS))


@pytest.mark.parametrize("labels", [None, np.zeros((600, 2), np.float32)])
def test_rows_without_a_label_each_are_refused(labels: Any) -> None:
    with pytest.raises(InvalidData, match="every row must have one label"):
        trained(labels=labels)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_numbers_that_are_none_are_refused(bad: float) -> None:
    rows, labels = ROWS.copy(), LABELS.copy()
    rows[3, 2] = labels[9] = bad
    for given in ((rows, LABELS), (ROWS, labels)):
        with pytest.raises(InvalidData, match="must be finite"):
            trained(*given)


def test_damaged_models_are_refused_before_they_are_followed() -> None:
    model = trained(index_type="faiss.IVFFlat", faiss_index_ivf_nlists=5)
    cells = model.index.cells.copy()  # type: ignore[union-attr]
    cells[0] = 5
    damaged = replace(model, index=replace(model.index, cells=cells))  # type: ignore[type-var]
    with pytest.raises(InvalidData, match="cells must be from 0 to below 5"):
        from_bytes(KnnModel, to_bytes(damaged))
    with pytest.raises(InvalidData, match="index is whole"):
        damaged.predict(QUERIES)
