"""Records of feature groups in SQLite: the newest of each, and those on their way to Parquet.

Both are written in one transaction, so what is acknowledged is in neither or in both. Writes of
several threads share a transaction, and with it the wait for the disk.
"""

from __future__ import annotations

import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue

from tidemill.errors import Conflict, NotFound, NotReady

_SCHEMA = """
CREATE TABLE IF NOT EXISTS online (
    number INTEGER PRIMARY KEY, part INTEGER NOT NULL, identifier TEXT NOT NULL,
    event INTEGER NOT NULL, expires INTEGER, deleted INTEGER NOT NULL, body BLOB NOT NULL,
    UNIQUE (part, identifier));
CREATE INDEX IF NOT EXISTS online_by_end ON online (expires) WHERE expires IS NOT NULL;
CREATE TABLE IF NOT EXISTS spool (
    number INTEGER PRIMARY KEY AUTOINCREMENT, part INTEGER NOT NULL, received INTEGER NOT NULL,
    event INTEGER NOT NULL, deleted INTEGER NOT NULL, body BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS spool_by_part ON spool (part, number);
CREATE TABLE IF NOT EXISTS loads (
    part INTEGER PRIMARY KEY, last INTEGER NOT NULL, written INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS closed (part INTEGER PRIMARY KEY);
"""
_PUT = """
INSERT INTO online (part, identifier, event, expires, deleted, body) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (part, identifier) DO UPDATE SET
    event = excluded.event, expires = excluded.expires, deleted = excluded.deleted,
    body = excluded.body
WHERE excluded.event {newer} online.event OR online.expires <= ?
"""
_WRITE = {False: _PUT.format(newer=">="), True: _PUT.format(newer=">")}
"""A deletion must be later than what it deletes; a record may be told again."""
_SPOOL = "INSERT INTO spool (part, received, event, deleted, body) VALUES (?, ?, ?, ?, ?)"
_LIVE = "(expires IS NULL OR expires > ?)"
_GET = f"SELECT identifier, event, expires, deleted, body FROM online WHERE part = ? AND identifier = ? AND {_LIVE}"  # noqa: S608, E501 - constants
_CHUNK = 1_000
_TOGETHER = 256


@dataclass(frozen=True, slots=True)
class Kept:
    """A record as it is kept. event, expires: microseconds since 1970 · deleted: or its marker"""

    identifier: str
    event: int
    expires: int | None
    deleted: bool
    body: bytes


@dataclass(frozen=True, slots=True)
class Write:
    """part: number of the feature group · online, offline: the stores it is for"""

    part: int
    record: Kept
    online: bool
    offline: bool


@dataclass(frozen=True, slots=True)
class Waiting:
    """What of a feature group waits for the offline store. oldest: when it came, microseconds"""

    part: int
    rows: int
    oldest: int


@dataclass(frozen=True, slots=True)
class Load:
    """What of a feature group goes to the offline store together: all up to ``last``.

    It is the same after a crash, so that the same files are written again. written: when,
    microseconds
    """

    part: int
    last: int
    written: int


@dataclass(frozen=True, slots=True)
class Spooled:
    """A record on its way to the offline store. received, event: microseconds"""

    received: int
    event: int
    deleted: bool
    body: bytes


@dataclass(slots=True)
class _Work:
    do: Callable[[sqlite3.Connection], object]
    is_done: threading.Event = field(default_factory=threading.Event)
    error: BaseException | None = None


