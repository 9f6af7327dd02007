"""Outputs of a processing job: the files of its directories become objects, each one whole."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from tidemill.errors import TidemillError
from tidemill.storage import uri
from tidemill.storage.bucket import Buckets

PAUSE = 1.0
"""Seconds between two looks at a directory whose files go to S3 while the program runs."""

_Mark = tuple[int, int]


class Outlet:
    """Sends the files below a directory to a prefix; links and what is no file stay behind.

    record: a file beside the home, where the names of what was sent are kept: a job that starts
    again from its beginning takes back, at its end, what only the attempts before have sent.
    """

    def __init__(self, buckets: Buckets, prefix: str, directory: Path, record: Path) -> None:
        self._buckets, self._directory = buckets, directory
        self._bucket, key = uri.parse(prefix)
        self._prefix = key.rstrip("/") + "/" if key.rstrip("/") else ""
        self._now, self._before = record, record.with_name(record.name + ".before")
        self._seen: dict[str, _Mark] = {}
        self._sent: dict[str, _Mark] = {}

    def begin(self) -> None:
        """A program begins anew: what the one before it has sent is no longer of this job."""
        earlier = _names(self._before) | _names(self._now)
        if earlier:
            draft = self._before.with_name(self._before.name + ".draft")
            draft.write_bytes(b"".join(os.fsencode(name) + b"\0" for name in sorted(earlier)))
            draft.replace(self._before)
        self._now.unlink(missing_ok=True)

    def look(self) -> None:
        """Send the files that are new or have changed, and that nobody has written to since the
        last look."""
        there = dict(self._files())
        for name, mark in there.items():
            if self._seen.get(name) == mark and self._sent.get(name) != mark:
                self._send(name, mark)
        self._seen = there

    def finish(self) -> int:
        """Send all that was not sent yet as it is now; how many files there are."""
        there = dict(self._files())
        for name, mark in there.items():
            if self._sent.get(name) != mark:
                self._send(name, mark)
        for name in _names(self._before) - _names(self._now):
            self._buckets.delete(self._bucket, self._prefix + name)
        return len(there)

    def _send(self, name: str, mark: _Mark) -> None:
        with self._now.open("ab") as record:  # before it is there: a kill in between is no harm
            record.write(os.fsencode(name) + b"\0")
        with suppress(FileNotFoundError):  # removed meanwhile
            self._buckets.put_file(self._bucket, self._prefix + name, self._directory / name)
            self._sent[name] = mark

    def _files(self) -> Iterator[tuple[str, _Mark]]:
        if self._directory.resolve() != self._directory:  # a link leads there, by now
            return
        for where, below, names in os.walk(self._directory):
            below.sort()
            for path in (Path(where) / name for name in sorted(names)):
                with suppress(OSError):
                    about = path.lstat()
                    if stat.S_ISREG(about.st_mode):
                        name = path.relative_to(self._directory).as_posix()
                        yield name, (about.st_size, about.st_mtime_ns)


class Stream:
    """Looks at outlets from time to time, in a thread of its own, until it is left.

    trouble: told once of each new kind of error; the next look tries again
    """

    def __init__(self, outlets: list[Outlet], trouble: Callable[[str], None]) -> None:
        self._outlets, self._trouble, self._told = outlets, trouble, ""
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="outputs", daemon=True)

    def __enter__(self) -> None:
        if self._outlets:
            self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        if self._outlets:
            self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(PAUSE):
            for outlet in self._outlets:
                try:
                    outlet.look()
                except (OSError, TidemillError) as error:
                    if str(error) != self._told:
                        self._told = str(error)
                        self._trouble(self._told)


def _names(record: Path) -> set[str]:
    try:
        raw = record.read_bytes()
    except FileNotFoundError:
        return set()
    whole = raw[: raw.rfind(b"\0") + 1]  # what a kill cut off was not sent
    return {os.fsdecode(name) for name in whole.split(b"\0") if name}
