"""An asynchronous endpoint scales to no replica at all while nothing waits, and wakes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.control.mill import REGION, Mill
from tests.control.test_autoscaling import NAMED, Place
from tidemill.control import alarm, endpoint, scalable_target, scaling_policy
from tidemill.control.endpoint import Change
from tidemill.control.plan.fleet import from_document
from tidemill.errors import Invalid
from tidemill.spec.async_inference import AsyncInference
from tidemill.spec.endpoint_config import ProductionVariant
from tidemill.store.metrics import Series

LATER = AsyncInference("s3://mill/out", "s3://mill/failed")
WHERE = {"EndpointName": "mill"}
BACKLOG = Series.of(REGION, "AWS/SageMaker", "ApproximateBacklogSizePerInstance", WHERE)
WAITING = Series.of(REGION, "AWS/SageMaker", "HasBacklogWithoutCapacity", WHERE)
DIMENSIONS = [{"Name": "EndpointName", "Value": "mill"}]


@pytest.fixture
def place(mill: Mill) -> Iterator[Place]:
    one = Place(mill)
    mill.serve("mill", asynchronous=LATER)
    mill.until_endpoint("mill", "InService")
    one.register(low=0)
    yield one
    one.metrics.close()


def put(place: Place, name: str, kind: str, member: str, config: dict[str, Any]) -> str:
    request = {**NAMED, "PolicyName": name, "PolicyType": kind, member: config}
    row = scaling_policy.put(place.mill.verbs, REGION, request)
    return scaling_policy.arn(place.mill.verbs, row)


def test_nothing_to_do_takes_the_last_replica_and_a_request_brings_it_back(place: Place) -> None:
    own = {
        "Namespace": BACKLOG.namespace,
        "MetricName": BACKLOG.name,
        "Dimensions": DIMENSIONS,
        "Statistic": "Average",
    }
    config = {"TargetValue": 5.0, "CustomizedMetricSpecification": own}
    put(place, "backlog", scaling_policy.TRACKING, scaling_policy.TRACKED, config)
    place.minutes(2, 1.0, BACKLOG)
    place.minutes(15, 0.0, BACKLOG)
    assert place.settle() == 1, "a minute ago one was needed"
    place.minutes(2, 0.0, BACKLOG)
    assert (place.endpoint.status, place.settle()) == ("Updating", 0)
    [main] = place.mill.routes()["mill"].variants
    assert main.replicas == {}
    place.mill.clock_ahead += 60.0  # and the drained process goes
    place.mill.until(lambda: place.endpoint.document["state"]["replicas"] == {})

    up = {"MetricIntervalLowerBound": 0.0, "ScalingAdjustment": 1}
    config = {"AdjustmentType": "ChangeInCapacity", "StepAdjustments": [up]}
    policy = put(place, "wake", scaling_policy.STEPPING, scaling_policy.STEPPED, config)
    rule = {
        "AlarmName": "wake",
        "Namespace": WAITING.namespace,
        "MetricName": WAITING.name,
        "Dimensions": DIMENSIONS,
        "Statistic": "Average",
        "Period": 60,
        "EvaluationPeriods": 2,
        "Threshold": 1.0,
        "ComparisonOperator": "GreaterThanOrEqualToThreshold",
        "TreatMissingData": "missing",
        "AlarmActions": [policy],
    }
    alarm.put(place.mill.verbs, REGION, "wake", rule, {})
    place.minutes(2, 1.0, WAITING)
    assert place.settle() == 1
    assert place.activities[0].cause == "monitor alarm wake in state ALARM triggered policy wake"
    [main] = place.mill.routes()["mill"].variants
    assert len(main.replicas) == 1
    place.minutes(3, 12.0, BACKLOG)
    assert place.settle() == 3


def test_many_requests_wake_it_by_the_target_alone(place: Place) -> None:
    own = {
        "Namespace": BACKLOG.namespace,
        "MetricName": BACKLOG.name,
        "Dimensions": DIMENSIONS,
        "Statistic": "Average",
    }
    config = {"TargetValue": 5.0, "CustomizedMetricSpecification": own}
    put(place, "backlog", scaling_policy.TRACKING, scaling_policy.TRACKED, config)
    endpoint.update_weights(place.mill.verbs, REGION, "mill", {"main": Change("main", count=0)})
    assert place.settle() == 0
    place.minutes(3, 12.0, BACKLOG)
    assert place.settle() == 3


def test_where_nobody_can_wait_there_is_a_replica(place: Place) -> None:
    verbs = place.mill.verbs
    endpoint.update_weights(verbs, REGION, "mill", {"main": Change("main", count=0)})
    assert place.settle() == 0
    place.mill.config("prompt", ProductionVariant("main", "mill-model", 2))
    endpoint.update(verbs, REGION, "mill", "prompt", {}, keep_counts=True)
    row = place.mill.until_endpoint("mill", "InService")
    assert [v.count for v in from_document(row.document["state"]).variants] == [1]
    with pytest.raises(Invalid, match="at least 1 instance"):
        endpoint.update_weights(verbs, REGION, "mill", {"main": Change("main", count=0)})
    assert scalable_target.fewest(row) == 1
    place.minutes(2, 0.0)  # its target still says that none will do
    assert place.settle() == 1
