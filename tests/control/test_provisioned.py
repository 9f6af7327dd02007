"""Provisioned concurrency is scaled by how much of it is used."""

from __future__ import annotations

from typing import Any

import pytest

from tests.control.mill import REGION, Mill
from tests.control.test_autoscaling import RESOURCE, Place
from tidemill.control import endpoint, scalable_target, scaling_activity, scaling_policy
from tidemill.control.provisioned import UTILIZATION, ProvisionedUse
from tidemill.spec import serverless
from tidemill.spec.endpoint import Endpoint
from tidemill.spec.endpoint_config import ProductionVariant
from tidemill.spec.serverless import Demand, Serverless
from tidemill.store.metrics import Series

DIMENSIONS = {"EndpointName": "mill", "VariantName": "main"}
USED = Series.of(REGION, "AWS/SageMaker", UTILIZATION, DIMENSIONS)
TRACKED: dict[str, Any] = {
    "TargetValue": 0.5,
    "PredefinedMetricSpecification": {
        "PredefinedMetricType": "SageMakerVariantProvisionedConcurrencyUtilization"
    },
}


@pytest.fixture
def place(mill: Mill) -> Any:
    bounds = Serverless(1024, 20, provisioned=2)
    mill.config("mill", ProductionVariant("main", "mill-model", serverless=bounds))
    wanted = Endpoint("mill", mill.verbs.arn("endpoint", REGION, "mill"), REGION, "mill")
    endpoint.create(mill.verbs, mill.home, wanted, {"EndpointName": "mill"}, {})
    mill.until_endpoint("mill", "InService")
    one = Place(mill)
    one.register(2, 10, ScalableDimension=scalable_target.PROVISIONED)
    yield one
    one.metrics.close()


def provisioned(mill: Mill) -> int:
    [variant] = mill.endpoint("mill").document["state"]["variants"]
    count: int = variant["serverless"]["provisioned"]
    return count


def test_it_follows_its_use(place: Place) -> None:
    mill = place.mill
    asked = {
        "PolicyName": "busy",
        "ResourceId": RESOURCE,
        "ScalableDimension": scalable_target.PROVISIONED,
        "PolicyType": scaling_policy.TRACKING,
        scaling_policy.TRACKED: TRACKED,
    }
    scaling_policy.put(mill.verbs, REGION, asked)
    duty = ProvisionedUse(mill.verbs, mill.home, place.metrics)
    for _ in range(4):
        demand = Demand(REGION, "mill", mill.now(), peak=4, at_once=4)
        mill.home.demand.write_text(serverless.to_json([demand]))
        duty.tick(mill.now())
        mill.clock_ahead += 60.0
    [_, *points] = place.metrics.read(USED, 0.0, mill.now() + 60.0, 60)
    assert {summary.mean for _, summary in points} == {2.0}
    place.look()
    mill.until_endpoint("mill", "InService")
    place.duty.tick(mill.now())
    assert provisioned(mill) == 8
    [(_, activity), *_] = scaling_activity.of(mill.verbs, REGION, RESOURCE)
    assert activity.status == "Successful"
    assert activity.description == "Setting desired provisioned concurrency to 8."


def test_a_target_of_what_is_no_longer_serverless_goes(place: Place) -> None:
    mill = place.mill
    mill.config("fixed", ProductionVariant("main", "mill-model", 1))
    endpoint.update(mill.verbs, REGION, "mill", "fixed", {})
    mill.until_endpoint("mill", "InService")
    place.duty.tick(mill.now())
    assert mill.store.get(scalable_target.KIND, REGION, RESOURCE) is None
