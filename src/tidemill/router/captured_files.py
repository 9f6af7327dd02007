"""Captured lines become files under S3: whole ones, each of one variant and one hour."""

from __future__ import annotations

import logging
import uuid
from typing import NamedTuple

from tidemill.errors import TidemillError
from tidemill.spec.capture import key
from tidemill.storage.bucket import Buckets
from tidemill.storage.metadata import Metadata

FLUSH_SECONDS = 2.0
FILE_BYTES = 8 * 2**20
MOST_BYTES = 32 * 2**20
HOUR = 3600
SILENT_SECONDS = 30.0
ABOUT = Metadata(content_type="application/jsonlines")

log = logging.getLogger(__name__)


class Place(NamedTuple):
    """Whose lines: below ``prefix`` of the bucket, those of one variant of an endpoint."""

    bucket: str
    prefix: str
    endpoint: str
    variant: str


class _File:
    """Lines of a file to be. at: epoch seconds of the first · since: when that came here"""

    __slots__ = ("at", "lines", "since", "size")

    def __init__(self, at: float, since: float) -> None:
        self.at = at
        self.since = since
        self.lines: list[bytes] = []
        self.size = 0


class CapturedFiles:
    """Keeps lines for at most FLUSH_SECONDS, MOST_BYTES of them in all; then puts them.

    written: lines that lie in S3 · lost: lines that could not be put
    """

    def __init__(self, buckets: Buckets) -> None:
        self.written = 0
        self.lost = 0
        self._buckets = buckets
        self._open: dict[tuple[Place, int], _File] = {}
        self._size = 0
        self._complained = float("-inf")

    def add(self, place: Place, at: float, line: bytes, now: float) -> None:
        """One more line, of a request at ``at``. now: monotonic seconds"""
        which = (place, int(at // HOUR))
        file = self._open.get(which)
        if file is None:
            file = self._open[which] = _File(at, now)
        file.lines.append(line)
        file.size += len(line)
        self._size += len(line)
        if file.size >= FILE_BYTES:
            self._put(which, now)
        elif self._size >= MOST_BYTES:
            self.flush(now)

    def due(self, now: float) -> None:
        """Put the files whose time has come."""
        for which in [w for w, file in self._open.items() if now - file.since >= FLUSH_SECONDS]:
            self._put(which, now)

    def flush(self, now: float) -> None:
        """Put all that is here."""
        for which in list(self._open):
            self._put(which, now)

    def _put(self, which: tuple[Place, int], now: float) -> None:
        file = self._open.pop(which)
        self._size -= file.size
        bucket, prefix, endpoint, variant = which[0]
        try:
            name = key(prefix, endpoint, variant, file.at, str(uuid.uuid4()))
            self._buckets.put_bytes(bucket, name, b"".join(file.lines), ABOUT)
            self.written += len(file.lines)
        except (TidemillError, OSError) as error:
            self.lost += len(file.lines)
            self._complain(endpoint, error, now)

    def _complain(self, endpoint: str, error: Exception, now: float) -> None:
        if now - self._complained >= SILENT_SECONDS:
            self._complained = now
            log.warning("what endpoint %s captured cannot be written: %s", endpoint, error)
