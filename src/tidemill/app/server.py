"""Start, stop and look at the platform of a home, from another process."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass

from tidemill.app import parts, server_file, workers
from tidemill.app.process import end
from tidemill.app.server_file import Server
from tidemill.errors import Conflict, Invalid, NotReady
from tidemill.spec.home import Home

STOP_SECONDS = 30.0
RAISED = {kind.__name__: kind for kind in (Conflict, Invalid, NotReady)}


@dataclass(frozen=True, slots=True)
class Status:
    """alive: part → does it run · workers: kind of worker → how many run"""

    server: Server | None
    alive: dict[str, bool]
    workers: dict[str, int]

    @property
    def state(self) -> str:
        """running, broken (some parts are gone and nobody restarts them) or down."""
        if self.alive.get("supervisor"):
            return "running"
        return "broken" if any(self.alive.values()) or any(self.workers.values()) else "down"


def start_detached(home: Home, host: str, port: int, account: str) -> Server:
    """Start the platform in the background; return when every part answers, or raise."""
    command = [sys.executable, "-P", "-m", "tidemill.app.supervisor", str(home.root.resolve())]
    command += ["--host", host, "--port", str(port), "--account-id", account, "--detach"]
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    try:
        said = json.loads(done.stdout)
        if said["ok"]:
            return server_file.from_document(said["server"])
    except ValueError:
        said = {
            "wanted": f"the supervisor of {home.root} must start",
            "got": done.stderr.strip()[-2000:] or "an early end",
            "do": f"See {home.logs / 'supervisor.log'}.",
        }
    kind = RAISED.get(said.get("error", ""), NotReady)
    raise kind(said["wanted"], got=said["got"], do=said["do"])


def stop(home: Home) -> bool:
    """End everything that the platform of this home started; False when nothing ran."""
    before = status(home)
    if before.state == "down" and not parts.find(home):
        return False
    server = before.server
    if server is not None and server.supervisor is not None:
        end([server.supervisor], grace=STOP_SECONDS)
    end(parts.find(home), grace=2.0)  # whatever a killed supervisor has left
    workers.end_all(home)
    home.server.unlink(missing_ok=True)
    return True


def status(home: Home) -> Status:
    """What runs now."""
    server = server_file.read(home)
    known = server.parts if server is not None else {}
    return Status(
        server,
        {name: process.is_running() for name, process in known.items()},
        {kind: len(found) for kind, found in workers.find(home).items()},
    )
