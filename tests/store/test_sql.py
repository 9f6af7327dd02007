"""The store over SQLite keeps the laws of stores, and opens only what it understands."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tidemill.errors import Invalid, NotReady
from tidemill.store.base import Query
from tidemill.store.sql import SqlStore
from tidemill.testing.store import CHECKS, Shelf, row


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/tidemill.db"


@pytest.fixture
def shelf(url: str) -> Iterator[Shelf]:
    opened: list[SqlStore] = []

    def open() -> SqlStore:
        opened.append(SqlStore(url))
        return opened[-1]

    statement = f"from tidemill.store.sql import SqlStore; store = SqlStore({url!r})"
    yield Shelf(open, statement)
    for store in opened:
        store.close()


@pytest.mark.parametrize("check", CHECKS, ids=lambda c: str(c.__name__))
def test_the_sql_store_keeps_the_laws(check: Callable[[Shelf], None], shelf: Shelf) -> None:
    check(shelf)


def test_writes_wait_for_the_disk(url: str, tmp_path: Path) -> None:
    store = SqlStore(url)
    with store._engine.connect() as connection:
        found = [
            connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous")
        ]
    store.close()
    assert found == ["wal", 2]  # 2 is FULL: each commit is on disk when it returns


def test_a_database_of_another_layout_is_refused(url: str, tmp_path: Path) -> None:
    SqlStore(url).close()
    with sqlite3.connect(tmp_path / "tidemill.db") as connection:
        connection.execute("UPDATE facts SET value = '99' WHERE name = 'schema'")
    connection.close()
    with pytest.raises(NotReady, match="layout 1; got '99'"):
        SqlStore(url)


def test_a_file_that_is_no_database_is_refused(url: str, tmp_path: Path) -> None:
    (tmp_path / "tidemill.db").write_bytes(b"not a database" * 100)
    with pytest.raises(NotReady, match="a database that opens"):
        SqlStore(url)


def test_a_directory_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(NotReady, match="unable to open"):
        SqlStore(f"sqlite:///{tmp_path}/none/tidemill.db")


def test_a_page_has_a_row_at_least(url: str) -> None:
    store = SqlStore(url)
    with pytest.raises(Invalid, match="at least 1 row"):
        store.list(Query("model", "us-east-1", limit=0))
    store.close()


def test_a_list_of_many_uses_the_index(url: str) -> None:
    store = SqlStore(url)
    store.insert(row("a"))
    sql = (
        "EXPLAIN QUERY PLAN SELECT * FROM rows WHERE kind='model' AND region='us-east-1' "
        "AND (created, serial) > (1.0, 2) ORDER BY created, serial LIMIT 11"
    )
    with store._engine.connect() as connection:
        plan = " ".join(str(found) for found in connection.exec_driver_sql(sql))
    store.close()
    assert "rows_by_creation" in plan
    assert "TEMP B-TREE" not in plan
