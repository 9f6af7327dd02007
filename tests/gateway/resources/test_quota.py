"""A slip in a count must not start a flood of processes."""

from __future__ import annotations

from typing import Any

import pytest

from tests.gateway.failing import refused
from tests.gateway.requests import model, training_job, variant

CODE = "ResourceLimitExceeded"


@pytest.mark.parametrize(
    "resources",
    [
        {"InstanceType": "ml.m5.large", "InstanceCount": 257, "VolumeSizeInGB": 5},
        {
            "VolumeSizeInGB": 5,
            "InstanceGroups": [
                {"InstanceType": "ml.m5.large", "InstanceCount": 200, "InstanceGroupName": name}
                for name in ("a", "b")
            ],
        },
    ],
)
def test_a_job_has_a_bounded_number_of_hosts(sagemaker: Any, resources: dict[str, Any]) -> None:
    with refused(CODE, "'ml.m5.large for training job usage' is 256 Instances"):
        sagemaker.create_training_job(**training_job("flood", ResourceConfig=resources))


def test_an_endpoint_has_a_bounded_number_of_replicas(sagemaker: Any) -> None:
    sagemaker.create_model(**model("mill"))
    flood = [variant(InitialInstanceCount=1_000_000)]
    with refused(CODE, "request delta of 1000000 Instances"):
        sagemaker.create_endpoint_config(EndpointConfigName="flood", ProductionVariants=flood)
    sagemaker.create_endpoint_config(EndpointConfigName="mill", ProductionVariants=[variant()])
    sagemaker.create_endpoint(EndpointName="mill", EndpointConfigName="mill")
    more = [{"VariantName": "AllTraffic", "DesiredInstanceCount": 257}]
    with refused(CODE, "endpoint usage' is 256 Instances"):
        sagemaker.update_endpoint_weights_and_capacities(
            EndpointName="mill", DesiredWeightsAndCapacities=more
        )
