"""Buckets and objects on a plain directory, with the meaning that S3 gives them.

Any number of threads and processes may use one root at once: a put is seen whole or not at all,
and its metadata switches with its bytes.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from tidemill.storage import keys, metadata
from tidemill.storage.draft import Draft, is_abandoned
from tidemill.storage.errors import NoSuchKey
from tidemill.storage.layout import Layout
from tidemill.storage.listing import Page, floor_after, page
from tidemill.storage.metadata import Metadata, ObjectInfo
from tidemill.storage.opened import Opened
from tidemill.storage.shelf import Shelf
from tidemill.storage.walk import Found, Walk

Check = Callable[[ObjectInfo | None], None]
PLAIN = Metadata()
_ABANDONED_AFTER = 60.0  # seconds: younger drafts may not have been locked yet


class Buckets(Shelf):
    """The objects under one root directory. sync: wait for the disk at each put, so that not even
    a power cut loses it (the death of a process never does).
    """

    def __init__(self, root: Path, *, sync: bool = False) -> None:
        super().__init__(Layout(root))
        self._sync = sync

    def head(self, bucket: str, key: str) -> ObjectInfo:
        """What is known of an object; raises NoSuchBucket, NoSuchKey."""
        path = self._find(bucket, key)
        info = self._describe(bucket, key, path) if path else None
        if info is None:
            # Between the two looks a writer may have come past: with the lock none can.
            with self.layout.lock(bucket, shared=True):
                path = self._find(bucket, key)
                info = self._describe(bucket, key, path, by_hand=True) if path else None
        if info is None:
            raise _no_such_key(bucket, key)
        return info

    def open(self, bucket: str, key: str) -> Opened:
        """The object's bytes, which stay as they are now whoever puts or deletes the key."""
        opened = self._open(bucket, key)
        if opened is None:
            with self.layout.lock(bucket, shared=True):
                opened = self._open(bucket, key, by_hand=True)
        if opened is None:
            raise _no_such_key(bucket, key)
        return opened

    def path(self, bucket: str, key: str) -> Path:
        """The file that holds the object's bytes, to map, link or read; not to write."""
        path = self._find(bucket, key)
        if path is None:
            raise _no_such_key(bucket, key)
        return path

    def get_bytes(self, bucket: str, key: str) -> bytes:
        """All of an object; memory grows with its size."""
        with self.open(bucket, key) as opened:
            return opened.read(0, opened.info.size)

    def list(self, bucket: str, prefix: str = "", *, after: str = "") -> Iterator[ObjectInfo]:
        """The objects whose keys begin with ``prefix`` and come after ``after``, in S3's order."""
        self.require(bucket)
        for found in Walk(self.layout, bucket, prefix, floor_after(after) if after else b""):
            info = self._described(bucket, found)
            if info is not None:
                yield info

    def page(
        self, bucket: str, *, prefix: str = "", delimiter: str = "", floor: bytes = b"", limit: int
    ) -> Page:
        """One page of the listing from ``floor`` on."""
        self.require(bucket)
        walk = Walk(self.layout, bucket, prefix, floor)
        return page(
            walk,
            lambda found: self._described(bucket, found),
            prefix=prefix,
            delimiter=delimiter,
            limit=limit,
        )

    def put_bytes(
        self,
        bucket: str,
        key: str,
        data: bytes,
        about: Metadata = PLAIN,
        check: Check | None = None,
    ) -> ObjectInfo:
        """Make the object, or replace it."""
        with self.draft() as draft:
            draft.write(data)
            return self.commit(draft, bucket, key, about, check=check)

    def put_file(self, bucket: str, key: str, path: Path, about: Metadata = PLAIN) -> ObjectInfo:
        """The object from a file, which stays."""
        with self.draft() as draft, path.open("rb") as file:
            draft.copy(file.fileno(), 0, os.fstat(file.fileno()).st_size)
            return self.commit(draft, bucket, key, about)

    def draft(self, algorithms: Iterable[str] = ()) -> Draft:
        """A file to stream into, then to ``commit``."""
        return Draft(self.layout.new_draft(), algorithms)

    def commit(
        self,
        draft: Draft,
        bucket: str,
        key: str,
        about: Metadata = PLAIN,
        *,
        etag: str = "",
        check: Check | None = None,
    ) -> ObjectInfo:
        """Make the draft the object, whole and at once.

        etag: the MD5 of the bytes unless given · check: is shown what the key holds now (or None)
        and may raise; nobody can come between it and the put.
        """
        keys.check_key(key)
        if self._sync:
            draft.sync()
        with self.layout.lock(bucket):
            before = self._before(bucket, key)
            if check:
                check(before)
            place = self.layout.place(bucket, key)
            now = time.time_ns()
            # Two puts in one tick of the file system's clock must not look alike.
            stamp = draft.stamp(max(now, before.modified + 1) if before else now)
            info = ObjectInfo(key, draft.size, etag or draft.md5.hex(), stamp, about)
            self._remember(bucket, info, before)
            draft.keep(place)
        return info

    def change(self, bucket: str, key: str, fn: Callable[[Metadata], Metadata]) -> ObjectInfo:
        """Change what is known of an object; its bytes, etag and time stay."""
        with self.layout.lock(bucket):
            before = self._before(bucket, key)
            if before is None:
                raise _no_such_key(bucket, key)
            info = replace(before, metadata=fn(before.metadata))
            self._remember(bucket, info)
        return info

    def delete(self, bucket: str, key: str, check: Check | None = None) -> bool:
        """Whether there was such an object; there is none now."""
        keys.check_key(key)
        with self.layout.lock(bucket):
            before = self._before(bucket, key)
            if check:
                check(before)
            plain, odd = self.layout.plain_file(bucket, key), self.layout.odd_file(bucket, key)
            self._remove(bucket, odd)
            if plain is not None and os.path.isfile(plain):
                self.layout.check_no_link(bucket, plain)
                self._remove(bucket, plain)
            self.layout.sidecar(bucket, key).unlink(missing_ok=True)
        return before is not None

    def sweep(self) -> None:
        """Remove the drafts of processes that died; call it at start."""
        old = time.time() - _ABANDONED_AFTER
        with suppress(FileNotFoundError):
            for path in self.layout.drafts.iterdir():
                with suppress(FileNotFoundError):
                    if path.stat().st_mtime < old and is_abandoned(path):
                        path.unlink()

    def _find(self, bucket: str, key: str) -> Path | None:
        self.require(bucket)
        return self.layout.find(bucket, keys.check_key(key))

    def _before(self, bucket: str, key: str) -> ObjectInfo | None:
        """What the key holds; call it with the lock held."""
        path = self._find(bucket, key)
        return self._describe(bucket, key, path, by_hand=True) if path else None

    def _describe(
        self, bucket: str, key: str, path: Path, *, by_hand: bool = False
    ) -> ObjectInfo | None:
        """by_hand: nobody is writing, so bytes without their entry were made by a person."""
        try:
            stat = path.stat()
        except FileNotFoundError:
            return None
        entry = metadata.choose(metadata.read(self.layout.sidecar(bucket, key), key), stat)
        return entry or (metadata.by_hand(key, stat) if by_hand else None)

    def _described(self, bucket: str, found: Found) -> ObjectInfo | None:
        try:
            stat = os.stat(found.path)
        except FileNotFoundError:
            return None
        entries = metadata.read(self.layout.sidecar(bucket, found.key), found.key)
        if not entries:  # a put writes them before the bytes: these were made by a person
            return metadata.by_hand(found.key, stat)
        entry = metadata.choose(entries, stat)
        if entry is not None:
            return entry
        try:
            return self.head(bucket, found.key)
        except NoSuchKey:
            return None

    def _open(self, bucket: str, key: str, *, by_hand: bool = False) -> Opened | None:
        path = self._find(bucket, key)
        if path is None:
            return None
        try:
            file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        stat = os.fstat(file)
        entry = metadata.choose(metadata.read(self.layout.sidecar(bucket, key), key), stat)
        if entry is None and by_hand:
            entry = metadata.by_hand(key, stat)
        if entry is None:
            os.close(file)
            return None
        return Opened(entry, file)

    def _remember(self, bucket: str, info: ObjectInfo, before: ObjectInfo | None = None) -> None:
        sidecar = self.layout.sidecar(bucket, info.key)
        entries = (info, before) if before else (info,)
        metadata.write(sidecar, self.layout.new_draft(), entries)

    def _remove(self, bucket: str, file: Path) -> None:
        with suppress(FileNotFoundError, NotADirectoryError):
            file.unlink()
            self.layout.prune(bucket, file)


def _no_such_key(bucket: str, key: str) -> NoSuchKey:
    return NoSuchKey(
        f"an object in bucket {bucket!r}", got=key, do="List the bucket to see its keys."
    )
