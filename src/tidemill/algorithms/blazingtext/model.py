"""What a job of blazingtext leaves: vectors of words, or classes of texts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tidemill.algorithms.base import Columns, Evaluation
from tidemill.algorithms.blazingtext.class_model import TextClasses
from tidemill.algorithms.blazingtext.word_model import WordVectors
from tidemill.data.batch import Batch
from tidemill.data.text import Text, text_of
from tidemill.errors import InvalidData
from tidemill.kernels import sound


@dataclass(frozen=True, slots=True)
class BlazingTextModel:
    """One of the two."""

    words: WordVectors | None = None
    classes: TextClasses | None = None
    row_by_row: ClassVar[bool] = True

    def check(self) -> None:
        is_one = (self.words is None) != (self.classes is None)
        sound.require(is_one, "a model is of words or of classes")

    def predict(self, batch: Batch) -> Columns:
        """``word`` and ``vector``, or ``label`` and ``prob``, of each row, a line of text."""
        lines_of(batch)
        if self.words is not None:
            return self.words.predict(batch)
        assert self.classes is not None
        return self.classes.predict(batch)

    def judged(self, batch: Batch) -> Evaluation:
        """How good it is on these rows."""
        if self.words is not None:
            return self.words.neighbours(lines_of(batch))
        assert self.classes is not None
        return self.classes.judged(lines_of(batch))


def lines_of(batch: Batch) -> Text:
    """The rows as text. Raises InvalidData for rows of numbers."""
    if batch.text is None:
        if not len(batch):
            return text_of([])
        raise InvalidData(
            "blazingtext: rows must be lines of text",
            got=f"rows of {batch.columns} numbers",
            do="Send text/plain, or JSON Lines with a source each.",
        )
    return batch.text
