"""The binary JSON that the xgboost library writes (UBJSON), read with care: nothing but what it
writes, and every length against the bytes that there are."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np

_NUMBERS: dict[str, np.dtype[Any]] = {
    "i": np.dtype("i1"),
    "U": np.dtype("u1"),
    "I": np.dtype(">i2"),
    "l": np.dtype(">i4"),
    "L": np.dtype(">i8"),
    "d": np.dtype(">f4"),
    "D": np.dtype(">f8"),
}
_FORMS = {
    code: struct.Struct(">" + form)
    for code, form in zip(_NUMBERS, ("b", "B", "h", "i", "q", "f", "d"), strict=True)
}
_WORDS = {"T": True, "F": False, "Z": None}
_DEEPEST = 32


def decode(blob: bytes) -> Any:
    """The value: objects as dictionaries, typed arrays as NumPy's. Raises ValueError.

    >>> decode(b"{L" + bytes(7) + b"\\x01a[$U#i\\x02\\x07\\x08}")
    {'a': array([7, 8], dtype=uint8)}
    """
    reader = _Reader(blob)
    value = reader.value(reader.code(), 0)
    if reader.at != len(blob):
        raise ValueError(f"{len(blob) - reader.at} bytes after the end")
    return value


class _Reader:
    def __init__(self, blob: bytes) -> None:
        self._blob, self.at = blob, 0

    def code(self) -> str:
        return chr(self._taken(1)[0])

    def value(self, code: str, depth: int) -> Any:
        if depth > _DEEPEST:
            raise ValueError(f"values more than {_DEEPEST} deep")
        if code in _FORMS:
            form = _FORMS[code]
            return form.unpack(self._taken(form.size))[0]
        if code in _WORDS:
            return _WORDS[code]
        if code == "S":
            return self._text()
        if code == "{":
            return self._object(depth)
        if code == "[":
            return self._array(depth)
        raise ValueError(f"{code!r} at byte {self.at - 1}")

    def _object(self, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while self._blob[self.at : self.at + 1] != b"}":
            name = self._text()
            if name in found:
                raise ValueError(f"{name!r} twice")
            found[name] = self.value(self.code(), depth + 1)
        self.at += 1
        return found

    def _array(self, depth: int) -> Any:
        code = self.code()
        kind = None
        if code == "$":
            kind, code = _NUMBERS.get(self.code()), self.code()
            if kind is None:
                raise ValueError(f"an array of an unknown type before byte {self.at}")
        if code != "#":
            raise ValueError(f"an array without a length before byte {self.at}")
        count = self._length()
        if kind is None:
            return [self.value(self.code(), depth + 1) for _ in range(count)]
        return np.frombuffer(self._taken(count * kind.itemsize), kind).astype(
            kind.newbyteorder("=")
        )

    def _text(self) -> str:
        return self._taken(self._length()).decode()

    def _length(self) -> int:
        code = self.code()
        if code not in "iUIlL":
            raise ValueError(f"a length of type {code!r}")
        form = _FORMS[code]
        length: int = form.unpack(self._taken(form.size))[0]
        if not 0 <= length <= len(self._blob) - self.at:
            raise ValueError(f"a length of {length} at byte {self.at}")
        return length

    def _taken(self, count: int) -> bytes:
        if count > len(self._blob) - self.at:
            raise ValueError("an end too soon")
        self.at += count
        return self._blob[self.at - count : self.at]
