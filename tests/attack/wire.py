"""Requests as bytes, signed by a few lines of our own, and their answers as they come."""

from __future__ import annotations

import hmac
import re
import socket
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from urllib.parse import quote

from tests.router.stand_in import KEY, SECRET

SCOPE_END = "aws4_request"


@dataclass(frozen=True)
class Asking:
    """A request to be signed. path, query: as sent · when: epoch seconds, 0 for now"""

    method: str = "POST"
    path: str = "/"
    query: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    key: str = KEY
    secret: str = SECRET
    region: str = "us-east-1"
    service: str = "sagemaker"
    when: float = 0.0

    def but(self, **changes: object) -> Asking:
        return replace(self, **changes)  # type: ignore[arg-type]

    @property
    def target(self) -> str:
        return self.path + ("?" + self.query if self.query else "")

    def unsigned(self) -> bytes:
        return raw(self.method, self.target, {"host": "h", **self.headers}, self.body)

    def signed(self, **scope: str) -> bytes:
        """scope: what the signature claims in place of what its key is for."""
        moment = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(self.when or time.time()))
        digest = sha256(self.body).hexdigest()
        headers = {"host": "h", **self.headers, "x-amz-date": moment}
        if self.service == "s3":
            headers.setdefault("x-amz-content-sha256", digest)
            digest = headers["x-amz-content-sha256"]
        names = sorted(name.lower() for name in headers)
        values = {name.lower(): value for name, value in headers.items()}
        lines = "".join(f"{name}:{values[name]}\n" for name in names)
        pairs = sorted(pair.partition("=")[::2] for pair in self.query.split("&") if pair)
        query = "&".join(f"{name}={value}" for name, value in pairs)
        path = self.path if self.service == "s3" else quote(self.path, safe="/~")
        said = f"{self.method}\n{path}\n{query}\n{lines}\n{';'.join(names)}\n{digest}"
        real = f"{moment[:8]}/{self.region}/{self.service}/{SCOPE_END}"
        text = f"AWS4-HMAC-SHA256\n{moment}\n{real}\n{sha256(said.encode('latin-1')).hexdigest()}"
        signature = hmac.digest(self.signing_key(moment), text.encode(), "sha256").hex()
        region, service = scope.get("region", self.region), scope.get("service", self.service)
        headers["authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={self.key}/{moment[:8]}/{region}/{service}/{SCOPE_END}, "
            f"SignedHeaders={';'.join(names)}, Signature={signature}"
        )
        return raw(self.method, self.target, headers, self.body)

    def signing_key(self, moment: str) -> bytes:
        key = ("AWS4" + self.secret).encode()
        for part in (moment[:8], self.region, self.service, SCOPE_END):
            key = hmac.digest(key, part.encode(), "sha256")
        return key


def raw(method: str, target: str, headers: dict[str, str], body: bytes) -> bytes:
    lines = [f"{method} {target} HTTP/1.1", *(f"{n}: {v}" for n, v in headers.items())]
    if not any(n.lower() in ("content-length", "transfer-encoding") for n in headers):
        lines.append(f"content-length: {len(body)}")
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


@dataclass(frozen=True)
class Answer:
    status: int
    head: bytes
    body: bytes

    @property
    def code(self) -> str:
        """The type of the error, wherever its protocol has it."""
        found = re.search(rb"x-amzn-errortype: *([A-Za-z.]+)", self.head, re.IGNORECASE)
        found = found or re.search(rb"<Code>([A-Za-z.]+)</Code>", self.body)
        found = found or re.search(rb'"error": ?"([^"]+)"', self.body)
        return found[1].decode() if found else ""


class Line:
    """One connection, on which requests follow one another."""

    def __init__(self, port: int, seconds: float = 20) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=seconds)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._got = bytearray()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def answer(self, *, bodiless: bool = False) -> Answer:
        while (end := self._got.find(b"\r\n\r\n")) < 0:
            self._more()
        head = bytes(self._got[:end])
        del self._got[: end + 4]
        if head.startswith(b"HTTP/1.1 100"):
            return self.answer(bodiless=bodiless)
        status = int(head[9:12])
        length = re.search(rb"content-length: *(\d+)", head, re.IGNORECASE)
        size = 0 if bodiless or length is None else int(length[1])
        if length is None and b"chunked" in head and not bodiless:
            return Answer(status, head, self._chunks())
        while len(self._got) < size:
            self._more()
        body = bytes(self._got[:size])
        del self._got[:size]
        return Answer(status, head, body)

    def _chunks(self) -> bytes:
        found = b""
        while True:
            while (end := self._got.find(b"\r\n")) < 0:
                self._more()
            size = int(self._got[:end], 16)
            while len(self._got) < end + 4 + size:
                self._more()
            found += self._got[end + 2 : end + 2 + size]
            del self._got[: end + 4 + size]
            if not size:
                return bytes(found)

    def _more(self) -> None:
        data = self.socket.recv(1 << 16)
        if not data:
            raise ConnectionError(f"ended after {bytes(self._got[:200])!r}")
        self._got += data

    def close(self) -> None:
        self.socket.close()


def exchange(port: int, asked: Sequence[tuple[str, bytes]], most: int = 48) -> Iterator[Answer]:
    """Answers to requests (method, bytes), pipelined over one connection."""
    line = Line(port)
    try:
        for start in range(0, len(asked), most):
            batch = asked[start : start + most]
            line.send(b"".join(data for _, data in batch))
            for method, _ in batch:
                yield line.answer(bodiless=method == "HEAD")
    finally:
        line.close()


def once(port: int, data: bytes, *, bodiless: bool = False) -> Answer:
    line = Line(port)
    try:
        line.send(data)
        return line.answer(bodiless=bodiless)
    finally:
        line.close()
