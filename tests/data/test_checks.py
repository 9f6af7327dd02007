from __future__ import annotations

import numpy as np
import pytest

from tidemill.data.batch import Batch, to_csr
from tidemill.data.checks import require_answers, require_finite
from tidemill.errors import InvalidData

TABLE = np.ones((3, 2), np.float32)
HUGE = np.full((3, 2), 3e38, np.float32)


def test_finite_numbers_pass_however_large() -> None:
    require_finite(Batch(HUGE, HUGE[:, 0], HUGE[:, 0]))
    require_finite(Batch(to_csr(HUGE)))
    require_finite(Batch(np.empty((0, 2), np.float32)))


def test_features_alone_may_be_missing_and_none_infinite() -> None:
    holes = TABLE.copy()
    holes[0, 1] = np.nan
    for batch in (Batch(holes), Batch(to_csr(holes))):
        require_finite(batch, allows_missing=True)
    with pytest.raises(InvalidData, match=r"row 1: label must be a finite number"):
        require_finite(Batch(TABLE, holes[:, 1]), allows_missing=True)
    holes[2, 0] = np.inf
    for batch in (Batch(holes), Batch(to_csr(holes))):
        with pytest.raises(InvalidData, match=r"row 3, feature 1: .* got inf"):
            require_finite(batch, allows_missing=True)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_the_first_bad_number_is_named(value: float) -> None:
    bad = TABLE.copy()
    bad[1, 1] = value
    wanted = rf"row 2, feature 2: must be a finite number; got {value}"
    for batch in (Batch(bad), Batch(to_csr(bad))):
        with pytest.raises(InvalidData, match=wanted):
            require_finite(batch)
    with pytest.raises(InvalidData, match=rf"row 2: label .* got {value}"):
        require_finite(Batch(TABLE, bad[:, 1]))
    with pytest.raises(InvalidData, match=rf"row 2: label .* got {value}"):
        require_finite(Batch(TABLE, bad))
    with pytest.raises(InvalidData, match=rf"file row 1: weight .* got {value}"):
        require_finite(Batch(TABLE, None, bad[:, 1]), lambda row: f"file row {row}")


def test_answers_of_numbers_and_of_words_pass() -> None:
    words = np.array(["a", "b", "c"])
    require_answers({"score": HUGE[:, 0], "label": np.array([1, 2, 3]), "words": words})
    require_answers({"score": np.empty(0, np.float32)})


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_an_answer_that_is_no_number_is_named(value: float) -> None:
    score = np.array([1, 2, value], np.float32)
    with pytest.raises(InvalidData, match=rf"row 3: .* for which score is .*; got {value}"):
        require_answers({"label": np.array([1, 2, 3]), "score": score})


def test_a_weight_below_zero_is_named() -> None:
    require_finite(Batch(TABLE, None, np.array([0, 1, 2], np.float32)))
    with pytest.raises(InvalidData, match=r"row 2: weight must be 0 or more; got -0\.5"):
        require_finite(Batch(TABLE, None, np.array([1, -0.5, 2], np.float32)))
