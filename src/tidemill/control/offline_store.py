"""The offline store of feature groups: what waits in the spool becomes Parquet files in S3.

A load of records is fixed before its files are written, and taken from the spool after: whoever
dies in between, the next one writes the same files again. Nothing is lost, nothing is there twice.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from math import inf
from typing import Any

from tidemill.control import feature_group
from tidemill.control.plan import offline_file
from tidemill.control.verbs import Verbs
from tidemill.data import arrow
from tidemill.errors import Invalid, NotFound, TidemillError
from tidemill.spec.feature_group import FeatureGroup
from tidemill.storage import uri
from tidemill.storage.bucket import Buckets
from tidemill.store.base import Row
from tidemill.store.features import FeatureRecords, Waiting

ROWS, BYTES = 10_000, 32 << 20
"""Of one load."""
SECONDS = 60.0
"""That a record waits at the most, while its load is not full."""
PROMPT = 1.0
"""Seconds that it waits where nothing of its group was written within those: so that what comes
together is written together, and is soon there; yet steady trickles make few files."""
PAUSE = 15.0
"""Seconds until an offline store that could not be written into is tried again."""
MICROSECONDS = 1_000_000
_LOG = logging.getLogger(__name__)


class OfflineStore:
    """buckets: whose puts are to wait for the disk."""

    def __init__(self, verbs: Verbs, records: FeatureRecords, buckets: Buckets) -> None:
        self._verbs = verbs
        self._records = records
        self._buckets = buckets

    def write(self, row: Row) -> None:
        """Write all that waits of this group. Raises what keeps it from being written."""
        group = feature_group.spec(row, self._verbs.account)
        with self._records.loading:
            while self._write_load(row, group):
                pass

    def delete(self, row: Row) -> None:
        """Close a group, write what waits of it, and remove it with the records kept at hand.

        Where that cannot be written, the group stays, as ``DeleteFailed``.
        """
        with suppress(NotFound):  # two were at it
            feature_group.status(self._verbs, row, feature_group.DELETING)
            self._records.close_part(row.serial)
            try:
                self.write(row)
            except (TidemillError, OSError) as error:
                feature_group.status(self._verbs, row, feature_group.DELETE_FAILED, str(error))
                return
            self._records.erase(row.serial)
            feature_group.remove(self._verbs, row)

    def _write_load(self, row: Row, group: FeatureGroup) -> bool:
        """Whether there was one."""
        now = int(self._verbs.clock() * MICROSECONDS)
        load = self._records.load(row.serial, now, rows=ROWS, size=BYTES)
        if load is None:
            return False
        place = uri.parse(group.offline)
        for path, table in offline_file.files(group, load, self._records.spooled(load)):
            self._buckets.put_bytes(place.bucket, f"{place.key}/{path}", _bytes(table))
        self._records.loaded(load)
        return True


class OfflineWriting:
    """A duty of control: writes what has waited long enough, or is enough for a load; removes what
    has expired; goes on with deletions that a crash cut short.

    delay: seconds that a record waits at the most
    """

    seconds = 1.0

    def __init__(
        self,
        verbs: Verbs,
        records: FeatureRecords,
        store: OfflineStore,
        *,
        delay: float = SECONDS,
    ) -> None:
        self._verbs = verbs
        self._records = records
        self._store = store
        self._delay = delay
        self._paused: dict[int, float] = {}
        self._written: dict[int, float] = {}
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="offline-store")
        self._running: Future[None] | None = None

    def tick(self, now: float) -> None:
        """Begin what is to be done, beside the one who asks."""
        if self._running is not None and not self._running.done():
            return
        self._running = self._worker.submit(self.work, now)

    def close(self) -> None:
        """Wait for what is being written."""
        self._worker.shutdown(cancel_futures=True)

    def work(self, now: float) -> None:
        """One turn, all of it."""
        try:
            self._records.expire(int(now * MICROSECONDS))
            for row in self._verbs.store.unfinished(feature_group.KIND, [feature_group.DELETING]):
                self._store.delete(row)
            for row in self._due(now):
                self._write(row, now)
        except Exception:
            _LOG.exception("the offline store: this turn failed")

    def _due(self, now: float) -> Iterator[Row]:
        due = {waiting.part for waiting in self._records.waiting() if self._is_due(waiting, now)}
        if due:
            statuses = [feature_group.CREATED, feature_group.DELETING, feature_group.DELETE_FAILED]
            for row in self._verbs.store.unfinished(feature_group.KIND, statuses):
                if row.serial in due:
                    yield row

    def _is_due(self, waiting: Waiting, now: float) -> bool:
        if now < self._paused.get(waiting.part, 0.0):
            return False
        age = now - waiting.oldest / MICROSECONDS
        is_idle = now - self._written.get(waiting.part, -inf) >= self._delay
        return waiting.rows >= ROWS or age >= (min(PROMPT, self._delay) if is_idle else self._delay)

    def _write(self, row: Row, now: float) -> None:
        try:
            self._store.write(row)
        except (Invalid, NotFound, OSError) as error:
            self._paused[row.serial] = now + PAUSE
            reason = str(error)
        else:
            self._paused.pop(row.serial, None)
            self._written[row.serial] = now
            reason = ""
        with suppress(NotFound):
            feature_group.offline_status(self._verbs, row, reason)


def _bytes(table: Any) -> bytes:
    sink = arrow.module().BufferOutputStream()
    arrow.module("parquet").write_table(table, sink, compression="snappy")
    return bytes(sink.getvalue())
