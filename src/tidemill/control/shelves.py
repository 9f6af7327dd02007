"""Keeps the metrics of multi-model endpoints: what their replicas count of the models they load."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tidemill.control import endpoint
from tidemill.control.plan import shelf
from tidemill.control.plan.metering import Variant
from tidemill.control.verbs import Verbs
from tidemill.spec import shelf_counts
from tidemill.spec.endpoint import EndpointStatus
from tidemill.spec.home import WorkerHome
from tidemill.spec.model import MULTI
from tidemill.spec.shelf_counts import ShelfCounts
from tidemill.store.metrics import CELL, MetricStore

_MARK = "shelves"
Seen = Mapping[str, ShelfCounts]
"""By the home of the replica."""


class Shelves:
    """A duty of control: reads the counts of replicas and stores what has come since the last time.

    How far it has read is stored with the metrics, so that nothing is counted twice.
    """

    seconds = 2.0

    def __init__(self, verbs: Verbs, metrics: MetricStore) -> None:
        self._verbs, self._metrics = verbs, metrics
        told = metrics.mark(_MARK)
        documents = json.loads(told) if told is not None else {}
        self._read: Seen = {k: shelf_counts.from_document(v) for k, v in documents.items()}
        self._sampled: float | None = None

    def tick(self, now: float) -> None:
        """Store what is new. now: epoch seconds"""
        found = dict(self._found())
        fresh, self._sampled = self._sampled != now // CELL, now // CELL
        counts = {home: told for home, (_, told) in found.items()}
        news = [
            news
            for home, (variant, told) in found.items()
            for news in shelf.since(variant, self._read.get(home), told)
        ]
        if fresh:
            models = defaultdict(list)
            for variant, told in found.values():
                models[variant].append(told.models)
            news += [shelf.loaded(variant, each) for variant, each in models.items()]
        if news:
            texts = {home: json.loads(told.to_json()) for home, told in counts.items()}
            self._metrics.put(now, news, mark=(_MARK, json.dumps(texts)))
            self._read = counts

    def _found(self) -> Iterator[tuple[str, tuple[Variant, ShelfCounts]]]:
        statuses = [s.value for s in EndpointStatus if s.takes_traffic]
        for row in self._verbs.store.unfinished(endpoint.KIND, statuses):
            state = row.document["state"]
            if not _is_multi_model(state):
                continue
            for id, replica in state["replicas"].items():
                home = WorkerHome(Path(state["home"]) / id)
                told = _counts(home)
                if told is not None:
                    yield str(home.root), (Variant(row.region, row.name, replica["variant"]), told)


def _is_multi_model(state: Mapping[str, Any]) -> bool:
    fleets = [state, state.get("pending") or {"variants": ()}]
    variants = [variant for fleet in fleets for variant in fleet["variants"]]
    return any(c["mode"] == MULTI for v in variants for c in v.get("containers", ()))


def _counts(home: WorkerHome) -> ShelfCounts | None:
    """What a replica has written; None while there is nothing."""
    try:
        return shelf_counts.from_json(home.shelf.read_bytes())
    except (OSError, ValueError, TypeError, KeyError):
        return None
