"""The gateway as an ASGI application: the SageMaker API, and what AWS's clients need beside it."""

from __future__ import annotations

import time
from collections.abc import Callable

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount
from starlette.types import Receive, Scope, Send

from tidemill.auth.credentials import Credentials
from tidemill.auth.identity import Identity
from tidemill.control.verbs import Verbs
from tidemill.gateway.call import Platform
from tidemill.gateway.door import Door
from tidemill.gateway.wire.errors import Fault
from tidemill.spec.home import Home
from tidemill.storage.bucket import Buckets


def build(
    *,
    home: Home,
    verbs: Verbs,
    credentials: Credentials,
    account: str,
    clock: Callable[[], float] = time.time,
) -> Starlette:
    """The application. verbs: over the store · account: 12 digits · clock: judges signatures."""
    platform = Platform(home, verbs, Buckets(home.buckets), account)
    door = Door(platform, credentials.keys, _no_s3, clock)

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        response = await door(Request(scope, receive))
        await response(scope, receive, send)

    return Starlette(routes=[Mount("/", serve)])


async def _no_s3(request: Request, identity: Identity) -> Response:
    raise Fault("NotImplemented", "A header you provided implies functionality.", status=501)
