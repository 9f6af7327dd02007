"""Routes with the connections to their replicas: which replica takes the next request."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from tidemill.router.capture import Tap
from tidemill.router.demand import Demand
from tidemill.router.line import Line
from tidemill.router.meter import Meter
from tidemill.router.recall import Recall
from tidemill.router.replica import Replica
from tidemill.spec.frame import target_of
from tidemill.spec.route import RANDOM, Route, Variant
from tidemill.traffic.routing import (
    RAMP_SECONDS,
    admitted,
    affinity,
    choose_any,
    choose_home,
    choose_replica,
    choose_variant,
)

MOST_LOAD = 128 * 2**20
"""Bytes of the requests that one replica may have under way, but for a last one beyond it."""


class LiveVariant:
    """A variant with the connections to its replicas.

    open: those that take requests now, full or not · cold_until: one of them has just come up
    tap: takes a sample of what is answered, or None · shadow: gets copies of its requests, or
    None; its weight is the part of them · recall: of what it answered, where it learns, or None
    """

    __slots__ = (
        "cold_until",
        "config",
        "is_mixed",
        "is_multi_model",
        "is_random",
        "is_serverless",
        "is_shadow",
        "label",
        "live",
        "meter",
        "most",
        "name",
        "open",
        "recall",
        "replicas",
        "shadow",
        "tap",
        "targets",
        "timeout",
        "weight",
    )
    live: LiveRoute

    def __init__(
        self,
        variant: Variant,
        replicas: Sequence[Replica],
        most: int,
        meter: Meter,
        tap: Tap | None = None,
        recall: Recall | None = None,
    ) -> None:
        self.name, self.label = variant.name, variant.name.encode()
        self.weight, self.config = variant.weight, variant.config
        self.is_shadow = variant.shadow
        self.is_serverless = variant.max_concurrency > 0
        self.timeout = variant.timeout
        self.is_random = variant.routing == RANDOM
        self.is_multi_model = variant.multi_model
        self.targets = frozenset(name.encode() for name in variant.targets)
        self.is_mixed = False
        self.most = most
        self.meter = meter
        self.tap = tap
        self.recall = recall
        self.shadow: LiveVariant | None = None
        self.replicas = replicas
        self.refresh()

    def refresh(self) -> None:
        """Look anew which replicas are up; those that hang are the last resort."""
        up = [one for one in self.replicas if one.up and not one.reserved]
        self.open = [one for one in up if not one.hung] or up
        self.cold_until = max((one.since for one in self.open), default=0.0) + RAMP_SECONDS

    @property
    def is_addressed(self) -> bool:
        """Whether its requests name a model or a container."""
        return self.is_multi_model or bool(self.targets)

    def takes(self, frame: bytes) -> bool:
        """Whether a request names what the variant has, or nothing where it has one model."""
        target = target_of(frame)
        if self.targets:
            return target in self.targets
        return bool(target) == self.is_multi_model

    def pick(self, now: float, frame: bytes = b"") -> Replica | None:
        """The replica for the next request, or None while all of them are full. frame: of it"""
        open, most = self.open, self.most
        if len(open) == 1:
            [one] = open
            return one if len(one.in_flight) < most and one.load < MOST_LOAD else None
        roomy = [one for one in open if len(one.in_flight) < most and one.load < MOST_LOAD]
        if self.is_multi_model and roomy:
            return _home(roomy, frame)
        if len(roomy) > 1 and now < self.cold_until:
            point = random.random()  # noqa: S311 - traffic shares, no secret
            roomy = [roomy[i] for i in admitted([now - one.since for one in roomy], point)]
        if len(roomy) < 2:
            return roomy[0] if roomy else None
        point = random.random()  # noqa: S311
        if self.is_random:
            return roomy[choose_any(len(roomy), point)]
        return roomy[choose_replica([len(one.in_flight) for one in roomy], point)]


class LiveRoute:
    """key: region and endpoint · all: its variants · taking: those that traffic goes to by weight
    named: all but shadows, a name's several while an update moves its traffic from one fleet to
    another
    line: what waits for them · demand: of the one that is serverless, or None
    """

    __slots__ = ("all", "demand", "key", "line", "named", "route", "taking")

    def __init__(
        self,
        route: Route,
        variants: Sequence[LiveVariant],
        line: Line,
        demand: Demand | None = None,
    ) -> None:
        self.key = (route.region, route.endpoint)
        self.route = route
        self.all = variants
        shadows = {v for v in variants if v.is_shadow}
        variants = [v for v in variants if v not in shadows]
        self.taking = [v for v in variants if v.weight > 0] or list(variants)
        self.named: Mapping[str, list[LiveVariant]] = {
            name: [v for v in variants if v.name == name] for name in (v.name for v in variants)
        }
        self.line = line
        self.demand = demand
        for variant in self.all:
            variant.live = self
        kinds = {variant.is_addressed for variant in variants}
        for variant in variants:
            variant.is_mixed = len(kinds) > 1
        for variant in variants:
            mine = (v for v in shadows if v.config == variant.config and v.weight > 0)
            variant.shadow = next(mine, None)

    def variants(self, target: str) -> Sequence[LiveVariant]:
        """Those that may answer; none when there is no such target."""
        if not target:
            return self.taking
        return self.named.get(target, [])

    def at_once(self) -> int:
        """Requests that its replicas have, or that wait for them."""
        under_way = sum(len(one.in_flight) for variant in self.all for one in variant.replicas)
        return under_way + self.line.size

    def is_cold(self) -> bool:
        """Is a serverless variant without a replica?"""
        return any(
            variant.is_serverless and not any(one.up for one in variant.replicas)
            for variant in self.all
        )

    def is_up(self, target: str) -> bool:
        """Is any replica there that could answer, be it busy?"""
        return any(one.up for variant in self.variants(target) for one in variant.replicas)


def choose(
    variants: Sequence[LiveVariant], now: float, frame: bytes = b""
) -> tuple[LiveVariant, Replica] | None:
    """Who gets the next request; those that are down or full leave their share to the others."""
    if len(variants) == 1:
        [variant] = variants
        replica = variant.pick(now, frame)
        return None if replica is None else (variant, replica)
    open = [variant for variant in variants if variant.open]
    if open and open[0].is_mixed:
        open = [variant for variant in open if variant.takes(frame)]
    while open:
        at = 0
        if len(open) > 1:
            point = random.random()  # noqa: S311
            at = choose_variant([variant.weight for variant in open], point)
        replica = open[at].pick(now, frame)
        if replica is not None:
            return open[at], replica
        del open[at]
    return None


def _home(replicas: Sequence[Replica], frame: bytes) -> Replica:
    """The one that has the model which a request frame names, as far as all can know."""
    model = target_of(frame)
    affinities = [affinity(model, one.address.encode()) for one in replicas]
    return replicas[choose_home(affinities, [len(one.in_flight) for one in replicas])]
