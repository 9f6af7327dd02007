"""The door: every request is recognised, its signature checked, its call done, its answer written.

Nothing but a health check passes unsigned. Whatever goes wrong behind the door, the client gets an
error in the form of the service that it called, and the log gets the rest.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from anyio import to_thread
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from tidemill.auth import sigv4
from tidemill.auth.access import Caller
from tidemill.auth.identity import Identity
from tidemill.auth.refusal import Dialect
from tidemill.gateway import permissions, protocols
from tidemill.gateway.call import Call, Platform
from tidemill.gateway.services import BY_PATH, BY_SCOPE, BY_TARGET, Spoken
from tidemill.gateway.wire import rest
from tidemill.gateway.wire.errors import Fault, answer

LARGEST_BODY = 2 << 20
HEALTH = ("/ping", "/health")
log = logging.getLogger("tidemill.gateway")

S3 = Callable[[Request, Identity, "Caller | None", Mapping[str, str]], Awaitable[Response]]


class Known(NamedTuple):
    """Who signed a request. caller: None is the administrator · keys: that it was verified with"""

    identity: Identity
    caller: Caller | None
    keys: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Door:
    """platform: what calls work on · s3: answers what is signed for S3 · clock: epoch seconds"""

    platform: Platform
    s3: S3
    clock: Callable[[], float]

    async def __call__(self, request: Request) -> Response:
        """The answer to one request; never raises, except when the client is gone."""
        seen = protocols.Seen.of(request.scope)
        if seen.path in HEALTH and "authorization" not in seen.headers and not seen.query:
            return Response(b"", 200)
        id = str(uuid.uuid4())
        try:
            return await self._answer(request, seen, id)
        except ClientDisconnect:
            raise
        except Exception as error:
            return self._error(error, seen, id)

    async def _answer(self, request: Request, seen: protocols.Seen, id: str) -> Response:
        if seen.dialect == "s3":
            return await self.s3(request, *self._identify(seen, None))
        body = await _body(request)
        identity, caller, _ = self._identify(seen, body)
        body = protocols.plain(seen, body, LARGEST_BODY)
        if seen.dialect == "rest-json":
            content = await to_thread.run_sync(self._by_path, seen, body, identity, caller)
            return protocols.reply(seen.dialect, "1.1", content, id)
        fields = protocols.fields(seen, body) if seen.dialect == "query" else {}
        spoken, name = _recognised(seen, identity, fields)
        sent = fields if seen.dialect == "query" else body
        content = await to_thread.run_sync(
            self._work, spoken, name, sent, identity.region, caller, id
        )
        return protocols.reply(seen.dialect, spoken.json, content, id)

    def _identify(self, seen: protocols.Seen, body: bytes | None) -> Known:
        access, now = self.platform.access, self.clock()
        keys = access.keys_for(seen.headers, seen.query, now)
        who = sigv4.verify(
            seen.method, seen.path, seen.query, seen.headers, body, keys=keys, now=now
        )
        return Known(who, access.caller(who, seen.headers, seen.query), keys)

    def _work(
        self,
        spoken: Spoken,
        name: str,
        sent: bytes | dict[str, str],
        region: str,
        caller: Caller | None,
        id: str,
    ) -> bytes:
        """In a thread: it reads the store, and at its first call a service's description."""
        operation, handler = spoken.find(name)
        asked = protocols.read(sent, operation.input, spoken.invalid)
        call = Call(operation, asked, region, self.platform, caller)
        permissions.check(caller, call, spoken.scope)
        done: dict[str, Any] | None = handler(call)
        if isinstance(sent, bytes):
            return protocols.json_body(done)
        return protocols.xml_body(operation, done, spoken.description().namespace, id)

    def _by_path(
        self, seen: protocols.Seen, body: bytes, who: Identity, caller: Caller | None
    ) -> bytes:
        """In a thread: a call of a service whose operations are paths."""
        for spoken in BY_PATH:
            found = rest.route(spoken.model, seen.method, seen.path)
            if found is not None:
                break
        else:
            raise Fault("UnknownOperationException", f"Nothing answers at {seen.path}.", status=404)
        _must_be_for(spoken, who)
        operation, handler = spoken.find(found[0])
        asked = protocols.read_rest(seen, operation, found[1], body, spoken.invalid)
        call = Call(operation, asked, who.region, self.platform, caller)
        permissions.check(caller, call, spoken.scope)
        return protocols.json_body(handler(call) or {})

    def _error(self, error: Exception, seen: protocols.Seen, id: str) -> Response:
        dialect: Dialect = seen.dialect
        said = answer(error, dialect)
        if said.status >= 500 and not isinstance(error, Fault):
            log.error(
                "%s %s (%s) failed", seen.method, seen.target or seen.path, id, exc_info=error
            )
        return protocols.refuse(dialect, said, id, is_head=seen.method == "HEAD")


async def _body(request: Request) -> bytes:
    """Raises a 413 as soon as there is more than a call may hold."""
    declared = request.headers.get("content-length", "0")
    if declared.isdecimal() and int(declared) > LARGEST_BODY:
        raise _too_large(declared)
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > LARGEST_BODY:
            raise _too_large(f"more than {LARGEST_BODY}")
    return bytes(body)


def _too_large(size: str) -> Fault:
    return Fault(
        "RequestEntityTooLargeException",
        f"The request body must not exceed {LARGEST_BODY} bytes; got {size}. Put data in S3 and "
        "name it by its URI.",
        status=413,
    )


def _recognised(
    seen: protocols.Seen, identity: Identity, fields: Mapping[str, str]
) -> tuple[Spoken, str]:
    """The service and the operation's name; the signature must be meant for that service."""
    if seen.dialect == "json":
        prefix, _, name = seen.target.partition(".")
        spoken = BY_TARGET.get(prefix)
    else:
        prefix, name = identity.service, fields.get("Action", "")
        spoken = BY_SCOPE.get(prefix)
    if spoken is None:
        raise Fault(
            "UnsupportedOperation",
            f"Tidemill does not speak {prefix or identity.service!r:.100}. It speaks SageMaker, "
            "S3, STS, IAM, CloudWatch and CloudWatch Logs.",
            status=501,
        )
    _must_be_for(spoken, identity)
    return spoken, name


def _must_be_for(spoken: Spoken, identity: Identity) -> None:
    if spoken.scope != identity.service:
        raise Fault(
            "InvalidSignatureException",
            f"Credential should be scoped to correct service: '{spoken.scope}'.",
        )
