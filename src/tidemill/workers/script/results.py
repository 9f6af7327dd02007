"""What a program leaves: its directories in S3, as one tar.gz or as the files that they hold."""

from __future__ import annotations

import gzip
import io
import os
import stat
import tarfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from tidemill.storage import uri
from tidemill.storage.bucket import Buckets
from tidemill.storage.draft import Draft


def upload(
    buckets: Buckets,
    directories: Sequence[Path],
    target: str,
    *,
    compress: bool,
    skipped: Callable[[str], None] = lambda name: None,
) -> str:
    """Put all files of the directories, merged, to one place in S3: its URI.

    target: URI without ``.tar.gz``, or without the slash of a prefix · skipped: told the names of
    links that lead nowhere and of what is no file. Of files of one name the first is taken.
    """
    found = dict(_merged(directories, skipped))
    if not compress:
        for name, path in found.items():
            buckets.put_file(*uri.parse(f"{target}/{name}"), path)
        return f"{target}/"
    archive = f"{target}.tar.gz"
    with buckets.draft() as draft:
        _pack(found, draft)
        buckets.commit(draft, *uri.parse(archive))
    return archive


def is_empty(directories: Sequence[Path]) -> bool:
    """Whether there is no file in any of them."""
    return next(_merged(directories, lambda name: None), None) is None


def _pack(files: dict[str, Path], draft: Draft) -> None:
    """Write a tar.gz whose bytes depend on the names and bytes of the files alone."""
    with (
        gzip.GzipFile(fileobj=_Sink(draft), mode="wb", compresslevel=1, mtime=0, filename="") as gz,
        tarfile.open(fileobj=gz, mode="w|", format=tarfile.PAX_FORMAT) as tar,
    ):
        for name, path in files.items():
            with path.open("rb") as file:
                about = os.fstat(file.fileno())
                member = tarfile.TarInfo(name)
                member.size = about.st_size
                member.mode = 0o755 if about.st_mode & stat.S_IXUSR else 0o644
                tar.addfile(member, file)


class _Sink(io.RawIOBase):
    def __init__(self, draft: Draft) -> None:
        self._draft = draft

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        piece = bytes(data)  # type: ignore[call-overload]
        self._draft.write(piece)
        return len(piece)


def _merged(
    directories: Sequence[Path], skipped: Callable[[str], None]
) -> Iterator[tuple[str, Path]]:
    taken = set()
    for directory in directories:
        for path in sorted(files(directory, skipped)):
            name = path.relative_to(directory).as_posix()
            if name in taken:
                continue
            if not path.is_file():  # follows links, some of which only the program could
                skipped(name)
                continue
            taken.add(name)
            yield name, path


def files(directory: Path, skipped: Callable[[str], None] = lambda name: None) -> Iterator[Path]:
    """What lies below a directory but directories; those that are links are not entered."""
    if directory.is_symlink():
        skipped(directory.name)
        return
    for where, below, names in os.walk(directory):
        for name in below:
            if Path(where, name).is_symlink():
                skipped(str(Path(where, name).relative_to(directory)))
        yield from (Path(where) / name for name in names)
