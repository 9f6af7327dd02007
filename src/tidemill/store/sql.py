"""The store over SQL: SQLite on a laptop, PostgreSQL by URL, through SQLAlchemy Core."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, IntegrityError

from tidemill.errors import Conflict, Invalid, NotReady
from tidemill.store.base import Document, Page, Query, Row
from tidemill.store.token import Tokens

SCHEMA = "1"
# Order of names must be that of bytes everywhere, or pages would differ between databases.
_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

_TABLES = sa.MetaData()
_ROWS = sa.Table(
    "rows",
    _TABLES,
    sa.Column("serial", _SERIAL, primary_key=True, autoincrement=True),
    sa.Column("kind", _TEXT, nullable=False),
    sa.Column("region", _TEXT, nullable=False),
    sa.Column("name", _TEXT, nullable=False),
    sa.Column("status", _TEXT, nullable=False),
    sa.Column("created", sa.Double, nullable=False),
    sa.Column("modified", sa.Double, nullable=False),
    sa.Column("document", sa.Text, nullable=False),
    sa.Column("revision", sa.Integer, nullable=False),
    sa.UniqueConstraint("kind", "region", "name"),
    sa.Index("rows_by_creation", "kind", "region", "created", "serial"),
    sa.Index("rows_by_modification", "kind", "region", "modified", "serial"),
    sa.Index("rows_by_status", "kind", "status"),
    sqlite_autoincrement=True,  # a serial is never used twice, so an old token skips nothing
)
_LABELS = sa.Table(
    "labels",
    _TABLES,
    sa.Column("kind", _TEXT, primary_key=True),
    sa.Column("region", _TEXT, primary_key=True),
    sa.Column("key", _TEXT, primary_key=True),
    sa.Column("value", _TEXT, primary_key=True),
    sa.Column("serial", _SERIAL, primary_key=True, autoincrement=False),
    sa.Index("labels_by_serial", "serial"),
    sqlite_with_rowid=False,
)
_TAGS = sa.Table(
    "tags",
    _TABLES,
    sa.Column("arn", _TEXT, primary_key=True),
    sa.Column("tags", sa.Text, nullable=False),
)
_FACTS = sa.Table(
    "facts",
    _TABLES,
    sa.Column("name", _TEXT, primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)


class SqlStore:
    """Rows, tags and pages in a database; safe to share between threads and processes.

    url: of SQLAlchemy, as ``sqlite:////home/me/.tidemill/tidemill.db``. Raises NotReady when the
    database cannot be opened. What a write has returned is on disk (WAL, synchronous=FULL).
    """

    def __init__(self, url: str) -> None:
        self._engine = sa.create_engine(url)
        if self._engine.dialect.name == "sqlite":
            sa.event.listen(self._engine, "connect", _set_up_sqlite)
            sa.event.listen(self._engine, "begin", _begin_sqlite)
        self._reads = self._engine.execution_options(reads=True)
        try:
            self._tokens = Tokens(self._prepare())
        except DBAPIError as error:
            raise NotReady(
                "a database that opens", got=f"{url}: {error.orig}", do="Check the file and disk."
            ) from error

    def close(self) -> None:
        """Let go of all connections."""
        self._engine.dispose()

    def insert(
        self,
        row: Row,
        *,
        arn: str | None = None,
        tags: Mapping[str, str] | None = None,
        beside: Row | None = None,
    ) -> Row:
        """Add it, with the tags of its ARN; raises Conflict when (kind, region, name) is taken.

        beside: a row of the same transaction: a new one, or (with a serial) one to write back,
        which raises Conflict when its revision is no longer the stored one
        """
        try:
            with self._write() as connection:
                serial = _insert(connection, row)
                if arn is not None:
                    _write_tags(connection, arn, tags or {})
                if beside is not None:
                    (_update if beside.serial else _insert)(connection, beside)
        except IntegrityError as error:
            raise Conflict(
                f"a {row.kind} name that is free in {row.region}",
                got=row.name,
                do="Choose another name, or delete the one there.",
            ) from error
        return replace(row, revision=1, serial=serial)

    def get(self, kind: str, region: str, name: str) -> Row | None:
        """The row of that name, or None."""
        where = (_ROWS.c.kind == kind) & (_ROWS.c.region == region) & (_ROWS.c.name == name)
        with self._reads.connect() as connection:
            found = connection.execute(_ROWS.select().where(where)).first()
        return None if found is None else _row(found)

    def update(self, row: Row) -> Row:
        """Write it back; raises Conflict when its revision is no longer the stored one."""
        with self._write() as connection:
            _update(connection, row)
        return replace(row, revision=row.revision + 1)

    def delete(self, row: Row, *, arn: str | None = None, below: str | None = None) -> None:
        """Remove it, with its ARN's tags; raises Conflict when its revision is no longer stored.

        below: a kind whose rows named ``NAME/…`` go with it
        """
        with self._write() as connection:
            _changed_one(connection.execute(_ROWS.delete().where(_is(row))), row)
            connection.execute(_LABELS.delete().where(_LABELS.c.serial == row.serial))
            if arn is not None:
                connection.execute(_TAGS.delete().where(_TAGS.c.arn == arn))
            if below is not None:
                _delete_below(connection, row, below)

    def list(self, query: Query) -> Page:
        """One page; raises Invalid for a token that this store did not issue for this list."""
        if query.limit < 1:
            raise Invalid("a page of at least 1 row", got=query.limit, do="Raise MaxResults.")
        column = _ROWS.c[query.sort_by]
        wanted = self._filters(query)
        select = sa.select(_ROWS, wanted.label("wanted")).where(
            _ROWS.c.kind == query.kind, _ROWS.c.region == query.region, *_labelled(query)
        )
        if not query.filter_after:
            select = select.where(wanted)
        if query.after is not None:
            select = select.where(_beyond(column, query, self._tokens.read(query)))
        order = (
            (column.desc(), _ROWS.c.serial.desc()) if query.descending else (column, _ROWS.c.serial)
        )
        with self._reads.connect() as connection:
            found = connection.execute(select.order_by(*order).limit(query.limit + 1)).all()
        page = found[: query.limit]
        last = page[-1]._mapping if len(found) > len(page) else None
        token = self._tokens.issue(query, last[query.sort_by], last["serial"]) if last else None
        return Page(tuple(_row(f) for f in page if f.wanted), token)

    def unfinished(self, kind: str, statuses: Sequence[str]) -> Sequence[Row]:
        """All rows of a kind, over all regions, whose status is among these, oldest first."""
        where = (_ROWS.c.kind == kind) & _ROWS.c.status.in_(statuses)
        with self._reads.connect() as connection:
            found = connection.execute(_ROWS.select().where(where).order_by(_ROWS.c.serial)).all()
        return tuple(_row(f) for f in found)

    def tags(self, arn: str) -> Mapping[str, str]:
        """In the order in which they were added."""
        with self._reads.connect() as connection:
            found = connection.execute(sa.select(_TAGS.c.tags).where(_TAGS.c.arn == arn)).scalar()
        return {} if found is None else dict(json.loads(found))

    def set_tags(self, arn: str, tags: Mapping[str, str]) -> None:
        """Put these in place of all that the ARN has."""
        with self._write() as connection:
            _write_tags(connection, arn, tags)

    @contextmanager
    def _write(self) -> Iterator[sa.Connection]:
        with self._engine.begin() as connection:
            yield connection

    def _prepare(self) -> bytes:
        """Make what is missing, and return the key that signs tokens."""
        with self._write() as connection:
            _TABLES.create_all(connection)
            facts = {f.name: f.value for f in connection.execute(_FACTS.select())}
            fresh = {"schema": SCHEMA, "token_key": secrets.token_hex(16)}
            missing = [{"name": n, "value": v} for n, v in fresh.items() if n not in facts]
            if missing:
                connection.execute(_FACTS.insert(), missing)
        facts = {**fresh, **facts}
        if facts["schema"] != SCHEMA:
            raise NotReady(
                f"a database of layout {SCHEMA}",
                got=facts["schema"],
                do="Use the Tidemill version that made it, or another home.",
            )
        return bytes.fromhex(facts["token_key"])

    def _filters(self, query: Query) -> sa.ColumnElement[bool]:
        c = _ROWS.c
        # LIKE folds case in SQLite, and would need escapes.
        position = sa.func.instr if self._engine.dialect.name == "sqlite" else sa.func.strpos
        given: Sequence[tuple[Any, Any]] = (
            (query.name_contains, lambda v: position(c.name, v) > 0),
            (query.status, lambda v: c.status == v),
            (query.created_after, lambda v: c.created > v),
            (query.created_before, lambda v: c.created < v),
            (query.modified_after, lambda v: c.modified > v),
            (query.modified_before, lambda v: c.modified < v),
            (query.names, lambda v: c.name.in_(v)),
        )
        return sa.and_(sa.true(), *(test(v) for v, test in given if v is not None))


def _set_up_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # we say BEGIN ourselves
    for pragma in ("busy_timeout=20000", "journal_mode=WAL", "synchronous=FULL"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: sa.Connection) -> None:
    # A writer takes its lock at once: a deferred one could fail half-way instead of waiting.
    if not connection.get_execution_options().get("reads"):
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def _values(row: Row) -> dict[str, Any]:
    return {
        "kind": row.kind,
        "region": row.region,
        "name": row.name,
        "status": row.status,
        "created": row.created,
        "modified": row.modified,
        "document": json.dumps(row.document, separators=(",", ":")),
    }


def _insert(connection: sa.Connection, row: Row) -> int:
    """Its serial; raises IntegrityError when the name is taken."""
    values = {**_values(row), "revision": 1}
    statement = _ROWS.insert().values(values).returning(_ROWS.c.serial)
    serial: int = connection.execute(statement).scalar_one()
    _write_labels(connection, replace(row, serial=serial))
    return serial


def _update(connection: sa.Connection, row: Row) -> None:
    values = {**_values(row), "revision": row.revision + 1}
    _changed_one(connection.execute(_ROWS.update().where(_is(row)).values(values)), row)
    if "labels" in row.document:
        connection.execute(_LABELS.delete().where(_LABELS.c.serial == row.serial))
        _write_labels(connection, row)


def _delete_below(connection: sa.Connection, row: Row, kind: str) -> None:
    # A range of names, which are compared as bytes: "0" is what comes after "/".
    first, last = f"{row.name}/", f"{row.name}0"
    where = (_ROWS.c.kind == kind) & (_ROWS.c.region == row.region)
    where &= (_ROWS.c.name >= first) & (_ROWS.c.name < last)
    serials = sa.select(_ROWS.c.serial).where(where)
    connection.execute(_LABELS.delete().where(_LABELS.c.serial.in_(serials)))
    connection.execute(_ROWS.delete().where(where))


def _row(found: sa.Row[Any]) -> Row:
    document: Document = json.loads(found.document)
    return Row(
        kind=found.kind,
        region=found.region,
        name=found.name,
        status=found.status,
        created=found.created,
        modified=found.modified,
        document=document,
        revision=found.revision,
        serial=found.serial,
    )


def _is(row: Row) -> sa.ColumnElement[bool]:
    # The serial too: a row deleted and made again under the same name is another row.
    return (_ROWS.c.serial == row.serial) & (_ROWS.c.revision == row.revision)


def _changed_one(done: sa.CursorResult[Any], row: Row) -> None:
    if done.rowcount != 1:
        raise Conflict(
            f"{row.kind} {row.name!r} as it was read",
            got=f"revision {row.revision}, which is no longer stored",
            do="Read it again, then repeat the change.",
        )


def _beyond(column: sa.Column[Any], query: Query, at: tuple[Any, int]) -> sa.ColumnElement[bool]:
    here, there = sa.tuple_(column, _ROWS.c.serial), sa.tuple_(*map(sa.literal, at))
    return here < there if query.descending else here > there


def _labelled(query: Query) -> Iterator[sa.ColumnElement[bool]]:
    c = _LABELS.c
    for key, value in query.labels:
        where = (c.kind == query.kind) & (c.region == query.region)
        found = sa.select(c.serial).where(where, c.key == key, c.value == value)
        yield _ROWS.c.serial.in_(found)


def _write_labels(connection: sa.Connection, row: Row) -> None:
    here = {"kind": row.kind, "region": row.region, "serial": row.serial}
    labels: Mapping[str, Sequence[str]] = row.document.get("labels", {})
    values = [{**here, "key": k, "value": v} for k, vs in labels.items() for v in set(vs)]
    if values:
        connection.execute(_LABELS.insert(), values)


def _write_tags(connection: sa.Connection, arn: str, tags: Mapping[str, str]) -> None:
    connection.execute(_TAGS.delete().where(_TAGS.c.arn == arn))
    if tags:
        connection.execute(_TAGS.insert().values(arn=arn, tags=json.dumps(list(tags.items()))))
