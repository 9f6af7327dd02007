"""The routing table on disk: read again when control has put a new one in its place."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from tidemill.spec.route import RoutingTable, from_json

log = logging.getLogger(__name__)


class RoutesFile:
    """``changed`` costs one ``stat`` while nothing has changed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int, int] | None = None

    def changed(self) -> RoutingTable | None:
        """The new table, or None: not changed, not there, not readable (the old one stands)."""
        try:
            stat = os.stat(self._path)
            seen = (stat.st_ino, stat.st_mtime_ns, stat.st_size)
            if seen == self._seen:
                return None
            self._seen = seen
            return from_json(self._path.read_text())
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, KeyError) as error:
            log.error("%s stays unread, the routes in use stand: %r", self._path, error)
            return None
