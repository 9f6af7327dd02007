"""PutMetricData: what anybody measures, beside what the platform does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tidemill.gateway.call import Call
from tidemill.gateway.wire.errors import Fault
from tidemill.stats.summary import Summary
from tidemill.store.metrics import Series

MOST_DATA, MOST_VALUES, MOST_DIMENSIONS = 1000, 150, 30
OLDEST, NEWEST = 14 * 86_400.0, 7200.0
"""Seconds that a datum may be behind or ahead of the clock."""
LARGEST = 2.0**360
RESERVED = "AWS/"
_KINDS = ("Value", "Values", "StatisticValues")

Datum = Mapping[str, Any]


def put_metric_data(call: Call) -> None:
    """Store all of it, or nothing when any of it is wrong."""
    asked = call.request
    namespace: str = asked["Namespace"]
    if namespace.startswith(RESERVED):
        raise _invalid(
            f"The value {RESERVED} for parameter Namespace is invalid: it is the platform's own."
        )
    now = call.verbs.clock()
    found = []
    for at, datum in _data(asked):
        dimensions = _dimensions(datum, at)
        unit = datum.get("Unit", "None")
        series = Series.of(call.region, namespace, datum["MetricName"], dimensions, unit)
        found.append((series, _time(datum, at, now), _summary(datum, at)))
    call.platform.metrics.put_all(found)


def _data(asked: Mapping[str, Any]) -> Iterator[tuple[str, Datum]]:
    """(where it stands in the request, datum)"""
    lists = {"MetricData": asked.get("MetricData", [])}
    for number, entity in enumerate(asked.get("EntityMetricData", []), 1):
        lists[f"EntityMetricData.member.{number}.MetricData"] = entity.get("MetricData", [])
    count = sum(map(len, lists.values()))
    if not count:
        raise Fault("MissingParameter", "The parameter MetricData is required.")
    if count > MOST_DATA:
        raise _invalid(
            f"The collection MetricData must not have a size greater than {MOST_DATA}; got {count}."
        )
    for name, data in lists.items():
        for number, datum in enumerate(data, 1):
            yield f"{name}.member.{number}", datum


def _summary(datum: Datum, at: str) -> Summary:
    given = [kind for kind in _KINDS if kind in datum]
    if not given:
        raise Fault("MissingParameter", f"The parameter {at}.Value is required.")
    if len(given) > 1:
        raise Fault(
            "InvalidParameterCombination",
            f"The parameters {at}.{given[0]} and {at}.{given[1]} are mutually exclusive and you "
            "have specified both.",
        )
    if "StatisticValues" in datum:
        return _told(datum["StatisticValues"], f"{at}.StatisticValues")
    values = datum.get("Values", [datum.get("Value")])
    counts = datum.get("Counts", [1] * len(values))
    if not 1 <= len(values) <= MOST_VALUES:
        raise _invalid(f"{at}.Values must hold 1 to {MOST_VALUES} values; got {len(values)}.")
    if len(counts) != len(values):
        raise _invalid(f"The parameters {at}.Values and {at}.Counts must be of the same size.")
    for value in values:
        _bounded(value, f"{at}.Value")
    if not all(0 < count < LARGEST for count in counts):
        raise _invalid(f"{at}.Counts must be greater than 0.")
    return Summary.of(values, counts)


def _told(totals: Mapping[str, float], at: str) -> Summary:
    for name, value in totals.items():
        _bounded(value, f"{at}.{name}")
    low, high = totals["Minimum"], totals["Maximum"]
    if low > high:
        raise _invalid(f"The parameter {at}.Minimum must not be greater than {at}.Maximum.")
    if totals["SampleCount"] <= 0:
        raise _invalid(f"The parameter {at}.SampleCount must be greater than 0.")
    return Summary.told(totals["SampleCount"], totals["Sum"], low, high)


def _bounded(value: float, at: str) -> None:
    if not -LARGEST <= value <= LARGEST:
        raise _invalid(f"The parameter {at} must be between -2^360 and 2^360; got {value}.")


def _time(datum: Datum, at: str, now: float) -> float:
    told: float = datum.get("Timestamp", now)
    if told < now - OLDEST:
        raise _invalid(
            f"The parameter {at}.Timestamp must specify a time no more than two weeks in the past."
        )
    if told > now + NEWEST:
        raise _invalid(
            f"The parameter {at}.Timestamp must specify a time no more than 2 hours in the future."
        )
    return told


def _dimensions(datum: Datum, at: str) -> dict[str, str]:
    given = datum.get("Dimensions", [])
    if len(given) > MOST_DIMENSIONS:
        raise _invalid(
            f"The collection {at}.Dimensions must not have a size greater than {MOST_DIMENSIONS}."
        )
    named = {d["Name"]: d["Value"] for d in given}
    if len(named) < len(given):
        raise _invalid(f"Names in {at}.Dimensions must differ.")
    return named


def _invalid(message: str) -> Fault:
    return Fault("InvalidParameterValue", message)
