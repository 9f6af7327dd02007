"""How often words came under topics, as expected: what topics are made of once they are refined.

Incremental expectation maximisation (Neal & Hinton 1998) over a stream: documents are explained by
the topics as they stand, and what that says of the words counts at once for the documents that
follow, while what an earlier pass said of the same documents fades. The mixtures are those that
collapsed variational inference of zeroth order settles on (Asuncion, Welling, Smyth & Teh, "On
smoothing and inference for topic models", UAI 2009), which need neither digamma nor exponential.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from tidemill.algorithms.lda.documents import Doubles, Each, row_ranges, run, word_ranges
from tidemill.algorithms.lda.fewer import groups_of
from tidemill.algorithms.lda.spectral import Topics
from tidemill.data.batch import Floats
from tidemill.kernels import lda as kernel
from tidemill.kernels import sound
from tidemill.kernels.lda import Documents

STEPS, TOLERANCE = 20, 2e-2
_PACE = 2.0
_DOUBT = 0.3


@dataclass(frozen=True, slots=True)
class Counts:
    """Expected counts, (words, topics) each, and the same by topic in ``totals``, (3, topics).

    base: of earlier trainings, whose documents are gone · past: of this one's last pass, or
    whatever it starts from · fresh: of this pass, so far
    """

    base: Floats
    past: Floats
    fresh: Doubles
    totals: Doubles

    def check(self) -> None:
        sound.shaped("base", self.base, None, None)
        words, topics = self.base.shape
        sound.require(self.base.size > 0, "there are words and topics")
        sound.shaped("past", self.past, words, topics)
        sound.shaped("fresh", self.fresh, words, topics)
        sound.shaped("totals", self.totals, 3, topics)
        for name in ("base", "past", "fresh", "totals"):
            sound.counted(name, getattr(self, name))

    @property
    def topics(self) -> int:
        return int(self.totals.shape[1])


@dataclass(frozen=True, slots=True)
class Told:
    """What documents said under a model: their mixtures, not scaled, (rows, topics); ratios of
    count to likelihood, (stored,); and log-likelihoods, (rows,)."""

    mixtures: Floats
    ratios: Floats
    fits: Doubles


def begun(topics: Topics, earlier: float, ours: float) -> Counts:
    """As if these topics had explained so many words of earlier trainings, and so many of ours."""
    whole = topics.chances * topics.shares
    return _without_fresh(whole * earlier, whole * ours)


def widened(counts: Counts, topics: Topics, words: float) -> Counts:
    """With the topics of new documents, of so many words, let in among those known before.

    Those most alike become one until there are as many as before. Topics that only moments tell
    of are rough, so that they count for less than they have words.
    """
    known = counts.topics
    fresh = topics.chances * (topics.shares * words * _DOUBT)
    both = np.concatenate([whole(counts, 1.0), fresh], axis=1)
    groups = groups_of(both, known)
    base = [both[:, [at for at in group if at < known]].sum(axis=1) for group in groups]
    past = [both[:, [at for at in group if at >= known]].sum(axis=1) for group in groups]
    return _without_fresh(np.stack(base, axis=1), np.stack(past, axis=1))


def settled(counts: Counts, fade: float) -> Counts:
    """After a pass: what is fresh has become the past."""
    past = counts.past * np.float32(fade) + counts.fresh
    return _without_fresh(counts.base, past)


def rested(counts: Counts) -> Counts:
    """At the end of a training: what is known is the base of the next one."""
    return _without_fresh(whole(counts, 1.0), np.zeros_like(counts.past))


def merged(left: Counts, right: Counts) -> Counts:
    """Of two workers that went on from the same: what is fresh adds up."""
    totals = left.totals.copy()
    totals[2] += right.totals[2]
    return replace(left, fresh=left.fresh + right.fresh, totals=totals)


def whole(counts: Counts, fade: float) -> Doubles:
    """(words, topics): all that counts, the past as far as it has not faded."""
    return counts.base + fade * counts.past.astype(np.float64) + counts.fresh


def fade_at(share: float) -> float:
    """What is left of the past when this share of its documents has been read anew.

    Twice as quick as they are replaced, for the new are explained by better topics.
    """
    return max(0.0, 1.0 - _PACE * share)


def prior_of(totals: Doubles, alpha0: float, smoothing: float) -> Floats:
    """(topics,): the Dirichlet's weights, which go by the topics' shares of all words."""
    smoothed = totals + smoothing
    prior: Floats = (alpha0 * smoothed / smoothed.sum()).astype(np.float32)
    return prior


def learn(
    counts: Counts,
    documents: Documents,
    weights: Doubles | None,
    fade: float,
    alpha0: float,
    eta: float,
    each: Each,
) -> float:
    """Count these documents too, in place; the log-likelihood of their words, as they came."""
    tables = counts.base, counts.past, counts.fresh
    totals = counts.totals[0] + fade * counts.totals[1] + counts.totals[2]
    smoothing = eta * len(counts.base)
    chances = np.empty((len(documents.words), counts.topics), np.float32)
    inverse = 1.0 / (totals + smoothing)
    ranges = word_ranges(documents)
    run(
        each,
        lambda at: kernel.chances(documents, *at, tables, fade, eta, inverse, chances),
        ranges,
    )
    prior = prior_of(totals, alpha0, smoothing)
    told = explain(documents, chances, prior, STEPS, TOLERANCE, each)
    ratios = told.ratios
    if weights is not None:
        ratios = ratios * np.repeat(weights.astype(np.float32), np.diff(documents.indptr))

    def counted(at: tuple[int, int]) -> Doubles:
        return kernel.add_counts(documents, *at, ratios, told.mixtures, chances, counts.fresh)

    for part in each(counted, ranges):
        counts.totals[2] += part
    return float(told.fits.sum() if weights is None else told.fits @ weights)


def explain(
    documents: Documents,
    chances: Floats,
    prior: Floats,
    steps: int,
    tolerance: float,
    each: Each,
) -> Told:
    """The mixtures of documents under topics, (words that occur, topics)."""
    told = Told(
        np.empty((len(documents), len(prior)), np.float32),
        np.empty(len(documents.values), np.float32),
        np.empty(len(documents)),
    )
    out = told.mixtures, told.ratios, told.fits
    run(
        each,
        lambda at: kernel.mixtures(documents, *at, chances, prior, steps, tolerance, out),
        row_ranges(documents),
    )
    return told


def _without_fresh(base: Floats | Doubles, past: Floats | Doubles) -> Counts:
    base, past = (np.ascontiguousarray(table, np.float32) for table in (base, past))
    totals = np.zeros((3, base.shape[1]))
    totals[0], totals[1] = (table.sum(axis=0, dtype=np.float64) for table in (base, past))
    return Counts(base, past, np.zeros(base.shape), totals)
