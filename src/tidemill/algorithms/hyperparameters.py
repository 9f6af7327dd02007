"""Hyperparameters: declared once as a frozen dataclass, read from text in one place."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, field, fields, replace
from typing import Any, Literal, TypeVar

from tidemill.errors import InvalidHyperparameter

MOST = 2**31 - 1
"""The largest whole number: what the service's own ranges end with, and 32 bits hold."""
Kind = Literal["int", "float", "bool", "choice", "list", "text"]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Range:
    """What a tuner may try: bounds of numbers (or the choices), and the scale to search on."""

    low: float
    high: float
    scaling: Literal["Auto", "Linear", "Logarithmic"] = "Auto"


@dataclass(frozen=True, slots=True)
class Rule:
    """What one hyperparameter accepts, and what it means.

    low, high: bounds; open_low, open_high: whether the bound itself is refused
    auto: whether the word ``auto`` is accepted (it becomes None; the algorithm resolves it)
    words: further words accepted beside a number (``balanced``)
    pattern: what a text must match as a whole · form: the same in words
    aliases: other names that it goes by
    """

    kind: Kind
    doc: str
    low: float | None = None
    high: float | None = None
    open_low: bool = False
    open_high: bool = False
    auto: bool = False
    choices: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    tunable: Range | tuple[str, ...] | None = None
    pattern: str = ""
    form: str = ""
    aliases: tuple[str, ...] = ()

    def bounds(self) -> str:
        """The accepted values, in words.

        >>> Rule("int", "clusters", low=1).bounds()
        'an integer of at least 1'
        """
        return _describe(self)


def hyperparameter(kind: Kind, doc: str, *, default: Any = MISSING, **rule: Any) -> Any:
    """A dataclass field that carries its rule; without a default it is required."""
    metadata = {"rule": Rule(kind, doc, **rule)}
    return (
        field(metadata=metadata)
        if default is MISSING
        else field(default=default, metadata=metadata)
    )


def rule_of(item: Field[Any]) -> Rule:
    """The rule a field was declared with."""
    rule: Rule = item.metadata["rule"]
    return rule


def default_in_words(item: Field[Any]) -> str:
    """What holds when it is not given: ``required``, ``auto`` or the value."""
    if item.default is MISSING:
        return "required"
    if item.default is None:
        return "auto" if rule_of(item).auto else "none"
    return json.dumps(item.default) if isinstance(item.default, bool | tuple) else str(item.default)


def read(
    declared: type[T], given: Mapping[str, str], *, algorithm: str, ignored: tuple[str, ...] = ()
) -> T:
    """Make the dataclass from the wire's strings.

    Names that start with ``_`` and those in ``ignored`` are passed over, as SageMaker's own
    containers do. Raises InvalidHyperparameter that names the hyperparameter, its bound and value.
    """
    known = {f.name: f for f in fields(declared)}  # type: ignore[arg-type]
    aliases = {alias: name for name, f in known.items() for alias in rule_of(f).aliases}
    values: dict[str, Any] = {}
    for name, text in given.items():
        field_name = aliases.get(name, name)
        if field_name == name and (name.startswith("_") or name in ignored):
            continue
        if field_name not in known:
            raise _unknown(algorithm, name, [*known, *aliases])
        if field_name in values:
            raise _twice(algorithm, name, field_name)
        rule = rule_of(known[field_name])
        values[field_name] = check(algorithm, name, rule, parse(algorithm, name, rule, text))
    for name, item in known.items():
        if name not in values and item.default is MISSING:
            raise InvalidHyperparameter(
                f"{algorithm}: {name} is required and must be {rule_of(item).bounds()}",
                got=None,
                do=f"Add {name!r} to HyperParameters.",
            )
    return declared(**values)


def parse(algorithm: str, name: str, rule: Rule, text: str) -> Any:
    """One value from its text (``"10"``, ``"True"``, ``'["msd"]'``, ``auto``)."""
    text = text.strip() if isinstance(text, str) else str(text)
    if rule.auto and text.lower() == "auto":
        return None
    if text in rule.words:
        return text
    try:
        return _PARSERS[rule.kind](text)
    except (ValueError, KeyError, OverflowError, RecursionError):
        raise _out(algorithm, name, rule, text) from None


