"""The files of a channel, and how a shard of each content type is opened."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from tidemill.data import content_type as types
from tidemill.data import lines
from tidemill.data.content_type import ContentType
from tidemill.data.formats import csv, jsonlines, libsvm, npy, parquet, recordio, text
from tidemill.data.shard import ByteShard, Format, Shard, open_bytes
from tidemill.errors import InvalidData, UnsupportedType

BLOCK = 2 << 20
"""Bytes of a block, about."""
TEXT_BLOCK = 4 << 20
"""Bytes of a block of CSV, whose reader is slow to start, or of libsvm."""
SMALL_BLOCK = 256 << 10
"""Bytes of a block when many are drawn and shuffled together."""

TRAINING = (
    types.RECORDIO,
    types.CSV,
    types.JSON_LINES,
    types.PARQUET,
    types.NPY,
    types.TEXT,
    types.LIBSVM,
)
WHOLE = (types.PARQUET, types.NPY)
"""What cannot be read from its front on: the file must be there as a whole."""


@dataclass(frozen=True, slots=True)
class FileSource:
    """A file that can be opened as a shard. name: as errors call it · block: bytes, 0 for ours
    is_text: whether JSON Lines hold texts with labels, not vectors · layout: of libsvm rows"""

    path: Path
    name: str
    media: str
    label_size: int
    is_compressed: bool = False
    block: int = 0
    is_text: bool = False
    layout: libsvm.Layout = libsvm.UNKNOWN

    def open(self, is_random: bool) -> Shard:
        """The shard; is_random: its blocks will be read in any order."""
        file = open_bytes(self.path, self.is_compressed)
        block = self.block or (SMALL_BLOCK if is_random else block_of(self.media))
        try:
            if self.media in WHOLE:
                return open_whole(file, self.name, self.media, self.label_size, is_random, block)
            format_ = format_of(self.media, self.label_size, self.is_text, self.layout)
            return ByteShard(file, self.name, format_, block)
        except BaseException:
            file.close()
            raise


def format_of(
    media: str, label_size: int, is_text: bool = False, layout: libsvm.Layout = libsvm.UNKNOWN
) -> Format:
    """How bytes of a content type that is not read as a whole are cut into blocks and read."""
    if media == types.LIBSVM:
        return Format(lines.cut, libsvm.reader(layout))
    if media == types.RECORDIO:
        return Format(recordio.cut, recordio.read)
    if media == types.CSV:
        return Format(lines.cut, csv.reader(label_size))
    if media == types.TEXT:
        return Format(text.cut, text.read)
    return Format(lines.cut, text.read_objects if is_text else jsonlines.read)


def block_of(media: str) -> int:
    """Bytes of a block that is read in order."""
    return TEXT_BLOCK if media in (types.CSV, types.LIBSVM) else BLOCK


def open_whole(
    file: BinaryIO, name: str, media: str, label_size: int, is_random: bool, block: int
) -> Shard:
    """The shard of a file of one of the types in ``WHOLE``, which it will close."""
    if media == types.NPY:
        return npy.open_shard(file, name, label_size, block)
    if is_random:
        whole = parquet.ParquetShard(file, name, 0, BLOCK)
        return parquet.spilled(whole, label_size, block)
    return parquet.ParquetShard(file, name, label_size, block)


def sources(
    paths: Sequence[Path],
    kind: ContentType,
    label_size: int,
    is_compressed: bool,
    is_text: bool = False,
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
    folder = os.path.commonpath([file.parent for file in present])
    names = [file.relative_to(folder).as_posix() for file in present]
    layout = libsvm.UNKNOWN
    if kind.media == types.LIBSVM:
        layout = libsvm.measured(present, kind, is_compressed)
    return [
        FileSource(file, name, kind.media, size, is_compressed, is_text=is_text, layout=layout)
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
