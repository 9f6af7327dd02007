"""CloudWatch's metrics of asynchronous endpoints, from what the router has counted since."""

from __future__ import annotations

from collections.abc import Iterator

from tidemill.control.plan.metering import COUNT, MICROSECONDS, NAMESPACE, Found, Variant, latency
from tidemill.spec.meters import Queue, Tally
from tidemill.stats.summary import Summary
from tidemill.store.metrics import Series

MILLISECONDS, SECONDS = "Milliseconds", "Seconds"


def since(before: Tally | None, now: Tally) -> Iterator[Found]:
    """What AWS publishes of the queued requests that have ended between two looks at a tally.

    Failures are 1 or 0 for each, so that their average is their rate.
    """
    if before is None or before.processed > now.processed or before.expired > now.expired:
        before = Tally(*now.key)
    variant = Variant(*now.key)
    ended = now.processed - before.processed + now.expired - before.expired
    for name, failures in (
        ("RequestDownloadFailures", now.unfetched - before.unfetched),
        ("ResponseUploadFailures", now.unput - before.unput),
        ("NotificationFailures", now.untold - before.untold),
        ("ExpiredRequests", now.expired - before.expired),
        ("InvocationFailures", now.failed - before.failed),
    ):
        if ended or failures:
            rest = max(0, ended - failures)
            yield variant.series(name, COUNT), Summary.of([0.0, 1.0], [rest, failures])
    processed = now.processed - before.processed
    if processed:
        # Spelled as AWS spells it.
        name = "InvocationsProcesssed"
        yield variant.series(name, COUNT), Summary.told(processed, processed, 1, 1)
    for name, unit, earlier, later in (
        ("TimeInBacklog", MILLISECONDS, before.waited, now.waited),
        ("TotalProcessingTime", MILLISECONDS, before.took, now.took),
        ("RequestDownloadLatency", MICROSECONDS, before.fetched, now.fetched),
        ("ResponseUploadLatency", MICROSECONDS, before.put, now.put),
    ):
        if later.count > earlier.count:
            yield variant.series(name, unit), latency(earlier, later)


def backlog(now: Queue, at: float) -> Iterator[Found]:
    """What AWS publishes of a queue at a moment. at: epoch seconds

    With no instance the backlog counts as that of one, as there is nothing to divide it by.
    """
    age = max(0.0, at - now.oldest) if now.size else 0.0
    for name, value, unit in (
        ("ApproximateBacklogSize", now.size, COUNT),
        ("ApproximateBacklogSizePerInstance", now.size / max(1, now.replicas), COUNT),
        ("ApproximateAgeOfOldestRequest", age, SECONDS),
        ("HasBacklogWithoutCapacity", float(now.size > 0 and not now.replicas), COUNT),
    ):
        dimensions = {"EndpointName": now.endpoint}
        yield Series.of(now.region, NAMESPACE, name, dimensions, unit), Summary.of([value])
