from __future__ import annotations

from typing import Any

import numpy as np
import pandas
import pyarrow
import pytest
import scipy.sparse

from tidemill.data.batch import Csr
from tidemill.data.memory import features_of, labels_of
from tidemill.data.stream import from_memory
from tidemill.errors import InvalidData

TABLE = np.array([[1, 0, 2], [0, 3, 0]], np.float32)

HOLDERS: dict[str, Any] = {
    "float32": TABLE,
    "float64": TABLE.astype(np.float64),
    "integers": TABLE.astype(int),
    "big-endian": TABLE.astype(">f4"),
    "columns first": np.asfortranarray(TABLE),
    "lists": TABLE.tolist(),
    "pandas": pandas.DataFrame(TABLE, columns=["a", "b", "c"]),
    "pandas of objects": pandas.DataFrame(TABLE.tolist(), dtype=object),
    "pandas of mixed types": pandas.DataFrame({"a": [1, 0], "b": [0.0, 3.0], "c": [True, False]})
    * pandas.Series({"a": 1, "b": 1, "c": 2}),
    "arrow table": pyarrow.table({str(i): TABLE[:, i] for i in range(3)}),
    "arrow batch": pyarrow.record_batch({str(i): TABLE[:, i] for i in range(3)}),
    "scipy": scipy.sparse.csr_matrix(TABLE),
    "scipy of other order": scipy.sparse.csc_array(TABLE),
    "scipy coo": scipy.sparse.coo_array(TABLE),
    "csr": Csr(np.array([0, 2, 3]), np.array([0, 2, 1]), np.array([1, 2, 3], np.float32), 3),
}


@pytest.mark.parametrize("name", HOLDERS)
def test_every_holder_gives_the_same_rows(name: str) -> None:
    ((batch, _),) = from_memory(HOLDERS[name], [0, 1], batch_rows=5).read()
    assert batch.dense().dtype == np.float32
    assert batch.dense().flags.c_contiguous
    np.testing.assert_array_equal(batch.dense(), TABLE)
    assert batch.labels is not None
    assert batch.labels.tolist() == [0, 1]
    is_sparse = name.startswith(("scipy", "csr"))
    assert isinstance(batch.features, Csr) == is_sparse


def test_a_single_row_may_have_one_dimension() -> None:
    assert features_of([1, 2, 3]).shape == (1, 3)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (np.zeros((2, 2, 2)), "two dimensions"),
        ([[1, 2], [3]], "rows of one length"),
        ([["a"]], "must be numbers"),
        (pandas.DataFrame({"city": ["Ulm"]}), "must be numbers"),
        (np.array([["2020-01-01"]], "datetime64[D]"), "must be numbers"),
    ],
)
def test_what_is_no_table_of_numbers_is_refused(data: Any, words: str) -> None:
    with pytest.raises(InvalidData, match=f"features .*{words}"):
        features_of(data)


def test_missing_values_are_refused_with_their_row() -> None:
    frame = pandas.DataFrame({"a": [1.0, None], "b": [1, 2]})
    with pytest.raises(InvalidData, match="data in memory, row 2, feature 1"):
        list(from_memory(frame, batch_rows=2).read())
    with pytest.raises(InvalidData, match="data in memory, row 1: label"):
        list(from_memory(TABLE, [np.nan, 1], batch_rows=2).read())


@pytest.mark.parametrize("labels", [[1], [1, 2, 3], np.zeros((2, 2, 2))])
def test_labels_must_fit_the_rows(labels: Any) -> None:
    with pytest.raises(InvalidData, match="labels must have 2 rows"):
        labels_of(labels, 2)


def test_labels_keep_their_width() -> None:
    one, two = labels_of(np.zeros((2, 1)), 2), labels_of(np.zeros((2, 2)), 2)
    assert one is not None
    assert two is not None
    assert one.shape == (2,)
    assert two.shape == (2, 2)


def test_no_rows_are_refused() -> None:
    with pytest.raises(InvalidData, match="at least one row"):
        from_memory(np.zeros((0, 3)), batch_rows=5)