class FeatureRecords:
    """path: of the SQLite file. Safe to share between threads; raises NotReady when it cannot open.

    What a write has returned survives the death of the process, and with ``sync`` that of the
    machine. loading: to be held by who takes a load, until it is done.
    """

    def __init__(self, path: Path, *, sync: bool = True) -> None:
        self._path = path
        self._sending = threading.Lock()
        self._is_closed = False
        self._works: SimpleQueue[_Work | None] = SimpleQueue()
        self._readers: deque[sqlite3.Connection] = deque()
        self.loading = threading.Lock()
        try:
            self._writer = self._connect()
            self._writer.execute("PRAGMA journal_mode=WAL")
            self._writer.execute(f"PRAGMA synchronous={'FULL' if sync else 'NORMAL'}")
            self._writer.executescript(_SCHEMA)
        except sqlite3.Error as error:
            raise NotReady(
                "a database of feature records that opens",
                got=f"{path}: {error}",
                do="Check the file and the disk.",
            ) from error
        self._thread = threading.Thread(target=self._run, name="feature-records", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Do what was asked for, and let go of the file."""
        with self._sending:
            self._is_closed = True
            self._works.put(None)
        self._thread.join()
        self._writer.close()
        while self._readers:
            self._readers.pop().close()

    def put(self, writes: Sequence[Write], now: int) -> None:
        """Keep the records, all or none; online only what is newer than what is there.

        Raises NotFound when a feature group is closed.
        """

        def do(connection: sqlite3.Connection) -> None:
            for write in writes:
                _must_be_open(connection, write.part)
                if write.online:
                    _keep(connection, write, now)
                if write.offline:
                    _spool(connection, write, now)

        self._write(do)

    def remove(self, write: Write, now: int) -> None:
        """Remove a record for good, and tell so offline; raises Conflict if it is not older."""

        def do(connection: sqlite3.Connection) -> None:
            _must_be_open(connection, write.part)
            where = (write.part, write.record.identifier)
            found = connection.execute(_GET, (*where, now)).fetchone()
            if found is not None and found[1] >= write.record.event:
                raise Conflict(
                    "an EventTime later than that of the record", got=write.record.event, do=""
                )
            connection.execute("DELETE FROM online WHERE part = ? AND identifier = ?", where)
            if write.offline:
                _spool(connection, write, now)

        self._write(do)

    def change(
        self, part: int, identifier: str, fn: Callable[[Kept | None], Write], now: int
    ) -> None:
        """Keep ``fn(record)``, of the record as it is now; ``fn`` may raise to refuse."""

        def do(connection: sqlite3.Connection) -> None:
            _must_be_open(connection, part)
            found = connection.execute(_GET, (part, identifier, now)).fetchone()
            write = fn(None if found is None else _kept(found))
            if write.online:
                _keep(connection, write, now)
            if write.offline:
                _spool(connection, write, now)

        self._write(do)

    def get(self, part: int, identifier: str, now: int) -> Kept | None:
        """The newest record, or the marker of its deletion."""
        with self._reading() as connection:
            found = connection.execute(_GET, (part, identifier, now)).fetchone()
        return None if found is None else _kept(found)

    def identifiers(
        self, part: int, after: str | None, limit: int, now: int, *, deleted: bool = False
    ) -> list[str]:
        """Whose records there are, in order. deleted: with those deleted"""
        with self._reading() as connection:
            rows = connection.execute(
                "SELECT identifier FROM online WHERE part = ? AND (? IS NULL OR identifier > ?) "  # noqa: S608 - a constant
                f"AND deleted <= ? AND {_LIVE} ORDER BY identifier LIMIT ?",
                (part, after, after, deleted, now, limit),
            )
            return [row[0] for row in rows]

    def close_part(self, part: int) -> None:
        """From now on nothing is written of this feature group."""
        self._write(
            lambda c: c.execute("INSERT OR IGNORE INTO closed VALUES (?)", (part,)) and None
        )

    def erase(self, part: int) -> None:
        """Remove a closed feature group's records, of both kinds."""
        for table in ("online", "spool"):
            self._in_chunks(table, "part = ?", part)
        self._write(lambda c: c.execute("DELETE FROM loads WHERE part = ?", (part,)))

    def expire(self, now: int) -> None:
        """Remove the records whose time is over."""
        with self._reading() as connection:
            first = connection.execute("SELECT min(expires) FROM online").fetchone()[0]
        if first is not None and first <= now:
            self._in_chunks("online", "expires <= ?", now)

    def waiting(self) -> list[Waiting]:
        """What waits for the offline store."""
        with self._reading() as connection:
            rows = connection.execute(
                "SELECT w.part, w.rows, spool.received FROM spool JOIN (SELECT part, "
                "count(*) AS rows, min(number) AS first FROM spool GROUP BY part) AS w "
                "ON spool.number = w.first"
            ).fetchall()
        return [Waiting(*row) for row in rows]

    def load(self, part: int, now: int, *, rows: int, size: int) -> Load | None:
        """What is to be written next: what a crash left half written, else the oldest records.

        rows, size: at most so many, and about so many bytes. None when nothing waits.
        """
        found: list[Load] = []

        def do(connection: sqlite3.Connection) -> None:
            begun = connection.execute("SELECT * FROM loads WHERE part = ?", (part,)).fetchone()
            if begun is None:
                last = _reach(connection, part, rows, size)
                if last is None:
                    return
                begun = (part, last, now)
                connection.execute("INSERT INTO loads VALUES (?, ?, ?)", begun)
            found.append(Load(*begun))

        self._write(do)
        return found[0] if found else None

    def spooled(self, load: Load) -> list[Spooled]:
        """The records of a load, in the order in which they came."""
        with self._reading() as connection:
            rows = connection.execute(
                "SELECT received, event, deleted, body FROM spool WHERE part = ? AND number <= ? "
                "ORDER BY number",
                (load.part, load.last),
            ).fetchall()
        return [Spooled(row[0], row[1], bool(row[2]), row[3]) for row in rows]

    def loaded(self, load: Load) -> None:
        """It is written: nothing of it waits any more."""

        def do(connection: sqlite3.Connection) -> None:
            connection.execute(
                "DELETE FROM spool WHERE part = ? AND number <= ?", (load.part, load.last)
            )
            connection.execute("DELETE FROM loads WHERE part = ?", (load.part,))

        self._write(do)

    def _in_chunks(self, table: str, where: str, value: int) -> None:
        """So that others can write between."""
        chunk = f"DELETE FROM {table} WHERE number IN (SELECT number FROM {table} WHERE {where} LIMIT {_CHUNK})"  # noqa: S608, E501 - constants
        gone: list[int] = [_CHUNK]
        while gone[-1] == _CHUNK:
            self._write(lambda c: gone.append(c.execute(chunk, (value,)).rowcount))

    def _write(self, do: Callable[[sqlite3.Connection], object]) -> None:
        """Have it done by the one thread that writes; raises what it raises."""
        work = _Work(do)
        with self._sending:
            if self._is_closed:
                raise NotReady("an open database of records", got="a closed one", do="Try again.")
            self._works.put(work)
        work.is_done.wait()
        if work.error is not None:
            raise work.error

    def _run(self) -> None:
        """What has come while one transaction waited for the disk is done in the next."""
        works: list[_Work | None] = []
        while None not in works:
            works = [self._works.get()]
            while not self._works.empty() and len(works) < _TOGETHER:
                works.append(self._works.get())
            self._do([work for work in works if work is not None])

    def _do(self, works: list[_Work]) -> None:
        connection = self._writer
        try:
            connection.execute("BEGIN IMMEDIATE")
            for work in works:
                _attempt(connection, work)
            connection.execute("COMMIT")
        except BaseException as error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            for work in works:
                work.error = work.error or error
        for work in works:
            work.is_done.set()

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        try:
            connection = self._readers.pop()
        except IndexError:
            connection = self._connect()
        try:
            yield connection
        finally:
            self._readers.append(connection)

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(
            self._path, isolation_level=None, check_same_thread=False, timeout=20.0
        )


def _attempt(connection: sqlite3.Connection, work: _Work) -> None:
    """One work; what it has done is undone if it fails, the others' is not."""
    connection.execute("SAVEPOINT work")
    try:
        work.do(connection)
    except Exception as error:
        work.error = error
        connection.execute("ROLLBACK TO work")
    connection.execute("RELEASE work")


def _must_be_open(connection: sqlite3.Connection, part: int) -> None:
    if connection.execute("SELECT 1 FROM closed WHERE part = ?", (part,)).fetchone():
        raise NotFound("a feature group that is not deleted", got=part, do="Create it again.")


def _keep(connection: sqlite3.Connection, write: Write, now: int) -> None:
    r = write.record
    values = (write.part, r.identifier, r.event, r.expires, r.deleted, r.body, now)
    connection.execute(_WRITE[r.deleted], values)


def _spool(connection: sqlite3.Connection, write: Write, now: int) -> None:
    r = write.record
    connection.execute(_SPOOL, (write.part, now, r.event, r.deleted, r.body))


def _reach(connection: sqlite3.Connection, part: int, rows: int, size: int) -> int | None:
    """The number of the last record that fits into a load."""
    last, total = None, 0
    for number, length in connection.execute(
        "SELECT number, length(body) FROM spool WHERE part = ? ORDER BY number LIMIT ?",
        (part, rows),
    ):
        total += length
        if last is not None and total > size:
            break
        last = number
    return last


def _kept(row: tuple[str, int, int | None, int, bytes]) -> Kept:
    return Kept(row[0], row[1], row[2], bool(row[3]), row[4])
