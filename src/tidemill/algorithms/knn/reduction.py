"""Random projections to fewer columns that nearly keep distances (Johnson & Lindenstrauss 1984)."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tidemill.data.batch import Floats
from tidemill.kernels import sound
from tidemill.kernels.knn_reduce import WIDE, hadamard, project

SIGN, FJLT = "sign", "fjlt"
_MOST = 1 << 30
"""Numbers of a projection, which takes four bytes for each."""


@dataclass(frozen=True, slots=True)
class Reduction:
    """Nothing but a seed and sizes: the projection is drawn anew from these, wherever it is needed.

    type: ``sign``, by a matrix of random signs (Achlioptas, 2003), or ``fjlt``, by random signs, a
    Walsh-Hadamard transform and a sample of its columns (Ailon & Chazelle, 2009)
    """

    type: str
    seed: int
    target_dim: int
    input_dim: int

    def check(self) -> None:
        sound.require(self.type in (SIGN, FJLT), "a known type of reduction")
        sound.between("seed", self.seed, 0, 2**64 - 1)
        sound.between("input_dim", self.input_dim, 1, _MOST)
        sound.between("target_dim", self.target_dim, 1, self.input_dim)
        drawn = self.input_dim * (self.target_dim if self.type == SIGN else 1)
        sound.between("numbers to draw", drawn, 1, _MOST)

    def apply(self, rows: Floats) -> Floats:
        """(rows, target_dim) of (rows, input_dim); each row's bytes depend on it alone.

        >>> turn = Reduction("fjlt", seed=1, target_dim=200, input_dim=256)
        >>> float(np.linalg.norm(turn.apply(np.ones((1, 256), np.float32))).round())
        16.0
        """
        if self.type == SIGN:
            signs = _matrix(self.seed, self.input_dim, self.target_dim)
            wide = project(rows, signs, 1 / math.sqrt(self.target_dim))
            return np.ascontiguousarray(wide[:, : self.target_dim])
        signs, chosen, size = _transform(self.seed, self.input_dim, self.target_dim)
        return hadamard(rows, signs, chosen, size, 1 / math.sqrt(self.target_dim))


@functools.lru_cache(maxsize=4)
def _matrix(seed: int, columns: int, target: int) -> Floats:
    """(columns, target filled up to a multiple of WIDE) +1 and -1."""
    matrix = np.zeros((columns, -(-target // WIDE) * WIDE), np.float32)
    matrix[:, :target] = _signs(seed, columns * target).reshape(columns, target)
    return matrix


@functools.lru_cache(maxsize=4)
def _transform(seed: int, columns: int, target: int) -> tuple[Floats, NDArray[np.int64], int]:
    """Signs of the columns, which of the transform's to take, and how many those are."""
    size = 1 << max(0, columns - 1).bit_length()
    keys = _bits(seed, columns + size)[columns:]
    chosen = np.sort(np.argsort(keys, kind="stable")[:target]).astype(np.int64)
    return _signs(seed, columns), chosen, size


def _signs(seed: int, count: int) -> Floats:
    bits = np.unpackbits(_bits(seed, -(-count // 64)).astype("<u8").view(np.uint8))[:count]
    return bits.astype(np.float32) * 2 - 1


def _bits(seed: int, count: int) -> NDArray[np.uint64]:
    """Philox's own output, which no version of NumPy will change."""
    bits: NDArray[np.uint64] = np.random.Philox(key=seed).random_raw(count)
    return bits
