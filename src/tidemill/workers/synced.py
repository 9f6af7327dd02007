"""A directory that is kept in S3 while a program works in it, as SageMaker keeps checkpoints."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from tidemill.errors import TidemillError
from tidemill.storage import keys, uri
from tidemill.storage.bucket import Buckets

PAUSE = 1.0
"""Seconds between two looks at the directory."""

_Mark = tuple[int, int]


class Synced:
    """Keeps the objects under a prefix the same as the files of a directory.

    What is written appears in S3, what is removed goes; S3 is read at the start only. Objects that
    this one never brought or sent are left alone: several hosts may share a prefix.

    trouble: told once of each new kind of error; the next look tries again
    """

    def __init__(
        self,
        buckets: Buckets,
        prefix: str,
        directory: Path,
        trouble: Callable[[str], None] = lambda text: None,
        pause: float = PAUSE,
    ) -> None:
        self._buckets, self._directory, self._pause = buckets, directory, pause
        self._bucket, key = uri.parse(prefix)
        self._prefix = key.rstrip("/") + "/" if key else ""
        self._trouble, self._told = trouble, ""
        self._sent: dict[str, _Mark] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sync", daemon=True)

    def restore(self) -> int:
        """Bring the objects into the directory, unless it holds something already; how many."""
        self._directory.mkdir(parents=True, exist_ok=True)
        if any(self._directory.iterdir()):
            return 0
        for found in self._buckets.list(self._bucket, self._prefix):
            name = found.key.removeprefix(self._prefix)
            parts = keys.plain(name)
            if parts is None:  # no file system can hold it
                continue
            target = self._directory.joinpath(*parts)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(self._buckets.path(self._bucket, found.key), target)
            self._sent[name] = _mark(target)
        return len(self._sent)

    def start(self) -> None:
        """Begin to look, in a thread of its own."""
        self._thread.start()

    def close(self) -> None:
        """Look a last time, when the program has ended."""
        self._over.set()
        if self._thread.ident is not None:
            self._thread.join()
        self.look()

    def look(self) -> None:
        """Send what is new or has changed, and remove what is gone."""
        there = self._files()
        for name, mark in there.items():
            if self._sent.get(name) != mark:
                with suppress(FileNotFoundError):  # removed meanwhile
                    path = self._directory / name
                    self._buckets.put_file(self._bucket, self._prefix + name, path)
                    self._sent[name] = mark
        for name in self._sent.keys() - there.keys():
            self._buckets.delete(self._bucket, self._prefix + name)
            del self._sent[name]

    def _run(self) -> None:
        while not self._over.wait(self._pause):
            try:
                self.look()
            except (OSError, TidemillError) as error:
                if str(error) != self._told:
                    self._told = str(error)
                    self._trouble(self._told)

    def _files(self) -> dict[str, _Mark]:
        found = {}
        places = [] if self._directory.is_symlink() else os.walk(self._directory)
        for where, _, names in places:
            for path in (Path(where) / name for name in names):
                with suppress(OSError):
                    if path.is_file() and not path.is_symlink():
                        found[path.relative_to(self._directory).as_posix()] = _mark(path)
        return found


def _mark(path: Path) -> _Mark:
    about = path.stat()
    return about.st_size, about.st_mtime_ns
