import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tidemill.stats.moments import Moments


@given(st.integers(0, 30), st.integers(1, 4), st.integers(0, 10_000))
def test_moments_of_parts_merge_to_those_of_the_whole(cut: int, columns: int, seed: int) -> None:
    draws = np.random.default_rng(seed)
    values = draws.normal(size=(30, columns)) * 10 + 100
    weights = draws.integers(0, 3, 30).astype(float)
    parts = Moments.of(values[:cut], weights[:cut]).merge(Moments.of(values[cut:], weights[cut:]))
    repeated = values.repeat(weights.astype(int), axis=0)
    if not len(repeated):
        assert parts.weight == 0
        return
    np.testing.assert_allclose(parts.mean, repeated.mean(axis=0))
    np.testing.assert_allclose(parts.variance(), repeated.var(axis=0), atol=1e-9)
    assert parts.weight == len(repeated)


def test_sums_give_the_moments_that_the_rows_give() -> None:
    rows = np.array([[0.0, 2.0], [4.0, 0.0], [0.0, 6.0]])
    sums = Moments.of_sums(3.0, rows.sum(0), (rows * rows).sum(0), (rows != 0).sum(0) * 1.0)
    whole = Moments.of(rows)
    np.testing.assert_allclose(sums.mean, whole.mean)
    np.testing.assert_allclose(sums.scatter, whole.scatter)
    np.testing.assert_allclose(sums.nonzero_mean_square(), [16.0, 20.0])


def test_no_rows_have_no_spread_and_change_nothing() -> None:
    none, some = Moments.none(2), Moments.of(np.array([[1.0, 2.0]]))
    assert none.merge(some) is some
    assert some.merge(none) is some
    np.testing.assert_array_equal(none.variance(), [0, 0])
    np.testing.assert_array_equal(none.nonzero_mean_square(), [0, 0])
    assert Moments.of_sums(0.0, *np.zeros((3, 2))).weight == 0
