"""AWS's protocols over HTTP: which one a request speaks, and how answers and errors look in it."""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import escape

from starlette.responses import Response

from tidemill.auth.refusal import Dialect
from tidemill.gateway.wire import json, query, rest, validate
from tidemill.gateway.wire.errors import Answer, Fault
from tidemill.gateway.wire.model import Operation, Shape

FORM = "application/x-www-form-urlencoded"
_SCOPE = re.compile(r"Credential=[^/,]+(?:/|%2F)\d{8}(?:/|%2F)[^/%]+(?:/|%2F)([^/%]+)(?:/|%2F)")
_KINDS: Mapping[str, str] = {"query": "text/xml", "rest-json": "application/json"}
_QUERY_SERVICES = ("sts", "iam", "monitoring")
_RUNTIME = re.compile(r"/(?:endpoints|FeatureGroup)/|/Batch(?:Get|Put|Write)")


@dataclass(frozen=True, slots=True)
class Seen:
    """A request's head as it came over the wire. path, query: percent-encoded, as signed"""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    target: str
    dialect: Dialect

    @classmethod
    def of(cls, scope: MutableMapping[str, Any]) -> Seen:
        """From an ASGI scope."""
        raw = scope.get("raw_path") or scope["path"].encode()
        path = raw.partition(b"?")[0].decode("latin-1")
        sent = scope.get("query_string", b"").decode("latin-1")
        headers: dict[str, str] = {}
        for name, value in scope["headers"]:
            name, value = name.decode("latin-1").lower(), value.decode("latin-1")
            headers[name] = f"{headers[name]},{value}" if name in headers else value
        target = headers.get("x-amz-target", "")
        dialect = _dialect(scope["method"], path, sent, headers, target)
        return cls(scope["method"], path, sent, headers, target, dialect)


def _dialect(method: str, path: str, sent: str, headers: Mapping[str, str], target: str) -> Dialect:
    if target:
        return "json"
    match = _SCOPE.search(headers.get("authorization", "")) or _SCOPE.search(sent)
    service = match[1] if match else ""
    if service == "s3":
        return "s3"
    # Clients call any upload a form when they are not told what it is: a query call goes to "/".
    is_form = (method, path) == ("POST", "/") and headers.get("content-type", "")[:33] == FORM
    if service in _QUERY_SERVICES or (not service and is_form):
        return "query"
    if service == "sagemaker" or _RUNTIME.match(path):
        return "rest-json"
    return "json" if service else "s3"


def fields(seen: Seen, body: bytes) -> dict[str, str]:
    """The fields of a query call, of its form or its URL."""
    return query.fields(seen.query) | query.fields(body.decode("utf-8", "replace"))


def plain(seen: Seen, body: bytes, most: int) -> bytes:
    """The body, unpacked if the client has packed it (as it does with large PutMetricData)."""
    if seen.headers.get("content-encoding", "identity") != "gzip":
        return body
    try:
        unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
        found = unpacker.decompress(body, most)
    except zlib.error as error:
        raise Fault("SerializationException", f"The body is not valid gzip: {error}.") from None
    if unpacker.unconsumed_tail or not unpacker.eof:
        raise Fault(
            "RequestEntityTooLargeException",
            f"The body must be whole, and at most {most} bytes when unpacked.",
            status=413,
        )
    return found


def read(sent: bytes | dict[str, str], shape: Shape | None, code: str) -> dict[str, Any]:
    """The request, of the right types and within the bounds of its shape. code: if it is not"""
    try:
        asked = json.parse(sent, shape) if isinstance(sent, bytes) else query.parse(sent, shape)
        validate.check(asked, shape, code)
    except RecursionError:
        raise Fault(
            "SerializationException", "The request is nested too deeply to be read."
        ) from None
    return asked


def read_rest(
    seen: Seen, operation: Operation, labels: Mapping[str, str], body: bytes, code: str
) -> dict[str, Any]:
    """The same, of a request that is in its path, its query and its body."""
    asked = rest.parse(operation, labels, seen.query, seen.headers, body)
    validate.check(asked, operation.input, code)
    return asked


def json_body(done: dict[str, Any] | None) -> bytes:
    return json.dump(done)


def xml_body(operation: Operation, done: dict[str, Any] | None, namespace: str, id: str) -> bytes:
    return query.dump(operation, done or {}, namespace, id)


def reply(dialect: Dialect, version: str, body: bytes, id: str) -> Response:
    """A success."""
    kind = _KINDS.get(dialect, f"application/x-amz-json-{version}")
    return Response(body, 200, {"x-amzn-RequestId": id, "Content-Type": kind})


def refuse(dialect: Dialect, said: Answer, id: str, *, is_head: bool = False) -> Response:
    """An error. JSON clients look into the body for the code, REST ones into the header."""
    headers = {"x-amzn-RequestId": id, "x-amzn-errortype": said.code}
    if dialect == "query":
        return Response(query.error(said, id), said.status, {**headers, "Content-Type": "text/xml"})
    if dialect == "s3":
        body = (
            f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{said.code}</Code><Message>'
            f"{escape(said.message)}</Message><RequestId>{id}</RequestId></Error>"
        ).encode()
        headers = {"x-amz-request-id": id, "Content-Type": "application/xml"}
        return Response(b"" if is_head else body, said.status, headers)
    kind = "application/json" if dialect == "rest-json" else "application/x-amz-json-1.1"
    body = json.dump({"__type": said.code, "message": said.message, "Message": said.message})
    return Response(body, said.status, {**headers, "Content-Type": kind})
