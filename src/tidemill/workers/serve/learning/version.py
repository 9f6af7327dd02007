"""Versions of what is learned: one directory each, which is there whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

KEPT = 3
"""Versions that stay, for whoever is about to read one."""
_ABOUT = "about.json"


@dataclass(frozen=True, slots=True)
class About:
    """What is known of a version; of equal feedback it is the same to the last bit.

    number: 0 is the artifact's own · rows: learned in all · refused: rows that could not be, and
    reason: why, of the last of them · absorbed: log → offset up to which it is learned
    recent: log → ids of its last records, by when it was last added to, and again: those that were
    sent again, so that feedback which two replicas have counts once
    original, current: measures of what the artifact's model, and of what the model then current,
    made of all rows before they were learned · latest: the same of the rows of this version alone
    """

    number: int = 0
    rows: int = 0
    refused: int = 0
    reason: str = ""
    absorbed: Mapping[str, int] = field(default_factory=dict)
    recent: Mapping[str, Sequence[int]] = field(default_factory=dict)
    again: Sequence[int] = ()
    original: Mapping[str, float] = field(default_factory=dict)
    current: Mapping[str, float] = field(default_factory=dict)
    latest: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


class Versions:
    """All versions of a fleet, in a directory that its replicas have in common."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        directory.mkdir(parents=True, exist_ok=True)

    def newest(self) -> int:
        """The number of the newest; 0 where there is none."""
        return max(self._numbers(), default=0)

    def about(self, number: int) -> About:
        """What is known of one; of 0, that nothing has been learned."""
        if not number:
            return About()
        return About(**json.loads((self._place(number) / _ABOUT).read_text()))

    def read(self, number: int, name: str) -> bytes:
        """One of its files; raises FileNotFoundError when it has gone meanwhile."""
        return (self._place(number) / name).read_bytes()

    def since(self, number: int) -> float:
        """When it was published, epoch seconds."""
        return self._place(number).stat().st_mtime

    def write(self, about: About, files: Mapping[str, bytes]) -> None:
        """Publish a version, in one step; old ones go. For the one who leads alone.

        It is on the disk by then: what it takes in may be removed.
        """
        draft = self._directory / "draft"
        shutil.rmtree(draft, ignore_errors=True)  # of one that was killed
        draft.mkdir()
        told = json.dumps(asdict(about)).encode()
        for name, data in {**files, _ABOUT: told}.items():
            with (draft / name).open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        self._in_place(draft, about.number)
        for number in sorted(self._numbers())[:-KEPT]:
            shutil.rmtree(self._place(number), ignore_errors=True)

    def _in_place(self, draft: Path, number: int) -> None:
        draft.rename(self._place(number))

    def _numbers(self) -> list[int]:
        return [int(p.name) for p in self._directory.iterdir() if p.name.isdigit()]

    def _place(self, number: int) -> Path:
        return self._directory / f"{number:06d}"
