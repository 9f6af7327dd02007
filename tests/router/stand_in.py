"""Stand-ins of the router's neighbours: replicas, the gateway, a signing client."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from http.client import HTTPConnection
from pathlib import Path

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tidemill.spec.frame import RESPONSE, SHARE, Frame, pack, unpack
from tidemill.spec.home import Home
from tidemill.spec.route import Route, RoutingTable, Variant

KEY, SECRET, ACCOUNT, REGION = "AKIATEST", "secret", "123456789012", "us-east-1"
Answer = Callable[[bytes, bytes], "tuple[int, bytes, bytes] | None"]


def echo(head: bytes, body: bytes) -> tuple[int, bytes, bytes]:
    """The request's body, with its content type."""
    return 200, head.split(b"\n")[0] + b"\n", body


class Loop:
    """An event loop in a thread, for servers that a test talks to."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()

    def do(self, work: object) -> object:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(30)  # type: ignore[arg-type]

    def close(self) -> None:
        async def stop() -> None:
            others = asyncio.all_tasks() - {asyncio.current_task()}
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)
            await asyncio.sleep(0.01)  # connections that were closed say so in the next rounds

        self.do(stop())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


class Replica:
    """Speaks frames on a Unix socket, or over TCP once ``tcp`` is set.

    ``answer`` returning None leaves the request unanswered.
    """

    def __init__(self, loop: Loop, path: Path, answer: Answer = echo, tcp: bool = False) -> None:
        self.path = path
        self.tcp = tcp
        self._port = 0
        self.answer = answer
        self.requests: list[tuple[bytes, bytes]] = []
        self._owed: list[tuple[asyncio.StreamWriter, Frame]] = []
        self._loop = loop
        self._writers: list[asyncio.StreamWriter] = []
        self.start()

    def start(self) -> None:
        if self.tcp:
            work = asyncio.start_server(self._serve, "127.0.0.1", self._port)
            self._server = self._loop.do(work)
            self._port = self._server.sockets[0].getsockname()[1]  # type: ignore[attr-defined]
            return
        self.path.unlink(missing_ok=True)
        self._server = self._loop.do(asyncio.start_unix_server(self._serve, self.path))

    @property
    def address(self) -> str:
        return f"tcp:127.0.0.1:{self._port}" if self.tcp else f"unix:{self.path}"

    def cut(self) -> None:
        """End the connections, but go on listening: killed, and started again at once."""
        for writer in list(self._writers):
            writer.transport.abort()
        self._writers.clear()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        buffer = bytearray()
        try:
            while data := await reader.read(2**20):
                buffer += data
                frames, used = unpack(buffer)
                del buffer[:used]
                for frame in frames:
                    self._take(frame, writer)
        finally:
            writer.close()

    def _take(self, frame: Frame, writer: asyncio.StreamWriter) -> None:
        if frame.kind == SHARE:  # as on another machine
            writer.write(pack(SHARE, frame.id, 404, b"", b""))
            return
        self.requests.append((frame.head, frame.body))
        answer = self.answer(frame.head, frame.body)
        if answer is not None:
            writer.write(pack(RESPONSE, frame.id, *answer))
        else:
            self._owed.append((writer, frame))

    def pay(self) -> None:
        """Answer now what was left unanswered."""

        async def answer() -> None:
            for writer, frame in self._owed:
                writer.write(pack(RESPONSE, frame.id, *echo(frame.head, frame.body)))
            self._owed.clear()

        self._loop.do(answer())

    def kill(self) -> None:
        """Gone from one moment to the next."""

        async def end() -> None:
            self._server.close()  # type: ignore[attr-defined]
            for writer in self._writers:
                writer.transport.abort()
            self._writers.clear()

        self.path.unlink(missing_ok=True)
        self._loop.do(end())


class Platform:
    """A home, a listening socket and a real router process on it. tcp: replicas speak TCP"""

    def __init__(self, root: Path, tcp: bool = False) -> None:
        self.home = Home(root)
        self.tcp = tcp
        self.home.socket("gateway").parent.mkdir(parents=True, exist_ok=True)
        self.home.run.mkdir(parents=True, exist_ok=True)
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.port: int = self.listener.getsockname()[1]
        self.loop = Loop()
        self.router: subprocess.Popen[bytes] | None = None
        self.log = (root / "router.log").open("ab")

    def start_router(self) -> None:
        environment = {
            **os.environ,
            "TIDEMILL_LISTEN_FD": str(self.listener.fileno()),
            "TIDEMILL_ACCESS_KEY_ID": KEY,
            "TIDEMILL_SECRET_ACCESS_KEY": SECRET,
            "TIDEMILL_CAPTURE_LEAST_FREE": "0",
        }
        self.router = subprocess.Popen(
            [sys.executable, "-m", "tidemill.router", str(self.home.root)],
            env=environment,
            pass_fds=[self.listener.fileno()],
            stderr=self.log,
        )

    def kill_router(self) -> None:
        assert self.router is not None
        self.router.kill()
        self.router.wait()

    def routes(self, *routes: Route) -> None:
        table = RoutingTable(ACCOUNT, {(r.region, r.endpoint): r for r in routes})
        temporary = self.home.run / "routes.new"
        temporary.write_text(table.to_json())
        temporary.replace(self.home.routes)

    def replica(self, name: str, answer: Answer = echo) -> Replica:
        return Replica(self.loop, self.home.socket(name), answer, self.tcp)

    def close(self) -> None:
        if self.router is not None:
            self.router.send_signal(signal.SIGTERM)
            assert self.router.wait(20) == 0
        self.listener.close()
        self.loop.close()
        self.log.close()
        text = Path(self.log.name).read_text()
        assert text == "", text


@contextmanager
def platform(root: Path, tcp: bool = False) -> Iterator[Platform]:
    one = Platform(root, tcp)
    one.start_router()
    try:
        yield one
    finally:
        one.close()


def route(endpoint: str, *replicas: Replica, **more: object) -> Route:
    addresses = {f"r{i}": r.address for i, r in enumerate(replicas)}
    variants = (Variant("AllTraffic", 1.0, addresses),)
    return Route(**{"endpoint": endpoint, "region": REGION, "variants": variants, **more})  # type: ignore[arg-type]


def signed(
    path: str,
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
    *,
    port: int,
    method: str = "POST",
    secret: str = SECRET,
    service: str = "sagemaker",
) -> dict[str, str]:
    """The headers of a signed request."""
    request = AWSRequest(method, f"http://127.0.0.1:{port}{path}", dict(headers or {}), body)
    SigV4Auth(Credentials(KEY, secret), service, REGION).add_auth(request)
    return {**dict(request.headers.items()), "Host": f"127.0.0.1:{port}"}


def raw(method: str, path: str, headers: Mapping[str, str], body: bytes = b"") -> bytes:
    """A request as bytes."""
    lines = [f"{method} {path} HTTP/1.1", *(f"{n}: {v}" for n, v in headers.items())]
    if "Transfer-Encoding" not in headers:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class Client:
    """One keep-alive connection that signs."""

    def __init__(self, port: int, timeout: float = 20) -> None:
        self.port = port
        self._http = HTTPConnection("127.0.0.1", port, timeout=timeout)

    def request(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        **how: str,
    ) -> tuple[int, dict[str, str], bytes]:
        send = signed(path, body, headers, port=self.port, method=method, **how)  # type: ignore[arg-type]
        self._http.request(method, path, body, send)
        response = self._http.getresponse()
        return response.status, {n.lower(): v for n, v in response.getheaders()}, response.read()

    def invoke(
        self, endpoint: str, body: bytes, headers: Mapping[str, str] | None = None, **how: str
    ) -> tuple[int, dict[str, str], bytes]:
        return self.request("POST", f"/endpoints/{endpoint}/invocations", body, headers, **how)

    def close(self) -> None:
        self._http.close()


class Gateway:
    """A small HTTP server on the gateway's socket.

    /echo: the request's body · /head: its head as JSON · /big/N: N bytes, chunked · /die: no answer
    /early: an answer before the body is read · /eof: a body without length
    """

    def __init__(self, loop: Loop, path: Path) -> None:
        self.path = path
        self.seen: list[str] = []
        self.deaths_left = 0
        self._loop = loop
        self._writers: list[asyncio.StreamWriter] = []
        self.start()

    def start(self) -> None:
        self.path.unlink(missing_ok=True)
        self._server = self._loop.do(asyncio.start_unix_server(self._serve, self.path))

    def stop(self) -> None:
        async def end() -> None:
            self._server.close()  # type: ignore[attr-defined]
            for writer in self._writers:
                writer.transport.abort()
            self._writers.clear()

        self.path.unlink(missing_ok=True)
        self._loop.do(end())

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                while True:
                    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                    if not await self._answer(head, reader, writer):
                        break
        finally:
            writer.close()

    async def _answer(
        self, head: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        first, *lines = head.strip().split("\r\n")
        method, path, _ = first.split(" ")
        headers = {n.lower(): v for n, v in (line.split(": ", 1) for line in lines)}
        self.seen.append(f"{method} {path}")
        if self.deaths_left:
            self.deaths_left -= 1
            writer.transport.abort()
            return False
        if path == "/early":
            writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")
            return True
        if "expect" in headers:
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = await _read_body(headers, reader)
        if path == "/eof":
            writer.write(b"HTTP/1.1 200 OK\r\n\r\nuntil the end")
            return False
        if path.startswith("/big/"):
            writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            left = int(path[5:])
            while left:
                size = min(left, 2**18)
                writer.write(b"%x\r\n%b\r\n" % (size, b"x" * size))
                left -= size
                await writer.drain()
            writer.write(b"0\r\n\r\n")
            return True
        if path == "/head":
            body = json.dumps([first, headers]).encode()
        if path == "/sum":
            body = hashlib.sha256(body).hexdigest().encode()
        answer = b'HTTP/1.1 200 OK\r\nETag: "x"\r\nContent-Length: %d\r\n\r\n' % len(body)
        writer.write(answer if method == "HEAD" else answer + body)
        await writer.drain()
        return True


async def _read_body(headers: Mapping[str, str], reader: asyncio.StreamReader) -> bytes:
    if headers.get("transfer-encoding") != "chunked":
        return await reader.readexactly(int(headers.get("content-length", 0)))
    pieces = []
    while size := int((await reader.readuntil(b"\r\n")).strip(), 16):
        pieces.append(await reader.readexactly(size))
        await reader.readexactly(2)
    await reader.readexactly(2)
    return b"".join(pieces)


def talk(port: int, *pieces: bytes, seconds: float = 10) -> bytes:
    """Send bytes, end our half, and read until the other end closes."""
    with socket.create_connection(("127.0.0.1", port), timeout=seconds) as one:
        got = b""
        with suppress(ConnectionError):
            for piece in pieces:
                one.sendall(piece)
            one.shutdown(socket.SHUT_WR)
            while data := one.recv(2**16):
                got += data
        return got


def wait_until(true: Callable[[], bool], seconds: float = 10) -> None:
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.005)


def statuses(answers: bytes) -> list[int]:
    return [int(s) for s in re.findall(rb"HTTP/1\.1 (\d{3}) ", answers)]


class Wire:
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        self.written = b""
        self.state = "open"
        self.unsent = 0

    def write(self, data: bytes) -> None:
        self.written += data

    def is_closing(self) -> bool:
        return self.state in ("closed", "aborted")

    def write_eof(self) -> None:
        self.state = "half"

    def close(self) -> None:
        self.state = "closed"

    def abort(self) -> None:
        self.state = "aborted"

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...