def check(algorithm: str, name: str, rule: Rule, value: Any) -> Any:
    """The value itself if the rule accepts it."""
    if value is None or (isinstance(value, str) and value in rule.words):
        return value
    if rule.kind == "choice" and value not in rule.choices:
        raise _out(algorithm, name, rule, value)
    if rule.kind == "list" and rule.choices and not set(value) <= set(rule.choices):
        raise _out(algorithm, name, rule, value)
    if rule.kind == "int" and rule.high is None:
        rule = replace(rule, high=MOST) if value > MOST else rule
    if rule.kind in ("int", "float") and not _within(rule, value):
        raise _out(algorithm, name, rule, value)
    if rule.kind == "text" and not re.fullmatch(rule.pattern, value):
        raise _out(algorithm, name, rule, value)
    return value


def _within(rule: Rule, value: float) -> bool:
    if value != value or value in (float("inf"), float("-inf")):
        return False
    low_fails = rule.low is not None and (value < rule.low or (rule.open_low and value == rule.low))
    high_fails = rule.high is not None and (
        value > rule.high or (rule.open_high and value == rule.high)
    )
    return not (low_fails or high_fails)


def _number(text: str) -> float:
    if "_" in text or not text.isascii():  # which Python takes, and nobody means
        raise ValueError(text)
    return float(text)


def _integer(text: str) -> int:
    number = _number(text)
    if number != int(number):
        raise ValueError(text)
    return int(text) if text.lstrip("+-").isdigit() else int(number)


def _list(text: str) -> tuple[str, ...]:
    value = json.loads(text)
    if not isinstance(value, list):
        raise ValueError(text)
    return tuple(str(v) for v in value)


_PARSERS: dict[Kind, Any] = {
    "int": _integer,
    "float": _number,
    "bool": lambda text: {"true": True, "false": False, "1": True, "0": False}[text.lower()],
    "choice": str,
    "list": _list,
    "text": str,
}


def _describe(rule: Rule) -> str:
    also = [*(["'auto'"] if rule.auto else []), *(repr(w) for w in rule.words)]
    if rule.kind == "choice":
        main = "one of " + ", ".join(rule.choices)
    elif rule.kind == "list":
        main = "a JSON list" + (" of " + ", ".join(rule.choices) if rule.choices else "")
    elif rule.kind == "bool":
        main = "true or false"
    elif rule.kind == "text":
        main = rule.form
    else:
        main = ("an integer" if rule.kind == "int" else "a number") + _interval(rule)
    return " or ".join([main, *also])


def _interval(rule: Rule) -> str:
    low = (
        None
        if rule.low is None
        else f"{'above' if rule.open_low else 'of at least'} {rule.low:.10g}"
    )
    high = (
        None
        if rule.high is None
        else f"{'below' if rule.open_high else 'at most'} {rule.high:.10g}"
    )
    return "".join(f" {part}" for part in [" and ".join(p for p in (low, high) if p)] if part)


def _out(algorithm: str, name: str, rule: Rule, got: object) -> InvalidHyperparameter:
    return InvalidHyperparameter(
        f"{algorithm}: {name} must be {rule.bounds()}",
        got=json.dumps(got) if isinstance(got, tuple) else got,
        do=f"Change {name!r} in HyperParameters.",
    )


def _twice(algorithm: str, name: str, same: str) -> InvalidHyperparameter:
    return InvalidHyperparameter(
        f"{algorithm}: {name} and {same} are one hyperparameter, to be given once",
        got="both",
        do=f"Leave out {name!r} or the other name.",
    )


def _unknown(algorithm: str, name: str, known: Sequence[str]) -> InvalidHyperparameter:
    near = difflib.get_close_matches(name, known, 1)
    hint = f"Did you mean {near[0]!r}?" if near else f"Known are: {', '.join(sorted(known))}."
    return InvalidHyperparameter(f"{algorithm}: no hyperparameter has this name", got=name, do=hint)
