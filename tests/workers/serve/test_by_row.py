"""XGBoost's answers, which on endpoints have no lines."""

from __future__ import annotations

import numpy as np
import pytest

from tests.algorithms.cases.xgboost import CASES
from tidemill.spec.frame import REQUEST, Frame
from tidemill.workers.serve.answers import Answers
from tidemill.workers.serve.by_row import by_row


@pytest.mark.parametrize("name", sorted(CASES))
def test_each_row_has_a_line_as_if_it_were_alone(name: str) -> None:
    case = CASES[name]()
    answers = Answers(case.trained(), by_row(case.declaration))
    features = case.probe.features
    dense = features if isinstance(features, np.ndarray) else features.to_dense()
    rows = [b",".join(b"%.9g" % v for v in row) for row in np.nan_to_num(dense)[:5].tolist()]
    bodies = [b"\n".join(rows), *rows]
    together, *alone = answers([Frame(REQUEST, 1, 0, b"text/csv\ntext/csv\n", b) for b in bodies])
    assert together.status == 200
    assert together.body == b"".join(one.body for one in alone)
    assert together.body.count(b"\n") == len(rows)
