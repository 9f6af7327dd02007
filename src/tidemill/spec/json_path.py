"""The JSONPath of batch transform's filters: ``$``, ``.name``, ``*``, names, indices and slices."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from tidemill.errors import Invalid, InvalidData

_NAME = r"'[^']*'|\"[^\"]*\""
_STEP = re.compile(
    r"\.(?P<dotted>[^.\[\]*\s'\"]+)"
    r"|(?P<all>\.\*|\[\s*\*\s*\])"
    rf"|\[\s*(?P<names>(?:{_NAME})(?:\s*,\s*(?:{_NAME}))*)\s*\]"
    r"|\[\s*(?P<slice>(?:-?\d+)?\s*:\s*(?:-?\d+)?)\s*\]"
    r"|\[\s*(?P<indices>-?\d+(?:\s*,\s*-?\d+)*)\s*\]"
)
Apply = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class _Step:
    """is_many: whether it gives a list of results, to each of which the next step is applied"""

    apply: Apply
    is_many: bool


@dataclass(frozen=True, slots=True)
class JsonPath:
    """``select`` gives what a path points to in a JSON value.

    One name or index gives the value itself, several indices, a slice and ``*`` a list, several
    names an object of these names. Slices end before their second number, as Python's do.
    """

    text: str
    steps: tuple[_Step, ...]

    @property
    def is_identity(self) -> bool:
        """Whether it selects everything."""
        return not self.steps

    def select(self, value: Any) -> Any:
        """What it points to; raises InvalidData when there is no such thing."""
        return _walk(self, value, 0)


def parse(text: str) -> JsonPath:
    """Read a path; raises Invalid.

    >>> parse("$[0,-1]").select([5, 6, 7])
    [5, 7]
    >>> parse("$[1:]").select([5, 6, 7])
    [6, 7]
    >>> parse("$['id','x']").select({"id": 1, "x": 2, "y": 3})
    {'id': 1, 'x': 2}
    >>> parse("$.a[*].b").select({"a": [{"b": 1}, {"b": 2}]})
    [1, 2]
    """
    if not text.startswith("$"):
        raise _wrong(text)
    steps, at = [], 1
    while at < len(text):
        match = _STEP.match(text, at)
        if match is None:
            raise _wrong(text)
        steps.append(_step(text, match))
        at = match.end()
    return JsonPath(text, tuple(steps))


def _step(path: str, match: re.Match[str]) -> _Step:
    if match["all"]:
        return _Step(partial(_all, path), True)
    if match["dotted"]:
        return _Step(partial(_member, path, match["dotted"]), False)
    if match["names"]:
        names = [name[1:-1] for name in re.findall(_NAME, match["names"])]
        if len(names) == 1:
            return _Step(partial(_member, path, names[0]), False)
        return _Step(partial(_members, path, names), False)
    if match["slice"]:
        ends = [int(end) if end.strip() else None for end in match["slice"].split(":")]
        return _Step(partial(_slice, path, slice(*ends)), True)
    indices = [int(index) for index in match["indices"].split(",")]
    if len(indices) == 1:
        return _Step(partial(_item, path, indices[0]), False)
    return _Step(partial(_items, path, indices), True)


def _walk(path: JsonPath, value: Any, at: int) -> Any:
    for number, step in enumerate(path.steps[at:], at + 1):
        value = step.apply(value)
        if step.is_many and number < len(path.steps):
            return [_walk(path, each, number) for each in value]
    return value


def _all(path: str, value: Any) -> list[Any]:
    return list(value.values()) if isinstance(value, dict) else list(_array(path, value))


def _member(path: str, name: str, value: Any) -> Any:
    if not isinstance(value, dict) or name not in value:
        raise _absent(path, f"an object with the name {name!r}", value)
    return value[name]


def _members(path: str, names: Sequence[str], value: Any) -> dict[str, Any]:
    return {name: _member(path, name, value) for name in names}


def _slice(path: str, ends: slice, value: Any) -> list[Any]:
    return list(_array(path, value)[ends])


def _item(path: str, index: int, value: Any) -> Any:
    array = _array(path, value)
    if not -len(array) <= index < len(array):
        raise _absent(path, f"an array with the index {index}", f"{len(array)} elements")
    return array[index]


def _items(path: str, indices: Sequence[int], value: Any) -> list[Any]:
    return [_item(path, index, value) for index in indices]


def _array(path: str, value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise _absent(path, "an array", value)
    return value


def _absent(path: str, wanted: str, got: object) -> InvalidData:
    do = "Correct the filter, or the records that lack it."
    return InvalidData(f"filter {path}: {wanted}", got=f"{got!r:.80}", do=do)


def _wrong(text: str) -> Invalid:
    return Invalid(
        "a JSONPath of $, .name, *, ['name', …], [index, …] and [from:to]",
        got=text,
        do="Write for instance $[1:] or $['features','id'].",
    )
