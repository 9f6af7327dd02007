"""What k-means remembers between two mini-batches, and from one training to the next."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace

import numpy as np

from tidemill.algorithms.kmeans import local_lloyd
from tidemill.algorithms.kmeans.nearest import Doubles, Evidence
from tidemill.algorithms.kmeans.summary import Summary, check
from tidemill.data.batch import Floats
from tidemill.kernels import sound


@dataclass(frozen=True, slots=True)
class KMeansState:
    """Weighted centres, and what this pass has gathered about them; some K x columns floats.

    While the stream is followed there are up to K centres, each the mean of ``weights`` rows, and
    ``sums`` is empty. In later passes there are k that stand still until the pass is closed.
    All is relative to ``origin``.

    loss: squared distances of the rows to the centre that stands for them · weight: seen in this
    pass · sums, counts: of the rows nearest to each centre in this pass · rows: of the first pass
    batches: counts for randomness · passes: closed ones · msd: of the last of them
    gain: share of the loss that its move saved
    answer: the centres that the K were reduced to, until more rows come · clusters: how many the
    answer, or the centres of later passes, were to be
    kept: in later passes, the K that tell of all rows
    before: what tells of the rows that earlier trainings saw, which no pass reads again; in none
    of the numbers above until a pass is closed, so that workers may all carry it
    """

    origin: Floats
    centres: Floats
    weights: Doubles
    sums: Doubles
    counts: Doubles
    loss: float = 0.0
    weight: float = 0.0
    rows: int = 0
    batches: int = 0
    passes: int = 0
    msd: float | None = None
    gain: float = 1.0
    answer: Floats | None = None
    clusters: int = 0
    kept: Summary | None = None
    before: Summary | None = None

    def check(self) -> None:
        check(self.origin, self.centres, self.weights)
        kept, columns = len(self.centres), self.columns
        sound.require(self.centres.shape[1] == columns, "all centres are of one width")
        if len(self.sums):
            sound.shaped("sums", self.sums, kept, columns)
            sound.shaped("counts", self.counts, kept)
        for name, array in (("sums", self.sums), ("counts", self.counts)):
            sound.finite(name, array)
        if self.answer is not None:
            sound.shaped("answer", self.answer, None, columns)
            sound.shaped("origin", self.origin, columns)
            sound.require(len(self.answer) > 0, "an answer has centres")
            sound.finite("answer", self.answer)
        if self.kept is not None:
            sound.shaped("kept centres", self.kept.centres, None, columns)
        for name in ("rows", "batches", "passes", "clusters"):
            sound.between(name, getattr(self, name), 0)
        sound.between("weight", self.weight, 0, sys.float_info.max)
        # Rounding may leave a loss a little below 0.
        sound.between("loss", self.loss, -sys.float_info.max, sys.float_info.max)

    @property
    def follows(self) -> bool:
        """Whether the centres still follow a stream, rather than stand still for a pass."""
        return len(self.sums) == 0

    @property
    def columns(self) -> int:
        """Width of the rows; 0 where none has come."""
        return int((self.centres if self.before is None else self.before.centres).shape[1])

    def own(self) -> Summary:
        """Of the rows of this training, while they are followed."""
        return Summary(self.origin, self.centres, self.weights, self.loss, self.rows)


def empty(columns: int) -> KMeansState:
    """Nothing seen yet; columns: 0 where they are not known."""
    none, nothing = np.zeros((0, columns)), np.zeros(0)
    return KMeansState(nothing.astype(np.float32), none.astype(np.float32), nothing, none, nothing)


def stepped(state: KMeansState, evidence: Evidence) -> KMeansState:
    """Every centre nearer to the mean of its newcomers, by their share of its weight."""
    total = state.weights + evidence.counts
    pace = np.divide(evidence.counts, total, out=np.zeros_like(total), where=total > 0)
    means = local_lloyd.means(evidence, state.centres)
    between = local_lloyd.savings(state.weights * pace, state.centres, means)
    return replace(
        state,
        centres=state.centres + (means - state.centres) * pace[:, None].astype(np.float32),
        weights=total,
        loss=state.loss + evidence.loss(means) + between,
    )


def with_centres(state: KMeansState, rows: Floats, weights: Doubles) -> KMeansState:
    """These rows as further centres."""
    return replace(
        state,
        centres=np.concatenate([state.centres, rows]),
        weights=np.concatenate([state.weights, weights]),
    )
