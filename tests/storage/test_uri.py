"""S3 addresses in all their spellings."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.errors import Invalid
from tidemill.storage.uri import join, parse


@pytest.mark.parametrize(
    ("uri", "wanted"),
    [
        ("s3://mill/data/train.csv", ("mill", "data/train.csv")),
        ("s3://mill", ("mill", "")),
        ("s3://mill/", ("mill", "")),
        ("s3://mill/a%20b c", ("mill", "a%20b c")),
        ("https://mill.s3.amazonaws.com/a%20b", ("mill", "a b")),
        ("https://mill.s3.eu-west-1.amazonaws.com/a/b", ("mill", "a/b")),
        ("https://mill.s3-us-west-2.amazonaws.com/a", ("mill", "a")),
        ("https://my.mill.s3.dualstack.us-east-1.amazonaws.com/a", ("my.mill", "a")),
        ("https://s3.amazonaws.com/mill/a/b", ("mill", "a/b")),
        ("https://s3.cn-north-1.amazonaws.com.cn/mill/a?x=1", ("mill", "a")),
        ("https://s3-eu-west-1.amazonaws.com/mill/a", ("mill", "a")),
    ],
)
def test_every_spelling_names_its_place(uri: str, wanted: tuple[str, str]) -> None:
    assert parse(uri) == wanted
    assert parse(parse(uri).uri) == wanted


@pytest.mark.parametrize(
    "uri", ["", "mill/a", "/tmp/x", "file:///x", "s3:///a", "s3://UP/a", "https://example.com/x"]
)
def test_anything_else_is_refused(uri: str) -> None:
    with pytest.raises(Invalid):
        parse(uri)


@given(st.text())
def test_no_text_breaks_the_parser(uri: str) -> None:
    for text in (uri, f"s3://{uri}", f"https://{uri}", f"https://s3.amazonaws.com/{uri}"):
        try:
            bucket, _ = parse(text)
        except Invalid:
            continue
        assert bucket


def test_joined_parts_have_one_slash_between_them() -> None:
    assert join("s3://mill/", "job", "/output/", "model.tar.gz") == (
        "s3://mill/job/output/model.tar.gz"
    )
    assert join("s3://mill/x", "", "y") == "s3://mill/x/y"
