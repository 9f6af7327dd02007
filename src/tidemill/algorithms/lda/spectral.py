"""Topics from moments: whiten the pairs, take the whitened triples apart, un-whiten.

The method of Anandkumar, Ge, Hsu, Kakade & Telgarsky, "Tensor decompositions for learning latent
variable models" (JMLR 2014), which finds a quarter more topics than wanted and keeps those of the
largest prior mass.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tidemill.algorithms.lda.documents import Doubles, Each
from tidemill.algorithms.lda.hyperparameters import NAME, LdaHyperparameters
from tidemill.algorithms.lda.moments import Moments, centred, draws, symmetric
from tidemill.algorithms.lda.tensor import Settings, decompose
from tidemill.errors import InvalidData

_MOST = 256
_SPARE = 32
_FEW_WORDS = 64
_NOISE, _FAINT = 1e-8, 0.1
_FACES = 8
_FILLING, _DECOMPOSING = 1, 2


@dataclass(frozen=True, slots=True)
class Topics:
    """chances : (words, topics), each column sums to 1 · shares : (topics,) of the prior's mass"""

    chances: Doubles
    shares: Doubles


def surplus(num_topics: int) -> int:
    """Topics to look for: a quarter more than wanted, as long as their cube fits the memory."""
    return min(math.ceil(1.25 * num_topics), _MOST)


def width(num_topics: int, words: int) -> int:
    """Columns of the basis: enough to find the topics among the noise."""
    wanted = surplus(num_topics)
    return words if words <= _FEW_WORDS else min(words, wanted + min(wanted, _SPARE))


def topics(moments: Moments, given: LdaHyperparameters, seed: int, each: Each = map) -> Topics:
    """As many topics of these moments as are wanted, those of most mass first.

    Where the documents have fewer (they are few, or alike), random ones fill the places: their
    share is half of the least that was found.
    """
    kept = found(moments, given, seed, each)
    return _filled(kept, moments.ones, given.num_topics, seed)


def found(moments: Moments, given: LdaHyperparameters, seed: int, each: Each = map) -> Topics:
    """The topics that these moments show, at most as many as are wanted, as ``topics``."""
    try:
        return _found(moments, given, seed, each)
    except np.linalg.LinAlgError as error:
        raise InvalidData(
            f"{NAME}: moments that directions can be found of",
            got=str(error),
            do="Train the model again from its data.",
        ) from error


def _found(moments: Moments, given: LdaHyperparameters, seed: int, each: Each) -> Topics:
    pairs, mean = centred(moments, given.alpha0)
    if not np.isfinite(pairs).all():
        raise np.linalg.LinAlgError("some are infinite")
    whitening = whitening_of(moments, pairs, given.num_topics)
    if whitening.shape[1] == 0:
        return Topics(pairs[:, :0], mean[:0])
    tensor = white_triples(moments, mean, whitening, given.alpha0, each)
    settings = Settings(given.max_restarts, given.max_iterations, given.tol)
    cubes = decompose(tensor, settings, lambda at: draws(seed, _DECOMPOSING + at), each)
    masses = _masses(cubes.weights, given.alpha0)
    proper = _proper(pairs @ (whitening @ cubes.vectors), masses)
    order = np.argsort(-proper.shares, kind="stable")[: given.num_topics]
    return _scaled(proper.chances[:, order], proper.shares[order])


def whitening_of(moments: Moments, pairs: Doubles, num_topics: int) -> Doubles:
    """(width, found) B: seen through basis times B, pairs of words are white.

    Directions beyond the topics wanted count only where they are not much fainter than the last of
    these: whitening would blow up mere noise.
    """
    seen = moments.basis.astype(np.float64)
    square = np.linalg.inv(np.linalg.cholesky(seen.T @ seen)).T
    within = square.T @ (seen.T @ pairs) @ square
    values, vectors = np.linalg.eigh((within + within.T) / 2.0)
    best = np.argsort(-values, kind="stable")[: surplus(num_topics)]
    ordered = values[best]
    least = _NOISE * max(float(ordered[0]), 0.0)
    if len(best) > num_topics:
        least = max(least, _FAINT * float(ordered[num_topics - 1]))
    best = best[ordered > least]
    found: Doubles = square @ (vectors[:, best] / np.sqrt(values[best]))
    return found


def white_triples(
    moments: Moments, mean: Doubles, whitening: Doubles, alpha0: float, each: Each = map
) -> Doubles:
    """(found, found, found): the third moment less what the Dirichlet makes of the others."""
    white = moments.basis @ whitening
    triples: Doubles = np.einsum(
        "abc,ai,bj,ck->ijk", symmetric(moments.cubes), *[whitening] * 3, optimize=True
    )
    triples -= _thrice(_faces(white, moments.triples @ whitening, each))
    mass = moments.mass or 1.0  # of documents that are all too short for triples
    triples /= mass
    center, pairs = mean @ white, white.T @ (moments.pairs @ whitening) / mass
    product = (pairs + pairs.T)[:, :, None] / 2.0 * center
    triples -= alpha0 / (alpha0 + 2.0) * _thrice(product)
    cube = center[:, None, None] * center[:, None] * center
    triples += 2.0 * alpha0**2 / ((alpha0 + 1.0) * (alpha0 + 2.0)) * cube
    return triples


def _masses(weights: Doubles, alpha0: float) -> Doubles:
    """Of the topic of a weight w: 4 alpha0 (alpha0 + 1) / ((alpha0 + 2) w)², at most alpha0."""
    scaled = np.maximum(weights, 1e-9) * (alpha0 + 2.0) / 2.0
    return np.minimum(alpha0 * (alpha0 + 1.0) / scaled**2, alpha0)


def _faces(white: Doubles, others: Doubles, each: Each) -> Doubles:
    """The sum over words w of ``white[w] x white[w] x others[w]``."""
    count = white.shape[1]
    whole = np.empty((count, count, count))

    def some(start: int) -> None:
        for a in range(start, count, _FACES):
            whole[a, a:] = (white[:, a:] * white[:, a, None]).T @ others

    for _ in each(some, range(min(_FACES, count))):
        pass
    for a in range(count):
        whole[a + 1 :, a] = whole[a, a + 1 :]
    return whole


def _thrice(faces: Doubles) -> Doubles:
    """The sum over the three places where the last index may stand; the others are alike."""
    return faces + faces.transpose(0, 2, 1) + faces.transpose(2, 0, 1)


def _proper(columns: Doubles, masses: Doubles) -> Topics:
    """Columns as chances: upright, none below zero, each summing to 1; those of noise left out."""
    upright = np.where(columns.sum(axis=0) < 0, -columns, columns)
    positive = np.maximum(upright, 0.0)
    sums = positive.sum(axis=0)
    sound = (sums > 0) & np.isfinite(sums)
    return Topics(positive[:, sound] / sums[sound], masses[sound])


def _filled(kept: Topics, ones: Doubles, num_topics: int, seed: int) -> Topics:
    missing = num_topics - len(kept.shares)
    if missing == 0:
        return kept
    words = ones + max(ones.mean(), 1e-3) * 0.1
    random = draws(seed, _FILLING).gamma(1.0, size=(len(ones), missing)) * words[:, None]
    least = float(kept.shares.min()) / 2.0 if len(kept.shares) else 1.0
    return _scaled(
        np.concatenate([kept.chances, random / random.sum(axis=0)], axis=1),
        np.concatenate([kept.shares, np.full(missing, least)]),
    )


def _scaled(chances: Doubles, shares: Doubles) -> Topics:
    return Topics(chances, shares / (shares.sum() or 1.0))
