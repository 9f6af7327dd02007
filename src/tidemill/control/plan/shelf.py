"""CloudWatch's metrics of multi-model endpoints, from what their replicas have counted since."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tidemill.control.plan.metering import MICROSECONDS, Found, Variant, latency
from tidemill.spec.shelf_counts import ShelfCounts
from tidemill.stats.summary import Summary

INSTANCES = "/aws/sagemaker/Endpoints"
_TIMES = {
    "ModelLoadingWaitTime": "waiting",
    "ModelDownloadingTime": "downloading",
    "ModelLoadingTime": "loading",
    "ModelUnloadingTime": "unloading",
}


def since(variant: Variant, before: ShelfCounts | None, now: ShelfCounts) -> Iterator[Found]:
    """What AWS publishes of a replica between two looks at its counts.

    A request is 1 of ModelCacheHit if its model was in memory, else 0, so that the average is the
    rate of hits; times are of requests that waited, and of models.
    """
    if before is None or before.life != now.life:
        before = ShelfCounts()
    requests, hits = now.requests - before.requests, now.hits - before.hits
    if requests > 0:
        yield variant.series("ModelCacheHit"), Summary.of([0.0, 1.0], [requests - hits, hits])
    for name, told in _TIMES.items():
        earlier, later = getattr(before, told), getattr(now, told)
        if later.count > earlier.count:
            yield variant.series(name, MICROSECONDS), latency(earlier, later)


def loaded(variant: Variant, models: Iterable[int]) -> Found:
    """Models in memory at this moment. models: of each replica"""
    counts = [float(count) for count in models]
    return variant.series("LoadedModelCount", namespace=INSTANCES), Summary.of(counts)
