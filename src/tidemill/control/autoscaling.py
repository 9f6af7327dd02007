"""Scales variants by their policies: alarms say when, ``traffic.scaling`` how far."""

from __future__ import annotations

import logging
import uuid
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace

from tidemill.control import alarm, endpoint, scalable_target, scaling_activity, scaling_policy
from tidemill.control.endpoint import Change
from tidemill.control.scalable_target import COUNTED, DIMENSION, PROVISIONED, Target, target
from tidemill.control.scaling_activity import Activity
from tidemill.control.verbs import Verbs
from tidemill.errors import Conflict, TidemillError
from tidemill.spec.endpoint import EndpointStatus
from tidemill.store.base import Row
from tidemill.store.metrics import MetricStore, Series
from tidemill.traffic import scaling
from tidemill.traffic.alarm import ALARM, Rule
from tidemill.traffic.scaling import HIGH, LOW, Point, Scaled
from tidemill.traffic.statistic import statistic

REST_SECONDS = 60.0
"""After a change that failed: the same would fail again at once."""
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Wish:
    """What one policy wants, and why, in AWS's words."""

    count: int
    cause: str


@dataclass(frozen=True, slots=True)
class _Seen:
    """At the beginning of a turn. policies: by region and resource · ringing: alarms, the same
    by region and name
    """

    policies: Mapping[tuple[str, str], Sequence[Row]]
    ringing: Mapping[tuple[str, str], Row]


