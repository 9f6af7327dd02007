"""The place of a fault, as a reader of the data would look it up: file, row, byte."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Where:
    """name: the file, or what the bytes came in · offset: bytes of it before those at hand
    rows_before: counts its rows before those at hand, which is slow: asked only for an error
    """

    name: str = "request body"
    offset: int = 0
    rows_before: Callable[[], int] | None = None

    def row(self, index: int) -> str:
        """Row ``index`` (from 0) of those at hand, counted from 1 from the top of the file.

        >>> Where("train.csv").row(6)
        'train.csv, row 7'
        """
        return f"{self.name}, row {self._before() + index + 1}"

    def record(self, index: int, byte: int) -> str:
        """Record ``index`` of those at hand, whose frame begins at their byte ``byte``."""
        return f"{self.name}, record {self._before() + index + 1} (byte {self.offset + byte})"

    def _before(self) -> int:
        return self.rows_before() if self.rows_before else 0


REQUEST = Where()
