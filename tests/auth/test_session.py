"""Temporary keys are good for what they were given for, and for nothing else."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from tidemill.auth.session import Grant, access_key_id, mint, read, secret

GRANT = Grant("ASIAONE", "role", "miller", "AROA1", "night", 1000.0, "{}")


def test_a_token_says_what_was_granted_and_makes_its_own_secret() -> None:
    key, token = mint(GRANT, "root")
    assert read(token, "root") == GRANT
    assert secret(token, "root") == key
    assert read(token, "another") is None
    other = mint(replace(GRANT, name="other"), "root")
    assert key != other[0]
    assert len(key) == 40


@given(st.integers(0, 10_000), st.integers(0, 7))
def test_a_token_with_any_bit_changed_is_none(at: int, bit: int) -> None:
    _, token = mint(GRANT, "root")
    data = bytearray(urlsafe_b64decode(token))
    data[at % len(data)] ^= 1 << bit
    assert read(urlsafe_b64encode(bytes(data)).decode(), "root") is None


@given(st.text(max_size=80))
def test_any_text_is_no_token(text: str) -> None:
    assert read(text, "root") is None


def test_key_ids_are_of_aws_form() -> None:
    assert len(access_key_id(b"seed")) == 20
    assert access_key_id(b"seed") != access_key_id(b"other")
