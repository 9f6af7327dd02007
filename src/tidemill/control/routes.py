"""Writes the routing table for the router, whole or not at all, and only when it changes."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from tidemill.spec.route import Route, RoutingTable


class Routes:
    """path: ``spec.home.Home.routes`` · account: of the table's ARNs"""

    def __init__(self, path: Path, account: str) -> None:
        self._path = path
        self._account = account
        self._written: str | None = None

    def publish(self, routes: Iterable[Route]) -> None:
        """Let exactly these endpoints take traffic."""
        table = RoutingTable(self._account, {(r.region, r.endpoint): r for r in routes})
        text = table.to_json()
        if text != self._written:
            fresh = self._path.with_name(self._path.name + ".new")
            fresh.write_text(text)
            fresh.replace(self._path)
            self._written = text
