"""Keeps the metrics of endpoints that learn: what their versions say of themselves."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tidemill.control import endpoint, learning
from tidemill.control.plan import fleet
from tidemill.control.plan.metering import COUNT, Found
from tidemill.control.verbs import Verbs
from tidemill.spec.endpoint import EndpointStatus
from tidemill.spec.learning import is_wanted
from tidemill.stats.summary import Summary
from tidemill.store.metrics import MetricStore, Series

NAMESPACE = "Tidemill/Learning"
_MARK = "lessons"


@dataclass(frozen=True, slots=True)
class Lesson:
    """A version as it lies on the disk. latest: model → measure → value, over its own rows"""

    number: int
    rows: int
    latest: Mapping[str, Mapping[str, float]]


class Lessons:
    """A duty of control: reads the newest version of every variant that learns.

    How far it has read is stored with the metrics, so that nothing is counted twice.
    """

    seconds = 2.0

    def __init__(self, verbs: Verbs, metrics: MetricStore) -> None:
        self._verbs, self._metrics = verbs, metrics
        told = metrics.mark(_MARK)
        self._read: dict[str, int] = json.loads(told) if told is not None else {}

    def tick(self, now: float) -> None:
        """Store what is new. now: epoch seconds"""
        read: dict[str, int] = {}
        news: list[Found] = []
        for place, region, dimensions in self._places():
            lesson = newest(place)
            if lesson is None:
                continue
            before = self._read.get(str(place), 0)
            read[str(place)] = lesson.rows
            if lesson.rows > before:
                news += _news(region, dimensions, lesson, before)
        if news:
            self._metrics.put(now, news, mark=(_MARK, json.dumps(read)))
            self._read = read

    def _places(self) -> Iterator[tuple[Path, str, Mapping[str, str]]]:
        statuses = [s.value for s in EndpointStatus if s.takes_traffic]
        for row in self._verbs.store.unfinished(endpoint.KIND, statuses):
            document = row.document["state"]
            if not any(is_wanted(variant["environment"]) for variant in document["variants"]):
                continue
            state = fleet.from_document(document)
            for variant in state.variants:
                if variant.learns:
                    dimensions = {"EndpointName": row.name, "VariantName": variant.name}
                    yield (
                        learning.place(state, variant.name, state.generation),
                        row.region,
                        dimensions,
                    )


def newest(place: Path) -> Lesson | None:
    """The newest version in a directory of learning; None while there is none."""
    try:
        names = [one for one in (place / "versions").iterdir() if one.name.isdigit()]
        about: Mapping[str, Any] = json.loads((max(names) / "about.json").read_bytes())
        return Lesson(about["number"], about["rows"], about["latest"])
    except (OSError, ValueError, KeyError):  # not yet, or gone meanwhile
        return None


def _news(
    region: str, dimensions: Mapping[str, str], lesson: Lesson, before: int
) -> Iterator[Found]:
    rows = float(lesson.rows - before)
    learned = Series.of(region, NAMESPACE, "RowsLearned", dimensions, COUNT)
    yield learned, Summary.told(rows, rows, 1, 1)
    version = Series.of(region, NAMESPACE, "Version", dimensions)
    yield version, Summary.of([float(lesson.number)])
    for model, measures in lesson.latest.items():
        for name, value in measures.items():
            own = {**dimensions, "Model": model.title()}
            yield Series.of(region, NAMESPACE, name, own), Summary.of([value])
