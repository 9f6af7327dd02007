"""CloudWatch's metrics of an endpoint's variant, from what the router has counted since."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from tidemill.spec.meters import Counted, Key, Latency, Step
from tidemill.stats.quantiles import Sketch
from tidemill.stats.summary import Summary
from tidemill.store.metrics import Series

NAMESPACE = "AWS/SageMaker"
COUNT, MICROSECONDS = "Count", "Microseconds"
ALL_TRAFFIC = "AllTraffic"

Found = tuple[Series, Summary]


@dataclass(frozen=True, slots=True)
class Variant:
    """Names the metrics of one variant. config: of one of its fleets alone, or empty
    container: of its containers that alone, or empty
    """

    region: str
    endpoint: str
    name: str
    config: str = ""
    container: str = ""

    def series(self, name: str, unit: str = "None", namespace: str = NAMESPACE) -> Series:
        """The metric of that name."""
        dimensions = {"EndpointName": self.endpoint, "VariantName": self.name}
        if self.config:
            dimensions["EndpointConfigName"] = self.config
        if self.container:
            dimensions["ContainerName"] = self.container
        return Series.of(self.region, namespace, name, dimensions, unit)


def since(before: Counted | None, now: Counted) -> Iterator[Found]:
    """What AWS publishes of the requests between two looks at a meter.

    A request is one value of each metric: 1 of Invocations; 1 or 0 of the errors, so that their
    average is their rate; 1/n of InvocationsPerInstance, with n replicas. Extremes of latencies
    are known to within 1 %.
    """
    if before is None or before.requests > now.requests:
        before = Counted(now.region, now.endpoint, now.variant, config=now.config)
    for variant in _names(now):
        if now.requests > before.requests:
            yield from _since(variant, before, now)
            yield from _by_container(variant, before, now)
        if now.setup.count > before.setup.count:
            setup = latency(before.setup, now.setup)
            yield variant.series("ModelSetupTime", MICROSECONDS), setup
    if now.lost > before.lost:
        lost, variant = now.lost - before.lost, Variant(now.region, now.endpoint, now.variant)
        yield variant.series("ShadowCopiesLost", COUNT), Summary.told(lost, lost, 1, 1)


def _names(now: Counted) -> Iterator[Variant]:
    """Requests to a fleet of a variant are the variant's, too, and AllTraffic's of the endpoint
    while an update moves it.
    """
    yield Variant(now.region, now.endpoint, now.variant)
    if now.config:
        yield Variant(*now.key)
        if now.variant != ALL_TRAFFIC and not now.is_shadow:
            yield Variant(now.region, now.endpoint, ALL_TRAFFIC)


def _since(variant: Variant, before: Counted, now: Counted) -> Iterator[Found]:
    requests = now.requests - before.requests
    if not now.is_asynchronous:  # of these AWS tells less
        yield variant.series("Invocations"), Summary.told(requests, requests, 1, 1)
        shares = _shares(before.by_replicas, now.by_replicas)
        yield variant.series("InvocationsPerInstance"), shares
    for name, errors in (
        ("Invocation4XXErrors", now.errors_4xx - before.errors_4xx),
        ("Invocation5XXErrors", now.errors_5xx - before.errors_5xx),
        ("InvocationModelErrors", now.model_errors - before.model_errors),
    ):
        yield variant.series(name), Summary.of([0.0, 1.0], [requests - errors, errors])
    for name, earlier, later in (
        ("ModelLatency", before.model, now.model),
        ("OverheadLatency", before.overhead, now.overhead),
    ):
        is_told = name == "ModelLatency" or not now.is_asynchronous
        if is_told and later.count > earlier.count:
            yield variant.series(name, MICROSECONDS), latency(earlier, later)


def _by_container(variant: Variant, before: Counted, now: Counted) -> Iterator[Found]:
    """What each of several containers has had of the requests."""
    for name, later in now.steps.items():
        earlier = before.steps.get(name, Step())
        requests = later.requests - earlier.requests
        if not requests:
            continue
        mine = replace(variant, container=name)
        yield mine.series("Invocations"), Summary.told(requests, requests, 1, 1)
        for metric, errors in (
            ("Invocation4XXErrors", later.errors_4xx - earlier.errors_4xx),
            ("Invocation5XXErrors", later.errors_5xx - earlier.errors_5xx),
        ):
            yield mine.series(metric), Summary.of([0.0, 1.0], [requests - errors, errors])
        yield (
            mine.series("ContainerLatency", MICROSECONDS),
            latency(earlier.latency, later.latency),
        )


def idle(now: Counted) -> Iterator[Found]:
    """No requests, said so: whoever scales by them can tell nothing from not known."""
    for variant in _names(now) if not now.is_asynchronous else ():
        yield variant.series("Invocations"), Summary()
        yield variant.series("InvocationsPerInstance"), Summary()


def concurrency(now: Counted) -> Found:
    """The requests that each replica has under way at this moment."""
    each = now.under_way / max(1, now.replicas)
    return Variant(*now.key).series("ConcurrentRequestsPerModel", COUNT), Summary.of([each])


def latency(before: Latency, now: Latency) -> Summary:
    """Of the requests between two looks."""
    sketch = Sketch(positive=now.buckets).minus(Sketch(positive=before.buckets))
    low, high = sketch.quantile(0.0), sketch.quantile(1.0)
    return Summary(sketch.count, now.total - before.total, low, high, sketch)


def by_key(counted: Iterable[Counted]) -> dict[Key, Counted]:
    """For the next look."""
    return {one.key: one for one in counted}


def _shares(before: Mapping[int, int], now: Mapping[int, int]) -> Summary:
    fresh = {number: count - before.get(number, 0) for number, count in now.items()}
    return Summary.of([1 / number for number in fresh], list(fresh.values()))
