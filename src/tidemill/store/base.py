"""What the control plane remembers: rows of named things, each with a document and a revision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Row:
    """kind: ``training_job``, ``endpoint`` … · created, modified: epoch seconds
    serial: order of creation over all kinds, breaks ties of time · revision: grows with every write
    document: JSON; by our convention {"request": as sent, "state": what has happened since}, and
    {"labels": {key: [values]}} by which lists find it; who once wrote labels always writes them
    """

    kind: str
    region: str
    name: str
    status: str
    created: float
    modified: float
    document: Document
    revision: int = 0
    serial: int = 0


@dataclass(frozen=True, slots=True)
class Query:
    """A list request. A page takes ``limit`` rows in order and only then applies the filters
    when ``filter_after`` is set (as ListTrainingJobs does), else filters first.

    names: only these · labels: (key, value) that rows must have, whatever ``filter_after`` says
    """

    kind: str
    region: str
    name_contains: str | None = None
    status: str | None = None
    created_after: float | None = None
    created_before: float | None = None
    modified_after: float | None = None
    modified_before: float | None = None
    sort_by: Literal["name", "created", "modified", "status"] = "created"
    descending: bool = False
    limit: int = 10
    after: str | None = None
    filter_after: bool = False
    names: tuple[str, ...] | None = None
    labels: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Page:
    """rows in order, and the token that continues after them (None at the end)."""

    rows: Sequence[Row] = field(default_factory=tuple)
    next: str | None = None


class Store(Protocol):
    """Every write is one transaction, durable when it returns."""

    def insert(
        self,
        row: Row,
        *,
        arn: str | None = None,
        tags: Mapping[str, str] | None = None,
        beside: Row | None = None,
    ) -> Row:
        """Add it, with the tags of its ARN; raises Conflict when (kind, region, name) is taken.

        beside: a row of the same transaction: a new one, or (with a serial) one to write back,
        which raises Conflict when its revision is no longer the stored one
        """
        ...

    def get(self, kind: str, region: str, name: str) -> Row | None: ...

    def update(self, row: Row) -> Row:
        """Write it back; raises Conflict when its revision is no longer the stored one."""
        ...

    def delete(self, row: Row, *, arn: str | None = None, below: str | None = None) -> None:
        """Remove it, with its ARN's tags; raises Conflict when its revision is no longer stored.

        below: a kind whose rows named ``NAME/…`` go with it
        """
        ...

    def list(self, query: Query) -> Page:
        """Raises Invalid for a token that this store did not issue."""
        ...

    def unfinished(self, kind: str, statuses: Sequence[str]) -> Sequence[Row]:
        """All rows of a kind, over all regions, whose status is among these."""
        ...

    def tags(self, arn: str) -> Mapping[str, str]:
        """In the order in which they were added."""
        ...

    def set_tags(self, arn: str, tags: Mapping[str, str]) -> None:
        """Put these in place of all that the ARN has."""
        ...
