"""Serverless endpoints at the router: held while none is up, throttled beyond their bound."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from pathlib import Path

import pytest

from tests.router.stand_in import REGION, Platform, Replica, statuses, wait_until
from tests.router.test_fleet import Call, address, connected, run, serve, table, until
from tests.router.test_pressure import answer_of, answered, sent
from tidemill.router import fleet as room
from tidemill.router.clock import Clock
from tidemill.router.demand import PEAK_SECONDS, Demands
from tidemill.router.fleet import Fleet
from tidemill.spec import serverless as spec
from tidemill.spec.home import Home
from tidemill.spec.route import Route, Variant

MOST = 5


def cold(**more: object) -> Variant:
    """A serverless variant without a replica."""
    given = {"replicas": {}, "max_concurrency": MOST, **more}
    return Variant("v", 1.0, **given)  # type: ignore[arg-type]


def endpoint(*variants: Variant) -> Route:
    return Route("e", REGION, variants)


def told(home: Home) -> spec.Demand | None:
    return demand_in(home.demand)


def demand_in(path: Path) -> spec.Demand | None:
    return spec.from_json(path.read_text()).get((REGION, "e")) if path.exists() else None


def test_what_waits_for_a_first_replica_is_bounded_and_all_of_it_is_answered(
    tmp_path: Path,
) -> None:
    table(tmp_path, cold())

    async def work(fleet: Fleet, clock: Clock) -> None:
        calls = [Call(i) for i in range(1, MOST + 3)]
        for call in calls:
            fleet.send(call)
        held, refused = calls[:MOST], calls[MOST:]
        for call in refused:
            assert call.end[:2] == (429, "ThrottlingException")
            assert call.end[2] == (
                "Rate exceeded: serverless endpoint e takes 5 requests at once, its "
                "MaxConcurrency. Try again in a moment, or raise it."
            )
        assert not any(call.end for call in held)
        assert fleet.busy[REGION, "e"].size == MOST
        server = await serve(tmp_path / "r.sock")
        table(tmp_path, cold(replicas=address(tmp_path / "r.sock")))
        await until(lambda: all(call.end for call in held))
        assert {call.end for call in held} == {(200, b"ok")}
        late = Call(99)
        fleet.send(late)
        await until(lambda: late.end)
        assert late.end == (200, b"ok")
        server.close()

    run(tmp_path, work)


def test_what_is_under_way_counts_and_makes_room_when_it_is_answered(tmp_path: Path) -> None:
    path = tmp_path / "r.sock"
    table(tmp_path, cold(replicas=address(path)))

    async def work(fleet: Fleet, clock: Clock) -> None:
        server = await serve(path, answers=False)
        await connected(fleet)
        calls = [Call(i) for i in range(1, MOST + 1)]
        for call in calls:
            fleet.send(call)
        over = Call(50)
        fleet.send(over)
        assert over.end[:2] == (429, "ThrottlingException")
        [one] = fleet._replicas.values()
        one.forget(calls[0])
        fits = Call(51)
        fleet.send(fits)
        assert not fits.end
        for call in (*calls[1:], fits):
            one.forget(call)
        server.close()

    run(tmp_path, work)


def test_a_request_is_held_for_as_long_as_it_may_take(tmp_path: Path) -> None:
    table(tmp_path, cold(timeout=60.0))

    async def work(fleet: Fleet, clock: Clock) -> None:
        call = Call(1)
        fleet.send(call)
        clock.now += 59.0
        fleet._weeded = 0.0
        fleet._weed()
        assert not call.end
        clock.now += 2.0
        fleet._weed()
        assert call.end[:2] == (503, "ServiceUnavailable")

    run(tmp_path, work)


def test_control_is_told_at_once_and_woken(tmp_path: Path) -> None:
    table(tmp_path, cold())
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bell:
        bell.bind(str(tmp_path / "control.sock"))
        bell.settimeout(5)

        async def work() -> None:
            demands = Demands(tmp_path / "demand.json")
            clock = Clock()
            fleet = Fleet(
                tmp_path / "routes.json",
                tmp_path / "control.sock",
                clock,
                "1",
                demands=demands,
            )
            before = time.time()
            fleet.send(Call(1))
            assert bell.recv(64) == b"wake"
            found = demand_in(tmp_path / "demand.json")
            assert found is not None
            assert before <= found.at <= time.time()
            for id in range(2, MOST + 1):
                fleet.send(Call(id))
            clock.now += 2.0
            looked = time.time()
            fleet.tick(clock.now)
            found = demand_in(tmp_path / "demand.json")
            assert found is not None
            assert (found.peak, found.at_once) == (MOST, MOST)
            assert found.at >= looked  # what is held or under way is in use
            fleet.close()

        asyncio.run(work())


def test_how_long_a_first_replica_took_is_counted(tmp_path: Path) -> None:
    table(tmp_path, cold())

    async def work(fleet: Fleet, clock: Clock) -> None:
        call = Call(1)
        fleet.send(call)
        await asyncio.sleep(0.05)
        server = await serve(tmp_path / "r.sock")
        table(tmp_path, cold(replicas=address(tmp_path / "r.sock")))
        await until(lambda: call.end)
        [meter] = fleet._meters
        setup = meter.told().setup
        assert setup.count == 1
        assert setup.total > 50_000  # microseconds
        warm = Call(2)
        fleet.send(warm)
        await until(lambda: warm.end)
        assert meter.told().setup.count == 1
        server.close()

    run(tmp_path, work)


def test_beside_instances_nothing_is_throttled_and_they_take_what_comes(tmp_path: Path) -> None:
    path = tmp_path / "r.sock"
    instances = Variant("v", 0.1, address(path), config="new")
    table(tmp_path, cold(config="old"), instances)

    async def work(fleet: Fleet, clock: Clock) -> None:
        server = await serve(path)
        await connected(fleet)
        calls = [Call(i) for i in range(1, 4 * MOST)]
        for call in calls:
            fleet.send(call)
        await until(lambda: all(call.end for call in calls))
        assert {call.end for call in calls} == {(200, b"ok")}
        server.close()

    run(tmp_path, work)


def test_the_last_replica_leaves_in_the_midst_of_requests_and_none_is_lost(
    platform: Platform,
) -> None:
    for turn in range(10):
        leave(platform, turn)


def leave(platform: Platform, turn: int) -> None:
    """Three requests are under way with the last replica, many come as it goes, another comes."""
    one = Replica(platform.loop, platform.home.socket(f"r{turn}"), lambda *_: None)
    platform.routes(endpoint(cold(replicas={"r": one.address}, max_concurrency=200)))
    with sent(platform, "e", 3, b"early") as early:
        wait_until(lambda: len(one.requests) == 3)
        platform.routes(endpoint(cold(max_concurrency=200)))
        with sent(platform, "e", 20, b"late") as late:
            one.pay()
            assert [statuses(answer_of(each)) for each in early] == [[200]] * 3
            other = Replica(platform.loop, platform.home.socket(f"again{turn}"))
            addresses = {"again": other.address}
            platform.routes(endpoint(cold(replicas=addresses, max_concurrency=200)))
            wait_until(lambda: answers(one, other) == 20)
            one.pay()
            assert [statuses(answer_of(each)) for each in late] == [[200]] * 20
    platform.routes(endpoint(cold(max_concurrency=200)))
    one.kill()
    other.kill()


def answers(*replicas: Replica) -> int:
    """Requests of those that came late which they have got."""
    return sum(body == b"late" for one in replicas for _, body in one.requests)


def test_it_is_ready_for_requests_without_a_replica(tmp_path: Path) -> None:
    table(tmp_path, cold())

    async def work(fleet: Fleet, clock: Clock) -> None:
        assert fleet.is_up(REGION, "e")
        assert fleet.is_up(REGION, "e", "v")
        assert not fleet.is_up(REGION, "e", "other")
        assert not fleet.is_up(REGION, "unknown")

    run(tmp_path, work)


def test_peaks_are_forgotten_after_a_while() -> None:
    [demand] = [Demands().of(endpoint(cold()))]
    assert demand is not None
    demand.see(40, 100.0)
    demand.see(1, 100.0 + PEAK_SECONDS)
    assert demand.peak == 40
    demand.see(1, 100.0 + 2 * PEAK_SECONDS)
    assert demand.peak == 1
    assert demand.at == 100.0 + 2 * PEAK_SECONDS


def test_the_next_router_knows_what_this_one_told(tmp_path: Path) -> None:
    path = tmp_path / "demand.json"
    first = Demands(path)
    demand = first.of(endpoint(cold()))
    assert demand is not None
    demand.see(7, 50.0)
    first.write(1.0)
    again = Demands(path).of(endpoint(cold()))
    assert again is not None
    assert (again.at, again.peak) == (50.0, 7)
    assert Demands(path).of(endpoint(Variant("v", 1.0, {}))) is None


@pytest.mark.parametrize("text", ["", "{", "[1]", '[{"region": 1}]'])
def test_a_file_that_makes_no_sense_is_no_demand(tmp_path: Path, text: str) -> None:
    path = tmp_path / "demand.json"
    path.write_text(text)
    demand = Demands(path).of(endpoint(cold()))
    assert demand is not None
    assert (demand.at, demand.peak) == (0.0, 0)


def test_a_file_that_cannot_be_written_is_tried_again(tmp_path: Path) -> None:
    path = tmp_path / "absent" / "demand.json"
    demands = Demands(path)
    demand = demands.of(endpoint(cold()))
    assert demand is not None
    demand.see(1, 100.0)
    assert demands.want(demand)
    path.parent.mkdir()
    demand.see(2, 100.01)
    assert demands.want(demand)
    assert json.loads(path.read_text())[0]["at"] == 100.01
    demand.see(3, 100.02)
    assert not demands.want(demand)


def test_requests_held_again_after_the_router_died_are_told_again(alone: Platform) -> None:
    alone.routes(endpoint(cold()))
    with sent(alone, "e", 1, b"1"):
        wait_until(lambda: told(alone.home) is not None)
        alone.kill_router()
    first = told(alone.home)
    assert first is not None
    time.sleep(room.RETRY_SECONDS)
    alone.start_router()
    with sent(alone, "e", MOST + 2, b"2") as made:

        def is_told() -> bool:
            now = told(alone.home)
            return now is not None and now.at > first.at

        wait_until(is_told)
        refused = answered(made, 2)
        assert statuses(b"".join(refused.values())) == [429, 429]
        assert all(b"Retry-After: 1" in one for one in refused.values())
        replica = Replica(alone.loop, alone.home.socket("r"))
        alone.routes(endpoint(cold(replicas={"r1": replica.address})))
        rest = [one for one in made if one not in refused]
        assert [statuses(answer_of(one)) for one in rest] == [[200]] * MOST
        replica.kill()
