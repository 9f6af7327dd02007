"""All replicas: requests are sent, held while no replica lives, and sent again when one dies."""

from __future__ import annotations

import asyncio
import logging
import random
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from tidemill.router.call import Call
from tidemill.router.clock import Clock
from tidemill.router.meter import Meter, Meters
from tidemill.router.replica import Replica
from tidemill.router.table import RoutesFile
from tidemill.spec.route import MAX_BODY, Route, RoutingTable
from tidemill.traffic.routing import choose_replica, choose_variant

HOLD_SECONDS = 10.0
RETRY_SECONDS = 0.02
LOOK_SECONDS = 0.5
MOST_DEATHS = 3
MOST_HELD_BYTES = 256 * 2**20

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LiveVariant:
    """A variant with the connections to its replicas."""

    name: str
    label: bytes
    weight: float
    replicas: Sequence[Replica]
    meter: Meter


@dataclass(frozen=True, slots=True)
class LiveRoute:
    """taking: the variants that traffic goes to by weight · named: all of them"""

    route: Route
    taking: Sequence[LiveVariant]
    named: Mapping[str, LiveVariant]

    @property
    def is_up(self) -> bool:
        """Can any replica be sent to?"""
        return any(replica.up for variant in self.named.values() for replica in variant.replicas)


class Fleet:
    """Follows the routing table. ``control``: socket of the control plane, told when one dies."""

    def __init__(
        self, routes: Path, control: Path, clock: Clock, account: str, meters: Meters | None = None
    ) -> None:
        self.account = account
        self._meters = meters or Meters()
        self._file = RoutesFile(routes)
        self._control = str(control)
        self._clock = clock
        self._routes: dict[tuple[str, str], LiveRoute] = {}
        self._longest: dict[str, int] = {}
        self._replicas: dict[str, Replica] = {}
        self._leaving: list[Replica] = []  # no route names them, but they have yet to answer
        self._held: dict[tuple[str, str], list[Call]] = {}
        self._held_bytes = 0
        self._retrying = False
        self._looked = self._woke = 0.0
        self._bell = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._bell.setblocking(False)
        self.reload()

    # Routes

    def route(self, region: str, endpoint: str) -> Route | None:
        """The route of an endpoint; the table is read again before the answer is no."""
        live = self._find((region, endpoint))
        return live.route if live else None

    def longest_body(self, endpoint: str) -> int:
        """The most bytes that any route of this name takes, before it is known who asks."""
        return self._longest.get(endpoint, MAX_BODY)

    def reload(self) -> bool:
        """Follow the table if it has changed."""
        table = self._file.changed()
        if table is None:
            return False
        self._follow(table)
        return True

    def _follow(self, table: RoutingTable) -> None:
        self.account = table.account
        before, self._replicas = self._replicas, {}
        for route in table.routes.values():
            for variant in route.variants:
                for address in variant.replicas.values():
                    known = before.pop(address, None) or Replica(address, self)
                    self._replicas[address] = known
        self._routes = {key: self._live(route) for key, route in table.routes.items()}
        self._longest = {}
        for route in table.routes.values():
            longest = self._longest.get(route.endpoint, 0)
            self._longest[route.endpoint] = max(longest, route.max_body)
        self._leaving += before.values()
        for gone in before.values():
            gone.retire()
        self._connect_all()
        self._release()

    def _live(self, route: Route) -> LiveRoute:
        variants = [
            LiveVariant(
                v.name,
                v.name.encode(),
                v.weight,
                [self._replicas[a] for a in v.replicas.values()],
                self._meters.of(route.region, route.endpoint, v.name, len(v.replicas)),
            )
            for v in route.variants
        ]
        taking = [v for v in variants if v.weight > 0] or variants
        return LiveRoute(route, taking, {v.name: v for v in variants})

    def _find(self, key: tuple[str, str]) -> LiveRoute | None:
        live = self._routes.get(key)
        if live is None and self.reload():
            live = self._routes.get(key)
        return live

    # Requests

    def send(self, call: Call) -> None:
        """Send the request to a replica of its route, now or as soon as there is one."""
        live = self._find(call.key)
        if live is None:
            call.fail(400, "ValidationError", not_found(call.key[1], self.account))
            return
        variants = live.taking
        if call.target:
            if call.target not in live.named:
                call.fail(400, "ValidationError", no_variant(call.target, live))
                return
            variants = [live.named[call.target]]
        call.live = variants[0]
        chosen = _choose(variants)
        if chosen is None:
            self._hold(call)
        else:
            call.live = chosen[0]
            call.variant = chosen[0].label
            call.hold_until = 0.0
            call.sent = perf_counter()
            chosen[1].send(call)

    def _hold(self, call: Call) -> None:
        now = self._clock.now
        if not call.hold_until:
            call.hold_until = now + HOLD_SECONDS
        if now >= call.hold_until:
            call.fail(503, "ServiceUnavailable", no_replica(call.key[1]))
        elif self._held_bytes + len(call.frame) > MOST_HELD_BYTES:
            call.fail(503, "ServiceUnavailable", too_much_held(call.key[1]))
        else:
            self._held.setdefault(call.key, []).append(call)
            self._held_bytes += len(call.frame)
            self._wake()
            self._retry_soon()

    def _release(self) -> None:
        """Try what is held once more; what still finds no replica is held again."""
        for key in list(self._held):
            live = self._routes.get(key)
            calls = self._held.get(key)  # sending may read a new table, which comes back to here
            if calls and (live is None or live.is_up or calls[0].hold_until <= self._clock.now):
                del self._held[key]
                self._held_bytes -= sum(len(call.frame) for call in calls)
                for call in calls:
                    if not call.gone:
                        self.send(call)

    def _retry_soon(self) -> None:
        if not self._retrying:
            self._retrying = True
            asyncio.get_running_loop().call_later(RETRY_SECONDS, self._retry)

    def _retry(self) -> None:
        self._retrying = False
        self._clock.tick()
        self.reload()
        self._connect_all()
        self._release()
        if self._held:
            self._retry_soon()

    # What becomes of connections

    def joined(self) -> None:
        """A replica can be sent to."""
        self._release()

    def left(self, calls: list[Call]) -> None:
        """A replica is gone, with these requests: a prediction may be asked for twice."""
        self._wake()
        for call in calls:
            call.deaths += 1
            if call.gone:
                continue
            if call.deaths >= MOST_DEATHS:
                call.fail(503, "ServiceUnavailable", too_many_deaths(call.deaths))
            else:
                self.send(call)

    def refused(self) -> None:
        """Nobody listens at an address that the table names."""
        self._wake()

    def tick(self, now: float) -> None:
        """Some twenty times a second: follow the table, reconnect, end what takes too long."""
        self.reload()
        self._read_meters(now)
        if now - self._looked > LOOK_SECONDS:
            self._looked = now
            self._connect_all()
            for one in [*self._replicas.values(), *self._leaving]:
                self._expire(one, now)
            self._leaving = [one for one in self._leaving if one.in_flight]

    def _read_meters(self, now: float) -> None:
        """Write down what has been counted, about once a second."""
        if not self._meters.is_due(now):
            return
        used = set()
        for live in self._routes.values():
            for variant in live.named.values():
                used.add(variant.meter.key)
                variant.meter.under_way = sum(len(replica) for replica in variant.replicas)
        self._meters.keep(used, now)
        self._meters.write(now)

    def close(self) -> None:
        """Let go of every replica."""
        self._meters.write(self._clock.now)
        self._held.clear()
        for one in [*self._replicas.values(), *self._leaving]:
            one.retire()
        self._bell.close()

    def _expire(self, one: Replica, now: float) -> None:
        late = [call for call in one.in_flight.values() if call.deadline < now]
        for call in late:
            one.forget(call)
            call.late()

    def _connect_all(self) -> None:
        for one in self._replicas.values():
            if not one.up:
                one.connect()

    def _wake(self) -> None:
        """Ring control's bell, at most every 20 ms; it looks by itself if it misses it."""
        if self._clock.now - self._woke < RETRY_SECONDS:
            return
        self._woke = self._clock.now
        try:
            self._bell.sendto(b"wake", self._control)
        except OSError:
            log.debug("the control plane is away")


