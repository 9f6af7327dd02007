"""How much serverless endpoints are used, as the router tells it in its file."""

from __future__ import annotations

import logging
from pathlib import Path

from tidemill.spec import serverless
from tidemill.spec.serverless import Demand

_LOG = logging.getLogger(__name__)


class Demands:
    """path: ``spec.home.Home.demand``"""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: object = None
        self._told: dict[tuple[str, str], Demand] = {}

    def of(self, region: str, endpoint: str) -> Demand | None:
        """What was last read of an endpoint."""
        return self._told.get((region, endpoint))

    def read(self) -> None:
        """Read the file again if it was written again; a file that makes no sense tells nothing."""
        try:
            stat = self._path.stat()
            seen = (stat.st_ino, stat.st_mtime_ns)
            if seen == self._seen:
                return
            self._told = serverless.from_json(self._path.read_text())
            self._seen = seen
        except FileNotFoundError:
            return
        except (OSError, ValueError, TypeError) as error:
            _LOG.error("%s cannot be read: %r", self._path, error)
