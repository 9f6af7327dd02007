"""What runs have told of their metrics: every point, and beside it a summary of each metric.

Summaries are kept as points come (Welford's update of the mean and of the squared distances from
it, 1962), so that describing a run reads none of its points.
"""

from __future__ import annotations

import math
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from tidemill.errors import NotReady

MOST_METRICS, MOST_POINTS, LARGEST = 1_000, 200_000, 1e150
"""Metrics of one resource, and points of one metric, that are kept; more are refused. The largest
value: so that sums of squares stay finite."""
_SCHEMA = """
CREATE TABLE IF NOT EXISTS metrics (
    id INTEGER PRIMARY KEY, resource TEXT NOT NULL, name TEXT NOT NULL, count INTEGER NOT NULL,
    mean REAL NOT NULL, squares REAL NOT NULL, low REAL NOT NULL, high REAL NOT NULL,
    last REAL NOT NULL, at REAL NOT NULL, UNIQUE (resource, name));
CREATE TABLE IF NOT EXISTS points (
    metric INTEGER NOT NULL, number INTEGER NOT NULL, at REAL NOT NULL, step INTEGER,
    value REAL NOT NULL, PRIMARY KEY (metric, number)) WITHOUT ROWID;
"""
_COLUMNS = "name, count, mean, squares, low, high, last, at"
_READ = (
    "SELECT p.at, p.step, p.value FROM points p JOIN metrics m ON p.metric = m.id "
    "WHERE m.resource = ? AND m.name = ? AND p.at >= ? AND p.at <= ? ORDER BY p.number"
)


@dataclass(frozen=True, slots=True)
class Point:
    """One value of a metric. at: epoch seconds · step: of the run, where it has steps"""

    name: str
    value: float
    at: float
    step: int | None = None


@dataclass(frozen=True, slots=True)
class RunMetric:
    """All points of one metric in short. squares: sum of squared distances from the mean

    last, at: the value with the greatest time, and that time (epoch seconds)
    """

    name: str
    count: int
    mean: float
    squares: float
    low: float
    high: float
    last: float
    at: float

    @classmethod
    def of(cls, point: Point) -> RunMetric:
        """Of the first point."""
        value = point.value
        return cls(point.name, 1, value, 0.0, value, value, value, point.at)

    @property
    def deviation(self) -> float:
        """Standard deviation of these very values: zero of one."""
        return math.sqrt(max(0.0, self.squares) / self.count)

    def and_then(self, point: Point) -> RunMetric:
        """With one more point.

        >>> told = RunMetric.of(Point("loss", 2.0, 1.0)).and_then(Point("loss", 4.0, 2.0))
        >>> told.count, told.mean, told.deviation, told.last
        (2, 3.0, 1.0, 4.0)
        """
        count, value = self.count + 1, point.value
        mean = self.mean + (value - self.mean) / count
        told = replace(
            self,
            count=count,
            mean=mean,
            squares=self.squares + (value - self.mean) * (value - mean),
            low=min(self.low, value),
            high=max(self.high, value),
        )
        return replace(told, last=value, at=point.at) if point.at >= self.at else told


class RunMetrics:
    """path: of the SQLite file. Safe to share between threads; raises NotReady when it cannot open.

    resource: an ARN. What a write has returned is on disk.
    """

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        try:
            self._connection = sqlite3.connect(
                path, isolation_level=None, check_same_thread=False, timeout=20.0
            )
            self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.execute("PRAGMA synchronous=FULL")
            self._connection.executescript(_SCHEMA)
        except sqlite3.Error as error:
            raise NotReady(
                "a database of runs' metrics that opens",
                got=f"{path}: {error}",
                do="Check the disk; a damaged file may be deleted, its metrics are lost then.",
            ) from error

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._connection.close()

    def put(self, resource: str, points: Sequence[Point]) -> list[int]:
        """Add them, and return the places of those for which there is no room."""
        with self._write():
            return self._put(resource, points)

    def replace(self, resource: str, points: Sequence[Point]) -> None:
        """Put these, as far as there is room, in place of all that the resource has."""
        with self._write():
            self._delete(resource)
            self._put(resource, points)

    def delete(self, resource: str) -> None:
        """Forget all that a resource has told."""
        if self.summaries(resource):
            with self._write():
                self._delete(resource)

    def summaries(self, resource: str) -> list[RunMetric]:
        """Of each of its metrics, in the order in which they were first told."""
        query = f"SELECT {_COLUMNS} FROM metrics WHERE resource = ? ORDER BY id"  # noqa: S608 - a constant
        with self._lock:
            found = self._connection.execute(query, (resource,)).fetchall()
        return [RunMetric(*row) for row in found]

    def points(
        self, resource: str, name: str, start: float = -math.inf, end: float = math.inf
    ) -> list[Point]:
        """Those of a metric from start to end, both included, in the order in which they came."""
        with self._lock:
            found = self._connection.execute(_READ, (resource, name, start, end)).fetchall()
        return [Point(name, value, at, step) for at, step, value in found]

    def _put(self, resource: str, points: Sequence[Point]) -> list[int]:
        ids, known = self._known(resource)
        refused, rows = [], []
        for place, point in enumerate(points):
            told = known.get(point.name)
            full = len(known) >= MOST_METRICS if told is None else told.count >= MOST_POINTS
            if full:
                refused.append(place)
                continue
            told = RunMetric.of(point) if told is None else told.and_then(point)
            known[point.name] = told
            rows.append((point, told.count))
        for name in dict.fromkeys(point.name for point, _ in rows):
            ids[name] = self._save(ids.get(name), resource, known[name])
        self._connection.executemany(
            "INSERT INTO points VALUES (?, ?, ?, ?, ?)",
            [(ids[p.name], number, p.at, p.step, p.value) for p, number in rows],
        )
        return refused

    def _known(self, resource: str) -> tuple[dict[str, int], dict[str, RunMetric]]:
        query = f"SELECT id, {_COLUMNS} FROM metrics WHERE resource = ?"  # noqa: S608 - a constant
        found = self._connection.execute(query, (resource,)).fetchall()
        return {row[1]: row[0] for row in found}, {row[1]: RunMetric(*row[1:]) for row in found}

    def _save(self, id: int | None, resource: str, told: RunMetric) -> int:
        values = (told.name, told.count, told.mean, told.squares, told.low, told.high)
        done = self._connection.execute(
            f"REPLACE INTO metrics (id, resource, {_COLUMNS}) VALUES (?,?,?,?,?,?,?,?,?,?)",  # noqa: S608 - a constant
            (id, resource, *values, told.last, told.at),
        )
        return id if id is not None else int(done.lastrowid or 0)

    def _delete(self, resource: str) -> None:
        self._connection.execute(
            "DELETE FROM points WHERE metric IN (SELECT id FROM metrics WHERE resource = ?)",
            (resource,),
        )
        self._connection.execute("DELETE FROM metrics WHERE resource = ?", (resource,))

    @contextmanager
    def _write(self) -> Iterator[None]:
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")
