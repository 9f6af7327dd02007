"""Addresses of replicas are read as they are written, and nothing else is taken for one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.errors import Invalid
from tidemill.spec.address import Tcp, Unix, parse, text

HOSTS = st.sampled_from(["127.0.0.1", "localhost", "node-7.cluster", "::1", "fe80::1"])
ADDRESSES = st.one_of(
    st.builds(Unix, st.text(min_size=1)), st.builds(Tcp, HOSTS, st.integers(0, 65_535))
)


@given(ADDRESSES)
def test_an_address_is_the_same_read_back(address: Unix | Tcp) -> None:
    assert parse(text(address)) == address


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "unix:",
        "tcp:",
        "tcp:host",
        "tcp::80",
        "tcp:host:",
        "tcp:host:65536",
        "tcp:h:-1",
        "udp:h:1",
    ]
    + ["tcp:h:٣", "/run/r.sock"],
)
def test_what_is_no_address_is_refused_with_what_to_do(wrong: str) -> None:
    with pytest.raises(Invalid, match=r"unix:/path or tcp:host:port.*Name a socket's path"):
        parse(wrong)
