"""Checkpoints kept in S3 too (CheckpointConfig), so that another job can go on from them."""

from __future__ import annotations

import re
from pathlib import Path

from tidemill.storage import uri
from tidemill.storage.bucket import Buckets

_NAME = re.compile(r"[0-9]+\.checkpoint")


class Mirror:
    """Keeps the objects under a prefix the same as the files of a directory, as SageMaker does:
    what is written appears, what is removed goes, and S3 is read at the start only.
    """

    def __init__(self, buckets: Buckets, prefix: str, directory: Path) -> None:
        self._buckets, self._directory = buckets, directory
        self._bucket, key = uri.parse(prefix)
        self._prefix = key.rstrip("/") + "/" if key else ""

    def restore(self) -> None:
        """Bring the objects into the directory, unless it holds something already."""
        self._directory.mkdir(parents=True, exist_ok=True)
        if any(self._directory.iterdir()):
            return
        for key in self._keys():
            name = key.removeprefix(self._prefix)
            if _NAME.fullmatch(name):
                data = self._buckets.get_bytes(self._bucket, key)
                (self._directory / name).write_bytes(data)

    def send(self, path: Path) -> None:
        """After a file was written: send it, and remove what is no longer in the directory."""
        self._buckets.put_file(self._bucket, self._prefix + path.name, path)
        for key in self._keys():
            name = key.removeprefix(self._prefix)
            if _NAME.fullmatch(name) and not (self._directory / name).exists():
                self._buckets.delete(self._bucket, key)

    def _keys(self) -> list[str]:
        return [found.key for found in self._buckets.list(self._bucket, self._prefix)]
