"""Labels that stand in the first columns of a table, and how they part from the features."""

from __future__ import annotations

import numpy as np

from tidemill.data.batch import Batch, Floats
from tidemill.errors import InvalidData


def labelled(table: Floats, label_size: int, name: str) -> Batch:
    """A batch of a table whose first ``label_size`` columns are labels; none of no rows."""
    if label_size == 0 or not len(table):
        return Batch(table)
    if table.shape[1] <= label_size:
        raise InvalidData(
            f"{name}: rows must have more columns than the {label_size} of the label",
            got=table.shape[1],
            do="Put the label first, or say label_size=0 in the content type when there is none.",
        )
    labels = np.ascontiguousarray(table[:, 0] if label_size == 1 else table[:, :label_size])
    return Batch(np.ascontiguousarray(table[:, label_size:]), labels)
