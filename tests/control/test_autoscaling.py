"""Metrics put by hand scale an endpoint of real processes, the clock moved on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from unittest.mock import Mock

import pytest

from tests.control.mill import REGION, Mill
from tidemill.control import (
    alarm,
    endpoint,
    scalable_target,
    scaling_activity,
    scaling_policy,
    scheduled_action,
)
from tidemill.control.alarm import Alarms
from tidemill.control.autoscaling import Autoscaling
from tidemill.control.endpoint import Change
from tidemill.control.scaling_activity import Activity
from tidemill.control.schedules import Schedules
from tidemill.errors import Invalid
from tidemill.stats.summary import Summary
from tidemill.store.base import Row
from tidemill.store.metrics import MetricStore, Series

RESOURCE = "endpoint/mill/variant/main"
NAMED = {
    "PolicyName": "busy",
    "ResourceId": RESOURCE,
    "ScalableDimension": scalable_target.DIMENSION,
}
INVOCATIONS = {"PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"}
TRACK: dict[str, Any] = {"TargetValue": 60.0, "PredefinedMetricSpecification": INVOCATIONS}
DIMENSIONS = {"EndpointName": "mill", "VariantName": "main"}
PER_INSTANCE = Series.of(REGION, "AWS/SageMaker", "InvocationsPerInstance", DIMENSIONS)
QUEUE = Series.of(REGION, "mine", "queue", {})


class Place:
    """An endpoint ``mill`` of dummy replicas, and the duties that scale it."""

    def __init__(self, mill: Mill) -> None:
        self.mill = mill
        self.metrics = MetricStore(mill.home.metrics)
        self.duty = Autoscaling(mill.verbs, self.metrics)
        # On a whole minute, so that a minute told is a minute later.
        mill.clock_ahead = 60.0 - mill.now() % 60.0 + 5.0

    def register(self, low: int = 1, high: int = 4, **changes: Any) -> None:
        request = {"MinCapacity": low, "MaxCapacity": high, **changes}
        scalable_target.register(self.mill.verbs, REGION, RESOURCE, request, {})

    def track(self, **changes: Any) -> None:
        kind = {"PolicyType": scaling_policy.TRACKING}
        config = {scaling_policy.TRACKED: {**TRACK, **changes}}
        scaling_policy.put(self.mill.verbs, REGION, {**NAMED, **kind, **config})

    def minutes(self, count: int, total: float, series: Series = PER_INSTANCE) -> None:
        """So many minutes pass, each with this sum."""
        for _ in range(count):
            self.metrics.put(self.mill.now() - 5.0, [(series, Summary.of([total]))])
            self.mill.clock_ahead += 60.0
        self.look()

    def look(self) -> None:
        now = self.mill.now()
        Alarms(self.mill.verbs, self.metrics).tick(now)
        self.duty.tick(now)

    def restart(self) -> None:
        """Control is killed and comes again."""
        self.mill.restart()
        self.duty = Autoscaling(self.mill.verbs, self.metrics)

    def settle(self) -> int:
        """The count once the endpoint is in service, and scaling has seen it."""
        row = self.mill.until_endpoint("mill", "InService")
        self.duty.tick(self.mill.now())
        [variant] = row.document["state"]["variants"]
        assert variant["count"] == variant["current_count"]
        count: int = variant["count"]
        return count

    @property
    def endpoint(self) -> Row:
        return self.mill.endpoint("mill")

    @property
    def wanted(self) -> int:
        count: int = self.endpoint.document["state"]["variants"][0]["count"]
        return count

    @property
    def activities(self) -> list[Activity]:
        return [one for _, one in scaling_activity.of(self.mill.verbs, REGION, RESOURCE)]


@pytest.fixture
def place(mill: Mill) -> Iterator[Place]:
    one = Place(mill)
    mill.serve("mill")
    mill.until_endpoint("mill", "InService")
    yield one
    one.metrics.close()


def test_load_scales_out_and_silence_in(place: Place) -> None:
    place.register()
    place.track()
    place.minutes(2, 150.0)
    assert place.wanted == 1, "two minutes are not enough"
    place.minutes(1, 150.0)
    assert (place.endpoint.status, place.wanted) == ("Updating", 3)
    [going] = place.activities
    assert going.status == "InProgress"
    assert place.settle() == 3
    [done] = place.activities
    assert (done.id, done.status) == (going.id, "Successful")
    assert done.description == "Setting desired instance count to 3."
    assert "AlarmHigh" in done.cause
    assert done.cause.endswith("in state ALARM triggered policy busy")
    place.minutes(1, 10.0)
    place.minutes(1, 50.0)
    place.minutes(15, 10.0)
    assert place.settle() == 3, "one of the minutes needed them all"
    place.minutes(2, 10.0)
    assert place.settle() == 1
    assert "AlarmLow" in place.activities[0].cause


def test_a_cooldown_outlives_control(place: Place) -> None:
    place.register()
    place.track()
    place.minutes(3, 70.0)
    assert place.settle() == 2
    for _ in range(4):
        place.restart()
        place.minutes(1, 70.0)
        assert place.wanted == 2, "what was added counts while the cooldown lasts"
    place.minutes(1, 70.0)
    assert place.settle() == 3


def test_more_load_scales_out_within_the_cooldown(place: Place) -> None:
    place.register(high=10)
    place.track()
    place.minutes(3, 70.0)
    assert place.settle() == 2
    place.minutes(1, 290.0)
    assert place.settle() == 5, "five times what one instance takes; it were ten of two"


def test_control_killed_before_it_asked_asks_again(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.register()
    place.track()
    with monkeypatch.context() as killed:
        killed.setattr(endpoint, "update_weights", _die)
        place.minutes(3, 110.0)
    assert place.wanted == 1
    place.restart()
    place.duty.tick(place.mill.now())
    assert place.wanted == 2
    assert place.settle() == 2
    assert [one.status for one in place.activities] == ["Successful"]


def test_control_killed_after_it_asked_does_not_double(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.register()
    place.track()
    place.minutes(3, 110.0)
    assert place.wanted == 2
    place.restart()
    place.look()
    place.look()
    assert place.settle() == 2
    assert [one.status for one in place.activities] == ["Successful"]


def test_it_waits_while_an_endpoint_is_updated(place: Place) -> None:
    place.register()
    place.track()
    change = {"main": Change("main", weight=2.0)}
    endpoint.update_weights(place.mill.verbs, REGION, "mill", change)
    place.minutes(3, 110.0)
    assert (place.wanted, place.activities) == (1, [])
    place.mill.until_endpoint("mill", "InService")
    place.look()
    assert place.settle() == 2


def test_what_hands_change_is_where_it_goes_on_from(place: Place) -> None:
    place.register()
    place.track()
    change = {"main": Change("main", count=2)}
    endpoint.update_weights(place.mill.verbs, REGION, "mill", change)
    assert place.settle() == 2
    place.minutes(3, 80.0)
    assert place.settle() == 3


def test_bounds_are_kept_without_any_policy(place: Place) -> None:
    place.register(low=2)
    place.look()
    assert place.settle() == 2
    assert place.activities[0].cause == "minimum capacity was set to 2"
    place.register(low=1, high=1, SuspendedState={"DynamicScalingInSuspended": True})
    place.look()
    assert place.wanted == 2, "scaling in is suspended"
    place.register(low=1, high=1, SuspendedState={"DynamicScalingInSuspended": False})
    place.look()
    assert place.settle() == 1
    assert place.activities[0].cause == "maximum capacity was set to 1"


def test_the_maximum_and_suspension_hold_load_back(place: Place) -> None:
    place.register(high=2, SuspendedState={"DynamicScalingOutSuspended": True})
    place.track()
    place.minutes(3, 500.0)
    assert place.wanted == 1
    place.register(high=2, SuspendedState={"DynamicScalingOutSuspended": False})
    place.look()
    assert place.settle() == 2


def test_deregistering_stops_it(place: Place) -> None:
    place.register()
    place.track()
    scalable_target.deregister(place.mill.verbs, REGION, RESOURCE)
    place.minutes(3, 500.0)
    assert place.wanted == 1
    assert not place.mill.store.unfinished(alarm.KIND, alarm.STATES)


def test_a_change_under_way_is_not_followed_beyond_its_target(place: Place) -> None:
    place.register(low=2)
    place.look()
    scalable_target.deregister(place.mill.verbs, REGION, RESOURCE)
    assert [one.status for one in place.activities] == ["Unfulfilled"]


def test_what_cannot_be_done_is_told_and_tried_again_later(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.register(low=2)
    refusal = Invalid("a count that fits", got=2, do="Ask for fewer.")
    with monkeypatch.context() as refusing:
        refusing.setattr(endpoint, "update_weights", Mock(side_effect=refusal))
        place.look()
        place.look()
    [failed] = place.activities
    assert failed.status == "Failed"
    assert failed.message.startswith("Failed to set desired instance count to 2. Reason: a count")
    place.look()
    assert place.wanted == 1, "not before a minute has passed"
    place.mill.clock_ahead += 61.0
    place.look()
    assert place.settle() == 2


def test_a_replica_that_does_not_start_fails_the_change(place: Place) -> None:
    place.register(low=2)
    place.look()
    row = place.endpoint
    state = {**row.document["state"], "failure": "no room"}
    state["variants"] = [{**v, "count": v["current_count"]} for v in state["variants"]]
    document = {**row.document, "state": state}
    place.mill.store.update(replace(row, status="InService", document=document))
    place.look()
    [failed] = place.activities
    assert (failed.status, failed.message[-7:]) == ("Failed", "no room")


def test_an_endpoint_made_anew_is_not_scaled_by_what_scaled_the_old(place: Place) -> None:
    place.register(low=3)
    place.track()
    row = place.endpoint
    arn = place.mill.verbs.arn("endpoint", REGION, "mill")
    made = replace(row, document=row.document, revision=0, serial=0)
    place.mill.store.delete(row, arn=arn)
    place.mill.store.insert(made, arn=arn)
    place.look()
    assert place.wanted == 1
    assert place.mill.store.get(scalable_target.KIND, REGION, RESOURCE) is None
    assert scaling_policy.of(place.mill.verbs, REGION) == []


def test_an_alarm_of_ones_own_takes_steps(place: Place) -> None:
    place.register()
    steps = [
        {"MetricIntervalLowerBound": 0.0, "MetricIntervalUpperBound": 10.0, "ScalingAdjustment": 1},
        {"MetricIntervalLowerBound": 10.0, "ScalingAdjustment": 2},
    ]
    config: dict[str, Any] = {
        "AdjustmentType": "ChangeInCapacity",
        "StepAdjustments": steps,
        "Cooldown": 60,
    }
    kind = {"PolicyType": scaling_policy.STEPPING, scaling_policy.STEPPED: config}
    policy = scaling_policy.put(place.mill.verbs, REGION, {**NAMED, **kind})
    rule = {
        "AlarmName": "long",
        "Namespace": "mine",
        "MetricName": "queue",
        "Statistic": "Maximum",
        "Period": 60,
        "EvaluationPeriods": 1,
        "Threshold": 5.0,
        "ComparisonOperator": "GreaterThanThreshold",
        "AlarmActions": [scaling_policy.arn(place.mill.verbs, policy)],
    }
    alarm.put(place.mill.verbs, REGION, "long", rule, {})
    place.minutes(1, 5.0, QUEUE)
    assert place.wanted == 1
    place.minutes(1, 6.0, QUEUE)
    assert place.settle() == 2
    place.look()
    assert place.wanted == 2, "the minute was of the capacity before"
    place.minutes(1, 30.0, QUEUE)
    assert place.settle() == 3, "a larger step counts from where the smaller one began"
    place.minutes(2, 30.0, QUEUE)
    assert place.settle() == 4
    assert place.activities[0].cause == "monitor alarm long in state ALARM triggered policy busy"


def test_bounds_change_when_it_is_time_though_control_was_away(place: Place) -> None:
    place.register()
    named = {**NAMED, "ScheduledActionName": "hourly", "Schedule": "rate(1 hour)"}
    request = {**named, "ScalableTargetAction": {"MinCapacity": 2}}
    action = scheduled_action.put(place.mill.verbs, REGION, request)
    duty = Schedules(place.mill.verbs)
    duty.tick(place.mill.now())
    assert place.activities == []
    place.mill.clock_ahead += 3 * 3600.0 + 5.0
    duty.tick(place.mill.now())
    duty.tick(place.mill.now())
    [done] = place.activities
    assert done.cause == "scheduled action name hourly was triggered"
    assert done.message == "Successfully set min capacity to 2."
    due = place.mill.verbs.describe(action.kind, REGION, action.name).document["state"]["next"]
    assert due == pytest.approx(action.created + 4 * 3600.0, abs=0.01)
    place.look()
    assert place.settle() == 2


def test_a_schedule_is_suspended_and_never_breaks_the_bounds(place: Place) -> None:
    place.register(SuspendedState={"ScheduledScalingSuspended": True})
    named = {**NAMED, "ScheduledActionName": "hourly", "Schedule": "rate(1 hour)"}
    request = {**named, "ScalableTargetAction": {"MinCapacity": 9}}
    scheduled_action.put(place.mill.verbs, REGION, request)
    place.mill.clock_ahead += 3605.0
    Schedules(place.mill.verbs).tick(place.mill.now())
    assert place.activities == []
    place.register(SuspendedState={"ScheduledScalingSuspended": False})
    place.mill.clock_ahead += 3600.0
    Schedules(place.mill.verbs).tick(place.mill.now())
    assert [one.status for one in place.activities] == ["Failed"]
    place.look()
    assert place.wanted == 1


def _die(*_: object) -> None:
    raise RuntimeError("killed")
