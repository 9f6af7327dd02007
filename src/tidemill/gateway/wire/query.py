"""AWS's query protocol: form fields in, XML out (STS, IAM, and CloudWatch of older clients)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

from tidemill.gateway.wire.errors import Answer, Fault
from tidemill.gateway.wire.model import Operation, Shape

_MOST_FIELDS = 10_000
# Characters that XML 1.0 cannot hold, however they are written.
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def fields(text: str) -> dict[str, str]:
    """The fields of a form or of a query string."""
    try:
        return dict(parse_qsl(text, keep_blank_values=True, max_num_fields=_MOST_FIELDS))
    except ValueError as error:
        raise Fault("MalformedQueryString", f"The query string cannot be read: {error}.") from None


def parse(given: Mapping[str, str], shape: Shape | None) -> dict[str, Any]:
    """The request that the fields spell: ``ActionNames.member.1=…`` and the like."""
    return _structure(given, shape, "") if shape is not None else {}


def dump(operation: Operation, answer: Mapping[str, Any], namespace: str, request_id: str) -> bytes:
    """The XML document of an answer."""
    inner = _members(answer, operation.output) if operation.output else ""
    if operation.wrapper:
        inner = f"<{operation.wrapper}>{inner}</{operation.wrapper}>"
    return (
        f'<{operation.name}Response xmlns="{namespace}">{inner}<ResponseMetadata><RequestId>'
        f"{request_id}</RequestId></ResponseMetadata></{operation.name}Response>"
    ).encode()


def error(said: Answer, request_id: str) -> bytes:
    """The XML document of an error."""
    whose = "Sender" if said.status < 500 else "Receiver"
    return (
        f"<ErrorResponse><Error><Type>{whose}</Type><Code>{said.code}</Code>"
        f"<Message>{_text(said.message)}</Message></Error>"
        f"<RequestId>{request_id}</RequestId></ErrorResponse>"
    ).encode()


def _structure(given: Mapping[str, str], shape: Shape, prefix: str) -> dict[str, Any]:
    found = ((name, _value(given, member, prefix + name)) for name, member in shape.members.items())
    return {name: value for name, value in found if value is not None}


def _value(given: Mapping[str, str], shape: Shape, name: str) -> Any:
    """None when no field speaks of it."""
    if shape.kind == "structure":
        below = f"{name}."
        return _structure(given, shape, below) if any(k.startswith(below) for k in given) else None
    if shape.kind == "list":
        assert shape.element is not None
        return _list(given, shape.element, name)
    return None if name not in given else _scalar(given[name], shape.kind, name)


def _list(given: Mapping[str, str], element: Shape, name: str) -> list[Any] | None:
    values: list[Any] = []
    while (value := _value(given, element, f"{name}.member.{len(values) + 1}")) is not None:
        values.append(value)
    return values or ([] if name in given else None)


def _scalar(text: str, kind: str, name: str) -> Any:
    try:
        if kind in ("integer", "long"):
            return int(text)
        if kind in ("float", "double"):
            return float(text)
        if kind == "timestamp":
            moment = datetime.fromisoformat(text)
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except ValueError:
        raise Fault("MalformedInput", f"{name} cannot be read as {kind}: {text!r:.100}.") from None
    return text == "true" if kind == "boolean" else text


def _members(value: Mapping[str, Any], shape: Shape) -> str:
    return "".join(
        _element(name, value[name], member)
        for name, member in shape.members.items()
        if value.get(name) is not None
    )


def _element(name: str, value: Any, shape: Shape) -> str:
    if shape.kind == "structure":
        inner = _members(value, shape)
    elif shape.kind == "list":
        assert shape.element is not None
        inner = "".join(_element("member", v, shape.element) for v in value)
    elif shape.kind == "map":
        inner = "".join(_entry(name, inside, shape) for name, inside in value.items())
    elif shape.kind == "timestamp":
        inner = datetime.fromtimestamp(value, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    elif shape.kind == "boolean":
        inner = str(value).lower()
    else:
        inner = _text(str(value))
    return f"<{name}>{inner}</{name}>"


def _entry(name: str, value: Any, shape: Shape) -> str:
    assert shape.key is not None
    assert shape.value is not None
    inner = _element("key", name, shape.key) + _element("value", value, shape.value)
    return f"<entry>{inner}</entry>"


def _text(text: str) -> str:
    return escape(_NOT_XML.sub("\ufffd", text))
