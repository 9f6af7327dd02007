"""Conditions of policies: what must hold of a request beside who asks for what.

The operators that policies for SageMaker and S3 use; a policy with any other is refused when it is
written, never passed over.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from tidemill.auth.wildcard import matches

Context = Mapping[str, str]
"""Of a request: key, in lower case → value."""


@dataclass(frozen=True, slots=True)
class Condition:
    """operator: without ``IfExists`` · key: in lower case · if_there: holds where there is none"""

    operator: str
    key: str
    values: tuple[str, ...]
    if_there: bool = False

    def holds(self, context: Context, fill: Callable[[str], str | None]) -> bool:
        """fill: puts the request's values into the variables of a text, None where one has none."""
        given = context.get(self.key)
        if self.operator == "Null":
            return any((value.lower() == "true") == (given is None) for value in self.values)
        negated = self.operator in NEGATED
        if given is None:
            return negated or self.if_there
        test = OPERATORS[NEGATED.get(self.operator, self.operator)]
        filled = [text for value in self.values if (text := fill(value)) is not None]
        return any(test(wanted, given) for wanted in filled) is not negated


def _same_text(wanted: str, given: str) -> bool:
    return wanted == given


def _same_but_for_case(wanted: str, given: str) -> bool:
    return wanted.lower() == given.lower()


def _same_arn(wanted: str, given: str) -> bool:
    """Part by part, so that no wildcard reaches over a colon of the first five."""
    ours, theirs = wanted.split(":", 5), given.split(":", 5)
    return len(ours) == len(theirs) == 6 and all(map(matches, ours, theirs))


def _number(test: Callable[[float, float], bool]) -> Callable[[str, str], bool]:
    def compare(wanted: str, given: str) -> bool:
        with suppress(ValueError):
            return test(float(given), float(wanted))
        return False

    return compare


def _moment(test: Callable[[float, float], bool]) -> Callable[[str, str], bool]:
    def compare(wanted: str, given: str) -> bool:
        with suppress(ValueError, OverflowError):
            return test(_seconds(given), _seconds(wanted))
        return False

    return compare


def _seconds(text: str) -> float:
    with suppress(ValueError):
        return float(text)
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


_COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {
    "Equals": lambda given, wanted: given == wanted,
    "LessThan": lambda given, wanted: given < wanted,
    "LessThanEquals": lambda given, wanted: given <= wanted,
    "GreaterThan": lambda given, wanted: given > wanted,
    "GreaterThanEquals": lambda given, wanted: given >= wanted,
}
OPERATORS: Mapping[str, Callable[[str, str], bool]] = {
    "StringEquals": _same_text,
    "StringEqualsIgnoreCase": _same_but_for_case,
    "StringLike": matches,
    "ArnEquals": _same_arn,
    "ArnLike": _same_arn,
    "Bool": _same_but_for_case,
    **{f"Numeric{name}": _number(test) for name, test in _COMPARISONS.items()},
    **{f"Date{name}": _moment(test) for name, test in _COMPARISONS.items()},
}
NEGATED: Mapping[str, str] = {
    "StringNotEquals": "StringEquals",
    "StringNotEqualsIgnoreCase": "StringEqualsIgnoreCase",
    "StringNotLike": "StringLike",
    "ArnNotEquals": "ArnEquals",
    "ArnNotLike": "ArnLike",
    "NumericNotEquals": "NumericEquals",
    "DateNotEquals": "DateEquals",
}
KNOWN = frozenset({*OPERATORS, *NEGATED, "Null"})
