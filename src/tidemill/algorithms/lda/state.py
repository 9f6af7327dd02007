"""What a training of lda has gathered, and where it stands."""

from __future__ import annotations

from dataclasses import dataclass

from tidemill.algorithms.lda.counts import Counts
from tidemill.algorithms.lda.moments import Moments
from tidemill.data.batch import Floats
from tidemill.kernels import sound

SKETCH, MOMENTS, REFINE, DONE = range(4)


@dataclass(frozen=True, slots=True)
class LdaState:
    """Of the size of the vocabulary times the topics, and the topics' cube; never of the rows.

    stage: what the pass gathers: moments through a random basis, moments through the basis that
    these showed, or counts; or nothing more
    recent: moments of this training's documents, while it gathers them · next_basis: through which
    the next pass does · moments: of all documents ever, through the basis that the first training
    found · counts: once there are topics to refine

    gathered: workers with rows in this pass, 0 before the first · rows: of this pass
    rows_before, gathered_before: of the last closed pass · fit, words: log-likelihood of the words
    of this pass as they came, and their number · pwll: the quotient, of the last pass that counted
    lead_in: closed passes that gathered moments · epoch: closed passes that gathered counts
    earlier: words of earlier trainings
    """

    stage: int = SKETCH
    recent: Moments | None = None
    next_basis: Floats | None = None
    moments: Moments | None = None
    counts: Counts | None = None
    gathered: int = 0
    rows: int = 0
    rows_before: int = 0
    gathered_before: int = 0
    fit: float = 0.0
    words: float = 0.0
    pwll: float | None = None
    lead_in: int = 0
    epoch: int = 0
    earlier: float = 0.0

    def check(self) -> None:
        sound.between("stage", self.stage, SKETCH, DONE)
        for name in (
            "gathered", "rows", "rows_before", "gathered_before", "words", "lead_in", "epoch",
            "earlier",
        ):  # fmt: skip
            sound.between(name, getattr(self, name), 0)
        bases = [m.basis for m in (self.moments, self.recent) if m is not None]
        if self.next_basis is not None:
            sound.shaped("next_basis", self.next_basis, None, None)
            sound.finite("next_basis", self.next_basis)
            bases.append(self.next_basis)
        tables = [*bases, *([] if self.counts is None else [self.counts.base])]
        sound.require(len({len(table) for table in tables}) <= 1, "all are of the same words")
        sound.require(self.stage != REFINE or self.counts is not None, "there are counts to refine")
