"""One pair of keys a home, made once, for its owner's eyes."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tidemill.auth.credentials import load_or_create
from tidemill.errors import Invalid

GIVEN = {"TIDEMILL_ACCESS_KEY_ID": "AK", "TIDEMILL_SECRET_ACCESS_KEY": "SK"}


def test_random_keys_are_made_once_and_only_their_owner_can_read_them(tmp_path: Path) -> None:
    path = tmp_path / "home" / "credentials"
    first = load_or_create(path, {})
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(first.access_key_id) == 20
    assert len(first.secret_access_key) == 40
    assert load_or_create(path, GIVEN) == first
    assert load_or_create(tmp_path / "other", {}) != first


def test_the_environment_gives_the_first_pair(tmp_path: Path) -> None:
    made = load_or_create(tmp_path / "credentials", GIVEN)
    assert made.keys == {"AK": "SK"}
    assert "SK" not in repr(made)


def test_half_a_pair_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="set together"):
        load_or_create(tmp_path / "credentials", {"TIDEMILL_ACCESS_KEY_ID": "AK"})


@pytest.mark.parametrize(("key", "secret"), [("a key", "s"), ("a/key", "s"), ("key", "a secret")])
def test_a_pair_that_nothing_can_be_signed_with_is_refused(
    tmp_path: Path, key: str, secret: str
) -> None:
    pair = {"TIDEMILL_ACCESS_KEY_ID": key, "TIDEMILL_SECRET_ACCESS_KEY": secret}
    with pytest.raises(Invalid, match="TIDEMILL_ACCESS_KEY_ID must be"):
        load_or_create(tmp_path / "credentials", pair)
    assert not (tmp_path / "credentials").exists()


def test_many_at_once_get_one_pair(tmp_path: Path) -> None:
    with ThreadPoolExecutor(16) as pool:
        made = list(pool.map(lambda _: load_or_create(tmp_path / "credentials", {}), range(64)))
    assert len(set(made)) == 1
    assert [p.name for p in tmp_path.iterdir()] == ["credentials"]


def test_a_broken_file_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "credentials").write_text("oops")
    with pytest.raises(Invalid, match="delete it"):
        load_or_create(tmp_path / "credentials", {})
