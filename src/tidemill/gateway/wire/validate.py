"""Does a request keep the bounds of the service model? Every violation, in AWS's words."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from tidemill.gateway.wire.errors import VALIDATION, Fault
from tidemill.gateway.wire.json import path
from tidemill.gateway.wire.model import Shape
from tidemill.gateway.wire.patterns import compiled

_MOST_REPORTED = 10
_MOST_SHOWN = 1024
# No text is matched against a pattern beyond this: a bound of our own where the model has none.
_LONGEST_MATCHED = 65_536

Violation = tuple[str, str, str]
"""Value as shown, path, constraint."""


def check(request: dict[str, Any], shape: Shape | None, code: str = VALIDATION) -> None:
    """Raise an error of this code that names every value out of bounds, up to ten."""
    if shape is None:
        return
    found: list[Violation] = []
    for violation in _structure(request, shape, ""):
        found.append(violation)
        if len(found) == _MOST_REPORTED:
            break
    if found:
        raise Fault(code, _said(found))


def _said(found: list[Violation]) -> str:
    many = "s" if len(found) > 1 else ""
    said = "; ".join(
        f"Value {value} at '{at}' failed to satisfy constraint: {constraint}"
        for value, at, constraint in found
    )
    return f"{len(found)} validation error{many} detected: {said}"


def _value(value: Any, shape: Shape, at: str) -> Iterator[Violation]:
    if value is None:
        yield "null", at, "Member must not be null"
        return
    yield from _CHECKS.get(shape.kind, _nothing)(value, shape, at)


def _nothing(value: Any, shape: Shape, at: str) -> Iterator[Violation]:
    return iter(())


def _structure(value: dict[str, Any], shape: Shape, at: str) -> Iterator[Violation]:
    for name in shape.required:
        if name not in value:
            yield "null", path(at, name), "Member must not be null"
    if shape.union and len(value) != 1:
        yield _shown(value), at, "Exactly one member of " + _either(shape) + " must be set"
    for name, given in value.items():
        yield from _value(given, shape.members[name], path(at, name))


def _either(shape: Shape) -> str:
    return "[" + ", ".join(path("", name) for name in shape.members) + "]"


def _list(value: list[Any], shape: Shape, at: str) -> Iterator[Violation]:
    yield from _size(value, shape, at)
    inner = shape.element
    assert inner is not None
    if inner.kind in ("structure", "list", "map") or None in value:
        for number, given in enumerate(value, 1):
            yield from _value(given, inner, f"{at}.{number}.member")
        return
    wrong = [given for given in value if any(_value(given, inner, at))]
    if wrong:
        yield _shown(wrong), at, f"Member must satisfy constraint: {_all_of(inner)}"


def _map(value: dict[str, Any], shape: Shape, at: str) -> Iterator[Violation]:
    yield from _size(value, shape, at)
    key, inner = shape.key, shape.value
    assert key is not None
    assert inner is not None
    wrong = {name: given for name, given in value.items() if any(_value(name, key, at))}
    if wrong:
        yield _shown(wrong), at, f"Map keys must satisfy constraint: {_all_of(key)}"
    if inner.kind in ("structure", "list", "map") or None in value.values():
        for name, given in value.items():
            yield from _value(given, inner, f"{at}.{name}.member")
        return
    wrong = {name: given for name, given in value.items() if any(_value(given, inner, at))}
    if wrong:
        yield _shown(wrong), at, f"Map value must satisfy constraint: {_all_of(inner)}"


def _string(value: str, shape: Shape, at: str) -> Iterator[Violation]:
    if shape.enum:
        if value not in shape.enum:
            yield _shown(value), at, _enum(shape)
        return
    length = list(_size(value, shape, at))
    yield from length
    # Only text of a lawful length is matched, so that matching takes a bounded time.
    if shape.pattern and not length and not _matches(value, shape.pattern):
        yield _shown(value), at, _pattern(shape)


def _matches(value: str, pattern: str) -> bool:
    return len(value) <= _LONGEST_MATCHED and compiled(pattern).fullmatch(value) is not None


def _number(value: float, shape: Shape, at: str) -> Iterator[Violation]:
    if shape.high is not None and value > shape.high:
        yield _shown(value), at, f"Member must have value less than or equal to {shape.high}"
    if shape.low is not None and value < shape.low:
        yield _shown(value), at, f"Member must have value greater than or equal to {shape.low}"


def _size(value: Any, shape: Shape, at: str) -> Iterator[Violation]:
    if shape.high is not None and len(value) > shape.high:
        yield _shown(value), at, _longest(shape.high)
    if shape.low is not None and len(value) < shape.low:
        yield _shown(value), at, _shortest(shape.low)


def _longest(high: float) -> str:
    return f"Member must have length less than or equal to {high}"


def _shortest(low: float) -> str:
    return f"Member must have length greater than or equal to {low}"


def _enum(shape: Shape) -> str:
    return f"Member must satisfy enum value set: [{', '.join(shape.enum)}]"


def _pattern(shape: Shape) -> str:
    return f"Member must satisfy regular expression pattern: {shape.pattern}"


def _all_of(shape: Shape) -> str:
    """Of scalars in lists and maps AWS lists every constraint, not the one that was broken."""
    if shape.enum:
        return f"[{_enum(shape)}]"
    said = [_longest(shape.high)] if shape.high is not None else []
    said += [_shortest(shape.low)] if shape.low is not None else []
    said += [_pattern(shape)] if shape.pattern else []
    return f"[{', '.join(said)}]"


def _shown(value: Any) -> str:
    """As AWS prints it, which is as Java does: text bare, lists and maps with their members."""
    text = _bare(value)
    return f"'{text[:_MOST_SHOWN]}…'" if len(text) > _MOST_SHOWN else f"'{text}'"


def _bare(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return "[" + ", ".join(_bare(v) for v in value[:100]) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{n}={_bare(v)}" for n, v in list(value.items())[:100]) + "}"
    return str(value)


_CHECKS: dict[str, Callable[[Any, Shape, str], Iterator[Violation]]] = {
    "structure": _structure,
    "list": _list,
    "map": _map,
    "string": _string,
    "integer": _number,
    "long": _number,
    "float": _number,
    "double": _number,
}
