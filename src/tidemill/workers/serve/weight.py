"""What a model takes of memory: its arrays' bytes, and those of all else that it holds."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType

import numpy as np

_AROUND = 4096
"""Bytes of what stands about every model: who answers by it, and where it is noted."""
_SHARED = (type, ModuleType, FunctionType, BuiltinFunctionType, MethodType)


def weigh(model: object) -> int:
    """Bytes of memory; each array counts once, however often it is held.

    Memory of foreign libraries is seen where the object that holds it tells by ``__sizeof__``.

    >>> weigh({"centres": np.zeros((1000, 8))}) // 1000
    68
    """
    return _AROUND + sum(_sizes(model))


def _sizes(model: object) -> Iterator[int]:
    seen: set[int] = set()
    todo: list[object] = [model]
    while todo:
        one = todo.pop()
        if one is None or isinstance(one, _SHARED) or id(one) in seen:
            continue
        seen.add(id(one))
        yield sys.getsizeof(one)
        todo += _parts(one)


def _parts(one: object) -> Iterable[object]:
    if isinstance(one, np.ndarray):  # a view is as large as what it looks into
        return [one.base]
    if isinstance(one, memoryview):
        return [one.obj]
    if isinstance(one, Mapping):
        return [*one.keys(), *one.values()]
    if isinstance(one, (list, tuple, set, frozenset)):
        return one
    slots = [name for kind in type(one).__mro__ for name in _slots(kind)]
    held = [getattr(one, name, None) for name in slots]
    return [*held, *getattr(one, "__dict__", {}).values()]


def _slots(kind: type) -> Iterable[str]:
    named = kind.__dict__.get("__slots__", ())
    return [named] if isinstance(named, str) else named
