"""Metrics over time: a summary of what each series was told in every ten seconds.

Ten seconds for three hours, whole minutes from then on, nothing after fifteen days (CloudWatch
keeps its finest data for three hours, too).
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tidemill.errors import NotReady
from tidemill.stats.summary import Summary, from_bytes

CELL, MINUTE = 10, 60
"""Seconds of the finest cell, and of those older than FINE."""
FINE = 3 * 3600.0
KEPT = 15 * 86_400.0
_ROLLED = "rolled up to"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS series (
    id INTEGER PRIMARY KEY, region TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL,
    dimensions TEXT NOT NULL, unit TEXT NOT NULL,
    UNIQUE (region, namespace, name, dimensions));
CREATE TABLE IF NOT EXISTS cells (
    series INTEGER NOT NULL, at INTEGER NOT NULL, summary BLOB NOT NULL,
    PRIMARY KEY (series, at)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS marks (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""
_FIND = "SELECT id FROM series WHERE region = ? AND namespace = ? AND name = ? AND dimensions = ?"
_READ = f"SELECT at, summary FROM cells WHERE at >= ? AND at < ? AND series = ({_FIND}) ORDER BY at"  # noqa: S608 - a constant


@dataclass(frozen=True, slots=True)
class Series:
    """One metric of one thing. dimensions: (name, value), sorted · unit: in CloudWatch's words"""

    region: str
    namespace: str
    name: str
    dimensions: tuple[tuple[str, str], ...] = ()
    unit: str = field(default="None", compare=False)

    @classmethod
    def of(
        cls,
        region: str,
        namespace: str,
        name: str,
        dimensions: Mapping[str, str],
        unit: str = "None",
    ) -> Series:
        """With its dimensions in order."""
        return cls(region, namespace, name, tuple(sorted(dimensions.items())), unit)


