"""Where the files of a bucket lie, and the lock that makes two of them change as one."""

from __future__ import annotations

import fcntl
import hashlib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tidemill.storage import keys
from tidemill.storage.errors import BehindLink


@dataclass(frozen=True, slots=True)
class Layout:
    """``root/<bucket>`` holds objects as plain files; all else is under ``root/.tidemill``,
    which no bucket can be called.
    """

    root: Path

    @property
    def own(self) -> Path:
        return self.root / ".tidemill"

    @property
    def drafts(self) -> Path:
        """Files that are still being written; on the same file system as the objects."""
        return self.own / "tmp"

    def bucket(self, bucket: str) -> Path:
        return self.root / bucket

    def about(self, bucket: str) -> Path:
        """JSON: what is known of a bucket besides its objects."""
        return self.own / "buckets" / f"{bucket}.json"

    def odd(self, bucket: str) -> Path:
        return self.own / "odd" / bucket

    def sidecars(self, bucket: str) -> Path:
        return self.own / "meta" / bucket

    def sidecar(self, bucket: str, key: str) -> Path:
        """JSON: what is known of one object besides its bytes."""
        name = hashlib.sha256(key.encode()).hexdigest()
        # One formatted text, as a listing asks for thousands of these.
        return Path(f"{self.root}/.tidemill/meta/{bucket}/{name[:2]}/{name[2:]}.json")

    def uploads(self, bucket: str) -> Path:
        """One directory a multipart upload."""
        return self.own / "uploads" / bucket

    def new_draft(self) -> Path:
        return self.drafts / secrets.token_hex(16)

    def plain_file(self, bucket: str, key: str) -> Path | None:
        names = keys.plain(key)
        return None if names is None else self.bucket(bucket).joinpath(*names)

    def odd_file(self, bucket: str, key: str) -> Path:
        return self.odd(bucket).joinpath(*keys.escape(key))

    def find(self, bucket: str, key: str) -> Path | None:
        """The file that holds the object now; None when there is none. What a person put in
        the plain place wins.
        """
        plain = self.plain_file(bucket, key)
        if plain is not None and plain.is_file():
            return plain
        odd = self.odd_file(bucket, key)
        return odd if odd.is_file() else None

    def place(self, bucket: str, key: str) -> Path:
        """The file to write the object to, its directories made. Call it with the lock held.

        A key moves to the odd tree when a file or directory is in its way, and stays there until
        it is deleted: a reader that looks in the plain place first cannot miss it.
        """
        plain, odd = self.plain_file(bucket, key), self.odd_file(bucket, key)
        if plain is not None:
            self.check_no_link(bucket, plain)
            if plain.is_file() or (not odd.is_file() and _can_hold(plain)):
                return plain
        odd.parent.mkdir(parents=True, exist_ok=True)
        return odd

    def check_no_link(self, bucket: str, file: Path) -> None:
        """Raises BehindLink when a directory between the bucket and the file is a link."""
        top = self.bucket(bucket)
        for parent in file.parents:
            if parent == top:
                return
            if parent.is_symlink():
                raise BehindLink(
                    "a key whose directories are the bucket's own",
                    got=str(file.relative_to(top)),
                    do=f"Remove the symbolic link {parent} first, or write elsewhere.",
                )

    def prune(self, bucket: str, file: Path) -> None:
        """Remove the directories above a file that has gone, as far as they are empty."""
        tops = (self.bucket(bucket), self.odd(bucket))
        with suppress(OSError):
            for parent in file.parents:
                if parent in tops:
                    return
                parent.rmdir()

    @contextmanager
    def lock(self, bucket: str, *, shared: bool = False) -> Iterator[None]:
        """Alone in this bucket, among all threads and processes, until the block ends."""
        path = self.own / "locks" / keys.check_bucket(bucket)
        try:
            held = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except FileNotFoundError:
            path.parent.mkdir(parents=True, exist_ok=True)
            held = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(held, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
            yield
        finally:
            os.close(held)


def _can_hold(plain: Path) -> bool:
    """Whether a file can stand here: no directory is in its place, no file above it."""
    if plain.is_dir():
        return False
    try:
        plain.parent.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        return False
    return True
