"""The body of an S3 upload: checked against what was signed while it streams by.

Plain bodies and aws-chunked ones (``size;chunk-signature=…`` frames, with or without a trailer).
Bytes come out before their chunk is proved, so nothing may be kept until ``close`` has returned.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping
from hashlib import sha256
from typing import Protocol

from tidemill.auth.identity import UNSIGNED, Identity
from tidemill.auth.refusal import BrokenBody, WrongChunk, WrongPayload
from tidemill.auth.sigv4 import STREAMING, signing_key

_EMPTY = sha256(b"").hexdigest()
_LONGEST_LINE = 16_384
_CHUNK = re.compile(rb"([0-9a-fA-F]{1,15})(?:;chunk-signature=([0-9a-f]{64}))?")


class Payload(Protocol):
    """Feed what arrives, get what it means; ``close`` raises unless all of it was as signed."""

    def feed(self, data: bytes) -> bytes: ...

    def close(self) -> Mapping[str, str]:
        """The trailing headers, names in lower case."""
        ...


def reader(identity: Identity, keys: Mapping[str, str], length: int | None = None) -> Payload:
    """What reads this request's body. length: ``x-amz-decoded-content-length``, when sent."""
    if identity.payload not in STREAMING:
        return _Plain(identity.payload)
    return _Chunked(identity, keys[identity.access_key_id], length)


class _Plain:
    def __init__(self, wanted: str) -> None:
        self._wanted = wanted
        self._digest = None if wanted == UNSIGNED else sha256()

    def feed(self, data: bytes) -> bytes:
        if self._digest is not None:
            self._digest.update(data)
        return data

    def close(self) -> Mapping[str, str]:
        if self._digest is not None and self._digest.hexdigest() != self._wanted:
            raise WrongPayload(
                "The provided 'x-amz-content-sha256' header does not match what was computed.",
                do="Send the bytes that were signed.",
            )
        return {}


class _Chunked:
    """A small machine: a line (size), its bytes, an empty line, … a line of size 0, trailers."""

    def __init__(self, identity: Identity, secret: str, length: int | None) -> None:
        day = identity.date[:8]
        self._key = signing_key(secret, day, identity.region, identity.service)
        self._head = f"{identity.date}\n{identity.scope}\n"
        self._previous = identity.signature
        self._signed = "HMAC" in identity.payload
        self._length = length
        self._buffer = bytearray()
        self._state = self._line
        self._left = self._total = 0
        self._digest = sha256()
        self._wanted = b""
        self._trailers: dict[str, str] = {}
        self._over = False

    def feed(self, data: bytes) -> bytes:
        self._buffer += data
        out = bytearray()
        while not self._over and self._state(out):
            pass
        self._total += len(out)
        return bytes(out)

    def close(self) -> Mapping[str, str]:
        if not self._over or self._buffer:
            raise BrokenBody("The request body terminated unexpectedly.", do="Send it again.")
        if self._length is not None and self._length != self._total:
            raise BrokenBody(
                f"You did not provide the {self._length} bytes specified by the "
                f"x-amz-decoded-content-length header, but {self._total}.",
                do="Send it again.",
            )
        return self._trailers

    def _take_line(self) -> bytes | None:
        end = self._buffer.find(b"\r\n")
        if end < 0:
            if len(self._buffer) > _LONGEST_LINE:
                raise BrokenBody("A chunk header is too long.", do="Send aws-chunked frames.")
            return None
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 2]
        return line

    def _line(self, out: bytearray) -> bool:
        line = self._take_line()
        if line is None:
            return False
        match = _CHUNK.fullmatch(line)
        if match is None or (match[2] is None) is self._signed:
            raise BrokenBody("A chunk header cannot be read.", got=line[:80], do="Send it again.")
        self._left, self._wanted = int(match[1], 16), match[2] or b""
        self._state = self._bytes if self._left else self._last
        return True

    def _bytes(self, out: bytearray) -> bool:
        piece = self._buffer[: self._left]
        del self._buffer[: len(piece)]
        self._left -= len(piece)
        self._digest.update(piece)
        out += piece
        if self._left == 0:
            self._prove("PAYLOAD", f"{_EMPTY}\n{self._digest.hexdigest()}", self._wanted)
            self._digest = sha256()
            self._state = self._end_of_chunk
        return bool(piece)

    def _end_of_chunk(self, out: bytearray) -> bool:
        if len(self._buffer) < 2:
            return False
        if self._buffer[:2] != b"\r\n":
            raise BrokenBody("A chunk is longer than it says.", do="Send it again.")
        del self._buffer[:2]
        self._state = self._line
        return True

    def _last(self, out: bytearray) -> bool:
        self._prove("PAYLOAD", f"{_EMPTY}\n{_EMPTY}", self._wanted)
        self._state = self._trailer
        return True

    def _trailer(self, out: bytearray) -> bool:
        line = self._take_line()
        if line is None:
            return False
        if line:
            name, _, value = line.decode("latin-1").partition(":")
            if len(self._trailers) >= 32:
                raise BrokenBody("The body has more than 32 trailers.", do="Send fewer.")
            self._trailers[name.strip().lower()] = value.strip()
            return True
        given = self._trailers.pop("x-amz-trailer-signature", "")
        if given or (self._trailers and self._signed):
            lines = "".join(f"{n}:{v}\n" for n, v in sorted(self._trailers.items()))
            self._prove("TRAILER", sha256(lines.encode("latin-1")).hexdigest(), given.encode())
        self._over = True
        return True

    def _prove(self, kind: str, digests: str, given: bytes) -> None:
        """Each signature covers the one before it, so chunks cannot be left out or swapped."""
        if not self._signed:
            return
        text = f"AWS4-HMAC-SHA256-{kind}\n{self._head}{self._previous}\n{digests}"
        wanted = hmac.digest(self._key, text.encode(), "sha256").hex()
        if not hmac.compare_digest(wanted.encode(), given):
            raise WrongChunk(
                "The chunk signature we calculated does not match the signature you provided.",
                do="Send the bytes that were signed.",
            )
        self._previous = wanted
