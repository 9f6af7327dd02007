"""Keys and paths: there and back, for any key at all."""

from __future__ import annotations

import os

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tidemill.storage import keys
from tidemill.storage.errors import InvalidBucketName, InvalidKey, KeyTooLong

TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=300)
KEYS = st.one_of(TEXT, st.text("/.%\0a,+=é", min_size=1, max_size=600)).filter(
    lambda key: len(key.encode()) <= keys.LONGEST_KEY
)


@given(KEYS)
@example("\0" * 1024)
@example("/" * 1024)
@example("x" * 80)
@example("😀" * 256)
def test_an_escaped_key_comes_back(key: str) -> None:
    names = keys.escape(key)
    assert keys.unescape(names) == key
    assert all(0 < len(name) <= keys.LONGEST_NAME for name in names)
    assert len("/".join(names)) < 3200  # room for the home before it


@given(KEYS)
def test_no_path_leaves_its_tree(key: str) -> None:
    for names in (keys.escape(key), keys.plain(key) or ("x",)):
        assert not any("/" in name or "\0" in name or name in ("", ".", "..") for name in names)
        path = os.path.join("/top", *names)
        assert os.path.normpath(path) == path


@given(KEYS, KEYS)
@example("a/b", "a,b")
@example("x" * 80, "x" * 80 + "/")
def test_two_keys_never_share_a_path(one: str, other: str) -> None:
    if one != other:
        assert keys.escape(one) != keys.escape(other)
        assert keys.plain(one) is None or keys.plain(one) != keys.plain(other)
    # and no file stands where the other needs a directory
    a, b = keys.escape(one), keys.escape(other)
    assert one == other or a[: len(b)] != b


@given(KEYS)
def test_all_with_a_prefix_are_below_what_comes_after_it(key: str) -> None:
    for cut in range(1, len(key) + 1):
        assert key.encode() < keys.after_all(key[:cut])


@pytest.mark.parametrize(
    "name", ["ab", "a" * 64, "Abc", "a_b", "-ab", "ab-", "a..b", "10.1.2.3", "", "a/b", "a\n"]
)
def test_a_bad_bucket_name_says_so(name: str) -> None:
    with pytest.raises(InvalidBucketName, match="bucket name"):
        keys.check_bucket(name)


def test_good_names_pass() -> None:
    for name in ("abc", "a" * 63, "sagemaker-us-east-1-123456789012", "my.bucket", "1a2"):
        assert keys.check_bucket(name) == name


def test_bad_keys_say_so() -> None:
    with pytest.raises(InvalidKey, match="at least one byte"):
        keys.check_key("")
    with pytest.raises(KeyTooLong, match="1025"):
        keys.check_key("x" * 1025)
    with pytest.raises(KeyTooLong):
        keys.check_key("é" * 513)
    with pytest.raises(InvalidKey, match="UTF-8"):
        keys.check_key("\ud800")
