from __future__ import annotations

import pytest

from tidemill.data import content_type as types
from tidemill.errors import InvalidData, UnsupportedType


@pytest.mark.parametrize(
    ("text", "media"),
    [
        (None, types.RECORDIO),
        ("", types.RECORDIO),
        ("application/x-labeled-vector-protobuf", types.RECORDIO),
        ("protobuf", types.RECORDIO),
        ("TEXT/CSV", types.CSV),
        ("csv", types.CSV),
        (" application/json ; charset=utf-8", types.JSON),
        ("application/x-ndjson", types.JSON_LINES),
        ("parquet", types.PARQUET),
        ("application/x-npy", types.NPY),
    ],
)
def test_every_name_of_a_type_leads_to_the_one_used_here(text: str | None, media: str) -> None:
    assert types.parse(text).media == media


def test_parameters_keep_their_values_without_quotes() -> None:
    kind = types.parse('text/csv; Label_Size="2";encoding=UTF-8')
    assert kind.parameters == {"label_size": "2", "encoding": "UTF-8"}
    assert kind.label_size == 2
    assert types.parse("text/csv").label_size is None


def test_an_unknown_type_says_what_is_supported() -> None:
    with pytest.raises(UnsupportedType, match=r"text/csv.*got 'image/png'"):
        types.parse("image/png")


@pytest.mark.parametrize("size", ["-1", "two", "", "1.5"])
def test_a_bad_label_size_is_named(size: str) -> None:
    with pytest.raises(InvalidData, match="label_size"):
        _ = types.parse(f"text/csv;label_size={size}").label_size
