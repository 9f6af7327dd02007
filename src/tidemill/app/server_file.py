"""run/server.json: where the platform of a home answers, and which processes it is made of."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from tidemill.engine.process import Process
from tidemill.spec.home import Home


@dataclass(frozen=True, slots=True)
class Server:
    """ready: every part has answered · parts: supervisor, router, control-plane"""

    url: str
    host: str
    port: int
    account: str
    region: str = "us-east-1"
    ready: bool = False
    parts: Mapping[str, Process] = field(default_factory=dict)

    @property
    def supervisor(self) -> Process | None:
        return self.parts.get("supervisor")


def write(home: Home, server: Server) -> None:
    """Put the file in place at once: readers see the old one or the new one."""
    temporary = home.server.with_name(f".server-{os.getpid()}.json")
    temporary.write_text(json.dumps(asdict(server), indent=1))
    temporary.replace(home.server)


def read(home: Home) -> Server | None:
    """What was written last; None when there is nothing that can be read."""
    try:
        return from_document(json.loads(home.server.read_text()))
    except (OSError, ValueError, TypeError, KeyError):
        return None


def from_document(document: dict[str, Any]) -> Server:
    """What ``dataclasses.asdict`` made of it."""
    parts = {name: Process(**part) for name, part in document["parts"].items()}
    return Server(**{**document, "parts": parts})