class MetricStore:
    """path: of the SQLite file. Safe to share between threads; raises NotReady when it cannot open.

    A crash of the machine may lose the last seconds, a crash of the process loses nothing.
    """

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        self._known: dict[Series, int] = {}
        self._rolled = 0.0
        try:
            self._connection = sqlite3.connect(
                path, isolation_level=None, check_same_thread=False, timeout=20.0
            )
            self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.execute("PRAGMA synchronous=NORMAL")
            self._connection.executescript(_SCHEMA)
        except sqlite3.Error as error:
            raise NotReady(
                "a database of metrics that opens",
                got=f"{path}: {error}",
                do="Check the disk; a damaged file may be deleted, its metrics are lost then.",
            ) from error
        self._rolled = float(self.mark(_ROLLED) or 0)

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._connection.close()

    def put(
        self,
        at: float,
        found: Iterable[tuple[Series, Summary]],
        *,
        mark: tuple[str, str] | None = None,
    ) -> None:
        """Merge these into the cell of that time; and set a mark, all or nothing."""
        self.put_all(((series, at, summary) for series, summary in found), mark=mark)

    def put_all(
        self,
        found: Iterable[tuple[Series, float, Summary]],
        *,
        mark: tuple[str, str] | None = None,
    ) -> None:
        """The same, each with a time of its own."""
        with self._write() as connection:
            for series, at, summary in found:
                width = CELL if at >= self._rolled else MINUTE
                _merge(connection, self._id(connection, series), int(at // width) * width, summary)
            if mark is not None:
                connection.execute("REPLACE INTO marks VALUES (?, ?)", mark)

    def mark(self, name: str) -> str | None:
        """What was last written under that name."""
        with self._lock:
            found = self._connection.execute("SELECT value FROM marks WHERE name = ?", (name,))
            row = found.fetchone()
        return None if row is None else str(row[0])

    def read(
        self, series: Series, start: float, end: float, period: int
    ) -> list[tuple[float, Summary]]:
        """(time of its beginning, summary) of every period that was told anything, in order.

        Periods follow each other from ``start``, which is rounded down to a minute, or to ten
        seconds when the period is shorter than a minute; ``end`` is exclusive.
        """
        step = CELL if period < MINUTE else MINUTE
        first = start // step * step
        with self._lock:
            cells = self._connection.execute(_READ, (first, end, *_key(series))).fetchall()
        periods: dict[float, Summary] = {}
        for at, summary in cells:
            begin = first + (at - first) // period * period
            periods[begin] = periods.get(begin, Summary()).merge(from_bytes(summary))
        return list(periods.items())

    def series(
        self,
        region: str,
        namespace: str | None = None,
        name: str | None = None,
        dimensions: Sequence[tuple[str, str | None]] = (),
    ) -> list[Series]:
        """All series that match, in order of name. dimensions: to have; None is any value."""
        with self._lock:
            rows = self._connection.execute(
                "SELECT region, namespace, name, dimensions, unit FROM series WHERE region = ? "
                "AND namespace = coalesce(?, namespace) AND name = coalesce(?, name) "
                "ORDER BY namespace, name, dimensions",
                (region, namespace, name),
            ).fetchall()
        found = (Series(r[0], r[1], r[2], _dimensions(r[3]), r[4]) for r in rows)
        return [one for one in found if _has(one, dimensions)]

    def trim(self, now: float) -> None:
        """Roll up what is no longer fine, forget what is too old."""
        until = max(self._rolled, (now - FINE) // MINUTE * MINUTE)
        with self._write() as connection:
            for (series,) in connection.execute("SELECT id FROM series").fetchall():
                _roll_up(connection, series, self._rolled, until)
                connection.execute(
                    "DELETE FROM cells WHERE series = ? AND at < ?", (series, now - KEPT)
                )
            connection.execute(
                "DELETE FROM series WHERE NOT EXISTS "
                "(SELECT 1 FROM cells WHERE cells.series = series.id)"
            )
            connection.execute("REPLACE INTO marks VALUES (?, ?)", (_ROLLED, str(until)))
            self._known.clear()
        self._rolled = until

    @contextmanager
    def _write(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
            except BaseException:
                self._connection.execute("ROLLBACK")
                self._known.clear()
                raise
            self._connection.execute("COMMIT")

    def _id(self, connection: sqlite3.Connection, series: Series) -> int:
        known = self._known.get(series)
        if known is not None:
            return known
        connection.execute(
            "INSERT OR IGNORE INTO series (region, namespace, name, dimensions, unit) "
            "VALUES (?, ?, ?, ?, ?)",
            (*_key(series), series.unit),
        )
        found = connection.execute(_FIND, _key(series))
        id = int(found.fetchone()[0])
        self._known[series] = id
        return id


def _roll_up(connection: sqlite3.Connection, series: int, since: float, until: float) -> None:
    """Merge the cells of that time into minutes."""
    rows = connection.execute(
        f"SELECT at, summary FROM cells WHERE series = ? AND at >= ? AND at < ? AND at % {MINUTE}",  # noqa: S608 - a constant
        (series, since, until),
    ).fetchall()
    for at, summary in rows:
        connection.execute("DELETE FROM cells WHERE series = ? AND at = ?", (series, at))
        _merge(connection, series, at // MINUTE * MINUTE, from_bytes(summary))


def _merge(connection: sqlite3.Connection, series: int, at: int, summary: Summary) -> None:
    found = connection.execute(
        "SELECT summary FROM cells WHERE series = ? AND at = ?", (series, at)
    ).fetchone()
    if found is not None:
        summary = from_bytes(found[0]).merge(summary)
    connection.execute("REPLACE INTO cells VALUES (?, ?, ?)", (series, at, summary.to_bytes()))


def _key(series: Series) -> tuple[str, str, str, str]:
    dimensions = json.dumps(series.dimensions, separators=(",", ":"))
    return series.region, series.namespace, series.name, dimensions


def _dimensions(text: str) -> tuple[tuple[str, str], ...]:
    return tuple((name, value) for name, value in json.loads(text))


def _has(series: Series, wanted: Sequence[tuple[str, str | None]]) -> bool:
    here = dict(series.dimensions)
    return all(n in here and (v is None or here[n] == v) for n, v in wanted)
