"""States and models as bytes: any frozen dataclass of plain data ↔ arrays and JSON, no pickle.

A value is taken apart into a dictionary of arrays and a skeleton of JSON that says where each
belongs. It is put together again from the declared types alone, so reading never runs code.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import types
import typing
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, Protocol, TypeVar, get_args, get_origin, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load as load_arrays
from safetensors.numpy import save as save_arrays

from tidemill.errors import InvalidData

T = TypeVar("T")
Arrays = dict[str, NDArray[Any]]
_DAMAGE = (
    SafetensorError, ValueError, LookupError, TypeError, AttributeError, RecursionError,
    OverflowError,
)  # fmt: skip
_INTEGERS = range(-(2**63), 2**64)
_ARRAY = "$array"
_MAPPING = "$mapping"


@runtime_checkable
class Checked(Protocol):
    """A dataclass that can tell whether its fields belong together.

    Bytes that claim to be one may hold anything: once they are put together, with every field of
    its declared type, ``check`` raises ValueError where lengths do not fit, or indices lead
    nowhere.
    """

    def check(self) -> None: ...


def to_bytes(value: Any) -> bytes:
    """One self-contained blob; equal values give equal bytes.

    >>> from tidemill.data.batch import Csr
    >>> rows = Csr(np.array([0, 1]), np.array([2]), np.array([5], np.float32), columns=3)
    >>> from_bytes(Csr, to_bytes(rows)).values
    array([5.], dtype=float32)
    """
    arrays: Arrays = {}
    skeleton = json.dumps(_take_apart(value, "", arrays), sort_keys=True)
    return save_arrays(arrays, {"skeleton": skeleton})


def from_bytes(kind: type[T], blob: bytes) -> T:
    """The value again; InvalidData when the blob is damaged or is of another type."""
    try:
        header = json.loads(blob[8 : 8 + int.from_bytes(blob[:8], "little")])
        skeleton = json.loads(header["__metadata__"]["skeleton"])
        value: T = _put_together(kind, skeleton, load_arrays(blob), "")
    except _DAMAGE as error:
        raise InvalidData(
            f"a saved {kind.__name__}", got=f"{type(error).__name__}: {error}", do="Save it again."
        ) from error
    return value


def digest(blob: bytes) -> str:
    """The SHA-256 that manifests carry."""
    return hashlib.sha256(blob).hexdigest()


def _take_apart(value: Any, path: str, arrays: Arrays) -> Any:
    if is_dataclass(value):
        return {
            f.name: _take_apart(getattr(value, f.name), f"{path}.{f.name}", arrays)
            for f in fields(value)
        }
    if isinstance(value, np.ndarray):
        while path in arrays:  # the keys of mappings may hold dots too
            path += "'"
        arrays[path] = np.ascontiguousarray(value).reshape(value.shape)
        return {_ARRAY: path}
    if isinstance(value, tuple | list):
        return [_take_apart(v, f"{path}.{i}", arrays) for i, v in enumerate(value)]
    if isinstance(value, Mapping):
        return {_MAPPING: {k: _take_apart(v, f"{path}.{k}", arrays) for k, v in value.items()}}
    return value.item() if isinstance(value, np.generic) else value


def _put_together(kind: Any, part: Any, arrays: Arrays, place: str) -> Any:
    """A value of a declared kind, or ValueError. place: which, for errors"""
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return _choose(inner, part, arrays, place)
    if origin is np.ndarray:
        return _array(inner[-1], part, arrays, place)
    if origin is tuple and isinstance(part, list):
        kinds = inner[:1] * len(part) if len(inner) == 2 and inner[1] is Ellipsis else inner
        pairs = enumerate(zip(kinds, part, strict=True))
        return tuple(_put_together(k, v, arrays, f"{place}.{at}") for at, (k, v) in pairs)
    if origin in (Mapping, dict) and isinstance(part, dict) and set(part) == {_MAPPING}:
        named = part[_MAPPING].items()
        return {k: _put_together(inner[1], v, arrays, f"{place}.{k}") for k, v in named}
    if is_dataclass(kind) and isinstance(kind, type) and isinstance(part, dict):
        return _whole(kind, part, arrays, place)
    return _scalar(kind, part, place)


def _whole(kind: type[Any], part: dict[str, Any], arrays: Arrays, place: str) -> Any:
    """A dataclass, which is asked itself whether its fields belong together."""
    hints = typing.get_type_hints(kind)
    if set(part) - set(hints):
        raise ValueError(f"{place or 'a value'} has fields {sorted(set(part) - set(hints))}")
    given = {n: _put_together(hints[n], v, arrays, f"{place}.{n}") for n, v in part.items()}
    value = kind(**given)
    if isinstance(value, Checked):
        value.check()
    return value


def _array(of: Any, part: Any, arrays: Arrays, place: str) -> NDArray[Any]:
    if not (isinstance(part, dict) and set(part) == {_ARRAY}):
        raise ValueError(f"{place} is no array")
    array, wanted = arrays[part[_ARRAY]], get_args(of)[0]
    if wanted is not Any and not np.issubdtype(array.dtype, wanted):
        raise ValueError(f"{place} is an array of {array.dtype}, not of {wanted.__name__}")
    return array


def _scalar(kind: Any, part: Any, place: str) -> Any:
    fits = {
        bool: isinstance(part, bool),
        int: type(part) is int and part in _INTEGERS,
        float: type(part) is float or (type(part) is int and part in _INTEGERS),
        str: isinstance(part, str),
    }
    if get_origin(kind) is typing.Literal:
        fits[kind] = part in get_args(kind)
    if not fits.get(kind, False):
        raise ValueError(f"{place or 'a value'} is {str(part)[:80]!r}, no {_name(kind)}")
    return part


def _choose(kinds: tuple[Any, ...], part: Any, arrays: Arrays, place: str) -> Any:
    """Of a union, the member that fits: None, the dataclass with these fields, the rest."""
    if part is None and type(None) in kinds:
        return None
    whole = [k for k in kinds if is_dataclass(k)]
    if isinstance(part, dict) and set(part) not in ({_ARRAY}, {_MAPPING}):
        plain = [k for k in whole if {f.name for f in fields(k)} == set(part)] or whole
    else:
        plain = [k for k in kinds if k is not type(None) and k not in whole]
    for kind in plain[:-1]:
        with contextlib.suppress(ValueError):
            return _put_together(kind, part, arrays, place)
    if not plain:
        raise ValueError(f"{place} is {str(part)[:80]!r}")
    return _put_together(plain[-1], part, arrays, place)


def _name(kind: Any) -> str:
    return str(getattr(kind, "__name__", kind))
