"""The tables of "Configuring how CloudWatch alarms treat missing data", row by row."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tidemill.traffic.alarm import ALARM, INSUFFICIENT, MISSING, OK, Rule, evaluate, reason

KEEP = "keep"
THREE = Rule("GreaterThanThreshold", 0.5, "Sum", 60, 3, 3)
TWO_OF_THREE = replace(THREE, datapoints=2)


def values(text: str) -> list[float | None]:
    return [{"0": 0.0, "X": 1.0, "-": None}[letter] for letter in text.split()]


@pytest.mark.parametrize(
    ("rule", "points", "expected"),
    [
        (THREE, "0 - X - X", [OK, OK, OK, OK]),
        (THREE, "- - - - 0", [OK, OK, OK, OK]),
        (THREE, "- - - - -", [INSUFFICIENT, KEEP, ALARM, OK]),
        (THREE, "0 X X - X", [ALARM, ALARM, ALARM, ALARM]),
        (THREE, "- - X - -", [ALARM, KEEP, ALARM, OK]),
        (TWO_OF_THREE, "0 - X - X", [ALARM, ALARM, ALARM, ALARM]),
        (TWO_OF_THREE, "0 0 X 0 X", [ALARM, ALARM, ALARM, ALARM]),
        (TWO_OF_THREE, "0 - X - -", [OK, OK, ALARM, OK]),
        (TWO_OF_THREE, "- - - - 0", [OK, OK, ALARM, OK]),
        (TWO_OF_THREE, "- - - X -", [ALARM, KEEP, ALARM, OK]),
    ],
)
def test_missing_data_as_documented(rule: Rule, points: str, expected: list[str]) -> None:
    for state in (OK, ALARM, INSUFFICIENT):
        found = [evaluate(replace(rule, missing=m), values(points), state) for m in MISSING]
        assert found == [state if e == KEEP else e for e in expected]


def test_a_first_breach_of_three_wanted_rings_nothing_yet() -> None:
    assert evaluate(THREE, values("- - - - X"), INSUFFICIENT) == INSUFFICIENT
    assert evaluate(THREE, values("- - - - X"), OK) == OK


@pytest.mark.parametrize(
    ("comparison", "rings"),
    [
        ("GreaterThanOrEqualToThreshold", [False, True, True]),
        ("GreaterThanThreshold", [False, False, True]),
        ("LessThanThreshold", [True, False, False]),
        ("LessThanOrEqualToThreshold", [True, True, False]),
    ],
)
def test_comparisons(comparison: str, rings: list[bool]) -> None:
    rule = Rule(comparison, 5.0, "Average", 60, 1, 1)
    found = [evaluate(rule, [None, None, value], OK) == ALARM for value in (4.0, 5.0, 6.0)]
    assert found == rings


@pytest.mark.parametrize(
    ("period", "now", "window"),
    [(60, 1000.0, (660, 960)), (60, 962.9, (600, 900)), (300, 3600.0, (2040, 3540))],
)
def test_windows_end_at_minutes_that_are_over(
    period: int, now: float, window: tuple[float, float]
) -> None:
    assert replace(THREE, period=period).window(now) == window


def test_fine_windows_end_at_ten_seconds() -> None:
    assert replace(THREE, period=20).window(1003.0) == (900.0, 1000.0)


def test_reasons_tell_the_values() -> None:
    points = values("0 X 0 X X")
    assert reason(TWO_OF_THREE, points, ALARM) == (
        "Threshold Crossed: 2 datapoints [1.0, 1.0] were greater than the threshold (0.5)."
    )
    assert reason(THREE, points, OK) == (
        "Threshold Crossed: 1 datapoint [0.0] was not greater than the threshold (0.5)."
    )
    assert reason(THREE, values("- - - - -"), INSUFFICIENT) == (
        "Insufficient Data: 3 datapoints were unknown."
    )
