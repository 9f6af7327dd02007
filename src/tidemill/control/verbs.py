"""Create, describe, list, change, delete, tag: said once, for every kind of thing."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace

from tidemill.errors import Conflict, NotFound
from tidemill.store.base import Document, Page, Query, Row, Store

# Only control and the gateway write, so a row changes under our hands a few times at the worst.
_TRIES = 50


class Verbs:
    """What may be done with a named thing; ``wake`` tells the reconciler that there is work.

    account: of all ARNs · clock: epoch seconds. Safe to share between threads.
    """

    def __init__(
        self,
        store: Store,
        *,
        account: str,
        clock: Callable[[], float],
        wake: Callable[[], None],
    ) -> None:
        self.store = store
        self.account = account
        self.clock = clock
        self.wake = wake
        self._tagging = threading.Lock()

    def arn(self, kind: str, region: str, name: str) -> str:
        """The ARN of a thing: ``arn:aws:sagemaker:REGION:ACCOUNT:training-job/NAME``."""
        return f"arn:aws:sagemaker:{region}:{self.account}:{kind.replace('_', '-')}/{name}"

    def create(
        self,
        kind: str,
        region: str,
        name: str,
        document: Document,
        status: str,
        tags: Mapping[str, str] | None = None,
        *,
        below: Callable[[Row], Row] | None = None,
    ) -> Row:
        """Write a new thing down; raises Conflict when the name is taken.

        below: makes a row that is written with it: both, or neither
        """
        now = self.clock()
        row = Row(kind, region, name, status, created=now, modified=now, document=document)
        beside = below(row) if below else None
        row = self.store.insert(row, arn=self.arn(kind, region, name), tags=tags, beside=beside)
        self.wake()
        return row

    def create_beside(
        self,
        kind: str,
        region: str,
        name: str,
        fn: Callable[[Row], tuple[Row, Row]],
        tags: Mapping[str, str] | None = None,
    ) -> Row:
        """Write a new row down with a change of the row of that name: both, or neither.

        fn: from the row's newest revision, (the new row, the row as changed); may run more than
        once, and may raise to refuse · tags: of the new one. Raises NotFound without that row.
        """
        for _ in range(_TRIES):
            new, changed = fn(self.describe(kind, region, name))
            arn = self.arn(new.kind, new.region, new.name)
            try:
                done = self.store.insert(new, arn=arn, tags=tags, beside=changed)
            except Conflict:
                continue
            self.wake()
            return done
        raise _restless(kind, name)

    def describe(self, kind: str, region: str, name: str) -> Row:
        """The row as it stands; raises NotFound."""
        row = self.store.get(kind, region, name)
        if row is None:
            raise NotFound(
                f"a {kind.replace('_', ' ')} in {region}",
                got=name,
                do="List what there is; names are per region and case counts.",
            )
        return row

    def list(self, query: Query) -> Page:
        """One page of a list; raises Invalid for a token never issued."""
        return self.store.list(query)

    def change(self, kind: str, region: str, name: str, fn: Callable[[Row], Row]) -> Row:
        """Put ``fn(row)`` in place of the row, on its newest revision; raises NotFound.

        ``fn`` may run more than once, may raise to refuse, and returns the very row that it was
        given to leave it untouched. ``modified`` is set here.
        """
        for _ in range(_TRIES):
            row = self.describe(kind, region, name)
            wanted = fn(row)
            if wanted is row:
                return row
            try:
                done = self.store.update(replace(wanted, modified=self.clock()))
            except Conflict:
                continue
            self.wake()
            return done
        raise _restless(kind, name)

    def put(
        self,
        kind: str,
        region: str,
        name: str,
        *,
        make: Callable[[], Row],
        change: Callable[[Row], Row],
        arn: Callable[[Row], str],
        tags: Mapping[str, str] | None = None,
    ) -> Row:
        """Put ``change(row)`` in place of the row, or ``make()`` where there is none.

        tags: of a new one. Both functions may run more than once, and may raise to refuse.
        """
        for _ in range(_TRIES):
            if self.store.get(kind, region, name) is not None:
                with suppress(NotFound):  # gone meanwhile
                    return self.change(kind, region, name, change)
            row = make()
            try:
                done = self.store.insert(row, arn=arn(row), tags=tags)
            except Conflict:  # somebody was faster: then theirs is changed
                continue
            self.wake()
            return done
        raise _restless(kind, name)

    def delete(
        self,
        kind: str,
        region: str,
        name: str,
        check: Callable[[Row], None] | None = None,
        *,
        arn: Callable[[Row], str] | None = None,
        below: str | None = None,
    ) -> Row:
        """Remove it with its tags, and return what it was; raises NotFound, and what check does.

        arn: of a row, where it is not SageMaker's · below: a kind whose rows named ``NAME/…`` go
        with it
        """
        for _ in range(_TRIES):
            row = self.describe(kind, region, name)
            if check is not None:
                check(row)
            try:
                gone = arn(row) if arn else self.arn(kind, region, name)
                self.store.delete(row, arn=gone, below=below)
            except Conflict:
                continue
            return row
        raise _restless(kind, name)

    def find(self, arn: str) -> Row:
        """The row that an ARN names; raises NotFound."""
        parts = arn.split(":", 5)
        kind, _, name = parts[-1].partition("/")
        row = self.store.get(kind.replace("-", "_"), parts[3], name) if len(parts) == 6 else None
        if row is None or self.arn(row.kind, row.region, row.name) != arn:
            raise NotFound("a resource with this ARN", got=arn, do="Describe it to see its ARN.")
        return row

    def tags(self, arn: str) -> Mapping[str, str]:
        """In the order of addition; raises NotFound when nothing has this ARN."""
        self.find(arn)
        return self.store.tags(arn)

    def add_tags(self, arn: str, tags: Mapping[str, str]) -> Mapping[str, str]:
        """Set these beside those there, a known key's value in its old place; returns all."""
        return self._retag(arn, lambda old: {**old, **tags})

    def delete_tags(self, arn: str, keys: Iterable[str]) -> Mapping[str, str]:
        """Take these keys away, those there or not; returns what is left."""
        gone = frozenset(keys)
        return self._retag(arn, lambda old: {k: v for k, v in old.items() if k not in gone})

    def _retag(
        self, arn: str, fn: Callable[[Mapping[str, str]], Mapping[str, str]]
    ) -> Mapping[str, str]:
        self.find(arn)
        with self._tagging:  # one process writes tags, so a lock of its own threads is enough
            tags = fn(self.store.tags(arn))
            self.store.set_tags(arn, tags)
        return tags


def _restless(kind: str, name: str) -> Conflict:
    return Conflict(
        f"{kind} {name!r} to hold still", got=f"{_TRIES} changes meanwhile", do="Try again."
    )
