"""The law of hyperparameters: a bad one names itself, its bound and its value."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, fields
from typing import Any

from tidemill.algorithms.base import Declaration
from tidemill.algorithms.hyperparameters import Rule, read, rule_of
from tidemill.errors import InvalidHyperparameter


def check_bad_hyperparameters_name_themselves(
    declared: Declaration, valid: Mapping[str, str]
) -> None:
    """Try, for every hyperparameter, what its rule must refuse; ``valid`` is a set that works."""
    read(declared.hyperparameters, valid, algorithm=declared.name)
    for item in fields(declared.hyperparameters):
        rule = rule_of(item)
        assert rule.doc, f"{item.name} has no documentation"
        for text in refused(rule):
            message = refusal(declared, {**valid, item.name: text})
            for part in (declared.name, item.name, rule.bounds(), text):
                assert part in message, f"{item.name}={text!r}: no {part!r} in {message!r}"
        if item.default is MISSING:
            without = {k: v for k, v in valid.items() if k != item.name}
            assert item.name in refusal(declared, without)


def check_unknown_hyperparameters_are_told_of(
    declared: Declaration, valid: Mapping[str, str]
) -> None:
    """A misspelt name is answered with the right one; hidden ones (``_…``) are passed over."""
    for item in fields(declared.hyperparameters):
        assert item.name in refusal(declared, {**valid, item.name + "z": "1"})
    assert "no_such_thing_at_all" in refusal(declared, {**valid, "no_such_thing_at_all": "1"})
    read(declared.hyperparameters, {**valid, "_kvstore": "auto"}, algorithm=declared.name)


def check_the_documented_words_and_bounds_are_accepted(
    declared: Declaration, valid: Mapping[str, str]
) -> None:
    """Defaults, ``auto``, every choice and every closed bound."""
    for item in fields(declared.hyperparameters):
        for text in accepted(rule_of(item)):
            read(declared.hyperparameters, {**valid, item.name: text}, algorithm=declared.name)


def refused(rule: Rule) -> Iterator[str]:
    """Texts that a rule must not let pass: mistyped, below, above, not among the choices."""
    if rule.kind in ("int", "float"):
        yield from ("many", "nan", "inf", "")
        yield from _beyond(rule)
    elif rule.kind == "list":
        yield from ("[", "word", json.dumps(["nothing-such"]) if rule.choices else "{}")
    else:
        yield "nothing-such"
    if rule.kind == "int":
        yield "1.5"
    if not rule.auto and rule.kind in ("int", "float", "bool"):
        yield "auto"


def accepted(rule: Rule) -> Iterator[str]:
    """Texts that a rule must let pass."""
    yield from (rule.choices if rule.kind == "choice" else ())
    yield from rule.words
    if rule.auto:
        yield "auto"
    if rule.low is not None and not rule.open_low:
        yield _text(rule.low)
    if rule.high is not None and not rule.open_high:
        yield _text(rule.high)


def refusal(declared: Declaration, given: Mapping[str, str]) -> str:
    """What is said to these hyperparameters; AssertionError when they are accepted."""
    try:
        values: Any = read(declared.hyperparameters, given, algorithm=declared.name)
    except InvalidHyperparameter as error:
        return str(error)
    raise AssertionError(f"{given} was accepted as {values}")


def _beyond(rule: Rule) -> Iterator[str]:
    if rule.low is not None:
        yield _text(rule.low if rule.open_low else rule.low - 1)
    if rule.high is not None:
        yield _text(rule.high if rule.open_high else rule.high + 1)


def _text(number: float) -> str:
    return str(int(number)) if number == int(number) else str(number)
