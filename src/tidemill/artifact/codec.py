"""States and models as bytes: any frozen dataclass of plain data ↔ arrays and JSON, no pickle.

A value is taken apart into a dictionary of arrays and a skeleton of JSON that says where each
belongs. It is put together again from the declared types alone, so reading never runs code.
"""

from __future__ import annotations

import hashlib
import json
import types
import typing
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar, get_args, get_origin

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load as load_arrays
from safetensors.numpy import save as save_arrays

from tidemill.errors import InvalidData

T = TypeVar("T")
Arrays = dict[str, NDArray[Any]]
_DAMAGE = (SafetensorError, ValueError, KeyError, TypeError, AttributeError, RecursionError)
_ARRAY = "$array"
_MAPPING = "$mapping"


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
        value: T = _put_together(kind, skeleton, load_arrays(blob))
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


def _put_together(kind: Any, part: Any, arrays: Arrays) -> Any:
    if isinstance(part, dict) and set(part) == {_ARRAY}:
        return arrays[part[_ARRAY]]
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return _choose(inner, part, arrays)
    if isinstance(part, dict) and set(part) == {_MAPPING}:
        of = inner[1] if len(inner) == 2 else Any
        return {k: _put_together(of, v, arrays) for k, v in part[_MAPPING].items()}
    if is_dataclass(kind) and isinstance(kind, type):
        hints = typing.get_type_hints(kind)
        return kind(**{name: _put_together(hints[name], v, arrays) for name, v in part.items()})
    if origin is tuple:
        kinds = inner[:1] * len(part) if len(inner) == 2 and inner[1] is Ellipsis else inner
        return tuple(_put_together(k, v, arrays) for k, v in zip(kinds, part, strict=True))
    return part


def _choose(kinds: tuple[Any, ...], part: Any, arrays: Arrays) -> Any:
    """Of a union, the member that fits: None, the dataclass with these fields, the rest."""
    if part is None:
        return None
    for kind in kinds:
        if (
            is_dataclass(kind)
            and isinstance(part, dict)
            and {f.name for f in fields(kind)} == set(part)
        ):
            return _put_together(kind, part, arrays)
    plain = [k for k in kinds if k is not type(None) and not is_dataclass(k)]
    return _put_together(plain[0], part, arrays) if len(plain) == 1 else part
