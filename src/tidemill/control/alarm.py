"""Alarms: rows of kind ``alarm`` whose status is the alarm's state, evaluated every few seconds."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from tidemill.control.verbs import Verbs
from tidemill.errors import Conflict, NotFound
from tidemill.store.base import Document, Row
from tidemill.store.metrics import MetricStore, Series
from tidemill.traffic.alarm import ALARM, INSUFFICIENT, OK, Rule, evaluate, reason
from tidemill.traffic.statistic import statistic

KIND = "alarm"
STATES = (OK, ALARM, INSUFFICIENT)
UNCHECKED = "Unchecked: Initial alarm creation"
MOST_HISTORY = 100
"""So many changes of an alarm's state are remembered, the newest."""
_LOG = logging.getLogger(__name__)


def state(verbs: Verbs, region: str, name: str) -> str | None:
    """``OK``, ``ALARM`` or ``INSUFFICIENT_DATA``; None when there is no such alarm."""
    row = verbs.store.get(KIND, region, name)
    return None if row is None else row.status


def arn(verbs: Verbs, region: str, name: str) -> str:
    """CloudWatch's ARN of an alarm."""
    return f"arn:aws:cloudwatch:{region}:{verbs.account}:alarm:{name}"


def _arn_of(verbs: Verbs, row: Row) -> str:
    return arn(verbs, row.region, row.name)


def put(
    verbs: Verbs, region: str, name: str, request: Mapping[str, Any], tags: Mapping[str, str]
) -> Row:
    """Make an alarm, or give the one of that name another rule; its state stands until evaluated.

    tags: of a new one
    """
    now = verbs.clock()

    def made() -> Row:
        first: Document = {"reason": UNCHECKED, "since": now, "configured": now, "history": []}
        document: Document = {"request": dict(request), "state": first}
        return Row(KIND, region, name, INSUFFICIENT, now, now, document)

    def change(row: Row) -> Row:
        return _with_rule(row, request, now)

    own = partial(_arn_of, verbs)
    return verbs.put(KIND, region, name, make=made, change=change, arn=own, tags=tags)


def set_state(
    verbs: Verbs, region: str, name: str, to: str, why: str, data: str | None = None
) -> Row:
    """Let an alarm be in that state until the next evaluation says otherwise; raises NotFound."""
    now = verbs.clock()
    return verbs.change(KIND, region, name, lambda row: moved(row, to, why, now, data))


def delete(verbs: Verbs, region: str, names: list[str]) -> None:
    """Remove all of them, or none; raises NotFound when one is not there."""
    rows = {name: verbs.store.get(KIND, region, name) for name in names}
    missing = [name for name, row in rows.items() if row is None]
    if missing:
        raise NotFound(f"alarms in {region}", got=missing, do="DescribeAlarms lists them.")
    for name in names:
        with suppress(NotFound):  # gone meanwhile, or named twice
            verbs.delete(KIND, region, name, arn=partial(_arn_of, verbs))


def rule(request: Mapping[str, Any]) -> Rule:
    """What an alarm was put with."""
    return Rule(
        comparison=request["ComparisonOperator"],
        threshold=request["Threshold"],
        statistic=request.get("Statistic") or request["ExtendedStatistic"],
        period=request["Period"],
        periods=request["EvaluationPeriods"],
        datapoints=request.get("DatapointsToAlarm", request["EvaluationPeriods"]),
        missing=request.get("TreatMissingData", "missing"),
    )


def series(row: Row) -> Series:
    """The metric that an alarm watches."""
    request = row.document["request"]
    dimensions = {d["Name"]: d["Value"] for d in request.get("Dimensions", ())}
    return Series.of(row.region, request["Namespace"], request["MetricName"], dimensions)


def moved(row: Row, to: str, why: str, now: float, data: str | None = None) -> Row:
    """The row in another state, its history one longer; or the same but for its reason."""
    old = row.document["state"]
    new: Document = {**old, "reason": why, "data": data}
    if to != row.status:
        change = {"at": now, "from": row.status, "to": to, "reason": why}
        history = [*old["history"], change][-MOST_HISTORY:]
        new = {**new, "since": now, "history": history}
    return replace(row, status=to, document={**row.document, "state": new})


def _with_rule(row: Row, request: Mapping[str, Any], now: float) -> Row:
    after = {**row.document["state"], "configured": now}
    return replace(row, document={"request": dict(request), "state": after})


@dataclass(frozen=True, slots=True)
class Alarms:
    """A duty of control: evaluates every alarm on the datapoints of its last periods."""

    verbs: Verbs
    metrics: MetricStore
    seconds: float = 5.0

    def tick(self, now: float) -> None:
        """Evaluate all, write down those whose state changes. now: epoch seconds"""
        for row in self.verbs.store.unfinished(KIND, STATES):
            try:
                self._evaluate(row, now)
            except Conflict:
                continue  # somebody has just changed it: its turn comes again
            except Exception:
                _LOG.exception("alarm %s in %s: this turn failed", row.name, row.region)

    def _evaluate(self, row: Row, now: float) -> None:
        wanted = rule(row.document["request"])
        values = self._values(row, wanted, now)
        found = evaluate(wanted, values, row.status)
        if found != row.status or row.document["state"]["reason"] == UNCHECKED:
            changed = moved(row, found, reason(wanted, values, found), now)
            self.verbs.store.update(replace(changed, modified=now))
            self.verbs.wake()

    def _values(self, row: Row, wanted: Rule, now: float) -> list[float | None]:
        start, end = wanted.window(now)
        told = dict(self.metrics.read(series(row), start, end, wanted.period))
        periods = [start + n * wanted.period for n in range(int((end - start) // wanted.period))]
        return [statistic(told[at], wanted.statistic) if at in told else None for at in periods]
