"""How often words come alone, in pairs and in triples: sums over documents that merge by addition.

Of a document of l words with counts c, the pairs of different words are ``c c' - diag(c)``, and the
triples likewise leave out those of a word with itself (Anandkumar et al., "Tensor decompositions
for learning latent variable models", JMLR 2014, section 3). Each document weighs as much as it has
words. Only what a basis of few columns sees of pairs and triples is kept.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace

import numpy as np

from tidemill.algorithms.lda.documents import (
    Doubles,
    Each,
    row_ranges,
    run,
    word_ranges,
)
from tidemill.data.batch import Floats
from tidemill.kernels import lda as kernel
from tidemill.kernels import sound
from tidemill.kernels.lda import Documents

SHORTEST = 3
_SLICES = 8


@dataclass(frozen=True, slots=True)
class Moments:
    """Sums over documents.

    basis : (words, width) what is seen of the words; q is a word's row of it
    mass: words of the documents of three words or more, the only ones in pairs and triples
    ones : (words,) counts of all documents
    pairs : (words, width) of each word the q of the words that come with it
    triples : (words, width) the same by triples, where a word comes with itself
    cubes : (width, width, width) of documents' summed q, three at a time; only entries whose first
    index is the least are filled in
    """

    basis: Floats
    mass: float
    ones: Doubles
    pairs: Doubles
    triples: Doubles
    cubes: Doubles

    def check(self) -> None:
        sound.shaped("basis", self.basis, None, None)
        sound.require(self.basis.size > 0, "a basis has words and columns")
        words, width = self.basis.shape
        sound.shaped("ones", self.ones, words)
        sound.shaped("pairs", self.pairs, words, width)
        sound.shaped("triples", self.triples, words, width)
        sound.shaped("cubes", self.cubes, width, width, width)
        sound.counted("ones", self.ones)
        for name in ("basis", "pairs", "triples", "cubes"):
            sound.finite(name, getattr(self, name))
        sound.between("mass", self.mass, 0, sys.float_info.max)


def nothing(basis: Floats) -> Moments:
    """The moments of no documents."""
    words, width = basis.shape
    return Moments(
        basis,
        0.0,
        np.zeros(words),
        np.zeros((words, width)),
        np.zeros((words, width)),
        np.zeros((width, width, width)),
    )


def add(moments: Moments, documents: Documents, weights: Doubles | None, each: Each) -> Moments:
    """With these documents too; the arrays are changed in place."""
    basis, lengths = moments.basis, documents.lengths
    weighs = np.ones(len(documents)) if weights is None else weights
    long = lengths >= SHORTEST
    pair = np.divide(weighs, lengths - 1, out=np.zeros_like(lengths), where=long)
    triple = np.divide(pair, lengths - 2, out=np.zeros_like(lengths), where=long)
    seen = np.empty((len(documents), basis.shape[1]), np.float32)
    run(each, lambda at: kernel.project(documents, *at, basis, seen), row_ranges(documents))
    sums = moments.ones, moments.pairs, moments.triples
    by = weighs, pair, triple
    run(
        each,
        lambda at: kernel.add_moments(documents, *at, seen, by, basis, sums),
        word_ranges(documents),
    )
    _add_cubes(moments.cubes, seen[long], triple[long].astype(np.float32), each)
    return replace(moments, mass=moments.mass + float(weighs[long] @ lengths[long]))


def merged(left: Moments | None, right: Moments | None) -> Moments | None:
    """Of all documents of both, seen through one basis."""
    if left is None or right is None:
        return right if left is None else left
    return Moments(
        left.basis,
        left.mass + right.mass,
        left.ones + right.ones,
        left.pairs + right.pairs,
        left.triples + right.triples,
        left.cubes + right.cubes,
    )


def symmetric(cubes: Doubles) -> Doubles:
    """The cubes with all entries filled in."""
    whole = np.empty_like(cubes)
    for a in range(len(cubes)):
        face = cubes[a, a:, a:]
        whole[a, a:, a:] = whole[a:, a, a:] = whole[a:, a:, a] = face
    return whole


def _add_cubes(cubes: Doubles, seen: Floats, triple: Floats, each: Each) -> None:
    """Of every first index the entries whose others are no less: a third of all products."""

    def some(start: int) -> None:
        for a in range(start, len(cubes), _SLICES):
            rest = seen[:, a:]
            cubes[a, a:, a:] += (rest * (seen[:, a] * triple)[:, None]).T @ rest

    for _ in each(some, range(min(_SLICES, len(cubes)))):
        pass


def draws(seed: int, purpose: int) -> np.random.Generator:
    """Random numbers that the seed and their purpose decide."""
    return np.random.Generator(np.random.Philox(key=np.array([seed, purpose], np.uint64)))


def random_basis(words: int, width: int, seed: int) -> Floats:
    """The basis of the first pass: all words where there are few, else random directions."""
    if width >= words:
        return np.eye(words, dtype=np.float32)
    return draws(seed, 0).standard_normal((words, width), np.float32)


def turned(moments: Moments, alpha0: float) -> Floats:
    """A basis of the directions that pairs of words showed through this one, (words, width).

    The range finder of Halko, Martinsson & Tropp (2011).
    """
    pairs, _ = centred(moments, alpha0)
    directions: Doubles = np.linalg.qr(pairs)[0]
    return directions.astype(np.float32)


def centred(moments: Moments, alpha0: float) -> tuple[Doubles, Doubles]:
    """The second moment times the basis, without what a Dirichlet of weight alpha0 makes of its
    mean, (words, width); and the mean itself, (words,)."""
    mean = moments.ones / (moments.ones.sum() or 1.0)
    pairs = moments.pairs / (moments.mass or 1.0)
    pairs -= np.outer(mean, alpha0 / (alpha0 + 1.0) * (mean @ moments.basis))
    return pairs, mean
