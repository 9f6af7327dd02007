"""Where the first pass of a search looks from: a centre, and directions in which rows differ."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tidemill.kernels.knn import Doubles, Floats
from tidemill.kernels.knn_codes import relate, rests

_ROUNDING = 2.0**-24
_OVERSAMPLED = 8


@dataclass(frozen=True, slots=True)
class Seen:
    """Vectors as they are seen from a frame.

    z : (count, columns) in the frame's directions · squares, rest : (count,) float64, of the whole
    vectors, and lengths of what z leaves of them
    """

    z: Floats
    squares: Doubles
    rest: Doubles


@dataclass(frozen=True, slots=True)
class Asked:
    """Queries as they are seen from a frame.

    base : (count,) float64, what the first pass's value lacks to the distance
    unit : (count,) float64, of that value for a distance of one
    """

    seen: Seen
    base: Doubles
    unit: Doubles


@dataclass(frozen=True, slots=True)
class Frame:
    """centre : (columns,) · basis : (columns, directions) orthonormal, or None for all columns
    unit: a power of two that lengths are multiplied by, lest squares overflow
    """

    centre: Floats
    basis: Floats | None
    unit: float

    @property
    def directions(self) -> int:
        return len(self.centre) if self.basis is None else self.basis.shape[1]

    @property
    def doubt(self) -> float:
        """How far z may be from the truth, as a share of the vector: a bound on what the rounding
        of the products, and of the basis, adds up to (Higham, 2002, chapter 3)."""
        if self.basis is None:
            return 0.0
        rounding = math.sqrt(self.directions) * (len(self.centre) + 4) + 4 * self.directions
        return 1.1 * _ROUNDING * rounding

    @property
    def far(self) -> float:
        """A length beside which the rounding of the centre's products in float64 is nothing."""
        return 2.0**-20 * self.unit * float(np.linalg.norm(self.centre.astype(np.float64)))

    def rows(self, vectors: Floats) -> Seen:
        """Rows of an index."""
        units = np.full(len(vectors), self.unit, np.float32)
        return self._seen(*relate(vectors, self.centre, units))

    def queries(self, vectors: Floats, is_inner: bool) -> Asked:
        """Queries, of products if ``is_inner``, else of squared distances."""
        if not is_inner:
            seen = self.rows(vectors)
            units = np.full(len(vectors), self.unit**2)
            return Asked(seen, seen.squares / self.unit**2, units)
        own = unit_of(vectors)
        seen = self._seen(*relate(vectors, np.zeros_like(self.centre), own.astype(np.float32)))
        return Asked(seen, -(vectors.astype(np.float64) @ self.centre), own * self.unit)

    def _seen(self, relative: Floats, squares: Doubles) -> Seen:
        if self.basis is None:
            return Seen(relative, squares, np.zeros(len(relative)))
        z = relative @ self.basis
        return Seen(z, squares, rests(z, squares, self.doubt))


def centred(vectors: Floats, sample: Floats) -> Frame:
    """All columns, from the mean of a sample, at a scale where the rows are at most about 1."""
    centre = sample.mean(axis=0, dtype=np.float64).astype(np.float32)
    low, high = vectors.min(axis=0), vectors.max(axis=0)
    with np.errstate(over="ignore"):
        most = np.maximum(high - centre, centre - low)
    return Frame(centre, None, float(unit_of(most[None])[0]))


def unit_of(vectors: Floats) -> Doubles:
    """(count,) powers of two that bring the largest column of each vector near 1."""
    most = np.abs(vectors).max(axis=1, initial=0)
    exponent = np.frexp(np.minimum(most, np.finfo(np.float32).max))[1]
    unit: Doubles = np.ldexp(1.0, np.clip(-exponent, -126, 126))
    return unit


def principal(rows: Floats, most: int) -> Floats:
    """(columns, most) orthonormal directions in which rows relative to a centre are longest, the
    longest first (Halko, Martinsson & Tropp, 2011, algorithm 4.4)."""
    columns = rows.shape[1]
    draws = np.random.Generator(np.random.Philox(key=columns))
    basis = draws.standard_normal((columns, min(columns, most + _OVERSAMPLED)), dtype=np.float32)
    for _ in range(2):
        basis = _orthonormal(rows.T @ (rows @ basis))
    short = (rows @ basis).astype(np.float64)
    turn = np.linalg.eigh(short.T @ short)[1][:, ::-1]
    return _orthonormal((basis @ turn)[:, :most])


def _orthonormal(columns: NDArray[np.floating]) -> Floats:
    made: Floats = np.linalg.qr(columns.astype(np.float64))[0].astype(np.float32)
    return made
