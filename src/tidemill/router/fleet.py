"""All replicas: requests are sent, wait while none has room, and go to another when one dies.

A request whose replica has died is a suspect: it may be what ended it, or was only there. Suspects
are tried alone, one after the other, on a replica that takes nothing else meanwhile. One that ends
this replica, too, is poison and goes nowhere any more; all the others are answered.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from functools import partial
from pathlib import Path
from time import perf_counter, time

from tidemill.router import census, lending, patience, refusals
from tidemill.router.bell import Bell
from tidemill.router.call import Call
from tidemill.router.capture import Recorder
from tidemill.router.clock import Clock
from tidemill.router.demand import Demand, Demands
from tidemill.router.line import Line
from tidemill.router.live import LiveRoute, LiveVariant, choose
from tidemill.router.meter import Meters
from tidemill.router.poison import Poison
from tidemill.router.recall import Recall
from tidemill.router.replica import Replica
from tidemill.router.shadow import MOST_COPIES, Copy, copy
from tidemill.router.table import RoutesFile
from tidemill.spec.route import MAX_BODY, TIMEOUT, Route, RoutingTable

RETRY_SECONDS, WEED_SECONDS, LOOK_SECONDS = 0.02, 0.1, 0.5
HUNG_SECONDS = 5.0
"""So long a replica may have something to do and answer nothing before others are preferred."""
MOST_DEATHS = 2
MOST_WAITING_BYTES = 512 * 2**20
"""Of all endpoints together."""

Key = tuple[str, str]


class Fleet:
    """Follows the routing table. ``control``: socket of the control plane, told when one dies.

    busy: the lines of endpoints where requests wait, or are tried alone · recall: of answers by
    endpoints that learn
    """

    def __init__(
        self,
        routes: Path,
        control: Path,
        clock: Clock,
        account: str,
        meters: Meters | None = None,
        recorder: Recorder | None = None,
        demands: Demands | None = None,
    ) -> None:
        self.account = account
        self.memory = lending.memory()
        self._meters = meters or Meters()
        self._recorder = recorder
        self._demands = demands or Demands()
        self.busy: dict[Key, Line] = {}
        self.recall = Recall()
        self._file = RoutesFile(routes)
        self._clock = clock
        self._routes: dict[Key, LiveRoute] = {}
        self._longest: dict[str, int] = {}
        self._replicas: dict[str, Replica] = {}
        self._serving: dict[str, list[LiveVariant]] = {}  # by a replica's address
        self._leaving: list[Replica] = []  # no route names them, but they have yet to answer
        self._poison = Poison(clock)
        self._retrying = False
        self._looked = self._weeded = 0.0
        self._bell = Bell(control, clock)
        self.reload()

    # Routes

    def route(self, region: str, endpoint: str) -> Route | None:
        """The route of an endpoint; the table is read again before the answer is no."""
        live = self._find((region, endpoint))
        return live.route if live else None

    def asynchronous(self) -> list[Route]:
        """The routes of endpoints that queue their requests."""
        routes = (live.route for live in self._routes.values())
        return [route for route in routes if route.asynchronous is not None]

    def is_up(self, region: str, endpoint: str, variant: str = "") -> bool:
        """Whether any replica is there that could answer, be it busy; or comes when it is asked."""
        live = self._find((region, endpoint))
        if live is None:
            return False
        comes = live.demand is not None and bool(live.variants(variant))
        return comes or live.is_up(variant)

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
                    known = self._replicas.get(address) or before.pop(address, None)
                    self._replicas[address] = known or Replica(address, self, self._clock)
        self._serving = {address: [] for address in self._replicas}
        self._routes = {key: self._live(route) for key, route in table.routes.items()}
        self._demands.keep(self._routes.keys())
        self._longest = {}
        for route in table.routes.values():
            longest = self._longest.get(route.endpoint, 0)
            self._longest[route.endpoint] = max(longest, route.max_body)
        self._leaving += before.values()
        for gone in before.values():
            gone.retire()
        self._connect_all()
        self._serve_all()

    def _live(self, route: Route) -> LiveRoute:
        variants, sizes = [], Counter[str]()
        for variant in route.variants:
            sizes[variant.name] += len(variant.replicas)
        for variant in route.variants:
            replicas = [self._replicas[address] for address in variant.replicas.values()]
            size = sizes[variant.name]
            named = (route.region, route.endpoint, variant.name)
            meter = self._meters.of(*named, size, variant.config)
            meter.is_shadow = variant.shadow
            meter.is_asynchronous = route.asynchronous is not None
            tap = self._recorder.tap(route, variant.name) if self._recorder else None
            most = MOST_COPIES if variant.shadow else route.most_outstanding
            recall = self.recall if variant.learns else None
            live = LiveVariant(variant, replicas, most, meter, tap, recall)
            variants.append(live)
            for one in replicas:
                self._serving[one.address].append(live)
        before = self._routes.get((route.region, route.endpoint))
        line = before.line if before else Line()
        return LiveRoute(route, variants, line, self._demands.of(route))

    def _find(self, key: Key) -> LiveRoute | None:
        live = self._routes.get(key)
        if live is None and self.reload():
            live = self._routes.get(key)
        return live

    # Requests

    def send(self, call: Call) -> None:
        """Send the request to a replica of its route, now or as soon as one has room."""
        live = self._find(call.key)
        if live is None:
            call.fail(400, "ValidationError", refusals.not_found(call.key[1], self.account))
            return
        variants = live.variants(call.target) if call.target else live.taking
        if call.target and not variants:
            message = refusals.no_variant(call.target, call.key[1], live.named)
            call.fail(400, "ValidationError", message)
            return
        call.live = variants[0] if variants else None
        if live.demand is not None and not self._admit(call, live, live.demand):
            return
        if self._poison.known and call in self._poison:
            call.poison()
        elif (chosen := choose(variants, self._clock.now, call.frame)) is not None:
            self._hand(call, *chosen)
        else:
            self._wait(call, live)

    def _admit(self, call: Call, live: LiveRoute, demand: Demand) -> bool:
        """Whether a serverless endpoint has room for this one; if so, see to a replica for it."""
        at_once = live.at_once() + 1
        if demand.most and at_once > demand.most:
            message = refusals.throttled(call.key[1], demand.most)
            call.fail(429, "ThrottlingException", message)
            return False
        demand.see(at_once, time())
        if live.is_cold():
            demand.cold = demand.cold or perf_counter()
            if self._demands.want(demand):
                self._bell.ring()
        return True

    def _hand(self, call: Call, variant: LiveVariant, replica: Replica) -> None:
        call.live = variant
        call.variant = variant.label
        if not call.deadline:
            call.deadline = self._clock.now + variant.timeout
        call.sent = perf_counter()
        replica.send(call)
        if variant.shadow is not None and not call.deaths:
            copy(call, variant.shadow, self._clock.now)

    def _wait(self, call: Call, live: LiveRoute) -> None:
        line, is_up = live.line, live.is_up(call.target)
        if not is_up:
            self._bell.remind()
        load = sum(line.load for line in self.busy.values()) + len(call.frame)
        if line.has_room(call, live.route) and load <= MOST_WAITING_BYTES:
            line.add(call)
            self._begin_to_wait(call, live)
        else:
            message = refusals.too_many_wait(call.key[1], line.size, is_up=is_up)
            call.fail(503, "ServiceUnavailable", message)

    def _begin_to_wait(self, call: Call, live: LiveRoute) -> None:
        call.held = self._clock.now
        self.busy[live.key] = live.line
        if not self._retrying:
            self._retrying = True
            asyncio.get_running_loop().call_later(RETRY_SECONDS, self._retry)

    # What waits

    def _retry(self) -> None:
        self._retrying = False
        self._clock.tick()
        self.reload()
        self._connect_all()
        self._weed()
        self._serve_all()
        if self.busy:
            self._retrying = True
            asyncio.get_running_loop().call_later(RETRY_SECONDS, self._retry)

    def _serve_all(self) -> None:
        for key in list(self.busy):
            self._serve(key)

    def _serve(self, key: Key) -> None:
        """Let those go on that can; suspects before others, for they came before them."""
        line, live = self.busy[key], self._routes.get(key)
        if live is None:
            self._reserve(line, None)
            for call in line.weed(lambda call: True):
                call.fail(400, "ValidationError", refusals.not_found(key[1], self.account))
        else:
            self._try_alone(line, live)
            self._go_on(line, live)
        if not line.size and line.ward is None:
            self.busy.pop(key, None)

    def _go_on(self, line: Line, live: LiveRoute) -> None:
        for target, queue in list(line.waiting.items()):
            variants = live.variants(target)
            while queue:
                if queue[0].gone:
                    line.take(queue)
                elif not variants:
                    self.send(line.take(queue))  # which finds that there is no such variant
                elif (chosen := choose(variants, self._clock.now, queue[0].frame)) is not None:
                    self._hand(line.take(queue), *chosen)
                else:
                    break

    def _try_alone(self, line: Line, live: LiveRoute) -> None:
        """Send the next suspect if its replica has nothing else to do."""
        call = line.next_suspect()
        if call is None:
            if line.ward is not None and line.ward.is_free:
                self._reserve(line, None)
            return
        variants = live.variants(call.target)
        able = {one: v for v in variants for one in v.replicas if one.up and not one.hung}
        ward = line.ward
        if ward is None or ward not in able:
            free = [one for one in able if not one.reserved]
            ward = min(free, key=lambda one: len(one.in_flight), default=None)
            self._reserve(line, ward)
        if not variants:
            self.send(line.take(line.suspects))  # its variant is gone
        elif ward is not None and ward.is_free:
            self._hand(line.take(line.suspects), able[ward], ward)

    def _reserve(self, line: Line, ward: Replica | None) -> None:
        """Let this replica, instead of the one before it, be there for suspects alone."""
        before, line.ward = line.ward, ward
        for one in (before, ward):
            if one is not None:
                one.reserved = one is ward
                self._refresh(one)

    def _weed(self) -> None:
        """End what has waited for too long."""
        now = self._clock.now
        if now - self._weeded < WEED_SECONDS:
            return
        self._weeded = now
        for key, line in list(self.busy.items()):
            if (live := self._routes.get(key)) is not None:
                for call in line.weed(partial(patience.is_over, live=live, now=now)):
                    self._give_up(call, live, now)

    def _give_up(self, call: Call, live: LiveRoute, now: float) -> None:
        endpoint, waited = live.route.endpoint, now - call.held
        if call.deadline and now >= call.deadline:
            call.late(patience.timeout(call, live))
        elif live.is_up(call.target):
            call.fail(503, "ServiceUnavailable", refusals.no_room(endpoint, waited))
        else:
            call.fail(503, "ServiceUnavailable", refusals.no_replica(endpoint, waited))

    # What becomes of connections

    def joined(self, one: Replica) -> None:
        """A replica can be sent to."""
        self._refresh(one)
        for variant in self._serving.get(one.address, ()):
            _warmed(variant)
        self._serve_all()

    def moved(self, one: Replica) -> None:
        """A replica has answered: it has room again, or hangs no longer."""
        if one.hung:
            one.hung = False
            self._refresh(one)
        for variant in self._serving.get(one.address, ()):
            if variant.live.key in self.busy:
                self._serve(variant.live.key)

    def left(self, one: Replica, calls: list[Call]) -> None:
        """A replica is gone, with these requests: a prediction may be asked for twice."""
        self._bell.remind()
        self._refresh(one)
        for line in self.busy.values():
            if line.ward is one:
                self._reserve(line, None)
        for call in calls:
            call.deaths += 1
            if isinstance(call, Copy):
                call.fail(503, "ServiceUnavailable", "")
            if call.gone:
                continue
            if len(calls) == 1 and call.deaths >= MOST_DEATHS:
                self._poison.add(call)
                call.poison()
            elif (live := self._find(call.key)) is None:
                call.fail(400, "ValidationError", refusals.not_found(call.key[1], self.account))
            else:
                live.line.suspect(call)
                self._begin_to_wait(call, live)
        self._serve_all()

    def refused(self) -> None:
        """Nobody listens at an address that the table names."""
        self._bell.remind()

    def tick(self, now: float) -> None:
        """Some twenty times a second: follow the table, reconnect, end what takes too long."""
        self.reload()
        census.read_meters(self._meters, self._routes.values(), now)
        census.read_demands(self._demands, self._routes.values(), now)
        if now - self._looked > LOOK_SECONDS:
            self._looked = now
            self._connect_all()
            for one in [*self._replicas.values(), *self._leaving]:
                self._look_at(one, now)
            self._leaving = [one for one in self._leaving if one.in_flight]
            self._serve_all()

    def close(self) -> None:
        """Let go of every replica."""
        self._meters.write(self._clock.now)
        self.busy.clear()
        for one in [*self._replicas.values(), *self._leaving]:
            one.retire()
        if self.memory is not None:
            self.memory.close()
        self._bell.close()

    def _look_at(self, one: Replica, now: float) -> None:
        late = [call for call in one.in_flight.values() if call.deadline < now]
        for call in late:
            one.forget(call)
            live = self._routes.get(call.key)
            call.late(patience.timeout(call, live) if live else TIMEOUT)
        if not late and one.rests:
            one.moved = now
        elif not one.hung and now - one.moved > HUNG_SECONDS:
            one.hung = True
            self._refresh(one)

    def _refresh(self, one: Replica) -> None:
        for variant in self._serving.get(one.address, ()):
            variant.refresh()

    def _connect_all(self) -> None:
        for one in self._replicas.values():
            if not one.up:
                one.connect()


def _warmed(variant: LiveVariant) -> None:
    """Note how long requests have waited for a serverless variant's first replica."""
    demand = variant.live.demand
    if demand is not None and demand.cold and variant.is_serverless:
        variant.meter.setup.add(perf_counter() - demand.cold)
        demand.cold = 0.0
