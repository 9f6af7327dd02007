"""AWS's REST-JSON protocol: method and path tell the operation, and parts of the request."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl, unquote

from tidemill.gateway.wire import json
from tidemill.gateway.wire.errors import Fault
from tidemill.gateway.wire.model import Operation, Shape, service

_LABEL = re.compile(r"\{(\w+)\+?\}")
_MOST_FIELDS = 1_000

Route = tuple[str, re.Pattern[str], str]
"""Method, path, the operation's name."""


def route(model: str, method: str, path: str) -> tuple[str, dict[str, str]] | None:
    """The operation of a service that answers there, and what its path names; None where none does.

    path: as it was sent, percent-encoded

    >>> route("sagemaker-featurestore-runtime", "GET", "/FeatureGroup/a%2Fb")
    ('GetRecord', {'FeatureGroupName': 'a/b'})
    """
    for wanted, pattern, name in _routes(model):
        if wanted == method and (match := pattern.fullmatch(path)):
            return name, {label: unquote(value) for label, value in match.groupdict().items()}
    return None


def parse(
    operation: Operation,
    labels: Mapping[str, str],
    query: str,
    headers: Mapping[str, str],
    body: bytes,
) -> dict[str, Any]:
    """The request, of the right types. labels: of the path · headers: names in lower case

    Raises a SerializationException for what cannot be read as its shape says.
    """
    shape = operation.input
    if shape is None:
        return {}
    sent = json.parse(body, shape) if len(operation.places) < len(shape.members) else {}
    found = {name: value for name, value in sent.items() if name not in operation.places}
    fields = _fields(query) if query else []
    for name, (location, key) in operation.places.items():
        if location == "uri":
            given = [labels[key]] if key in labels else []
        elif location == "querystring":
            given = [value for field, value in fields if field == key]
        else:
            given = [headers[key.lower()]] if key.lower() in headers else []
        if given:
            found[name] = _typed(given, shape.members[name], name)
    return found


@lru_cache(maxsize=16)
def _routes(model: str) -> tuple[Route, ...]:
    described = service(model)
    operations = [described.operation(name) for name in described.names]
    return tuple((o.method, _pattern(o.uri), o.name) for o in operations if o is not None)


def _pattern(uri: str) -> re.Pattern[str]:
    parts = _LABEL.split(uri.partition("?")[0])
    plain, labels = map(re.escape, parts[::2]), parts[1::2]
    found = next(plain)
    for label, after in zip(labels, plain, strict=True):
        found += f"(?P<{label}>[^/]+){after}"
    return re.compile(found)


def _fields(query: str) -> list[tuple[str, str]]:
    try:
        return parse_qsl(query, keep_blank_values=True, max_num_fields=_MOST_FIELDS)
    except ValueError as error:
        raise Fault("SerializationException", f"The query cannot be read: {error}.") from None


def _typed(given: list[str], shape: Shape, name: str) -> Any:
    if shape.kind == "list":
        assert shape.element is not None
        return [_typed([one], shape.element, name) for one in given]
    read = _READERS.get(shape.kind, str)
    try:
        return read(given[-1])
    except (ValueError, KeyError):
        raise Fault(
            "SerializationException", f"{given[-1]!r:.100} is no {shape.kind}, at {name!r}."
        ) from None


_READERS: dict[str, Callable[[str], Any]] = {
    "integer": int,
    "long": int,
    "boolean": {"true": True, "false": False}.__getitem__,
    "timestamp": float,
}
