"""A request's body as it comes, and what to do with what nobody wanted to read.

An answer given before the body has been read leaves the connection out of step: a client that
waits for ``100 Continue`` never sends its body, and a server that still counts on it takes the
next request for it. So the rest is read and thrown away first, or the connection is closed.
"""

from __future__ import annotations

from starlette.responses import Response
from starlette.types import Message, Receive

MOST_WASTED = 5 << 30  # bytes: of the largest upload in one piece, the client reads why it failed


class Inbox:
    """Stands for ``receive`` and remembers whether the body is over."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._is_over = False

    async def __call__(self) -> Message:
        message = await self._receive()
        if message["type"] != "http.request" or not message.get("more_body"):
            self._is_over = True
        return message

    async def finish(self, response: Response) -> None:
        """Call it before the response is sent."""
        wasted = 0
        while not self._is_over:
            wasted += len((await self()).get("body", b""))
            if wasted > MOST_WASTED:
                response.headers["connection"] = "close"
                return
