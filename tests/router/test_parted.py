"""Calls whose answers come in parts, between the fleet and its replicas."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from tests.router.test_fleet import Call, address, connected, run, table, until
from tidemill.router.call import Parted, Source
from tidemill.router.clock import Clock
from tidemill.router.fleet import Fleet
from tidemill.spec.frame import MORE, PART, RESPONSE, STOP, Frame, pack, unpack
from tidemill.spec.route import Variant


class Stream(Call, Parted):
    """Notes its parts. rests, as the test says."""

    def __init__(self, id: int) -> None:
        super().__init__(id)
        self.parts: list[bytes] = []
        self.is_resting = False
        self.source: Source | None = None

    @property
    def begun(self) -> bool:
        return bool(self.parts)

    @property
    def rests(self) -> bool:
        return self.is_resting

    def part(self, source: Source, head: bytes, body: bytes) -> None:
        self.source = source
        self.parts.append(body)

    def broken(self) -> None:
        self.end = ("broken",)


class Peer:
    """A replica that says what the test tells it to."""

    def __init__(self) -> None:
        self.heard: list[Frame] = []
        self.writers: list[asyncio.StreamWriter] = []

    async def listen(self, path: Path) -> asyncio.Server:
        return await asyncio.start_unix_server(self._serve, path)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        buffer = bytearray()
        while data := await reader.read(2**16):
            buffer += data
            frames, used = unpack(buffer)
            del buffer[:used]
            self.heard += frames
        writer.close()

    def say(self, kind: int, id: int, body: bytes = b"") -> None:
        self.writers[-1].write(pack(kind, id, 200, b"\n", body))

    def has(self, number: int) -> Callable[[], bool]:
        return lambda: len(self.heard) >= number


def test_parts_go_to_their_call_and_more_is_asked_for(tmp_path: Path) -> None:
    path, peer = tmp_path / "r.sock", Peer()
    table(tmp_path, Variant("v", 1.0, address(path)))

    async def work(fleet: Fleet, clock: Clock) -> None:
        server = await peer.listen(path)
        await connected(fleet)
        call = Stream(1)
        fleet.send(call)
        await until(peer.has(1))
        peer.say(PART, 1, b"one")
        peer.say(PART, 1, b"two")
        await until(lambda: len(call.parts) == 2)
        assert call.source is not None
        call.source.more(call, 6)
        await until(peer.has(2))
        assert peer.heard[1].kind == MORE
        peer.say(RESPONSE, 1, b"")
        await until(lambda: call.end)
        peer.say(PART, 1, b"too many")  # a call that nobody knows any more
        await until(peer.has(3))
        assert (peer.heard[2].kind, peer.heard[2].id) == (STOP, 1)
        server.close()

    run(tmp_path, work)


def test_of_the_calls_of_a_dead_replica_those_begun_are_broken(tmp_path: Path) -> None:
    path, peer = tmp_path / "r.sock", Peer()
    table(tmp_path, Variant("v", 1.0, address(path)))

    async def work(fleet: Fleet, clock: Clock) -> None:
        server = await peer.listen(path)
        await connected(fleet)
        begun, waiting = Stream(1), Stream(2)
        fleet.send(begun)
        fleet.send(waiting)
        await until(peer.has(2))
        peer.say(PART, 1, b"one")
        await until(lambda: begun.begun)
        peer.writers[-1].transport.abort()
        await until(lambda: begun.end)
        assert begun.end == ("broken",)
        await until(peer.has(3))  # the other is sent again, alone
        assert peer.heard[2].id == 2
        peer.say(RESPONSE, 2, b"")
        await until(lambda: waiting.end)
        server.close()

    run(tmp_path, work)


def test_a_suspect_need_not_wait_for_streams_to_end(tmp_path: Path) -> None:
    one, two, peers = tmp_path / "a.sock", tmp_path / "b.sock", (Peer(), Peer())
    table(tmp_path, Variant("v", 1.0, {"a": f"unix:{one}", "b": f"unix:{two}"}))

    async def work(fleet: Fleet, clock: Clock) -> None:
        servers = [await p.listen(at) for p, at in zip(peers, (one, two), strict=True)]
        await connected(fleet)
        streams = [Stream(1), Stream(2)]
        for stream in streams:
            fleet.send(stream)
        await until(lambda: peers[0].heard or peers[1].heard)
        await until(lambda: len(peers[0].heard) + len(peers[1].heard) == 2)
        for peer in peers:
            for frame in peer.heard:
                peer.say(PART, frame.id, b"one")
        await until(lambda: all(stream.begun for stream in streams))
        call = Call(3)
        fleet.send(call)
        await until(lambda: len(peers[0].heard) + len(peers[1].heard) == 3)
        victim = next(p for p in peers if any(f.id == 3 for f in p.heard))
        victim.writers[-1].transport.abort()
        await until(lambda: sum(f.id == 3 for p in peers for f in p.heard) == 2)
        other = next(p for p in peers if p is not victim)
        for frame in other.heard:
            other.say(RESPONSE, frame.id)
        await until(lambda: call.end and all(stream.end for stream in streams))
        for server in servers:
            server.close()

    run(tmp_path, work)


def test_a_replica_that_waits_for_slow_clients_does_not_hang(tmp_path: Path) -> None:
    path, peer = tmp_path / "r.sock", Peer()
    table(tmp_path, Variant("v", 1.0, address(path)))

    async def work(fleet: Fleet, clock: Clock) -> None:
        server = await peer.listen(path)
        await connected(fleet)
        call = Stream(1)
        fleet.send(call)
        await until(peer.has(1))
        peer.say(PART, 1, b"one")
        await until(lambda: call.begun)
        [replica] = fleet._replicas.values()
        call.is_resting, later = True, replica.moved + 100
        fleet._look_at(replica, later)
        assert not replica.hung
        call.is_resting = False
        fleet._look_at(replica, later + 1)
        assert not replica.hung
        fleet._look_at(replica, later + 100)
        assert replica.hung
        peer.say(RESPONSE, 1)
        await until(lambda: call.end)
        server.close()

    run(tmp_path, work)
