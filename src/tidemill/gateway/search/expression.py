"""SearchExpression: which records it means. All values in filters are text."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from tidemill.gateway.search.properties import Record, has, objects, values
from tidemill.gateway.wire.errors import invalid
from tidemill.gateway.wire.model import Shape

Asked = Mapping[str, Any]
MOST_CONDITIONS = 50
_WHOLE = re.compile(r"[+-]?\d+")
_PARTS = ("Filters", "NestedFilters", "SubExpressions")
# Of these a search may say Contains more than once (documentation of Filter).
_CONTAINED = re.compile(
    r"DisplayName|(Experiment|Trial|TrialComponent)Name|Tags\..*|(In|Out)putArtifacts\..*", re.I
)


def check(asked: Asked, shape: Shape) -> None:
    """Raise a ValidationException for what no search of this shape can say."""
    conditions = list(_conditions(asked))
    if len(conditions) > MOST_CONDITIONS:
        raise invalid(
            "The maximum number of recursive SubExpressions, NestedFilters, and Filters that can "
            f"be included in a SearchExpression object is {MOST_CONDITIONS}."
        )
    filters = [one for one in conditions if "Name" in one]
    for one in filters:
        if not has(shape, one["Name"]):
            raise invalid(f"Unknown property name: {one['Name']}")
        if "Value" not in one and _operator(one) not in ("Exists", "NotExists"):
            raise invalid(f"Operator {_operator(one)} needs a Value, for {one['Name']}.")
    single = [
        f for f in filters if _operator(f) == "Contains" and not _CONTAINED.fullmatch(f["Name"])
    ]
    if len(single) > 1:
        raise invalid("'CONTAINS' operator usage limit of 1 exceeded.")


def names(asked: Asked) -> Iterator[str]:
    """Of all properties that it looks at."""
    yield from (one["Name"] for one in _conditions(asked) if "Name" in one)


def equals(asked: Asked) -> Iterator[tuple[str, str]]:
    """(name, value) that every record meant must have."""
    if asked.get("Operator", "And") == "And":
        for one in asked.get("Filters", ()):
            if _operator(one) == "Equals":
                yield one["Name"], one.get("Value", "")


def matches(asked: Asked, record: Record) -> bool:
    """Whether it means this record; without conditions it means all.

    >>> asked = {"Filters": [{"Name": "HyperParameters.k", "Operator": "LessThan", "Value": "9.5"}]}
    >>> matches(asked, {"HyperParameters": {"k": "9"}})
    True
    """
    tests = [
        *(_holds(one, one["Name"], record) for one in asked.get("Filters", ())),
        *(_nested(one, record) for one in asked.get("NestedFilters", ())),
        *(matches(one, record) for one in asked.get("SubExpressions", ())),
    ]
    if not tests:
        return True
    return any(tests) if asked.get("Operator") == "Or" else all(tests)


def _conditions(asked: Asked) -> Iterator[Asked]:
    for part in _PARTS:
        for one in asked.get(part, ()):
            yield one
            yield from _conditions(one)


def _nested(asked: Asked, record: Record) -> bool:
    """Whether one object of the list passes all filters."""
    prefix = f"{asked['NestedPropertyName']}."
    found = [(one, one["Name"]) for one in asked["Filters"]]
    stems = [
        (one, name[len(prefix) :] if name.casefold().startswith(prefix.casefold()) else name)
        for one, name in found
    ]
    return any(
        all(_holds(one, name, part) for one, name in stems)
        for part in objects(record, asked["NestedPropertyName"])
    )


def _operator(asked: Asked) -> str:
    return str(asked.get("Operator", "Equals"))


def _holds(asked: Asked, name: str, record: Record) -> bool:
    found, operator = list(values(record, name)), _operator(asked)
    if operator in ("Exists", "NotExists"):
        return bool(found) == (operator == "Exists")
    value = str(asked["Value"])
    if operator == "NotEquals":
        return not any(_equal(one, value, asked["Name"]) for one in found)
    if operator in _ORDERS:
        return any(_compared(operator, one, value, asked["Name"]) for one in found)
    return any(_TEXTS[operator](one, value, asked["Name"]) for one in found)


def _equal(found: Any, value: str, name: str) -> bool:
    if isinstance(found, bool):
        return str(found).lower() == value.lower()
    if found == value:
        return True
    pair = _numbers(found, value, name)
    return pair is not None and pair[0] == pair[1]


def _contains(found: Any, value: str, name: str) -> bool:
    return isinstance(found, str) and value in found


def _among(found: Any, value: str, name: str) -> bool:
    return any(_equal(found, one.strip(), name) for one in value.split(","))


def _compared(operator: str, found: Any, value: str, name: str) -> bool:
    pair = _numbers(found, value, name)
    return pair is not None and _ORDERS[operator](*pair)


def _numbers(found: Any, value: str, name: str) -> tuple[float, float] | None:
    """Both as numbers, where they are such; of text only hyperparameters are."""
    wanted = _number(value)
    if isinstance(found, str) and name.casefold().startswith("hyperparameters."):
        here = _number(found)
        # Beside a whole number the decimals of hyperparameters do not count (documented so).
        if here is not None and _WHOLE.fullmatch(value):
            here = float(math.trunc(here))
    else:
        number = isinstance(found, (int, float)) and not isinstance(found, bool)
        here = float(found) if number else None
    return None if here is None or wanted is None else (here, wanted)


def _number(text: str) -> float | None:
    """Of a number, or of a time (ISO 8601, UTC where it does not say): epoch seconds."""
    try:
        number = float(text)
    except ValueError:
        return _time(text)
    return number if math.isfinite(number) else None


def _time(text: str) -> float | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


_ORDERS: dict[str, Callable[[float, float], bool]] = {
    "GreaterThan": lambda a, b: a > b,
    "GreaterThanOrEqualTo": lambda a, b: a >= b,
    "LessThan": lambda a, b: a < b,
    "LessThanOrEqualTo": lambda a, b: a <= b,
}
_TEXTS: dict[str, Callable[[Any, str, str], bool]] = {
    "Equals": _equal,
    "Contains": _contains,
    "In": _among,
}
OPERATORS: Sequence[str] = ("Exists", "NotExists", "NotEquals", *_TEXTS, *_ORDERS)
