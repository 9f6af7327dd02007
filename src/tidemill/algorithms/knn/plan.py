"""How the first pass of a search is best made, told from a sample: decides speed, never answers."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from tidemill.algorithms.knn.frame import Frame, Seen, centred, principal
from tidemill.kernels.knn import MOST_COLUMNS, Floats, has_bytes

_SAMPLE, _QUERIES = 4096, 48
_SMALL = 1 << 18
"""Numbers in the rows up to which nothing is worth planning."""
_DIRECTIONS = (16, 32, 48, 64, 96, 128, 192)
_MOST_SHARE = 0.75
# Cycles, as measured: of a row for each direction, of a row's value, of a row measured at last.
_BYTE, _FLOAT, _VALUE = 1 / 56, 1 / 16, 0.5
_MEASURED, _COLUMN = 450.0, 1.7


@dataclass(frozen=True, slots=True)
class Plan:
    """is_bytes: whether codes are of bytes, else of floats · cells: to deal the rows to"""

    frame: Frame
    is_bytes: bool
    cells: int


def plan(vectors: Floats, is_inner: bool, k: int) -> Plan:
    """The way that is the least work for these rows. k: neighbours that are usually asked for."""
    rows, columns = vectors.shape
    chosen = np.linspace(0, max(rows - 1, 0), min(rows, _SAMPLE)).astype(np.intp)
    sample = vectors[chosen]
    frame = centred(vectors, sample) if rows else Frame(np.zeros(columns, np.float32), None, 1.0)
    if rows * columns < _SMALL:
        return Plan(frame, False, 1)
    others = vectors[(chosen[:: max(1, len(chosen) // _QUERIES)] + 1) % rows]
    costs = list(_costs(frame, sample, others, is_inner, k, rows))
    frame, is_bytes = min(costs, key=lambda found: found[0])[1:]
    of_a_cell = 512 if is_bytes else 256
    return Plan(frame, is_bytes, max(1, min(rows // of_a_cell, 2 * math.isqrt(rows))))


def _costs(
    frame: Frame, sample: Floats, queries: Floats, is_inner: bool, k: int, rows: int
) -> Iterator[tuple[float, Frame, bool]]:
    """Cycles a query, of each way."""
    columns = sample.shape[1]
    whole, asked = frame.rows(sample), frame.queries(queries, is_inner)
    values = _values(whole, asked.seen, is_inner)
    own = 1 if rows < 2 * _SAMPLE else 0  # queries may be among the sample
    place = min(len(sample) - 1, max(0, math.ceil(k * len(sample) / rows) - 1 + own))
    limits = np.partition(values, place, axis=1)[:, place, None]
    shares = [d for d in _DIRECTIONS if d < _MOST_SHARE * columns]
    basis = principal(whole.z, shares[-1]) if shares else None
    for directions in [*shares, columns]:
        near = frame
        if basis is not None and directions < columns:
            near = replace(frame, basis=np.ascontiguousarray(basis[:, :directions]))
        seen, turned = near.rows(sample), near.queries(queries, is_inner).seen
        least = _values(seen, turned, is_inner)
        ways = ((False, _FLOAT, 0.0), (True, _BYTE, _error(seen, turned, is_inner)))
        for is_bytes, each, error in ways:
            if is_bytes and not (has_bytes() and directions <= MOST_COLUMNS):
                continue
            measured = rows * float((least - error <= limits).mean())
            pass_ = rows * (directions * each + _VALUE)
            yield pass_ + measured * (_MEASURED + _COLUMN * columns), near, is_bytes


def _values(rows: Seen, queries: Seen, is_inner: bool) -> Floats:
    """(queries, rows) what the first pass makes of exact codes."""
    product = queries.z @ rows.z.T
    product += queries.rest[:, None] * rows.rest
    values: Floats = -product if is_inner else rows.squares - 2 * product
    return values


def _error(rows: Seen, queries: Seen, is_inner: bool) -> Floats:
    """(queries, rows) what bytes, of rounded columns, take off."""
    factor = 1 if is_inner else 2
    share = math.sqrt(rows.z.shape[1] / 12) / 127
    left, right = (np.abs(s.z).max(axis=1) * share for s in (rows, queries))
    lengths = [np.sqrt(s.squares) for s in (rows, queries)]
    error: Floats = factor * (np.outer(right, lengths[0]) + np.outer(lengths[1], left))
    return error
