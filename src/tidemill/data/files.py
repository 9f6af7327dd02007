"""The files of a channel, and how a shard of each content type is opened."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tidemill.data import content_type as types
from tidemill.data import lines
from tidemill.data.content_type import ContentType
from tidemill.data.formats import csv, jsonlines, npy, parquet, recordio
from tidemill.data.shard import ByteShard, Format, Shard, open_bytes
from tidemill.errors import InvalidData, UnsupportedType

BLOCK = 2 << 20
"""Bytes of a block, about."""
TEXT_BLOCK = 4 << 20
"""Bytes of a block of CSV, whose reader is slow to start."""
SMALL_BLOCK = 256 << 10
"""Bytes of a block when many are drawn and shuffled together."""

TRAINING = (types.RECORDIO, types.CSV, types.JSON_LINES, types.PARQUET, types.NPY)


@dataclass(frozen=True, slots=True)
class FileSource:
    """A file that can be opened as a shard. name: as errors call it · block: bytes, 0 for ours"""

    path: Path
    name: str
    media: str
    label_size: int
    is_compressed: bool = False
    block: int = 0

    def open(self, is_random: bool) -> Shard:
        """The shard; is_random: its blocks will be read in any order."""
        file = open_bytes(self.path, self.is_compressed)
        usual = TEXT_BLOCK if self.media == types.CSV else BLOCK
        block = self.block or (SMALL_BLOCK if is_random else usual)
        try:
            if self.media == types.NPY:
                return npy.open_shard(file, self.name, self.label_size, block)
            if self.media == types.PARQUET and is_random:
                whole = parquet.ParquetShard(file, self.name, 0, BLOCK)
                return parquet.spilled(whole, self.label_size, block)
            if self.media == types.PARQUET:
                return parquet.ParquetShard(file, self.name, self.label_size, block)
            return ByteShard(file, self.name, self._format(), block)
        except BaseException:
            file.close()
            raise

    def _format(self) -> Format:
        if self.media == types.RECORDIO:
            return Format(recordio.cut, recordio.read)
        if self.media == types.CSV:
            return Format(lines.cut, csv.reader(self.label_size))
        return Format(lines.cut, jsonlines.read)


def sources(
    paths: Sequence[Path], kind: ContentType, label_size: int, is_compressed: bool
) -> list[FileSource]:
    """The files to read, in the order of their names. Raises InvalidData when there is none."""
    if kind.media not in TRAINING:
        raise UnsupportedType(
            f"a channel's content type must be one of {', '.join(TRAINING)}",
            got=kind.media,
            do="Convert the data, for JSON to JSON Lines with an instance a line.",
        )
    found = sorted((file for path in paths for file in _files(Path(path))), key=str)
    present = [file for file in found if file.stat().st_size]
    if not present:
        raise empty(f"{len(found)} files without a byte" if found else "no file")
    size = label_size if kind.label_size is None else kind.label_size
    is_plain = len({file.name for file in present}) == len(present)
    names = [file.name if is_plain else str(file) for file in present]
    return [
        FileSource(file, name, kind.media, size, is_compressed)
        for file, name in zip(present, names, strict=True)
    ]


class NoRows(InvalidData):
    """A channel, or a host's share of one, without a single row."""


def empty(got: str) -> NoRows:
    """The error for a channel that has no row."""
    return NoRows(
        "a channel must have at least one row",
        got=got,
        do="Check the channel's S3 URI, and that the objects there have data in them.",
    )


def _files(path: Path) -> Iterator[Path]:
    """The files that a path stands for: itself, or all in a folder but the hidden ones."""
    if path.name.startswith((".", "_")):
        return
    if path.is_dir():
        for inner in path.iterdir():
            yield from _files(inner)
    elif path.exists():
        yield path
    else:
        raise InvalidData(
            f"{path.name}: must be there to be read", got="no such file", do="Check the channel."
        )
