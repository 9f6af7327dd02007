"""Going on from an earlier training, whose documents are gone."""

from __future__ import annotations

import numpy as np

from tidemill.algorithms.lda.counts import Counts, begun, rested, whole
from tidemill.algorithms.lda.hyperparameters import NAME, LdaHyperparameters
from tidemill.algorithms.lda.moments import nothing
from tidemill.algorithms.lda.outcome import joined
from tidemill.algorithms.lda.spectral import Topics, surplus
from tidemill.algorithms.lda.state import MOMENTS, SKETCH, LdaState
from tidemill.errors import Invalid


def reopened(state: LdaState, given: LdaHyperparameters, *, leads: bool) -> LdaState:
    """The state with its moments and topics, ready to take in further documents.

    The moments keep their basis, for within one alone do they add up. Refined topics go on as the
    base of the new counts; those most alike are joined where fewer are wanted. The new documents
    are looked at by themselves too, for topics that the earlier ones had not.
    Raises Invalid for another vocabulary, and for more topics than the basis can show.
    """
    moments = state.moments or state.recent
    if moments is None:
        return LdaState()
    _check(given, *moments.basis.shape)
    counts = _base(state.counts, given)
    return LdaState(
        stage=MOMENTS if counts is None else SKETCH,
        moments=moments if leads else nothing(moments.basis),
        counts=counts,
        gathered=int(leads),
        earlier=float(moments.ones.sum()),
    )


def _check(given: LdaHyperparameters, words: int, width: int) -> None:
    if words != given.feature_dim:
        raise Invalid(
            f"{NAME}: feature_dim must be {words}, as in the training that this one goes on from",
            got=given.feature_dim,
            do="Set feature_dim to that, or train anew.",
        )
    most = words if width == words else width
    if width < words and surplus(given.num_topics) > most:
        raise Invalid(
            f"{NAME}: num_topics must be at most {int(most / 1.25)}, which is what the moments of "
            "the earlier training can show",
            got=given.num_topics,
            do="Lower num_topics, or train anew.",
        )


def _base(counts: Counts | None, given: LdaHyperparameters) -> Counts | None:
    if counts is None or not given.epochs or counts.topics < given.num_topics:
        return None
    if counts.topics == given.num_topics:
        return rested(counts)
    fewer = joined(whole(counts, 1.0), given.num_topics)
    total = float(fewer.sum()) or 1.0
    shares = fewer.sum(axis=0)
    chances = np.divide(fewer, shares, out=np.zeros_like(fewer), where=shares > 0)
    return begun(Topics(chances, shares / total), total, 0.0)
