from __future__ import annotations

import io
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tidemill.data import content_type as types
from tidemill.data.answer import encode, in_kind, negotiate
from tidemill.data.formats import recordio
from tidemill.errors import UnsupportedType

LINEAR = {"score": np.array([0.5, 0.1], np.float32), "predicted_label": np.array([1, 0])}
KMEANS = {
    "closest_cluster": np.array([2, 0], np.float32),
    "distance_to_cluster": np.array([4.5, 1], np.float32),
}
PCA = {"projection": np.array([[1, 2], [3, 4.5]], np.float32)}


def test_json_answers_look_as_documented() -> None:
    assert encode(LINEAR)[0] == (
        b'{"predictions":[{"score":0.5,"predicted_label":1},{"score":0.1,"predicted_label":0}]}'
    )
    assert encode(KMEANS)[0] == (
        b'{"predictions":[{"closest_cluster":2.0,"distance_to_cluster":4.5},'
        b'{"closest_cluster":0.0,"distance_to_cluster":1.0}]}'
    )
    assert encode(PCA, response_key="projections")[0] == (
        b'{"projections":[{"projection":[1.0,2.0]},{"projection":[3.0,4.5]}]}'
    )


def test_json_lines_and_csv_answers_end_their_lines() -> None:
    assert encode(KMEANS, "application/jsonlines")[0] == (
        b'{"closest_cluster":2.0,"distance_to_cluster":4.5}\n'
        b'{"closest_cluster":0.0,"distance_to_cluster":1.0}\n'
    )
    assert encode(KMEANS, "text/csv") == (b"2.0,4.5\n0.0,1.0\n", "text/csv")
    assert encode({**LINEAR, **PCA}, "text/csv")[0] == b"0.5,1,1.0,2.0\n0.1,0,3.0,4.5\n"


def test_columns_are_chosen_and_put_in_order() -> None:
    names = ("distance_to_cluster", "closest_cluster", "absent")
    assert encode(KMEANS, "text/csv", response_columns=names)[0] == b"4.5,2.0\n1.0,0.0\n"


COLUMNS = st.integers(0, 12).flatmap(
    lambda rows: st.dictionaries(
        st.text(min_size=1, max_size=5),
        st.one_of(
            arrays.arrays(np.float32, rows, elements=st.floats(-100, 100, width=32)),
            arrays.arrays(np.int64, rows, elements=st.integers(-(2**40), 2**40)),
            arrays.arrays(np.float32, (rows, 3), elements=st.floats(-100, 100, width=32)),
            arrays.arrays(np.float64, (rows, 1), elements=st.floats(-100, 100)),
        ),
        min_size=1,
        max_size=4,
    )
)


@given(COLUMNS)
@settings(deadline=None)
def test_what_is_written_reads_back_the_same(columns: dict[str, Any]) -> None:
    rows = len(next(iter(columns.values())))
    wanted = [{name: a[i].tolist() for name, a in columns.items()} for i in range(rows)]
    kinds = {name: np.dtype(a.dtype) for name, a in columns.items()}

    def same(found: Any) -> None:
        assert len(found) == rows
        for one, other in zip(found, wanted, strict=True):
            for name, dtype in kinds.items():
                np.testing.assert_array_equal(
                    np.array(one[name], dtype), np.array(other[name], dtype)
                )

    same(json.loads(encode(columns, "application/json")[0])["predictions"])
    lines = encode(columns, "application/jsonlines")[0].splitlines()
    same([json.loads(line) for line in lines])
    for found, other in zip(
        recordio.read_records(encode(columns, types.RECORDIO)[0]), wanted, strict=True
    ):
        assert set(found.label) == set(other)
        for name, tensor in found.label.items():
            flat = np.atleast_1d(np.array(other[name], np.float32))
            np.testing.assert_array_equal(tensor.values, flat)
    csv = [line.split(",") for line in encode(columns, "text/csv")[0].decode().splitlines()]
    flat_rows = [np.concatenate([np.atleast_1d(v) for v in row.values()]) for row in wanted]
    for cells, numbers in zip(csv, flat_rows, strict=True):
        np.testing.assert_array_equal(
            np.array(cells, float).astype(np.float32), numbers.astype(np.float32)
        )


def test_the_sdk_reads_recordio_answers() -> None:
    sdk = pytest.importorskip("sagemaker.serializer_utils")
    body, media = encode(LINEAR, "application/x-recordio-protobuf")
    assert media == types.RECORDIO
    first, _ = sdk.read_records(io.BytesIO(body))
    assert first.label["score"].float32_tensor.values[0] == 0.5
    assert first.label["predicted_label"].float32_tensor.values[0] == 1


@pytest.mark.parametrize("rows", [1, 3, 20])
def test_nan_is_null_and_text_is_text(rows: int) -> None:
    columns = {"a": np.full(rows, np.nan, np.float32), "b": np.array(['x,"y'] * rows)}
    assert json.loads(encode(columns)[0])["predictions"] == [{"a": None, "b": 'x,"y'}] * rows


@pytest.mark.parametrize(
    ("accept", "media"),
    [
        (None, types.CSV),
        ("", types.CSV),
        ("*/*", types.CSV),
        ("application/*", types.JSON),
        ("text/*", types.CSV),
        ("application/json;verbose=true", types.JSON),
        ("protobuf", types.RECORDIO),
        ("text/html, application/jsonlines", types.JSON_LINES),
        ("text/csv;q=0.2, application/json;q=0.9", types.JSON),
        ("application/json;q=0, */*;q=0.1", types.CSV),
        ("application/json, text/csv", types.JSON),
    ],
)
def test_accept_chooses_the_type(accept: str | None, media: str) -> None:
    assert negotiate(accept, types.CSV) == media


@pytest.mark.parametrize(
    "accept", ["text/html", "image/*", "application/json;q=0", "text/plain", ";q=x"]
)
def test_an_accept_that_cannot_be_met_lists_what_can(accept: str) -> None:
    with pytest.raises(UnsupportedType, match=r"application/json, .*got"):
        encode(KMEANS, accept)


def test_a_caller_without_a_preference_is_answered_in_kind() -> None:
    assert in_kind("text/csv") == types.CSV
    assert in_kind("text/csv;label_size=0", "application/json") == types.JSON
    assert in_kind("application/jsonlines") == types.JSON_LINES
    assert in_kind(None) == types.JSON
