"""A server with nothing but S3: what the gateway does around it, in a page."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount
from starlette.types import Receive, Scope, Send

from tidemill.auth import sigv4
from tidemill.auth.refusal import Refusal
from tidemill.gateway.inbox import Inbox
from tidemill.gateway.s3.app import S3
from tidemill.gateway.s3.problem import answer, explain
from tidemill.storage.bucket import Buckets

KEY, SECRET, ACCOUNT = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "123456789012"
KEYS = {KEY: SECRET}


def application(root: Path) -> Starlette:
    s3 = S3(Buckets(root), ACCOUNT, KEYS)

    async def answered(request: Request) -> Response:
        try:
            identity = sigv4.verify(
                request.method,
                request.scope["raw_path"].decode("latin-1"),
                request.scope["query_string"].decode("latin-1"),
                dict(request.headers.items()),
                None,
                keys=KEYS,
                now=time.time(),
            )
        except Refusal as error:
            is_head = request.method == "HEAD"
            return answer(explain(error), resource="/", request_id="0", is_head=is_head)
        return await s3(request, identity)

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        inbox = Inbox(receive)
        response = await answered(Request(scope, inbox))
        await inbox.finish(response)
        await response(scope, inbox, send)

    return Starlette(routes=[Mount("/", serve)])


@contextmanager
def serving(root: Path) -> Iterator[str]:
    """The URL of a server that lives as long as the block."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(application(root), log_level="warning", lifespan="off")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()
