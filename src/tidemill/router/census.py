"""What is under way, counted from time to time: for the meters, and for serverless endpoints."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from time import time

from tidemill.router.demand import Demands
from tidemill.router.live import LiveRoute
from tidemill.router.meter import Meter, Meters


def read_meters(meters: Meters, routes: Collection[LiveRoute], now: float) -> None:
    """Write down what has been counted, about once a second."""
    if not meters.is_due(now):
        return
    under_way = Counter[Meter]()
    for live in routes:
        for variant in live.all:
            under_way[variant.meter] += sum(len(one.in_flight) for one in variant.replicas)
        for variant in live.taking[:1]:
            under_way[variant.meter] += live.line.size  # what waits is load, too
    for meter, number in under_way.items():
        meter.under_way = number
    meters.keep({meter.key for meter in under_way}, now)
    meters.write(now)


def read_demands(demands: Demands, routes: Collection[LiveRoute], now: float) -> None:
    """Tell control how serverless endpoints are used, about once a second."""
    if not demands.is_due(now):
        return
    for live in routes:
        if live.demand is not None:
            at_once = live.at_once()
            live.demand.see(at_once, time())
            if not at_once:
                live.demand.cold = 0.0  # who waited for a replica has gone
    demands.write(now)
