"""What an artifact holds is refused or answered, whatever it is: the law of ``testing.damage``.

A sample of all that may be wrong with each case runs with the fast tests, a larger one with the
slow ones; the law itself takes no share.
"""

from __future__ import annotations

import pytest

from tests.algorithms.test_laws import CASES
from tidemill.testing.damage import check_a_damaged_artifact_is_refused_or_answers

NAMES = pytest.mark.parametrize("name", list(CASES))


@NAMES
def test_a_damaged_artifact_is_refused_or_answers(name: str) -> None:
    check_a_damaged_artifact_is_refused_or_answers(CASES[name](), share=97)


@pytest.mark.slow
@NAMES
def test_an_artifact_damaged_in_more_ways_is_refused_or_answers(name: str) -> None:
    check_a_damaged_artifact_is_refused_or_answers(CASES[name](), share=29)
