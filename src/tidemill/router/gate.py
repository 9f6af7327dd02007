"""Whose keys may sign requests to endpoints, and which endpoints their policies let them ask."""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Mapping
from pathlib import Path

from tidemill.auth.access import Access
from tidemill.auth.identity import Identity
from tidemill.auth.policy import Asked
from tidemill.auth.refusal import NotAllowed
from tidemill.router.paths import FEEDBACK, Invoke

log = logging.getLogger(__name__)


class Gate:
    """access: as the gateway last wrote it down · root: the administrator's access key id"""

    def __init__(self, access: Access, path: Path) -> None:
        self.access = access
        self.root = access.root.access_key_id
        self._path = path
        self._seen: tuple[int, int, int] | None = None

    def refresh(self) -> bool:
        """Read the directory again if it has changed; has it? Costs one ``stat`` if not."""
        try:
            stat = os.stat(self._path)
            seen = (stat.st_ino, stat.st_mtime_ns, stat.st_size)
            if seen == self._seen:
                return False
            self._seen = seen
            self.access.load(json.loads(self._path.read_text()))
        except FileNotFoundError:
            return False
        except (OSError, ValueError, TypeError, KeyError) as error:
            log.error("%s stays unread, the keys in use stand: %r", self._path, error)
            return False
        return True

    def must_allow(self, who: Identity, headers: Mapping[str, str], asked: Invoke) -> None:
        """Raises NotAllowed, unless it is the administrator or its policies allow it."""
        caller = self.access.caller(who, headers, asked.query)
        if caller is None:
            return
        name = "InvokeEndpoint" if asked.operation == FEEDBACK else asked.operation
        resource = f"arn:aws:sagemaker:{who.region}:{caller.account}:endpoint/{asked.endpoint}"
        context = caller.context(who.region, time.time())
        wanted = Asked(f"sagemaker:{name}", resource, context)
        verdict = caller.verdict(wanted)
        if verdict != "allowed":
            raise NotAllowed(caller.refusal(wanted, verdict), do="")
