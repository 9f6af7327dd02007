"""The filters of batch transform."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.errors import Invalid, InvalidData
from tidemill.spec.json_path import parse

ROW = ["a", "b", "c", "d", "e"]
DOCUMENT = {"id": 1, "features": {"x": 2, "y": [3, 4]}, "odd name": 5}


@pytest.mark.parametrize(
    ("path", "value", "found"),
    [
        ("$", ROW, ROW),
        ("$[0]", ROW, "a"),
        ("$[-1]", ROW, "e"),
        ("$[0,-1]", ROW, ["a", "e"]),
        ("$[ 2 , 0 ]", ROW, ["c", "a"]),
        ("$[1:]", ROW, ["b", "c", "d", "e"]),
        ("$[1:4]", ROW, ["b", "c", "d"]),
        ("$[:-1]", ROW, ["a", "b", "c", "d"]),
        ("$[7:9]", ROW, []),
        ("$[*]", ROW, ROW),
        ("$.id", DOCUMENT, 1),
        ("$.features.y[1]", DOCUMENT, 4),
        ("$['odd name']", DOCUMENT, 5),
        ('$["id"]', DOCUMENT, 1),
        ("$['id','odd name']", DOCUMENT, {"id": 1, "odd name": 5}),
        ("$.features.*", DOCUMENT, [2, [3, 4]]),
        ("$[*].a", [{"a": 1}, {"a": 2}], [1, 2]),
        ("$[0:2][0]", [[1, 2], [3, 4], [5, 6]], [1, 3]),
    ],
)
def test_a_path_selects(path: str, value: Any, found: Any) -> None:
    assert parse(path).select(value) == found


@pytest.mark.parametrize("path", ["", "a", "$a", "$.", "$[", "$[]", "$[a]", "$[1:2:3]", "$['a]"])
def test_what_is_no_path_is_refused(path: str) -> None:
    with pytest.raises(Invalid, match="JSONPath"):
        parse(path)


@pytest.mark.parametrize(
    ("path", "value"),
    [("$[5]", ROW), ("$[0,9]", ROW), ("$[-6]", ROW), ("$.a", ROW), ("$.a", {}), ("$[1:]", {})],
)
def test_what_is_not_there_is_an_error_that_names_the_path(path: str, value: Any) -> None:
    with pytest.raises(InvalidData) as caught:
        parse(path).select(value)
    assert path in str(caught.value)


@given(st.lists(st.integers()), st.none() | st.integers(-9, 9), st.none() | st.integers(-9, 9))
def test_slices_are_pythons(row: list[int], start: int | None, end: int | None) -> None:
    first, last = ("" if n is None else str(n) for n in (start, end))
    assert parse(f"$[{first}:{last}]").select(row) == row[start:end]
