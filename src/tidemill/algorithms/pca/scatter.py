"""Products of every two columns, added up over rows: the flops of regular mode, nearly all.

Each block of rows is multiplied in float32, by BLAS's symmetric product at half the flops, and
goes into a float64 table. What blocks add is relative to an origin amid the data.
"""

from __future__ import annotations

import numpy as np

from tidemill.algorithms.base import Each
from tidemill.algorithms.pca.rows import (
    Doubles,
    column_sums,
    is_sparse,
    origin_of,
    relative,
    roots_of,
    sparse_sums,
)
from tidemill.data.batch import Batch, Csr, Floats
from tidemill.kernels import pca as kernel

_BLOCK = 4096
_NARROW = 1024
_TILE = 512
_RANGES = 4


def add_products(table: Doubles, batch: Batch, each: Each) -> tuple[Floats, Doubles]:
    """Add the batch's products to the lower triangle of a (columns, columns) table, in place.

    Returns the origin that the products are relative to, and the (columns,) sums of the rows
    relative to it, by weight. What is above the diagonal may change too.
    """
    features = batch.features
    if is_sparse(features):
        return np.zeros(batch.columns, np.float32), _add_sparse(table, features, batch, each)
    origin = origin_of(batch)
    with np.errstate(over="ignore", invalid="ignore"):  # shows in the sums, for the caller
        add = _add_narrow if batch.columns <= _NARROW else _add_wide
        return origin, add(table, batch, origin, each)


def add_outer(table: Doubles, rows: Doubles, signs: Doubles) -> None:
    """Add ``sum of sign · row ⊗ row`` to the table, in place and some rows of it at a time."""
    scaled = rows * signs[:, None]
    for at in range(0, len(table), _TILE):
        table[at : at + _TILE] += scaled[:, at : at + _TILE].T @ rows


def _add_narrow(table: Doubles, batch: Batch, origin: Floats, each: Each) -> Doubles:
    """Blocks of rows side by side: their products are small beside them."""

    def block(at: int) -> tuple[Floats, Doubles]:
        rows, roots = _rows(batch, at, origin)
        return rows.T @ rows, column_sums(rows, roots)

    sums = np.zeros(batch.columns)
    # Blocks have the same bounds however many run at once, and add up in order: same bytes.
    for products, part in each(block, range(0, len(batch), _BLOCK)):
        table += products
        sums += part
    return sums


def _add_wide(table: Doubles, batch: Batch, origin: Floats, each: Each) -> Doubles:
    """Tiles of the table side by side, for whole ones would not fit into memory many times."""
    sums = np.zeros(batch.columns)
    cuts = range(0, batch.columns, _TILE)
    tiles = [(high, wide) for high in cuts for wide in cuts if wide <= high]
    for at in range(0, len(batch), _BLOCK):
        rows, roots = _rows(batch, at, origin)
        sums += column_sums(rows, roots)

        def tile(place: tuple[int, int], rows: Floats = rows) -> None:
            high, wide = (slice(start, start + _TILE) for start in place)
            table[high, wide] += rows[:, high].T @ rows[:, wide]

        for _ in each(tile, tiles):
            pass
    return sums


def _rows(batch: Batch, at: int, origin: Floats) -> tuple[Floats, Floats | None]:
    part = batch.rows(at, min(at + _BLOCK, len(batch)))
    roots = roots_of(part)
    return relative(part.dense(), origin, roots), roots


def _add_sparse(table: Doubles, rows: Csr, batch: Batch, each: Each) -> Doubles:
    """Entry by entry, in float64; parts of the table side by side."""
    kernel.check_rows(rows.indptr, rows.indices, len(rows.values), rows.columns)
    seen = np.cumsum(np.bincount(rows.indices, minlength=rows.columns))
    shares = np.arange(1, _RANGES) * (len(rows.values) / _RANGES)
    cuts = [0, *np.searchsorted(seen, shares).tolist(), rows.columns]
    indptr, indices = (np.ascontiguousarray(a, np.int64) for a in (rows.indptr, rows.indices))
    values = np.ascontiguousarray(rows.values)

    def part(bounds: tuple[int, int]) -> None:
        kernel.scatter(indptr, indices, values, batch.weights, table, bounds)

    for _ in each(part, zip(cuts[:-1], cuts[1:], strict=True)):
        pass
    return sparse_sums(rows, batch.weights)
