"""Where learning lies: in a directory that the replicas of one fleet's variant have in common."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Places:
    """root: of all of them"""

    root: Path

    @property
    def logs(self) -> Path:
        """What the replicas were told: files of their own (``log``)."""
        return self.root / "logs"

    @property
    def versions(self) -> Path:
        """What came of it (``version``)."""
        return self.root / "versions"

    @property
    def plan(self) -> Path:
        """JSON: what the version that is being made is made of."""
        return self.root / "plan.json"

    @property
    def lock(self) -> Path:
        """Held by the one who leads."""
        return self.root / "lock"
