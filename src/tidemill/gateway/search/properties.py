"""Properties of what is searched: from a name with dots to the values that a record has there.

Names are looked up as written, else without regard to case, as AWS does; the keys of maps may hold
dots themselves. A property of a list is one of any of its elements.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tidemill.gateway.wire.model import Shape

Record = Mapping[str, Any]
FREE = ("Tags", "Metrics")
"""Whose keys are free: on the wire they are lists of pairs, but searched they are maps."""
_LONE = ("NumberValue", "StringValue", "Last", "Value")
_DEEPEST = 20


def values(record: Any, name: str) -> Iterator[Any]:
    """All values under a name, none of them None.

    >>> record = {"Parents": [{"TrialName": "a"}, {"TrialName": "b"}], "Tags": {"x.y": "1"}}
    >>> list(values(record, "Parents.TrialName")), list(values(record, "tags.x.y"))
    (['a', 'b'], ['1'])
    """
    yield from _walk(record, name.split(".")[:_DEEPEST])


def objects(record: Record, name: str) -> Iterator[Record]:
    """The elements of the lists, or the structures, under a name."""
    found: list[Any] = [record]
    for part in name.split(".")[:_DEEPEST]:
        found = [child for node in found for child in _children(node, part)]
    for node in found:
        yield from (one for one in (node if isinstance(node, list) else [node]) if _is_map(one))


def has(shape: Shape, name: str) -> bool:
    """Whether a record of this shape can have a property of that name."""
    parts = name.split(".")
    if _same(parts[0], FREE) is not None:
        return len(parts) > 1
    return _fits(shape, parts)


def _fits(shape: Shape | None, parts: list[str]) -> bool:
    if shape is None:
        return False
    if not parts:
        return True
    if shape.kind == "structure":
        known = _same(parts[0], tuple(shape.members))
        return known is not None and _fits(shape.members[known], parts[1:])
    if shape.kind == "list":
        return _fits(shape.element, parts)
    return shape.kind == "map"


def _walk(node: Any, parts: list[str]) -> Iterator[Any]:
    if isinstance(node, list):
        for one in node:
            yield from _walk(one, parts)
    elif not parts:
        yield from _leaf(node)
    elif _is_map(node):
        for count in range(1, len(parts) + 1):
            for child in _children(node, ".".join(parts[:count])):
                yield from _walk(child, parts[count:])


def _leaf(node: Any) -> Iterator[Any]:
    if _is_map(node):
        yield from (node[name] for name in _LONE if node.get(name) is not None)
        if not any(name in node for name in _LONE):
            yield True  # it is there, which is all that can be said of a structure
    elif node is not None:
        yield node


def _children(node: Any, name: str) -> Iterator[Any]:
    if isinstance(node, list):
        for one in node:
            yield from _children(one, name)
    elif _is_map(node):
        known = name if name in node else _same(name, tuple(node))
        if known is not None and node[known] is not None:
            yield node[known]


def _same(name: str, known: tuple[str, ...]) -> str | None:
    """Which of the known names this is."""
    if name in known:
        return name
    folded = name.casefold()
    return next((one for one in known if one.casefold() == folded), None)


def _is_map(node: Any) -> bool:
    return isinstance(node, Mapping)
