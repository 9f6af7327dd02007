"""The topics and the model that a state makes, at any time."""

from __future__ import annotations

import numpy as np

from tidemill.algorithms.lda.counts import fade_at, prior_of, whole
from tidemill.algorithms.lda.documents import Doubles, Each
from tidemill.algorithms.lda.fewer import groups_of
from tidemill.algorithms.lda.hyperparameters import NAME, LdaHyperparameters
from tidemill.algorithms.lda.model import LdaModel
from tidemill.algorithms.lda.spectral import topics
from tidemill.algorithms.lda.state import LdaState
from tidemill.errors import Invalid


def counts_of(state: LdaState, given: LdaHyperparameters, seed: int, each: Each = map) -> Doubles:
    """(words, topics) expected counts: the refined ones, else those that the moments tell.

    Raises Invalid when no word was seen.
    """
    refined, moments = state.counts, state.moments or state.recent
    if given.epochs and refined is not None and refined.topics >= given.num_topics:
        return joined(whole(refined, fade_at(share_read(state))), given.num_topics)
    if moments is None or not moments.ones.any():
        raise Invalid(
            f"{NAME}: a model needs documents that have words",
            got="none",
            do="Send rows with counts of words in the train channel.",
        )
    found = topics(moments, given, seed, each)
    return found.chances * (found.shares * float(moments.ones.sum()))


def joined(counts: Doubles, wanted: int) -> Doubles:
    """So many topics, those most alike having become one."""
    if counts.shape[1] == wanted:
        return counts
    groups = groups_of(counts, wanted)
    return np.stack([counts[:, group].sum(axis=1) for group in groups], axis=1)


def model_of(counts: Doubles, alpha0: float, eta: float) -> LdaModel:
    """Chances are smoothed shares of the counts, the prior goes by the topics' totals."""
    totals, smoothing = counts.sum(axis=0), eta * len(counts)
    beta = ((counts + eta) / (totals + smoothing)).T
    return LdaModel(
        prior_of(totals, alpha0, smoothing), np.ascontiguousarray(beta, dtype=np.float32)
    )


def share_read(state: LdaState) -> float:
    """Of the rows that the last pass had, the share that this one has read; all workers alike."""
    if not state.rows_before or not state.gathered:
        return 0.0 if state.rows_before else 1.0
    return state.rows * state.gathered_before / (state.gathered * state.rows_before)