@dataclass(frozen=True, slots=True)
class Autoscaling:
    """A duty of control: brings the count of every scalable variant to what its policies want.

    A change is written down before it is asked for, with the counts before and after it. Whenever
    control dies, the next one finds it and asks for the same count again.
    """

    verbs: Verbs
    metrics: MetricStore
    seconds: float = 3.0

    def tick(self, now: float) -> None:
        """One look at every scalable variant. now: epoch seconds"""
        rows = self.verbs.store.unfinished(scalable_target.KIND, [scalable_target.ACTIVE])
        if not rows:
            return
        seen = self._seen()
        for row in rows:
            try:
                self._look(row, seen, now)
            except Conflict:
                continue  # somebody has just changed it: its turn comes again
            except Exception:
                _LOG.exception("%s in %s: this turn failed", row.name, row.region)

    def _seen(self) -> _Seen:
        store, policies = self.verbs.store, defaultdict(list)
        for row in store.unfinished(scaling_policy.KIND, [scaling_policy.ACTIVE]):
            policies[row.region, row.document["request"]["ResourceId"]].append(row)
        ringing = store.unfinished(alarm.KIND, [ALARM])
        return _Seen(
            policies,
            {
                (row.region, row.name): row
                for row in ringing
                if row.document["request"].get("ActionsEnabled", True)
            },
        )

    def _look(self, row: Row, seen: _Seen, now: float) -> None:
        state, named = target(row), scalable_target.names(row.name)
        if named is None:
            return
        served = self.verbs.store.get(endpoint.KIND, row.region, named[0])
        told = _dimension(row)
        counted = scalable_target.dimension(self.verbs, row.region, row.name) or told
        if served is None or served.serial != state.endpoint or counted != told:
            scalable_target.deregister(self.verbs, row.region, row.name)
            return
        found = scalable_target.count(self.verbs, row.region, row.name)
        if found is None or found[0].status != EndpointStatus.IN_SERVICE.value:
            return  # it is being changed: wait until it is done
        served, count = found
        if state.doing is not None:
            self._follow(row, state, served, count, now)
        elif count != state.last.after:  # by somebody else's hands
            last = Scaled(now, state.last.after, count, cools=False)
            self._remember(row, replace(state, last=last))
        elif now >= state.rests:
            self._decide(row, state, served, seen, now)

    def _decide(self, row: Row, state: Target, served: Row, seen: _Seen, now: float) -> None:
        asked, current = row.document["request"], state.last.after
        # The endpoint may have been asynchronous when its bounds were set.
        low = max(asked["MinCapacity"], scalable_target.fewest(served))
        high = max(asked["MaxCapacity"], low)
        suspended = asked.get("SuspendedState", {})
        wishes = list(self._wishes(row, seen, state.last, now))
        wanted = scaling.decide(
            [wish.count for wish in wishes],
            current,
            low,
            high,
            stays_out=suspended.get("DynamicScalingOutSuspended", False),
            stays_in=suspended.get("DynamicScalingInSuspended", False),
        )
        if wanted == current:
            return
        activity = Activity(
            str(uuid.uuid4()),
            f"Setting {_counted(row)} to {wanted}.",
            _cause(wishes, current, wanted),
            now,
            message=f"Successfully set {_counted(row)} to {wanted}. Waiting for change to "
            "be fulfilled by sagemaker.",
        )
        doing = {"after": wanted, "revision": served.revision, "activity": asdict(activity)}
        state = replace(state, doing=doing)
        self._remember(row, state)
        self._follow(row, state, served, current, now)

    def _follow(self, row: Row, state: Target, served: Row, count: int, now: float) -> None:
        """Bring a change that was decided to its end."""
        doing, before = state.doing or {}, state.last.after
        activity, wanted = Activity(**doing["activity"]), doing["after"]
        why = served.document["state"].get("failure")
        if count == wanted:
            done = f"Successfully set {_counted(row)} to {wanted}. "
            done += "Change successfully fulfilled by sagemaker."
            self._end(row, state, count, replace(activity, status="Successful", message=done), now)
        elif count != before:
            text = f"The count was set to {count} meanwhile."
            self._end(row, state, count, replace(activity, status="Overridden", message=text), now)
        elif why is not None and served.revision != doing["revision"]:
            text = f"Failed to set {_counted(row)} to {wanted}. Reason: {why}"
            self._end(row, state, count, replace(activity, status="Failed", message=text), now)
        else:
            scaling_activity.record(self.verbs, row.region, row.name, activity)
            self._ask(row, state, activity, wanted, now)

    def _ask(self, row: Row, state: Target, activity: Activity, wanted: int, now: float) -> None:
        name, variant = scalable_target.names(row.name) or ("", "")
        change = Change(variant, count=wanted)
        if _dimension(row) == PROVISIONED:
            change = Change(variant, provisioned=wanted)
        try:
            endpoint.update_weights(self.verbs, row.region, name, {variant: change})
        except Conflict:
            raise  # not in service at this very moment
        except TidemillError as error:
            text = f"Failed to set {_counted(row)} to {wanted}. Reason: {error}"
            failed = replace(activity, status="Failed", message=text)
            self._end(row, state, state.last.after, failed, now)

    def _end(self, row: Row, state: Target, count: int, activity: Activity, now: float) -> None:
        ended = replace(activity, end=now)
        scaling_activity.record(self.verbs, row.region, row.name, ended)
        rests = now + REST_SECONDS if activity.status == "Failed" else 0.0
        last = Scaled(now, state.last.after, count, cools=activity.status == "Successful")
        last = state.last if activity.status == "Failed" else last
        self._remember(row, replace(state, last=last, doing=None, rests=rests))

    def _remember(self, row: Row, state: Target) -> None:
        def noted(newest: Row) -> Row:
            if newest.serial != row.serial:
                raise Conflict("the target that was looked at", got=newest.serial, do="Look again.")
            return replace(newest, document={**newest.document, "state": state.to_document()})

        self.verbs.change(row.kind, row.region, row.name, noted)

    def _wishes(self, row: Row, seen: _Seen, last: Scaled, now: float) -> Iterator[_Wish]:
        for policy in seen.policies.get((row.region, row.name), ()):
            if policy.document["request"]["PolicyType"] == scaling_policy.TRACKING:
                yield from self._tracked(policy, seen, last, now)
            else:
                yield from self._stepped(policy, seen, last, now)

    def _tracked(self, row: Row, seen: _Seen, last: Scaled, now: float) -> Iterator[_Wish]:
        policy, names = scaling_policy.tracking(row), scaling_policy.alarms(row)
        ringing = [
            (way, name)
            for way, name in zip((HIGH, LOW), names, strict=False)
            if (row.region, name) in seen.ringing
        ]
        rings, name = ringing[0] if ringing else (None, "")
        points: Sequence[Point] = ()
        if rings is not None:
            points = self._points(scaling_policy.series(row), policy.low, now)
        count = scaling.track(policy, rings, points, last, now)
        if count is not None:
            yield _Wish(count, _why(row, name))

    def _stepped(self, row: Row, seen: _Seen, last: Scaled, now: float) -> Iterator[_Wish]:
        policy, arn = scaling_policy.stepping(row), scaling_policy.arn(self.verbs, row)
        for (region, name), watch in seen.ringing.items():
            request = watch.document["request"]
            if region != row.region or arn not in request.get("AlarmActions", ()):
                continue
            rule = alarm.rule(request)
            points = self._points(alarm.series(watch), rule, now)[-rule.periods :]
            count = scaling.step(policy, rule.threshold, points, last, now)
            if count is not None:
                yield _Wish(count, _why(row, name))

    def _points(self, series: Series, rule: Rule, now: float) -> list[Point]:
        start, end = rule.window(now)
        told = self.metrics.read(series, start, end, rule.period)
        values = ((at, statistic(summary, rule.statistic)) for at, summary in told)
        return [(at, value) for at, value in values if value is not None]


def _dimension(row: Row) -> str:
    """What is counted of a target; those of an older release do not say."""
    told: str = row.document["request"].get("ScalableDimension", DIMENSION)
    return told


def _counted(row: Row) -> str:
    return COUNTED[_dimension(row)]


def _why(policy: Row, watch: str) -> str:
    name = policy.document["request"]["PolicyName"]
    return f"monitor alarm {watch} in state ALARM triggered policy {name}"


def _cause(wishes: Sequence[_Wish], current: int, wanted: int) -> str:
    """Of the policy with the largest wish, unless only a bound asks for the change."""
    best = max(wishes, key=lambda wish: wish.count, default=_Wish(current, ""))
    if best.count != current and (best.count > current) == (wanted > current):
        return best.cause
    bound = "minimum" if wanted > current else "maximum"
    return f"{bound} capacity was set to {wanted}"
