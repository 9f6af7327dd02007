"""The fleet by itself: what is held, for how long, and what comes too late."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests.router.stand_in import ACCOUNT, REGION
from tidemill.router import fleet as room
from tidemill.router import patience
from tidemill.router.call import Live
from tidemill.router.clock import Clock
from tidemill.router.fleet import Fleet
from tidemill.spec.frame import REQUEST, RESPONSE, pack, unpack
from tidemill.spec.route import Route, RoutingTable, Variant

Kept = list[tuple[int, asyncio.StreamWriter]]
"""Requests that a replica has not answered: their ids, and where the answers go."""


class Call:
    """A request that notes how it ended."""

    def __init__(self, id: int, endpoint: str = "e", target: str = "") -> None:
        self.key = (REGION, endpoint)
        self.target = target
        self.id = id
        self.frame = pack(REQUEST, id, 0, b"\n\n", b"body")
        self.deadline = float("inf")
        self.held = 0.0
        self.deaths = 0
        self.live: Live | None = None
        self.sent = 0.0
        self.gone = False
        self.variant = b""
        self.end: tuple[object, ...] = ()

    def deliver(self, status: int, head: bytes, body: bytes) -> None:
        self.end = (status, body)

    def fail(self, status: int, code: str, message: str) -> None:
        self.end = (status, code, message)

    def late(self, seconds: float) -> None:
        self.end = ("late",)

    def poison(self) -> None:
        self.end = ("poison",)


async def serve(path: Path, answers: bool = True) -> asyncio.Server:
    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with_id = pack(RESPONSE, 0, 200, b"", b"ok")
        while data := await reader.read(2**16):
            for at in range(0, len(data), 22):
                if answers:
                    writer.write(with_id[:4] + data[at + 4 : at + 8] + with_id[8:])
        writer.close()

    return await asyncio.start_unix_server(one, path)


def table(root: Path, *variants: Variant, **more: int) -> None:
    route = Route("e", REGION, variants, **more)  # type: ignore[arg-type]
    new = root / "new"
    new.write_text(RoutingTable(ACCOUNT, {(REGION, "e"): route}).to_json())
    new.replace(root / "routes.json")


def run(root: Path, work: Callable[[Fleet, Clock], Awaitable[None]]) -> None:
    async def inside() -> None:
        clock = Clock()
        fleet = Fleet(root / "routes.json", root / "control.sock", clock, ACCOUNT)
        try:
            await work(fleet, clock)
        finally:
            (root / "routes.json").unlink(missing_ok=True)
            fleet.close()
            await asyncio.sleep(0.05)

    asyncio.run(inside())


async def until(true: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not true():
            await asyncio.sleep(0.005)


async def connected(fleet: Fleet) -> None:
    """The replicas listen by now: connect to them."""
    fleet._connect_all()
    await until(lambda: all(one.up for one in fleet._replicas.values()))


def address(path: Path) -> dict[str, str]:
    return {"r": f"unix:{path}"}


def test_a_held_request_is_sent_when_its_replica_comes(tmp_path: Path) -> None:
    path = tmp_path / "r.sock"
    table(tmp_path, Variant("v", 1.0, address(path)))

    async def work(fleet: Fleet, clock: Clock) -> None:
        calls = [Call(i) for i in range(1, 101)]
        for call in calls:
            fleet.send(call)
        await asyncio.sleep(0.05)
        assert not any(call.end for call in calls)
        server = await serve(path)
        await until(lambda: all(call.end for call in calls))
        assert {call.end for call in calls} == {(200, b"ok")}
        server.close()

    run(tmp_path, work)


def test_a_request_is_not_held_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "HOLD_SECONDS", 0.1)
    table(tmp_path, Variant("v", 1.0, address(tmp_path / "never.sock")))

    async def work(fleet: Fleet, clock: Clock) -> None:
        call = Call(1)
        fleet.send(call)
        await until(lambda: call.end)
        assert call.end[:2] == (503, "ServiceUnavailable")

    run(tmp_path, work)


def test_no_more_is_held_than_memory_allows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "MOST_WAITING_BYTES", 30)
    table(tmp_path, Variant("v", 1.0, {}))

    async def work(fleet: Fleet, clock: Clock) -> None:
        first, second = Call(1), Call(2)
        fleet.send(first)
        fleet.send(second)
        assert first.end == ()
        assert second.end[:2] == (503, "ServiceUnavailable")

    run(tmp_path, work)


def test_an_answer_that_does_not_come_is_given_up(tmp_path: Path) -> None:
    path = tmp_path / "r.sock"
    table(tmp_path, Variant("v", 1.0, address(path)))

    async def work(fleet: Fleet, clock: Clock) -> None:
        server = await serve(path, answers=False)
        call = Call(1)
        call.deadline = clock.now + 50
        fleet.send(call)
        await until(lambda: call.variant)
        fleet.tick(clock.now + 49)
        assert call.end == ()
        fleet.tick(clock.now + 51)
        assert call.end == ("late",)
        server.close()

    run(tmp_path, work)


def test_a_variant_without_weight_is_spared_even_when_the_others_are_down(tmp_path: Path) -> None:
    path = tmp_path / "r.sock"
    gone = {"g": f"unix:{tmp_path}/gone"}
    table(tmp_path, Variant("main", 1.0, gone), Variant("spare", 0.0, address(path)))

    async def work(fleet: Fleet, clock: Clock) -> None:
        server = await serve(path)
        named, any_ = Call(1, target="spare"), Call(2)
        fleet.send(named)
        fleet.send(any_)
        await until(lambda: named.end)
        assert named.variant == b"spare"
        assert any_.end == ()
        server.close()

    run(tmp_path, work)


def test_a_replica_that_leaves_the_table_finishes_what_it_has(tmp_path: Path) -> None:
    path = tmp_path / "r.sock"
    table(tmp_path, Variant("v", 1.0, address(path)))
    calls: list[asyncio.StreamWriter] = []

    async def work(fleet: Fleet, clock: Clock) -> None:
        async def keep(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            calls.append(writer)
            await reader.read()
            writer.close()

        server = await asyncio.start_unix_server(keep, path)
        old = Call(1)
        fleet.send(old)
        await until(lambda: old.variant and calls)
        table(tmp_path, Variant("w", 1.0, {}))
        assert fleet.reload()
        calls[0].write(pack(RESPONSE, 1, 200, b"", b"late"))
        await until(lambda: old.end)
        assert old.end == (200, b"late")
        server.close()

    run(tmp_path, work)


def test_a_replica_that_left_the_table_and_never_answers_is_given_up(tmp_path: Path) -> None:
    path = tmp_path / "r.sock"
    table(tmp_path, Variant("v", 1.0, address(path)))

    async def work(fleet: Fleet, clock: Clock) -> None:
        server = await serve(path, answers=False)
        call = Call(1)
        call.deadline = clock.now + 50
        fleet.send(call)
        await until(lambda: call.variant)
        table(tmp_path, Variant("w", 1.0, {}))
        assert fleet.reload()
        fleet.tick(clock.now + 51)
        assert call.end == ("late",)
        server.close()

    run(tmp_path, work)


def test_the_table_may_change_while_what_is_held_is_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def routes(*endpoints: str) -> RoutingTable:
        variants = (Variant("v", 1.0, address(tmp_path / "never.sock")),)
        found = {(REGION, name): Route(name, REGION, variants) for name in endpoints}
        return RoutingTable(ACCOUNT, found)

    async def work(fleet: Fleet, clock: Clock) -> None:
        tables = [routes("a", "b"), None, None, routes("b"), routes()]
        monkeypatch.setattr(fleet._file, "changed", lambda: tables.pop(0) if tables else None)
        assert fleet.reload()
        calls = [Call(1, "a"), Call(2, "b")]
        for call in calls:
            fleet.send(call)
        del tables[:-2]
        assert fleet.reload()  # without a
        assert [bool(call.end) for call in calls] == [True, False]
        assert fleet.reload()  # without b
        assert [call.end[:2] for call in calls] == [(400, "ValidationError")] * 2

    run(tmp_path, work)


def test_the_bell_is_rung_when_nobody_listens(tmp_path: Path) -> None:
    table(tmp_path, Variant("v", 1.0, address(tmp_path / "gone")))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as control:
        control.bind(str(tmp_path / "control.sock"))
        control.setblocking(False)

        async def work(fleet: Fleet, clock: Clock) -> None:
            loop = asyncio.get_running_loop()
            fleet.send(Call(1))
            async with asyncio.timeout(10):
                assert await loop.sock_recv(control, 10) == b"wake"

        run(tmp_path, work)


async def keep(path: Path, kept: Kept) -> asyncio.Server:
    """A replica that answers nothing by itself, and notes the ids of what it gets."""

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(2**16):
            frames, _ = unpack(data)
            kept.extend((frame.id, writer) for frame in frames)
        writer.close()

    return await asyncio.start_unix_server(one, path)


def answer(kept: Kept) -> None:
    while kept:
        id, writer = kept.pop(0)
        writer.write(pack(RESPONSE, id, 200, b"", b"ok"))


def test_a_replica_that_hangs_gets_nothing_while_another_is_well(tmp_path: Path) -> None:
    paths = [tmp_path / "a.sock", tmp_path / "b.sock"]
    addresses = {path.name: f"unix:{path}" for path in paths}
    table(tmp_path, Variant("v", 1.0, addresses))
    stuck: Kept = []

    async def work(fleet: Fleet, clock: Clock) -> None:
        servers = [await keep(paths[0], stuck), await serve(paths[1])]
        await connected(fleet)
        first = [Call(i) for i in range(1, 41)]
        for call in first:
            fleet.send(call)
        await until(lambda: sum(bool(call.end) for call in first) + len(stuck) == 40)
        assert stuck
        fleet.tick(clock.now + room.HUNG_SECONDS + 1)
        more = [Call(i) for i in range(41, 141)]
        for call in more:
            fleet.send(call)
        await until(lambda: all(call.end for call in more))
        answer(stuck)
        await until(lambda: all(call.end for call in first))
        for call in (again := [Call(i) for i in range(141, 241)]):
            fleet.send(call)
        await until(lambda: stuck)  # it has answered, so it is asked again
        answer(stuck)
        while not all(call.end for call in again):
            answer(stuck)
            await asyncio.sleep(0.005)
        for server in servers:
            server.close()

    run(tmp_path, work)


def test_what_finds_no_room_waits_and_goes_on_in_turn(tmp_path: Path) -> None:
    path = tmp_path / "r.sock"
    table(tmp_path, Variant("v", 1.0, address(path)), most_outstanding=2, most_waiting=3)
    kept: Kept = []

    async def work(fleet: Fleet, clock: Clock) -> None:
        server = await keep(path, kept)
        await connected(fleet)
        calls = [Call(i) for i in range(1, 8)]
        for call in calls:
            fleet.send(call)
        assert [call.end[:1] for call in calls] == [()] * 5 + [(503,)] * 2
        assert "3 requests wait" in str(calls[-1].end[2])
        served: list[int] = []
        while len(served) < 5:
            await until(lambda: kept)
            assert len(kept) <= 2
            served += [id for id, _ in kept]
            answer(kept)
            await asyncio.sleep(0)
        await until(lambda: all(call.end for call in calls))
        assert served == [1, 2, 3, 4, 5]
        assert not fleet.busy
        server.close()

    run(tmp_path, work)


def test_whoever_stops_waiting_makes_room_for_others(tmp_path: Path) -> None:
    table(tmp_path, Variant("v", 1.0, address(tmp_path / "never")), most_waiting=1)

    async def work(fleet: Fleet, clock: Clock) -> None:
        first, second, third = Call(1), Call(2), Call(3)
        fleet.send(first)
        fleet.send(second)
        assert second.end[:2] == (503, "ServiceUnavailable")
        first.gone = True
        await until(lambda: not fleet.busy)
        fleet.send(third)
        assert third.end == ()

    run(tmp_path, work)


def test_suspects_are_tried_alone_and_only_the_guilty_is_refused(tmp_path: Path) -> None:
    """Eight requests die together: one of them ends whatever replica it is alone on."""
    path = tmp_path / "r.sock"
    table(tmp_path, Variant("v", 1.0, address(path)))
    batches: list[list[int]] = []

    async def frail(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(2**16):
            frames, _ = unpack(data)
            ids = [frame.id for frame in frames]
            batches.append(ids)
            if 5 in ids:
                writer.transport.abort()
                return
            for id in ids:
                writer.write(pack(RESPONSE, id, 200, b"", b"ok"))
        writer.close()

    async def work(fleet: Fleet, clock: Clock) -> None:
        server = await asyncio.start_unix_server(frail, path)
        await connected(fleet)
        calls = [Call(i) for i in range(1, 9)]
        calls[4].frame = pack(REQUEST, 5, 0, b"\n\n", b"poison")
        for call in calls:
            fleet.send(call)
        late = Call(9)
        await until(lambda: fleet.busy)
        fleet.send(late)
        await until(lambda: all(call.end for call in [*calls, late]))
        ends = [call.end[0] for call in calls]
        assert ends == [200] * 4 + ["poison"] + [200] * 3
        assert late.end[0] == 200
        assert batches == [list(range(1, 9)), [1], [2], [3], [4], [5], [6], [7], [8], [9]]
        again = Call(10)
        again.frame = pack(REQUEST, 10, 0, b"\n\n", b"poison")
        fleet.send(again)
        assert again.end == ("poison",)
        clock.now += 31
        assert again not in fleet._poison
        server.close()

    run(tmp_path, work)


def test_a_variant_named_twice_by_an_update_is_one_target(tmp_path: Path) -> None:
    paths = [tmp_path / "blue.sock", tmp_path / "green.sock"]
    blue, green = (Variant("v", 1.0, {p.name: f"unix:{p}"}) for p in paths)
    table(tmp_path, blue, green)
    kept: list[Kept] = [[], []]

    async def work(fleet: Fleet, clock: Clock) -> None:
        servers = [await keep(path, into) for path, into in zip(paths, kept, strict=True)]
        await connected(fleet)
        calls = [Call(i, target="v") for i in range(1, 101)]
        for call in calls:
            fleet.send(call)
        await until(lambda: len(kept[0]) + len(kept[1]) == 100)
        assert 20 < len(kept[0]) < 80
        for each in kept:
            answer(each)
        await until(lambda: all(call.end for call in calls))
        for server in servers:
            server.close()

    run(tmp_path, work)


async def die_together(fleet: Fleet, calls: list[Call], kept: Kept) -> None:
    """All of them are at one replica, which dies."""
    await connected(fleet)
    for call in calls:
        fleet.send(call)
    await until(lambda: len(kept) == len(calls))
    for writer in {id(writer): writer for _, writer in kept}.values():
        writer.transport.abort()
    kept.clear()
    await until(lambda: fleet.busy)


def test_suspects_go_on_when_the_table_names_another_replica(tmp_path: Path) -> None:
    """The one that was reserved for them leaves while it has one of them."""
    paths = [tmp_path / "old.sock", tmp_path / "new.sock"]
    table(tmp_path, Variant("v", 1.0, address(paths[0])))
    kept: Kept = []
    newer: Kept = []

    async def work(fleet: Fleet, clock: Clock) -> None:
        servers = [await keep(paths[0], kept), await keep(paths[1], newer)]
        calls = [Call(1), Call(2), Call(3)]
        await die_together(fleet, calls, kept)
        await until(lambda: kept)
        assert [id for id, _ in kept] == [1]  # alone
        table(tmp_path, Variant("v", 1.0, address(paths[1])))
        assert fleet.reload()
        await until(lambda: newer)
        assert [id for id, _ in newer] == [2]
        answer(kept)
        while not all(call.end for call in calls):
            answer(newer)
            await asyncio.sleep(0.005)
        assert [call.end[0] for call in calls] == [200] * 3
        assert not fleet.busy
        for server in servers:
            server.close()

    run(tmp_path, work)


def test_a_suspect_that_hangs_its_replica_keeps_no_other_from_being_tried(tmp_path: Path) -> None:
    paths = [tmp_path / "a.sock", tmp_path / "b.sock"]
    kept: Kept = []
    table(tmp_path, Variant("v", 1.0, address(paths[0])))

    async def work(fleet: Fleet, clock: Clock) -> None:
        servers = [await keep(path, kept) for path in paths]
        calls = [Call(1), Call(2)]
        await die_together(fleet, calls, kept)
        await until(lambda: kept)
        two = {path.name: f"unix:{path}" for path in paths}
        table(tmp_path, Variant("v", 1.0, two))
        assert fleet.reload()
        await connected(fleet)
        fleet.tick(clock.now + room.HUNG_SECONDS + 1)
        await until(lambda: len(kept) == 2)
        assert [id for id, _ in kept] == [1, 2]
        answer(kept)
        await until(lambda: all(call.end for call in calls))
        for server in servers:
            server.close()

    run(tmp_path, work)


def test_suspects_whose_replica_does_not_come_back_are_told_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "HOLD_SECONDS", 0.2)
    path = tmp_path / "r.sock"
    table(tmp_path, Variant("v", 1.0, address(path)))
    kept: Kept = []

    async def work(fleet: Fleet, clock: Clock) -> None:
        server = await keep(path, kept)
        calls = [Call(1), Call(2)]
        await connected(fleet)
        server.close()
        path.unlink()
        await die_together(fleet, calls, kept)
        await until(lambda: all(call.end for call in calls))
        assert {call.end[:2] for call in calls} == {(503, "ServiceUnavailable")}

    run(tmp_path, work)
