"""A request's body on its way in: unwrapped, checked against all that was said of it, kept.

The event loop only gathers; a thread hashes and writes one megabyte while the next one comes.
"""

from __future__ import annotations

import asyncio
from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from collections.abc import AsyncIterator, Callable
from typing import TypeVar

from starlette.requests import ClientDisconnect, Request

from tidemill.auth.payload import reader
from tidemill.gateway.s3 import headers as metadata_headers
from tidemill.gateway.s3.call import Call, off_loop
from tidemill.gateway.s3.problem import Problem
from tidemill.storage.draft import Draft
from tidemill.storage.errors import BadDigest

LARGEST = 5 << 30
LARGEST_DOCUMENT = 4 << 20
_BLOCK = 1 << 20
T = TypeVar("T")
Start = Callable[[], object]


class Intake:
    """Bytes as they were sent go in, the object's bytes go to a draft. All of it in threads.

    start: runs before the first byte is kept, and may refuse.
    """

    def __init__(self, call: Call, start: Start, *, is_summed: bool) -> None:
        declared = call.headers.get("x-amz-decoded-content-length", "")
        length = int(declared) if declared.isdecimal() else None
        self._payload = reader(call.identity, call.server.keys, length)
        self._headers = call.headers
        self._names = metadata_headers.algorithms(call.headers) if is_summed else []
        self._is_summed = is_summed
        self._buckets = call.buckets
        self._start = start
        self._draft: Draft | None = None

    @property
    def draft(self) -> Draft:
        """The file; made at the first look."""
        if self._draft is None:
            self._start()
            self._draft = self._buckets.draft(self._names)
        return self._draft

    def write(self, data: bytes) -> None:
        """Raises Problem when it is more than is allowed."""
        data = self._payload.feed(data)
        if self.draft.size + len(data) > LARGEST:
            raise too_large(self.draft.size + len(data), LARGEST)
        self.draft.write(data)

    def finish(self) -> dict[str, str]:
        """The checksums of the whole, in base64, once all that was claimed has proved true."""
        trailer = self._payload.close()
        _check_md5(self._headers.get("content-md5"), self.draft.md5)
        computed = self.draft.checksums
        said = {**self._headers, **trailer} if self._is_summed else {}
        given = metadata_headers.checksums(said)
        for name, value in given.items():
            if name not in computed or _decoded(value) != computed[name]:
                raise BadDigest(
                    f"the {name.upper()} that you specified did not match what was computed: "
                    f"{value!r}",
                    got=b64encode(computed.get(name, b"")).decode(),
                    do="Send the bytes again.",
                )
        return metadata_headers.encoded(computed)

    def discard(self) -> None:
        """Forget the draft, unless it was kept."""
        if self._draft is not None:
            self._draft.discard()


async def receive(
    call: Call,
    then: Callable[[Draft, dict[str, str]], T],
    *,
    start: Start = lambda: None,
    is_summed: bool = True,
) -> T:
    """Take the body into a draft, then do with it (and its checksums) what there is to do.

    is_summed: the request's checksums are of this body.
    """
    length = call.headers.get("content-length", "0")
    if not call.headers.get("x-amz-decoded-content-length") and int(length) > LARGEST:
        raise too_large(int(length), LARGEST)
    intake = Intake(call, start, is_summed=is_summed)

    def end(last: bytes) -> T:
        intake.write(last)
        sums = intake.finish()
        return then(intake.draft, sums)

    try:
        return await off_loop(end, await _pump(call.request, intake.write))
    finally:
        intake.discard()


async def document(call: Call, *, is_summed: bool = True) -> bytes:
    """A small body, whole."""

    def whole(draft: Draft, _: dict[str, str]) -> bytes:
        if draft.size > LARGEST_DOCUMENT:
            raise too_large(draft.size, LARGEST_DOCUMENT)
        return draft.path.read_bytes()

    return await receive(call, whole, is_summed=is_summed)


def too_large(size: int, largest: int) -> Problem:
    """A body over its limit."""
    return Problem(
        "EntityTooLarge",
        400,
        "Your proposed upload exceeds the maximum allowed size",
        ProposedSize=str(size),
        MaxSizeAllowed=str(largest),
    )


async def _pump(request: Request, write: Callable[[bytes], None]) -> bytes:
    """Write all blocks but the last, which comes back: a small body costs one visit to a thread."""
    writing: asyncio.Task[None] | None = None
    last = b""
    try:
        async for block in _blocks(request):
            if writing is not None:
                await writing
            if last:
                writing = asyncio.create_task(off_loop(write, last))
            last = block
        if writing is not None:
            await writing
    except ClientDisconnect as error:
        raise Problem("IncompleteBody", 400, "The client went before its body had come.") from error
    finally:
        if writing is not None and not writing.done():
            await asyncio.wait([writing])  # nobody may close the file under the thread
    return last


async def _blocks(request: Request) -> AsyncIterator[bytes]:
    gathered: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        gathered.append(chunk)
        size += len(chunk)
        if size >= _BLOCK:
            yield b"".join(gathered)
            gathered, size = [], 0
    if size:
        yield b"".join(gathered)


def _check_md5(given: str | None, computed: bytes) -> None:
    if given is None:
        return
    wanted = _decoded(given)
    if len(wanted) != 16:
        raise Problem("InvalidDigest", 400, "The Content-MD5 you specified was invalid.")
    if wanted != computed:
        raise BadDigest(
            f"the Content-MD5 you specified did not match what we received: {given!r}",
            got=b64encode(computed).decode(),
            do="Send the bytes again.",
        )


def _decoded(value: str) -> bytes:
    try:
        return b64decode(value, validate=True)
    except (NotBase64, ValueError):
        return b""
