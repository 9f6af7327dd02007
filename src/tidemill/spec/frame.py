"""What the router and a replica say to each other: length-prefixed frames on a stream socket.

A frame is 16 bytes of header, the head, the body::

    u32 length of head and body · u32 id · u8 kind · u8 place · u16 status · u32 head length

A request's head holds up to four lines: content type, accept, custom attributes, target (empty when
absent). The target is the model of several that is to answer: TargetModel at multi-model endpoints,
TargetContainerHostname where each container is asked directly. A response's head holds up to three:
content type, custom attributes, and which containers had the request, each with its microseconds
(``prepare=120;cluster=85``); the last named is the one that answered. Where the platform refuses
and not a model, a fourth line is the code of the error that InvokeEndpoint then has.

A STREAM is a request whose answer may come in parts: any number of PART frames, each with a head as
a RESPONSE has it, then a RESPONSE, which ends it; an error is a RESPONSE alone. A FEEDBACK carries
labels for rows to an endpoint that learns, and is answered by a RESPONSE. Many frames may be under
way at once; answers carry the id of their request and may come in any order, but parts of one
answer in theirs. Integers are little-endian.

A replica sends no more than WINDOW bytes in PARTs of one answer, but for what goes beyond it in the
last of them, until the router says with a MORE that so many of them (u32, its body) have been
passed on. A STOP, with the id alone, says that nobody waits for the rest: a RESPONSE follows at
once. What these say of an answer that has ended meanwhile is passed over.

A large body need not go through the socket. Before the first one the router offers a replica of
its own machine memory, with a frame SHARE, whose body is JSON (``path`` and ``size``); a replica
that has mapped it answers with SHARE and status 200. From then on a request's place may be LENT:
its body is an ``EXTENT`` of that memory, which stays as it is until the request is answered.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

HEADER = struct.Struct("<IIBBHI")
REQUEST, RESPONSE, PING, PONG = 1, 2, 3, 4
STREAM, PART, FEEDBACK, MORE, STOP = 5, 6, 7, 8, 9
WINDOW, PIECE = 128 << 10, 64 << 10
"""Bytes of an answer in parts: under way at the most, and in one PART."""
COUNT = struct.Struct("<I")
"""The body of a MORE."""
SHARE = 10
INLINE, LENT = 0, 1
EXTENT = struct.Struct("<QQ")
"""Where a lent body begins, and its bytes."""


@dataclass(frozen=True, slots=True)
class Frame:
    """id: chosen by the router · status: HTTP status of a response (200, 400, 415, 500)
    place: of the body, INLINE or LENT
    """

    kind: int
    id: int
    status: int
    head: bytes
    body: bytes
    place: int = INLINE

    @property
    def target(self) -> str:
        """Which model of several a request is for, or empty.

        >>> Frame(REQUEST, 1, 0, b"text/csv\\n\\n\\nblue", b"1,2").target
        'blue'
        """
        lines = self.head.split(b"\n", 3)
        return lines[3].decode("latin-1") if len(lines) > 3 else ""


def pack(kind: int, id: int, status: int, head: bytes, *body: bytes) -> bytes:
    """The bytes of one frame. body: its parts, in order

    >>> pack(PING, 7, 0, b"", b"").hex()
    '00000000070000000300000000000000'
    """
    length = len(head) + sum(map(len, body))
    return b"".join((HEADER.pack(length, id, kind, INLINE, status, len(head)), head, *body))


def target_of(frame: bytes) -> bytes:
    """The target of one packed request, or nothing.

    >>> target_of(pack(REQUEST, 1, 0, b"text/csv\\n\\n\\nblue", b"1,2"))
    b'blue'
    """
    head = frame[HEADER.size : HEADER.size + HEADER.unpack_from(frame)[-1]]
    return b"".join(head.split(b"\n", 3)[3:])


def unpack(buffer: bytes | bytearray | memoryview) -> tuple[list[Frame], int]:
    """Take every whole frame from the front of a buffer: (frames, bytes consumed)."""
    view = memoryview(buffer)
    frames: list[Frame] = []
    at, end = 0, len(view)
    while end - at >= HEADER.size:
        length, id, kind, place, status, head_length = HEADER.unpack_from(view, at)
        body_end = at + HEADER.size + length
        if body_end > end:
            break
        head_end = at + HEADER.size + head_length
        head, body = bytes(view[at + HEADER.size : head_end]), bytes(view[head_end:body_end])
        frames.append(Frame(kind, id, status, head, body, place))
        at = body_end
    return frames, at
