"""A record of a feature group: is it what the group's features say, and when did it happen?"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from math import isfinite
from typing import Any

from tidemill.errors import Invalid
from tidemill.spec.feature_group import Feature, FeatureGroup

LARGEST = 350 * 1024
"""Bytes of a record: of the names and values of its features."""
LONGEST_IDENTIFIER = 2 * 1024
MICROSECONDS = 1_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST = 253_402_300_800 * MICROSECONDS  # the year 10000
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{3})?Z", re.ASCII)
_WHOLE = re.compile(r"[+-]?\d{1,19}", re.ASCII)
_REAL = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)

Value = str | list[str]


@dataclass(frozen=True, slots=True)
class Record:
    """identifier: whose it is · event: when it happened, in microseconds since 1970
    values: by feature, in the order in which they were sent; what is not told is null
    """

    identifier: str
    event: int
    values: Mapping[str, Value]


def record(group: FeatureGroup, sent: Iterable[Mapping[str, Any]]) -> Record:
    """The record that a list of FeatureValues spells; raises Invalid."""
    values = checked(group, sent)
    for name in (group.identifier, group.event_time):
        if name not in values:
            raise _invalid(f"a value for the feature {name}, which every record needs", "none")
    who, moment = values[group.identifier], values[group.event_time]
    assert isinstance(who, str)
    assert isinstance(moment, str)
    return Record(identifier(who), event(group, moment), values)


def checked(group: FeatureGroup, sent: Iterable[Mapping[str, Any]]) -> dict[str, Value]:
    """The values of these features, each as its definition says; nulls are left out.

    Raises Invalid for one that is not defined, told twice, or of another type.
    """
    values: dict[str, Value] = {}
    told: set[str] = set()
    size = 0
    for one in sent:
        name = one["FeatureName"]
        known = group.features.get(name)
        if known is None:
            raise _invalid(f"a feature that {group.name} has", name)
        if name in told:
            raise _invalid(f"the feature {name} once in a record", "it twice")
        told.add(name)
        value = _value(known, one)
        if value is not None:
            values[name] = value
            size += len(name) + sum(len(v.encode()) for v in _each(value))
    if size > LARGEST:
        raise _invalid(f"a record of at most {LARGEST} bytes", f"{size} bytes")
    return values


def identifier(text: str) -> str:
    """The identifier itself; raises Invalid for one that is empty or too long."""
    if not 0 < len(text.encode()) <= LONGEST_IDENTIFIER:
        wanted = f"a record identifier of 1 to {LONGEST_IDENTIFIER} bytes"
        raise _invalid(wanted, f"{len(text.encode())} bytes")
    return text


def event(group: FeatureGroup, text: str) -> int:
    """Microseconds since 1970 of an event time; raises Invalid.

    Text as ``2024-01-31T12:00:00Z`` or ``2024-01-31T12:00:00.000Z``, or a number of seconds.
    """
    if group.features[group.event_time].type == "String":
        return _of_text(group.event_time, text)
    # The float first: an exact 1e999999 would fill the memory.
    if not _REAL.fullmatch(text) or not 0 <= float(text) < _LAST // MICROSECONDS:
        raise _invalid(f"seconds since 1970 in the event time {group.event_time}", text)
    return int(Decimal(text) * MICROSECONDS)


def told(microseconds: int) -> str:
    """A moment as ISO 8601.

    >>> told(1_706_702_400_000_000)
    '2024-01-31T12:00:00Z'
    """
    moment = _EPOCH + timedelta(microseconds=min(microseconds, _LAST - 1))
    return moment.isoformat(timespec="milliseconds" if moment.microsecond else "seconds")[:-6] + "Z"


def _of_text(name: str, text: str) -> int:
    try:
        moment = datetime.fromisoformat(text) if _MOMENT.fullmatch(text) else None
    except ValueError:
        moment = None
    if moment is None:
        wanted = f"yyyy-MM-dd'T'HH:mm:ssZ or yyyy-MM-dd'T'HH:mm:ss.SSSZ in the event time {name}"
        raise _invalid(wanted, text)
    return (moment - _EPOCH) // timedelta(microseconds=1)


def _value(feature: Feature, one: Mapping[str, Any]) -> Value | None:
    single, several = one.get("ValueAsString"), one.get("ValueAsStringList")
    if single is not None and several is not None:
        raise _invalid(f"ValueAsString or ValueAsStringList of the feature {feature.name}", "both")
    if single is None and several is None:
        return None
    if feature.collection:
        if several is None:
            raise _invalid(f"a ValueAsStringList for the feature {feature.name}", single)
        return _collection(feature, several)
    if single is None:
        raise _invalid(f"a ValueAsString for the feature {feature.name}", several)
    _must_be(feature, single)
    return str(single)


def _collection(feature: Feature, several: list[str]) -> list[str]:
    for value in several:
        if value is None:
            raise _invalid(f"no null in the collection {feature.name}", several)
        _must_be(feature, value)
    if feature.collection == "Vector" and len(several) != feature.dimension:
        wanted = f"{feature.dimension} values in the vector {feature.name}"
        raise _invalid(wanted, f"{len(several)} values")
    if feature.collection == "Set":
        return list(dict.fromkeys(several))
    return several


def _must_be(feature: Feature, text: str) -> None:
    if feature.type == "Integral":
        fits = bool(_WHOLE.fullmatch(text)) and -(2**63) <= int(text) < 2**63
    elif feature.type == "Fractional":
        fits = bool(_REAL.fullmatch(text)) and isfinite(float(text))
    else:
        fits = True
    if not fits:
        raise _invalid(f"a value of type {feature.type} for the feature {feature.name}", text)


def _each(value: Value) -> list[str]:
    return [value] if isinstance(value, str) else value


def _invalid(wanted: str, got: object) -> Invalid:
    shown = f"{got[:100]}…" if isinstance(got, str) and len(got) > 100 else got
    return Invalid(wanted, got=shown, do="DescribeFeatureGroup tells the group's features.")
