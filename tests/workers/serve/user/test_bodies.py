"""Bodies are read and written as the inference toolkit does it."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.sparse import csr_matrix, save_npz

from tidemill.workers.serve.user import bodies
from tidemill.workers.serve.user.bodies import CSV, JSON, NPY, NPZ, Unsupported

TABLES = arrays.arrays(
    np.float64, arrays.array_shapes(min_dims=2, max_dims=2), elements=st.floats(-1e6, 1e6)
)


@given(TABLES)
def test_an_array_survives_npy_and_json(table: np.ndarray) -> None:
    for kind in (NPY, JSON):
        np.testing.assert_array_equal(bodies.decode(bodies.encode(table, kind), kind), table)


def test_csv_has_a_line_a_row_and_one_row_has_one_dimension() -> None:
    assert bodies.encode([[1, 2], [3, 4.5]], CSV) == "1.0,2.0\n3.0,4.5\n"
    assert bodies.encode(["a", "b"], CSV) == "a\nb\n"
    assert bodies.decode("1,2\n3,4\n", "text/csv; charset=utf-8").shape == (2, 2)
    assert bodies.decode(b"1,2,3", CSV).shape == (3,)


def test_npz_is_a_sparse_matrix() -> None:
    stream = io.BytesIO()
    save_npz(stream, csr_matrix([[0, 1], [2, 0]]))
    assert bodies.decode(stream.getvalue(), NPZ).toarray().tolist() == [[0, 1], [2, 0]]


def test_arrays_within_json_become_lists() -> None:
    assert bodies.encode({"scores": np.arange(2)}, JSON) == '{"scores": [0, 1]}'
    with pytest.raises(TypeError, match="object is not JSON|type object"):
        bodies.encode(object(), JSON)


def test_nothing_that_a_client_sends_is_unpickled() -> None:
    stream = io.BytesIO()
    np.save(stream, np.array([{"a": 1}], object), allow_pickle=True)
    with pytest.raises(ValueError, match="allow_pickle"):
        bodies.decode(stream.getvalue(), NPY)


def test_the_first_type_that_is_accepted_and_can_be_written_is_taken() -> None:
    assert bodies.first_written([1], "image/png, text/csv;q=0.3", JSON) == ("1\n", CSV)
    assert bodies.first_written([1], "image/png,*/*", JSON) == ("[1]", JSON)
    with pytest.raises(Unsupported) as refused:
        bodies.first_written([1], "image/png", JSON)
    assert refused.value.status == 406


@pytest.mark.parametrize("kind", [None, "", "image/png"])
def test_another_type_is_refused_with_what_to_do(kind: str | None) -> None:
    with pytest.raises(Unsupported, match="implement input_fn") as refused:
        bodies.decode(b"", kind)
    assert refused.value.status == 415