def _choose(variants: Sequence[LiveVariant]) -> tuple[LiveVariant, Replica] | None:
    live = [(v, up) for v in variants if (up := [r for r in v.replicas if r.up])]
    if not live:
        return None
    variant, up = live[0]
    if len(live) > 1:
        point = random.random()  # noqa: S311 - traffic shares, no secret
        variant, up = live[choose_variant([v.weight for v, _ in live], point)]
    if len(up) == 1:
        return variant, up[0]
    point = random.random()  # noqa: S311
    return variant, up[choose_replica([len(r.in_flight) for r in up], point)]


def not_found(endpoint: str, account: str) -> str:
    """AWS's words, which clients look for."""
    return f"Endpoint {endpoint} of account {account} not found."


def no_variant(wanted: str, live: LiveRoute) -> str:
    names = ", ".join(live.named)
    return (
        f"Variant {wanted} not found for Request; endpoint {live.route.endpoint} has {names}. "
        "Name one of them, or none."
    )


def no_replica(endpoint: str) -> str:
    return (
        f"No replica of endpoint {endpoint} has answered for {HOLD_SECONDS:g} s. "
        "See DescribeEndpoint and the endpoint's logs, and try again."
    )


def too_much_held(endpoint: str) -> str:
    return (
        f"No replica of endpoint {endpoint} answers, and {MOST_HELD_BYTES} bytes of requests "
        "wait already. Try again later."
    )


def too_many_deaths(deaths: int) -> str:
    return (
        f"{deaths} replicas ended while they had this request. "
        "See the endpoint's logs; the request may be what ends them."
    )
