"""Memory that is lent: no two bodies meet in it, and what is lent arrives."""

from __future__ import annotations

import socket

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidemill.router.lending import Memory
from tidemill.spec.frame import LENT, REQUEST, RESPONSE, SHARE, pack, unpack
from tidemill.workers.serve.answers import Answer
from tidemill.workers.serve.connection import Connection

SIZE = 1 << 20


def body_of(memory: Memory, frame: bytes) -> bytes:
    """What a replica that has mapped the memory reads."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        connection = Connection(theirs)
        ours.sendall(memory.offer())
        assert connection.receive() == []
        [reply], _ = unpack(ours.recv(100))
        assert (reply.kind, reply.status) == (SHARE, 200)
        ours.sendall(frame)
        [found] = connection.receive()
        assert found.kind == REQUEST
        return found.body


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 300_000)), max_size=40))
def test_bodies_never_overlap_and_all_comes_back(steps: list[tuple[bool, int]]) -> None:
    memory = Memory(SIZE)
    lent: dict[int, tuple[bytes, bytes]] = {}
    for number, (gives_back, size) in enumerate(steps):
        if gives_back and lent:
            offset = sorted(lent)[size % len(lent)]
            memory.take_back(offset)
            del lent[offset]
            continue
        body = bytes([number % 251]) * size
        found = memory.lend(pack(REQUEST, number, 0, b"text/csv\n\n", body))
        if found is not None:
            frame, offset = found
            assert offset not in lent
            lent[offset] = (frame, body)
    for frame, body in list(lent.values())[:3]:
        assert body_of(memory, frame) == body
    for offset in list(lent):
        memory.take_back(offset)
    whole = memory.lend(pack(REQUEST, 1, 0, b"", b"x" * SIZE))
    assert whole is not None, "after all was given back, the memory is one piece again"
    memory.close()


def test_a_body_that_finds_no_room_is_not_lent() -> None:
    memory = Memory(SIZE)
    assert memory.lend(pack(REQUEST, 1, 0, b"", b"x" * (SIZE + 1))) is None
    memory.close()


def test_memory_that_cannot_be_mapped_is_declined() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        connection = Connection(theirs)
        ours.sendall(pack(SHARE, 0, 0, b"", b'{"path": "/nowhere", "size": 4096}'))
        assert connection.receive() == []
        [reply], _ = unpack(ours.recv(100))
        assert (reply.kind, reply.status) == (SHARE, 404)


@pytest.mark.parametrize("body", [b"short", b"\xff" * 16])
def test_an_extent_that_is_none_ends_the_connection(body: bytes) -> None:
    memory = Memory(SIZE)
    lent = memory.lend(pack(REQUEST, 1, 0, b"", b"x" * 5000))
    assert lent is not None
    frame = lent[0][: -len(body)] + body if len(body) == 16 else pack(REQUEST, 1, 0, b"", body)
    frame = frame[:9] + bytes([LENT]) + frame[10:]
    with pytest.raises((ConnectionAbortedError, AssertionError)) as caught:
        body_of(memory, frame)
    assert caught.type is ConnectionAbortedError
    memory.close()


def test_what_is_lent_without_memory_ends_the_connection() -> None:
    ours, theirs = socket.socketpair()
    memory = Memory(SIZE)
    with ours, theirs:
        lent = memory.lend(pack(REQUEST, 1, 0, b"", b"x" * 5000))
        assert lent is not None
        ours.sendall(lent[0])
        with pytest.raises(ConnectionAbortedError):
            Connection(theirs).receive()
    memory.close()


def test_answers_follow_a_lent_request_as_any_other() -> None:
    memory = Memory(SIZE)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        connection = Connection(theirs)
        lent = memory.lend(pack(REQUEST, 9, 0, b"text/csv\n\n", b"1,2\n" * 20_000))
        assert lent is not None
        ours.sendall(memory.offer() + lent[0])
        frames = connection.receive()
        connection.answer(frames, [Answer(200, b"text/csv\n", b"0.5")])
        said, _ = unpack(ours.recv(1000))
        assert [(f.kind, f.id, f.body) for f in said] == [(SHARE, 0, b""), (RESPONSE, 9, b"0.5")]
    memory.close()
