"""What strangers send is read without trusting it: ranges, documents, addresses."""

from __future__ import annotations

from email.utils import formatdate

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tidemill.errors import TidemillError
from tidemill.gateway.s3 import ranges
from tidemill.gateway.s3.call import address
from tidemill.gateway.s3.conditions import check_read
from tidemill.gateway.s3.problem import Problem, explain
from tidemill.gateway.s3.xml import Unreadable, document, parse
from tidemill.storage.metadata import ObjectInfo


@given(st.from_regex(r"(bytes=)?[0-9]{0,3}-[0-9]{0,3}", fullmatch=True), st.integers(0, 1000))
def test_a_range_lies_inside_the_object(header: str, size: int) -> None:
    try:
        span = ranges.parse(header, size)
    except Problem:
        return
    if span is not None:
        assert 0 <= span[0] < span[1] <= size


@given(st.text())
def test_no_range_breaks_the_parser(header: str) -> None:
    assert ranges.parse(header, 10) is None or header.startswith("bytes")


@given(st.binary())
@example(b"<a>" * 100_000)
@example(b'<?xml version="1.0" encoding="nonsense"?><a/>')
def test_no_document_breaks_the_parser(body: bytes) -> None:
    try:
        parse(body)
    except Unreadable:
        return


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="￾￿")))
def test_what_is_written_is_read(text: str) -> None:
    assert (parse(document("A", [("B", text)])).findtext("B") or "") == text


@given(st.binary(), st.text())
def test_no_address_breaks_the_parser(path: bytes, host: str) -> None:
    try:
        address(host, path)
    except TidemillError:
        return


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"if-match": '"e"', "if-unmodified-since": formatdate(0)}, 200),
        ({"if-match": '"x", "e"'}, 200),
        ({"if-none-match": '"x"', "if-modified-since": formatdate(2_000_000_000)}, 200),
        ({"if-none-match": 'W/"e"'}, 304),
        ({"if-match": '"x"', "if-none-match": '"e"'}, 412),
        ({"if-modified-since": "never"}, 200),
        ({"if-modified-since": formatdate(1_000_000_000)}, 304),
        ({"if-unmodified-since": formatdate(999_999_999)}, 412),
    ],
)
def test_conditions_have_their_order(headers: dict[str, str], status: int) -> None:
    info = ObjectInfo("k", 1, "e", 1_000_000_000_500_000_000)
    assert answered(info, headers) == status


def answered(info: ObjectInfo, headers: dict[str, str]) -> int:
    try:
        check_read(info, headers)
    except TidemillError as error:
        return explain(error).status
    return 200
