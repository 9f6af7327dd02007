"""Algorithms that answer CSV in a way of their own answer a line a row where others read it.

As SageMaker's XGBoost does: its endpoints put commas between the scores of rows, its transform jobs
line ends, else no answer could be told from the next. Nor could it by the next step of a pipeline.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tidemill.algorithms.base import Columns, Declaration, Dialogue
from tidemill.data import content_type as types
from tidemill.data.batch import Batch
from tidemill.data.content_type import ContentType


class ByRow:
    """A dialogue whose CSV is a line a row. own: the algorithm's"""

    def __init__(self, own: Dialogue) -> None:
        self.own = own
        self.accepts: Sequence[str] = own.accepts

    def decode(self, body: bytes, content_type: ContentType) -> Batch:
        return self.own.decode(body, content_type)

    def encode(self, columns: Columns, batch: Batch, accept: ContentType) -> bytes:
        if accept.media != types.CSV:
            return self.own.encode(columns, batch, accept)
        lines = []
        for row in range(len(batch)):
            mine = {name: column[row : row + 1] for name, column in columns.items()}
            lines.append(self.own.encode(mine, batch.rows(row, row + 1), accept).rstrip(b"\n"))
        return b"".join([line + b"\n" for line in lines])


def by_row(declaration: Declaration) -> Declaration:
    """The declaration as transform jobs and the steps of pipelines need it."""
    if declaration.dialogue is None:
        return declaration
    return replace(declaration, dialogue=ByRow(declaration.dialogue))
