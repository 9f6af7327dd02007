"""A channel as a stream of batches: shards, shuffled or not, from any point that it gave out."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from tidemill.data import content_type as types
from tidemill.data.batch import Batch, concatenate
from tidemill.data.checks import require_finite
from tidemill.data.content_type import ContentType
from tidemill.data.cursor import START, Cursor
from tidemill.data.draw import BLOCKS, ROWS, SHARDS, draw
from tidemill.data.files import empty, sources
from tidemill.data.memory import MemorySource, features_of, labels_of
from tidemill.data.prefetch import prefetch as in_background
from tidemill.data.shard import Shard, rows_before
from tidemill.errors import InvalidData

WINDOW = 16
"""Blocks drawn from all over a shard whose rows are shuffled together."""


class Source(Protocol):
    """A shard yet to be opened."""

    @property
    def name(self) -> str: ...
    def open(self, is_random: bool) -> Shard:
        """is_random: its blocks will be read in any order."""
        ...


class Block(NamedTuple):
    """Rows at hand. turn: of the shard in the pass · offset, after: of the block and of the next
    skip: rows of the block that come before these · name: of the shard"""

    batch: Batch
    turn: int
    offset: int
    after: int
    skip: int
    name: str


@dataclass(frozen=True, slots=True)
class Stream:
    """Batches of exactly ``batch_rows`` rows (the last may have fewer).

    Memory is bounded by a few blocks of some megabytes, whatever the size of the shards.

    shuffle_seed: draw an order of shards, and of rows within each, anew for every pass
    prefetch: blocks made ready in the background; 0 reads in the caller's thread
    is_checked: refuse NaN and infinite numbers · allows_missing: but for features that are NaN
    """

    sources: Sequence[Source]
    batch_rows: int
    shuffle_seed: int | None = None
    prefetch: int = 2
    is_checked: bool = True
    allows_missing: bool = False
    _cuts: dict[int, list[int]] = field(default_factory=dict, compare=False, repr=False)

    def read(self, pass_: int = 0, start: Cursor = START) -> Iterator[tuple[Batch, Cursor]]:
        """Batches of one pass from ``start``, each with the cursor of what follows it.

        The same pass from the same cursor gives the same bytes. Raises InvalidData.
        """
        blocks = self._blocks(pass_, start)
        ready = in_background(blocks, self.prefetch) if self.prefetch else blocks
        try:
            yield from _batches(ready, self.batch_rows)
        finally:
            ready.close()

    def _blocks(self, pass_: int, start: Cursor) -> Generator[Block, None, None]:
        order = self._draw(len(self.sources), SHARDS, pass_)
        first: Block | None = None
        for turn in range(start.shard, len(order)):
            is_first = turn == start.shard
            number = int(order[turn])
            shard = self.sources[number].open(self.shuffle_seed is not None)
            try:
                at = start.offset if is_first else 0
                reads = self._plain if self.shuffle_seed is None else self._shuffled
                for offset, after, batch in reads(shard, at, pass_, number):
                    skip = start.skip if is_first and offset == start.offset else 0
                    rest = batch.rows(skip, len(batch)) if skip else batch
                    block = Block(rest, turn, offset, after, skip, shard.name)
                    if len(rest):
                        first = first or block
                        _agree(first, block)
                        yield block
            finally:
                shard.close()
        if first is None and start == START:
            raise empty(f"none in {', '.join(source.name for source in self.sources)}")

    def _plain(
        self, shard: Shard, at: int, pass_: int, number: int
    ) -> Iterator[tuple[int, int, Batch]]:
        while (stop := shard.cut(at)) > at:
            yield at, stop, self._read(shard, at, stop)
            at = stop

    def _shuffled(
        self, shard: Shard, at: int, pass_: int, number: int
    ) -> Iterator[tuple[int, int, Batch]]:
        """Windows of blocks drawn from the whole shard, the rows of each in a drawn order.

        Offsets count windows.
        """
        if number not in self._cuts:
            self._cuts[number] = _cuts(shard)
        cuts = self._cuts[number]
        order = self._draw(len(cuts) - 1, BLOCKS, pass_, number)
        for window in range(at, -(-len(order) // WINDOW)):
            chosen = order[window * WINDOW : (window + 1) * WINDOW].tolist()
            parts = [self._read(shard, cuts[i], cuts[i + 1]) for i in chosen]
            batch = concatenate([part for part in parts if len(part)] or parts[:1])
            yield (
                window,
                window + 1,
                batch.take(self._draw(len(batch), ROWS, pass_, number, window)),
            )

    def _read(self, shard: Shard, start: int, stop: int) -> Batch:
        batch = shard.read(start, stop)
        if self.is_checked:

            def name(row: int) -> str:
                return f"{shard.name}, row {rows_before(shard, start) + row + 1}"

            require_finite(batch, name, allows_missing=self.allows_missing)
        return batch

    def _draw(self, size: int, *counters: int) -> NDArray[np.int64]:
        return draw(self.shuffle_seed, size, *counters)


def open_files(
    paths: Sequence[Path],
    content_type: ContentType | str | None,
    *,
    batch_rows: int,
    label_size: int = 0,
    shuffle_seed: int | None = None,
    prefetch: int = 2,
    is_compressed: bool = False,
    is_text: bool = False,
    allows_missing: bool = False,
) -> Stream:
    """Stream the rows of files, in the order of their names.

    paths: files, or folders that are read to the bottom; names that begin with . or _ and files
    of no bytes are passed over · label_size: label columns of CSV, Parquet and .npy rows, unless
    the content type says · is_compressed: gzip · is_text: JSON Lines hold texts with labels, not
    vectors · allows_missing: features may be NaN. Raises InvalidData for a channel without rows.
    """
    kind = content_type if isinstance(content_type, ContentType) else types.parse(content_type)
    found = sources(paths, kind, label_size, is_compressed, is_text)
    return Stream(found, batch_rows, shuffle_seed, prefetch, allows_missing=allows_missing)


def from_memory(
    features: Any,
    labels: Any = None,
    weights: Any = None,
    *,
    batch_rows: int,
    shuffle_seed: int | None = None,
) -> Stream:
    """Stream rows that are in memory already, without a copy where they are float32.

    features: (rows, columns), anything that ``memory.features_of`` takes · labels: (rows,) or
    (rows, width) · weights: (rows,)
    """
    table = features_of(features)
    rows = len(table)
    if rows == 0:
        raise empty("no rows")
    source = MemorySource(table, labels_of(labels, rows), labels_of(weights, rows), batch_rows)
    return Stream([source], batch_rows, shuffle_seed, prefetch=0)


def _batches(blocks: Iterator[Block], rows: int) -> Iterator[tuple[Batch, Cursor]]:
    """Cut and join blocks to batches of exactly so many rows, but for the last one."""
    held: list[Batch] = []
    count = 0
    cursor = START
    for block in blocks:
        at, size = 0, len(block.batch)
        while size - at >= rows - count:
            stop = at + rows - count
            held.append(block.batch.rows(at, stop))
            at = stop
            cursor = _after(block, at, size)
            yield concatenate(held), cursor
            held, count = [], 0
        if at < size:
            held.append(block.batch.rows(at, size) if at else block.batch)
            count += size - at
            cursor = Cursor(block.turn, block.after)
    if held:
        yield concatenate(held), cursor


def _after(block: Block, at: int, size: int) -> Cursor:
    """The cursor of the row that follows row ``at`` of a block's rest."""
    if at == size:
        return Cursor(block.turn, block.after)
    return Cursor(block.turn, block.offset, block.skip + at)


def _cuts(shard: Shard) -> list[int]:
    """Where all blocks of a shard begin, and the end."""
    cuts = [0]
    while (stop := shard.cut(cuts[-1])) > cuts[-1]:
        cuts.append(stop)
    return cuts


def _agree(first: Block, block: Block) -> None:
    """Refuse a block whose width or labels differ from the first one's."""
    for what, wanted, got in (
        ("columns", first.batch.columns, block.batch.columns),
        ("labels a row", _labels(first.batch), _labels(block.batch)),
    ):
        if wanted != got:
            raise InvalidData(
                f"{block.name}: must have {wanted} {what}, as {first.name} has",
                got=got,
                do="Give all files of the channel rows of the same form.",
            )
    if (first.batch.groups is None) != (block.batch.groups is None):
        has, lacks = (block, first) if first.batch.groups is None else (first, block)
        raise InvalidData(
            f"{lacks.name}: must have a qid in each row, as {has.name} has",
            got="rows without",
            do="Give every row the qid of its query, or none.",
        )


def _labels(batch: Batch) -> int:
    if batch.labels is None:
        return 0
    return 1 if batch.labels.ndim == 1 else batch.labels.shape[1]
