"""Requests that are nearly lawful: values at the bounds of the model, and ill-meant ones."""

from __future__ import annotations

import random
from functools import cache
from typing import Any

from tidemill.gateway.wire.model import Shape
from tidemill.gateway.wire.patterns import compiled

ILL = (
    "",
    " ",
    ".",
    "..",
    "../../../../etc/passwd",
    "..%2f..%2fetc%2fpasswd",
    "%00",
    "\x00",
    "a\r\nSet-Cookie: x=1",
    "'; DROP TABLE rows; --",
    "${jndi:ldap://x/a}",
    "{{7*7}}",
    "%s%s%n",
    "<!DOCTYPE x [<!ENTITY e SYSTEM 'file:///etc/passwd'>]>",
    "\u202e\ufeff\ud7ff\U0001f9ff",
    "a" * 300,
    "x" * 70_000,
    "(a+)+$" * 20,
    "file:///etc/passwd",
    "s3://attacked/../../x",
    "s3://" + "a" * 2000,
    "-1",
    "1e999",
    "NaN",
)
PLAUSIBLE = (
    "attacked",
    "attacked-2",
    "a",
    "1",
    "s3://attacked/key",
    "https://s3.us-east-1.amazonaws.com/attacked/key",
    "arn:aws:iam::123456789012:role/attacker",
    "arn:aws:sagemaker:us-east-1:123456789012:model/attacked",
    "arn:aws:sagemaker:us-east-1:123456789012:../attacked",
    "123456789012.dkr.ecr.us-east-1.amazonaws.com/attacked:1",
    "382416733822.dkr.ecr.us-east-1.amazonaws.com/kmeans:1",
    "ml.m5.large",
    "sg-0",
    "2026-01-01T00:00:00Z",
    "PT1H",
    "cron(* * * * ? *)",
    "text/csv",
    "a@b.c",
)
NUMBERS = (0, 1, -1, 2, 7, 60, 3600, 2**31 - 1, 2**31, -(2**31), 2**63 - 1, 2**63, 0.5, 1e300)
OTHERS: tuple[Any, ...] = (None, [], {}, [[]], {"": {}}, True, 0, "x", [None], {"a": None})
DEEPEST = 7


def document(shape: Shape, source: random.Random) -> Any:
    """A request of this shape."""
    return _structure(shape, source, 0)


def _value(shape: Shape, source: random.Random, depth: int) -> Any:
    if source.random() < 0.04:
        return source.choice(OTHERS)
    if shape.kind == "structure":
        return _structure(shape, source, depth + 1)
    if shape.kind == "list":
        assert shape.element is not None
        return [_value(shape.element, source, depth + 1) for _ in range(_size(shape, source))]
    if shape.kind == "map":
        assert shape.key is not None
        assert shape.value is not None
        return {
            _text(shape.key, source): _value(shape.value, source, depth + 1)
            for _ in range(_size(shape, source))
        }
    if shape.kind in ("string", "blob"):
        return _text(shape, source)
    if shape.kind == "boolean":
        return source.random() < 0.5
    return _number(shape, source)


def _structure(shape: Shape, source: random.Random, depth: int) -> Any:
    likely = 0.35 / (depth + 1)
    wanted = [n for n in shape.members if n in shape.required or source.random() < likely]
    if shape.union and shape.members:
        wanted = [source.choice(list(shape.members))]
    if depth > DEEPEST:
        wanted = []
    return {name: _value(shape.members[name], source, depth) for name in wanted}


def _size(shape: Shape, source: random.Random) -> int:
    low, high = int(shape.low or 0), int(shape.high if shape.high is not None else 3)
    return source.choice((low, min(low + 1, high), min(high, low + 3)))


def _number(shape: Shape, source: random.Random) -> Any:
    bounds = [b for b in (shape.low, shape.high) if b is not None]
    lawful = [n for n in (*bounds, *NUMBERS) if _within(n, shape)]
    return source.choice(lawful if lawful and source.random() < 0.8 else NUMBERS)


def _within(number: float, shape: Shape) -> bool:
    low, high = shape.low, shape.high
    whole = shape.kind in ("float", "double", "timestamp") or number == int(number)
    return whole and (low is None or number >= low) and (high is None or number <= high)


def _text(shape: Shape, source: random.Random) -> str:
    if shape.enum and source.random() < 0.9:
        return source.choice(shape.enum)
    lawful = _lawful(shape.pattern, shape.low, shape.high)
    return source.choice(lawful if lawful and source.random() < 0.85 else ILL)


@cache
def _lawful(pattern: str, low: float | None, high: float | None) -> tuple[str, ...]:
    fits = [
        text
        for text in (*ILL, *PLAUSIBLE, "a" * int(low or 1))
        if len(text) >= (low or 0) and len(text) <= (high if high is not None else 100_000)
    ]
    if pattern:
        fits = [text for text in fits if len(text) < 2000 and compiled(pattern).fullmatch(text)]
    return tuple(fits)
