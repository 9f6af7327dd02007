"""The search in C finds what measuring every row finds, and reads nowhere that it should not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidemill.algorithms.knn.cells import Cells
from tidemill.algorithms.knn.frame import Frame
from tidemill.kernels import knn, knn_graph, knn_pq, knn_reduce
from tidemill.kernels.knn_codes import Coding, relate, rests

FLOATS = np.float32


def truth(rows: Any, queries: Any, k: int, is_inner: bool) -> tuple[Any, Any]:
    """By numbers that are exact enough to tell equals: ties go to the lower row."""
    wide, asked = rows.astype(np.longdouble), queries.astype(np.longdouble)
    apart = -(asked @ wide.T)
    if not is_inner:
        apart = ((asked[:, None] - wide[None]) ** 2).sum(axis=2)
    order = np.argsort(apart.astype(np.float64), axis=1, kind="stable")[:, :k]
    return np.take_along_axis(apart, order, 1).astype(FLOATS), order


def found(rows: Any, queries: Any, k: int, is_inner: bool, is_bytes: bool) -> tuple[Any, Any]:
    """One cell, all directions."""
    columns = rows.shape[1]
    steps = -(-columns // 4) if is_bytes else columns
    coding, groups = Coding(steps, is_bytes, is_inner, 0.0), -(-len(rows) // knn.LANES)
    blank = coding.blank(groups)
    frame = Frame(rows.mean(axis=0), None, 1.0)
    seen = frame.rows(rows)
    coding.rows(seen.z, seen.squares, seen.rest, np.arange(len(rows)), blank)
    where = np.full(groups * knn.LANES, -1, np.int32)
    where[: len(rows)] = np.arange(len(rows))
    codes, terms, lengths, errors = blank
    most = np.stack([lengths, errors]).reshape(2, -1, knn.LANES).max(axis=2).T.copy()
    starts = np.array([0, groups], np.int32)
    held = knn.Rows(rows, starts, where, where, codes, terms, most, is_inner)
    asked = frame.queries(queries, is_inner)
    codes, scalars = coding.queries(asked.seen.z, asked.seen.squares, asked.seen.rest)
    doubt = np.full(len(queries), (columns + 4) * 2.0**-24, FLOATS)
    if is_inner:
        doubt *= np.linalg.norm(rows, axis=1).max() * np.linalg.norm(queries, axis=1).max()
    search = knn.Queries(held, queries, codes, scalars, asked.base, asked.unit, doubt, k)
    search.visit(np.full((1, len(queries)), -np.inf, FLOATS))
    return search.finish()


WAYS = [False, pytest.param(True, marks=pytest.mark.skipif(not knn.has_bytes(), reason="no VNNI"))]


@pytest.mark.parametrize("is_bytes", WAYS)
@pytest.mark.parametrize("is_inner", [False, True])
@pytest.mark.parametrize(
    ("rows", "columns", "queries", "k"),
    [(1, 1, 1, 1), (17, 3, 5, 17), (300, 33, 13, 10), (2000, 70, 29, 400), (5000, 8, 50, 1)],
)
def test_all_rows_measured_give_the_same(
    rows: int, columns: int, queries: int, k: int, is_inner: bool, is_bytes: bool
) -> None:
    draws = np.random.default_rng(rows)
    held = draws.normal(2, 3, (rows, columns)).astype(FLOATS)
    asked = draws.normal(2, 3, (queries, columns)).astype(FLOATS)
    distances, numbers = found(held, asked, k, is_inner, is_bytes)
    wanted, order = truth(held, asked, k, is_inner)
    np.testing.assert_array_equal(numbers, order)
    np.testing.assert_allclose(distances, wanted, rtol=2e-7, atol=1e-12)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    rows=st.integers(1, 200),
    columns=st.integers(1, 20),
    k=st.integers(1, 20),
    levels=st.integers(1, 4),
    is_inner=st.booleans(),
    is_bytes=st.booleans(),
)
def test_equals_go_to_the_lower_row(
    seed: int, rows: int, columns: int, k: int, levels: int, is_inner: bool, is_bytes: bool
) -> None:
    """Of whole numbers, whose distances are exact, and of which many are equal."""
    draws, k = np.random.default_rng(seed), min(k, rows)
    held = draws.integers(0, levels, (rows, columns)).astype(FLOATS)
    asked = draws.integers(0, levels, (14, columns)).astype(FLOATS)
    distances, numbers = found(held, asked, k, is_inner, is_bytes and knn.has_bytes())
    wanted, order = truth(held, asked, k, is_inner)
    np.testing.assert_array_equal(numbers, order)
    np.testing.assert_array_equal(distances, wanted)


@pytest.mark.parametrize("is_bytes", WAYS)
@pytest.mark.parametrize("size", [1e-30, 1e-15, 1e15])
def test_tiny_and_huge_rows_are_told_apart(size: float, is_bytes: bool) -> None:
    draws = np.random.default_rng(0)
    held = (draws.normal(size=(300, 5)) * size).astype(FLOATS)
    asked = (draws.normal(size=(7, 5)) * size).astype(FLOATS)
    np.testing.assert_array_equal(
        found(held, asked, 5, False, is_bytes)[1], truth(held, asked, 5, False)[1]
    )


@pytest.mark.parametrize("is_bytes", WAYS)
def test_rows_that_are_not_numbers_do_no_harm(is_bytes: bool) -> None:
    draws = np.random.default_rng(0)
    held = draws.normal(size=(200, 6)).astype(FLOATS)
    for bad in (np.nan, np.inf, 3e38):
        held[7], asked = bad, held[:5].copy()
        asked[0] = bad
        _, numbers = found(held, asked, 3, False, is_bytes)
        assert ((numbers >= -1) & (numbers < 200)).all()


def test_what_does_not_fit_is_refused() -> None:
    rows, codes = np.zeros((4, 2), FLOATS), np.zeros((1, 2, 16), FLOATS)
    where, starts = np.full(16, -1, np.int32), np.array([0, 1], np.int32)
    terms, most = np.zeros((1, 3, 16), FLOATS), np.zeros((1, 2), FLOATS)
    good: dict[str, Any] = {
        "vectors": rows, "starts": starts, "vector_of": where, "row_of": where, "codes": codes,
        "terms": terms, "most": most, "is_inner": False,
    }  # fmt: skip
    held = knn.Rows(**good)
    for name, bad in (
        ("vectors", rows.astype(np.float64)),
        ("vector_of", where + 5),
        ("vector_of", where[:8]),
        ("starts", np.array([0, 2], np.int32)),
        ("starts", np.array([1, 0], np.int32)),
        ("terms", terms[:, :2].copy()),
        ("most", most[:0]),
        ("codes", codes[:, :, ::2]),
    ):
        with pytest.raises(ValueError, match=r"indices|array|cells"):
            knn.Rows(**{**good, name: bad})
    queries = np.zeros((3, 2), FLOATS)
    three, floats = np.zeros(3), np.zeros(3, FLOATS)
    scalars = np.zeros((3, 4), FLOATS)
    search = knn.Queries(held, queries, queries, scalars, three, three, floats, 1)
    with pytest.raises(ValueError, match="array"):
        search.visit(np.zeros((2, 3), FLOATS))
    with pytest.raises(ValueError, match="array"):
        search.begin(np.zeros(2, np.int32), np.zeros((1, 3), FLOATS))
    with pytest.raises(ValueError, match="k must be"):
        knn.Queries(held, queries, queries, scalars, three, three, floats, 0)
    with pytest.raises(ValueError, match="array"):
        knn.Queries(held, queries[:, :1].copy(), queries, scalars, three, three, floats, 1)
    search.begin(np.array([-1, 0, 5], np.int32), np.zeros((1, 3), FLOATS))
    assert (search.finish()[1] == -1).all()


def test_no_row_of_a_cell_is_below_what_is_said_of_it() -> None:
    draws = np.random.default_rng(3)
    rows = draws.normal(size=(400, 12)).astype(FLOATS)
    basis = np.linalg.qr(draws.normal(size=(12, 5)))[0].astype(FLOATS)
    frame = Frame(rows.mean(axis=0), basis, 1.0)
    seen, labels = frame.rows(rows), np.arange(400) // 40
    centres = seen.z[::40].copy()
    far = np.linalg.norm(seen.z - centres[labels], axis=1) * 1.0001
    radius = far.reshape(10, 40).max(axis=1).astype(FLOATS)
    rest = seen.rest.reshape(10, 40).max(axis=1).astype(FLOATS)
    queries = draws.normal(size=(30, 12)).astype(FLOATS)
    for is_inner in (False, True):
        asked = frame.queries(queries, is_inner)
        near, _ = Cells(centres, radius, rest, frame.doubt).near(asked.seen, is_inner)
        apart = truth(rows, queries, 400, is_inner)
        least = np.full((10, 30), np.inf)
        for query in range(30):
            np.minimum.at(least[:, query], labels[apart[1][query]], apart[0][query])
        assert (near <= (least - asked.base) * asked.unit).all()


def test_what_is_left_of_a_vector_is_no_less_than_the_truth() -> None:
    draws = np.random.default_rng(1)
    rows = draws.normal(size=(50, 30)).astype(FLOATS)
    basis = np.linalg.qr(draws.normal(size=(30, 8)))[0]
    y, squares = relate(rows, rows[0], np.ones(50, FLOATS))
    np.testing.assert_array_equal(y, rows - rows[0])
    left = rests(y @ basis.astype(FLOATS), squares, 1e-5)
    exact = y.astype(np.float64)
    wanted = np.linalg.norm(exact - exact @ basis @ basis.T, axis=1)
    assert (left >= wanted).all()
    np.testing.assert_allclose(left[1:], wanted[1:], rtol=1e-3)


def walk(graph: knn_graph.Graph, queries: Any, k: int, beam: int) -> Any:
    codes = np.zeros((len(queries), 0), np.int8)
    room = knn_graph.Room(len(graph.vectors))
    return graph.walk(queries, codes, np.zeros(len(queries), FLOATS), k, beam, room)


def ring(rows: int) -> dict[str, Any]:
    """Rows on a line, each tied to those beside it."""
    beside = np.stack([np.arange(rows) - 1, np.arange(rows) + 1], axis=1)
    beside[beside == rows] = 0
    beside[beside == -1] = rows - 1
    return {
        "vectors": np.arange(rows, dtype=FLOATS)[:, None],
        "codes": np.zeros((rows, 0), np.uint8),
        "terms": np.zeros((rows, 2), FLOATS),
        "offsets": np.arange(rows + 1) * 2,
        "neighbors": beside.astype(np.int32).reshape(-1),
        "begins": np.array([0, 2], np.int32),
        "entry": 0,
        "is_inner": False,
    }


def test_a_graph_is_walked_to_the_nearest() -> None:
    graph = knn_graph.Graph(**ring(50))
    distances, numbers = walk(graph, np.array([[20.2], [49.0]], FLOATS), 3, 10)
    assert numbers.tolist() == [[20, 21, 19], [49, 48, 47]]
    np.testing.assert_allclose(distances[0], [0.04, 0.64, 1.44], rtol=1e-5)
    assert walk(graph, np.array([[7.0]], FLOATS), 60, 60)[1][0, 50:].tolist() == [-1] * 10


@pytest.mark.parametrize(
    "change",
    [
        {"entry": 50},
        {"entry": -1},
        {"neighbors": np.full(100, 50, np.int32)},
        {"neighbors": np.full(99, 1, np.int32)},
        {"offsets": np.arange(51)[::-1].copy()},
        {"begins": np.array([0], np.int32)},
        {"begins": np.array([2, 0], np.int32)},
        {"terms": np.zeros((49, 2), FLOATS)},
    ],
)
def test_a_damaged_graph_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"indices|array|graph"):
        knn_graph.Graph(**{**ring(50), **change})


def test_levels_that_rows_do_not_have_are_not_read() -> None:
    graph = knn_graph.Graph(**{**ring(20), "begins": np.array([0, 2, 40, 1 << 29], np.int32)})
    assert walk(graph, np.array([[6.0]], FLOATS), 2, 20)[1].tolist() == [[6, 5]]


def test_bytes_name_words_and_words_add_up() -> None:
    draws = np.random.default_rng(2)
    codes = draws.integers(0, 256, (40, 3), dtype=np.uint8)
    terms = draws.normal(size=40).astype(FLOATS)
    tables = draws.normal(size=(4, 3, 256)).astype(FLOATS)
    coded = knn_pq.Coded(codes, terms, np.arange(40, dtype=np.int32), np.array([0, 10, 40]))
    probes = np.array([[0, 1], [1, -1], [0, -1], [-1, -1]], np.int32)
    bases = draws.normal(size=(4, 2)).astype(FLOATS)
    distances, numbers = coded.search(probes, bases, tables, 12)
    parts = tables[:, np.arange(3), codes].sum(axis=2) + terms
    for query, cells in enumerate(probes):
        values = np.full(40, np.inf)
        for cell, base in zip(cells, bases[query], strict=True):
            own = slice(0, 10) if cell == 0 else slice(10, 40)
            if cell >= 0:
                values[own] = parts[query, own] + base
        order = np.argsort(values)[:12]
        order = np.where(np.isfinite(values[order]), order, -1)
        np.testing.assert_array_equal(numbers[query], order)
        np.testing.assert_allclose(distances[query], np.sort(values)[:12], rtol=1e-5)
    with pytest.raises(ValueError, match="indices"):
        coded.search(np.full((4, 2), 2, np.int32), bases, tables, 1)
    with pytest.raises(ValueError, match="indices"):
        knn_pq.Coded(codes, terms, np.arange(40, dtype=np.int32), np.array([0, 41]))


def test_projections_are_the_products_that_they_stand_for() -> None:
    draws = np.random.default_rng(5)
    rows = draws.normal(size=(9, 37)).astype(FLOATS)
    signs = draws.choice([-1, 1], (37, 128)).astype(FLOATS)
    np.testing.assert_allclose(knn_reduce.project(rows, signs, 0.5), rows @ signs / 2, atol=1e-5)
    hadamard = np.ones((1, 1))
    while len(hadamard) < 64:
        hadamard = np.block([[hadamard, hadamard], [hadamard, -hadamard]])
    chosen = np.array([0, 3, 63])
    turned = knn_reduce.hadamard(rows, signs[:, 0].copy(), chosen, 64, 2.0)
    filled = np.pad(rows * signs[:, 0], ((0, 0), (0, 27)))
    np.testing.assert_allclose(turned, 2 * (filled @ hadamard)[:, chosen], atol=1e-4)
    for bad in ({"size": 32}, {"size": 48}, {"chosen": np.array([64])}):
        given_ = {"chosen": chosen, "size": 64, "factor": 1.0, **bad}
        with pytest.raises(ValueError, match=r"power|indices"):
            knn_reduce.hadamard(rows, signs[:, 0].copy(), **given_)
