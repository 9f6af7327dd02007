"""Buckets themselves: make, name, describe, remove."""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

import orjson

from tidemill.storage import keys
from tidemill.storage.errors import BucketNotEmpty, BucketTaken, InvalidBucketName, NoSuchBucket
from tidemill.storage.layout import Layout
from tidemill.storage.walk import Walk


@dataclass(frozen=True, slots=True)
class BucketInfo:
    """created: epoch seconds"""

    name: str
    created: float
    region: str = "us-east-1"


class Shelf:
    """A bucket is a directory: one that a person makes under the root is a bucket too."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        layout.drafts.mkdir(parents=True, exist_ok=True)

    def buckets(self) -> list[BucketInfo]:
        """All buckets by name."""
        names = sorted(path.name for path in self.layout.root.iterdir() if path.is_dir())
        return [self._about(name) for name in names if _is_bucket(name)]

    def bucket(self, bucket: str) -> BucketInfo:
        """What is known of a bucket; raises NoSuchBucket."""
        self.require(bucket)
        return self._about(bucket)

    def require(self, bucket: str) -> None:
        """Raises InvalidBucketName or NoSuchBucket unless there is such a bucket."""
        if not self.layout.bucket(keys.check_bucket(bucket)).is_dir():
            raise NoSuchBucket("a bucket of this home", got=bucket, do="Create it first.")

    def create(self, bucket: str, region: str = "us-east-1") -> BucketInfo:
        """A new, empty bucket; raises BucketTaken."""
        keys.check_bucket(bucket)
        with self.layout.lock(bucket):
            try:
                self.layout.bucket(bucket).mkdir()
            except FileExistsError as error:
                raise BucketTaken("a new bucket name", got=bucket, do="Use it as it is.") from error
            about = self.layout.about(bucket)
            about.parent.mkdir(parents=True, exist_ok=True)
            about.write_bytes(orjson.dumps({"created": time.time(), "region": region}))
        return self._about(bucket)

    def delete_bucket(self, bucket: str) -> None:
        """Remove an empty bucket and its unfinished uploads; raises BucketNotEmpty."""
        with self.layout.lock(bucket):
            self.require(bucket)
            for found in Walk(self.layout, bucket):
                raise BucketNotEmpty(
                    f"an empty bucket {bucket!r}", got=found.key, do="Delete its objects first."
                )
            _remove_empty(self.layout.bucket(bucket))
            for tree in (self.layout.odd, self.layout.sidecars, self.layout.uploads):
                shutil.rmtree(tree(bucket), ignore_errors=True)
            self.layout.about(bucket).unlink(missing_ok=True)

    def _about(self, bucket: str) -> BucketInfo:
        try:
            known = orjson.loads(self.layout.about(bucket).read_bytes())
            return BucketInfo(bucket, float(known["created"]), str(known["region"]))
        except (OSError, ValueError, KeyError):
            return BucketInfo(bucket, _made(self.layout.bucket(bucket)))


def _made(directory: Path) -> float:
    return directory.stat().st_mtime


def _remove_empty(directory: Path) -> None:
    """Raises BucketNotEmpty for what is no object but still somebody's: sockets, dangling links."""
    for path, _, _ in os.walk(directory, topdown=False):
        try:
            os.rmdir(path)
        except OSError as error:
            raise BucketNotEmpty(
                "an empty bucket", got=path, do="Remove by hand what is left in this directory."
            ) from error


def _is_bucket(name: str) -> bool:
    try:
        return keys.check_bucket(name) == name
    except InvalidBucketName:
        return False
