"""Finding the platform's processes by what they are, to kill them."""

from __future__ import annotations

import contextlib
from pathlib import Path

import psutil

PARTS = {
    "supervisor": "tidemill.app.supervisor",
    "control plane": "tidemill.app.control_plane",
    "router": "tidemill.router",
    "replica": "tidemill.workers.serve",
    "leader of learning": "tidemill.workers.serve.learning",
    "process worker": "tidemill.workers.process",
    "script worker": "tidemill.workers.script",
    "training worker": "tidemill.workers.train",
    "transform worker": "tidemill.workers.transform",
}


def of(part: str, home: Path) -> list[psutil.Process]:
    """Live processes of a part that belong to this home."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            words = process.cmdline()
            if PARTS[part] in words and any(w.startswith(str(home)) for w in words):
                found.append(process)
    return found


def kill(part: str, home: Path) -> int:
    """SIGKILL one process of the part; how many were killed."""
    for process in of(part, home)[:1]:
        with contextlib.suppress(psutil.Error):
            process.kill()
            return 1
    return 0
