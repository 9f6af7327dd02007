"""Fewer topics than there are, without the documents: those most alike become one."""

from __future__ import annotations

import numpy as np

from tidemill.algorithms.lda.documents import Doubles
from tidemill.data.batch import Floats

_TINY = np.float32(1e-30)


def groups_of(counts: Doubles | Floats, topics: int) -> list[list[int]]:
    """Which topics, columns of (words, topics) counts, are to be one: groups of their indices.

    Those are joined, two at a time, that lose least of what topics tell of words ("Agglomerative
    information bottleneck", Slonim & Tishby 1999); groups come in the order of their first topics.
    Cost: words x topics² logarithms.
    """
    columns = np.ascontiguousarray(counts.T, np.float32)
    groups = [[topic] for topic in range(len(columns))]
    told = _told(columns)
    losses = np.full((len(columns), len(columns)), np.inf)
    for topic in range(1, len(columns)):
        losses[topic, :topic] = told[topic] + told[:topic] - _told(columns[topic] + columns[:topic])
    for _ in range(len(columns) - topics):
        other, one = (int(i) for i in np.unravel_index(losses.argmin(), losses.shape))
        groups[one], groups[other] = sorted(groups[one] + groups[other]), []
        columns[one] += columns[other]
        told[one] = _told(columns[[one]])[0]
        losses[other, :] = losses[:, other] = np.inf
        left = np.array([at for at, group in enumerate(groups) if group and at != one], np.intp)
        lost = told[one] + told[left] - _told(columns[one] + columns[left])
        losses[np.maximum(left, one), np.minimum(left, one)] = lost
    return [group for group in groups if group]


def _told(columns: Floats) -> Doubles:
    """(topics,): the log-likelihood of each row of counts under its own shares."""
    logarithms = np.log(np.maximum(columns, _TINY))
    logarithms *= columns
    totals = columns.sum(axis=1, dtype=np.float64)
    told: Doubles = logarithms.sum(axis=1, dtype=np.float64)
    told -= totals * np.log(np.maximum(totals, _TINY))
    return told
