"""The router process: an inherited socket, a fleet of replicas, the way to the gateway.

What one prediction costs at the least, at 32 connections: a read and a write on the client's
socket (8 µs with the kernel's TCP), its share (about a tenth) of a read and a write on the
replica's and of one poll, two SHA-256 and one HMAC with their canonical text (9 µs), llhttp
(2 µs); the rest is this room's Python (14 µs).
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import resource
import signal
import socket
import sys
from pathlib import Path

import uvloop

from tidemill.auth.access import Access
from tidemill.auth.credentials import load_or_create
from tidemill.kernels.allocator import keep_memory
from tidemill.router import answers, exposition, v2
from tidemill.router.asynchronous import Dispatcher
from tidemill.router.capture import Recorder
from tidemill.router.clock import Clock
from tidemill.router.demand import Demands
from tidemill.router.feedback import Feedback
from tidemill.router.fleet import Fleet
from tidemill.router.gate import Gate
from tidemill.router.http import Connection, Exchange, Request
from tidemill.router.invoke import Desk, Invocation
from tidemill.router.meter import Meters
from tidemill.router.paths import FEEDBACK, HEALTH, invoke
from tidemill.router.proxy import Forward
from tidemill.router.streaming import StreamedInvocation
from tidemill.router.submission import Submission
from tidemill.router.upstream import Pool
from tidemill.spec.home import Home

LISTEN_VARIABLE = "TIDEMILL_LISTEN_FD"
ACCOUNT_VARIABLE = "TIDEMILL_ACCOUNT_ID"
TICK_SECONDS = 0.05
LOOK_SECONDS = 1.0
LAST_SECONDS = 5.0
BACKLOG = 4096


class Health(Exchange):
    """``/ping``: the router answers, so it is well."""

    __slots__ = ()

    def complete(self) -> None:
        request = self.request
        answer = answers.healthy(close=not request.keep_alive, with_body=request.method == b"GET")
        self.connection.write(self, answer, last=True)


class Router:
    """Which exchange a request becomes; the connections; the clock's ticks."""

    def __init__(self, home: Home, account: str) -> None:
        self._clock = Clock()
        self._meters = Meters(home.meters)
        self._recorder = Recorder(home.buckets)
        control = home.socket("control")
        self._fleet = Fleet(
            home.routes,
            control,
            self._clock,
            account,
            self._meters,
            self._recorder,
            Demands(home.demand),
        )
        credentials = load_or_create(home.credentials, os.environ)
        self._token = credentials.metrics_token
        self._gate = Gate(Access(credentials, account), home.access)
        self._desk = Desk(self._fleet, self._gate, self._clock)
        self._dispatcher = Dispatcher(
            home, self._fleet, self._desk.next_id, self._clock, self._meters
        )
        self._pool = Pool(str(home.socket("gateway")), self._clock)
        self._connections: set[Connection] = set()
        self._looked = 0.0

    def begin(self, connection: Connection, request: Request) -> Exchange:
        """What to do with a request, by its head."""
        target = request.target
        if target.startswith(b"/endpoints/"):
            asked = invoke(target)
            if asked is not None and asked.takes(request.method) and not _is_s3(request):
                if asked.operation == "InvokeEndpointAsync":
                    return Submission(connection, request, asked, self._desk, self._dispatcher)
                if asked.operation == "InvokeEndpointWithResponseStream":
                    return StreamedInvocation(connection, request, asked, self._desk)
                kind = Feedback if asked.operation == FEEDBACK else Invocation
                return kind(connection, request, asked, self._desk)
        if target.startswith(b"/v2") and not _is_s3(request):
            exchange = v2.begin(connection, request, self._desk)
            if exchange is not None:
                return exchange
        if target in HEALTH and request.method in (b"GET", b"HEAD"):
            return Health(connection, request)
        if target == exposition.PATH and exposition.takes(request):
            return exposition.Exposition(
                connection, request, self._meters, self._token, self._recorder
            )
        return Forward(connection, request, self._pool)

    def connection(self) -> Connection:
        return Connection(self.begin, self._clock, self._connections)

    def beat(self) -> None:
        """Tick, and again a moment later."""
        self.tick()
        asyncio.get_running_loop().call_later(TICK_SECONDS, self.beat)

    def tick(self) -> None:
        """What has to be looked at from time to time."""
        self._clock.tick()
        now = self._clock.now
        self._fleet.tick(now)
        self._gate.refresh()
        self._dispatcher.tick(now)
        if now - self._looked > LOOK_SECONDS:
            self._looked = now
            self._pool.trim()
            self._fleet.recall.trim(now)
            for connection in list(self._connections):
                connection.look(now)

    async def close(self) -> None:
        """Let what is under way end, for some seconds."""
        until = self._clock.now + LAST_SECONDS
        for connection in list(self._connections):
            connection.finish()
        while self._connections and self._clock.now < until:
            await asyncio.sleep(TICK_SECONDS)
        await self._dispatcher.close()
        self._fleet.close()
        self._recorder.close()


def _is_s3(request: Request) -> bool:
    """A bucket may be called ``endpoints``; its requests are signed for another service."""
    for _, value in request.headers:
        if value.startswith(b"AWS4-HMAC-SHA256 "):
            return b"/s3/aws4_request" in value
    return False


async def serve(home: Home, listener: socket.socket, account: str) -> None:
    """Answer until SIGTERM or SIGINT."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    router = Router(home, account)
    server = await loop.create_server(router.connection, sock=listener, backlog=BACKLOG)
    gc.collect()
    gc.freeze()
    router.beat()
    await stop.wait()
    server.close()
    await router.close()


def main() -> int:
    """``python -m tidemill.router HOME``, with the listening socket in TIDEMILL_LISTEN_FD."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s %(message)s")
    home = Home(Path(sys.argv[1]))
    listener = socket.socket(fileno=int(os.environ[LISTEN_VARIABLE]))
    account = os.environ.get(ACCOUNT_VARIABLE, "123456789012")
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # a connection is a file
    keep_memory()
    uvloop.run(serve(home, listener, account))
    return 0
