"""A sealed file is read whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.workers import sealed


@given(payload=st.binary(max_size=300), number=st.integers())
def test_what_was_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, payload: bytes, number: int
) -> None:
    path = tmp_path_factory.mktemp("s") / "x"
    sealed.write(path, {"number": number}, payload, durable=True)
    found = sealed.read(path)
    assert found is not None
    header, data = found
    assert (header["number"], data) == (number, payload)


def test_a_missing_file_is_none(tmp_path: Path) -> None:
    assert sealed.read(tmp_path / "x") is None


def test_a_file_cut_short_anywhere_is_none(tmp_path: Path) -> None:
    sealed.write(tmp_path / "x", {"a": 1}, b"state")
    whole = (tmp_path / "x").read_bytes()
    for size in range(len(whole)):
        (tmp_path / "x").write_bytes(whole[:size])
        assert sealed.read(tmp_path / "x") is None


def test_a_file_with_any_byte_changed_is_none(tmp_path: Path) -> None:
    sealed.write(tmp_path / "x", {"a": 1}, b"state")
    whole = (tmp_path / "x").read_bytes()
    for at in range(len(whole)):
        if at == len(b"tidemill sealed 1\n") + 64:
            continue  # the line's end after the seal, which says nothing
        (tmp_path / "x").write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        assert sealed.read(tmp_path / "x") is None


def test_no_draft_stays_behind(tmp_path: Path) -> None:
    sealed.write(tmp_path / "x", {}, b"")
    assert [p.name for p in tmp_path.iterdir()] == ["x"]
