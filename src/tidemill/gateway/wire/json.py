"""AWS's JSON protocols: bytes → a request of the right types, an answer → bytes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import orjson

from tidemill.gateway.wire.errors import Fault
from tidemill.gateway.wire.model import Shape

_BIGGEST = {"integer": 2**31, "long": 2**63}
# Steps of a path. Some shapes hold themselves, and a thread's stack is not the place to find out;
# the deepest request that AWS describes takes some twenty.
_DEEPEST = 120
_TOKENS = {str: "STRING", int: "NUMBER", float: "NUMBER", bool: "BOOLEAN"}


def parse(body: bytes, shape: Shape | None) -> dict[str, Any]:
    """The request as its shape says: unknown members and nulls left out, times as epoch seconds.

    Raises a SerializationException for text that is not JSON and for values of the wrong type.
    """
    try:
        document = orjson.loads(body) if body.strip() else {}
    except orjson.JSONDecodeError as error:
        raise _bad(f"The request body is not valid JSON: {error}") from None
    except RecursionError:
        raise _bad("The request body is nested too deeply") from None
    if not isinstance(document, dict):
        raise _bad("Unexpected content: the request body must be a JSON object")
    return _structure(document, shape, "") if shape is not None else {}


def dump(answer: Mapping[str, Any] | None) -> bytes:
    """The body of an answer; nothing at all when there is nothing to say."""
    return orjson.dumps(answer) if answer is not None else b""


def path(parent: str, member: str) -> str:
    """AWS names members in lowerCamelCase: ``inputDataConfig.1.member.channelName``."""
    name = member[:1].lower() + member[1:]
    return f"{parent}.{name}" if parent else name


def _bad(message: str) -> Fault:
    return Fault("SerializationException", message)


def _value(value: Any, shape: Shape, at: str) -> Any:
    if at.count(".") > _DEEPEST:
        raise _bad("The request is nested too deeply to be read")
    return _READERS[shape.kind](value, shape, at)


def _structure(value: Any, shape: Shape, at: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _unexpected(value, "structure or map", at)
    return {
        name: _value(given, member, path(at, name))
        for name, given in value.items()
        if given is not None and (member := shape.members.get(name)) is not None
    }


def _map(value: Any, shape: Shape, at: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _unexpected(value, "structure or map", at)
    assert shape.value is not None
    inner = shape.value
    return {
        name: None if given is None else _value(given, inner, f"{at}.{name}.member")
        for name, given in value.items()
    }


def _list(value: Any, shape: Shape, at: str) -> list[Any]:
    if not isinstance(value, list):
        raise _unexpected(value, "list", at)
    assert shape.element is not None
    inner = shape.element
    return [
        None if given is None else _value(given, inner, f"{at}.{number}.member")
        for number, given in enumerate(value, 1)
    ]


def _unexpected(value: Any, wanted: str, at: str) -> Fault:
    if isinstance(value, (dict, list)):
        found = "structure or map" if isinstance(value, dict) else "list"
        return _bad(f"Start of {found} found where not expected, at {at!r}: a {wanted} was wanted")
    return _bad(f"Expected {wanted} or null, but found {value!r:.100} at {at!r}")


def _string(value: Any, shape: Shape, at: str) -> str:
    if isinstance(value, str):
        return value
    raise _cannot(value, "String", at)


def _boolean(value: Any, shape: Shape, at: str) -> bool:
    if isinstance(value, bool):
        return value
    raise _cannot(value, "Boolean", at)


def _whole(value: Any, shape: Shape, at: str) -> int:
    wanted = shape.kind.capitalize()
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise _cannot(value, wanted, at)
    bound = _BIGGEST[shape.kind]
    if value != math.floor(value) or not -bound <= value < bound:
        raise _cannot(value, wanted, at)
    return int(value)


def _real(value: Any, shape: Shape, at: str) -> float:
    if value in ("NaN", "Infinity", "-Infinity"):  # how JSON 1.1 spells them; none is meaningful
        raise _bad(f"A finite number was wanted at {at!r}, but found {value!r}")
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise _cannot(value, shape.kind.capitalize(), at)
    return value


def _timestamp(value: Any, shape: Shape, at: str) -> float:
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            raise _cannot(value, "Timestamp", at) from None
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    if isinstance(value, bool) or not isinstance(value, (int, float)) or abs(value) > 1e12:
        raise _cannot(value, "Timestamp", at)
    return value


def _cannot(value: Any, wanted: str, at: str) -> Fault:
    if isinstance(value, (dict, list)):
        return _unexpected(value, wanted, at)
    token = _TOKENS[type(value)]
    return _bad(f"{token}_VALUE can not be converted to {wanted}: {value!r:.100} at {at!r}")


_READERS: dict[str, Callable[[Any, Shape, str], Any]] = {
    "structure": _structure,
    "map": _map,
    "list": _list,
    "string": _string,
    "blob": _string,
    "boolean": _boolean,
    "integer": _whole,
    "long": _whole,
    "float": _real,
    "double": _real,
    "timestamp": _timestamp,
}
