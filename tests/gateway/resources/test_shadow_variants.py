"""ShadowProductionVariants through unmodified boto3."""

from __future__ import annotations

from typing import Any

import pytest

from tests.gateway.conftest import Gateway
from tests.gateway.failing import refused
from tests.gateway.requests import model, variant
from tests.gateway.resources.test_hosting import VALIDATION, stand

LATER = {"OutputConfig": {"S3OutputPath": "s3://mill/out"}}


@pytest.fixture
def shadowed(sagemaker: Any, gateway: Gateway, region: str) -> Any:
    """A client of a region with an endpoint ``mill`` that has a shadow and is InService."""
    sagemaker.create_model(**model("mill"))
    sagemaker.create_endpoint_config(
        EndpointConfigName="mill",
        ProductionVariants=[variant("main")],
        ShadowProductionVariants=[variant("dark", InitialVariantWeight=0.5)],
    )
    sagemaker.create_endpoint(EndpointName="mill", EndpointConfigName="mill")
    stand(gateway, region, "InService")
    return sagemaker


def test_a_shadow_is_told_beside_the_production_variant(shadowed: Any) -> None:
    config = shadowed.describe_endpoint_config(EndpointConfigName="mill")
    assert config["ShadowProductionVariants"] == [variant("dark", InitialVariantWeight=0.5)]
    told = shadowed.describe_endpoint(EndpointName="mill")
    for member, name, weight in (
        ("ProductionVariants", "main", 1.0),
        ("ShadowProductionVariants", "dark", 0.5),
    ):
        [found] = told[member]
        assert (found["VariantName"], found["DesiredWeight"]) == (name, weight)
    shadowed.update_endpoint(EndpointName="mill", EndpointConfigName="mill")
    pending = shadowed.describe_endpoint(EndpointName="mill")["PendingDeploymentSummary"]
    assert [v["VariantName"] for v in pending["ProductionVariants"]] == ["main"]
    assert [v["VariantName"] for v in pending["ShadowProductionVariants"]] == ["dark"]


def test_weight_and_count_of_a_shadow_may_be_set(shadowed: Any) -> None:
    change = {"VariantName": "dark", "DesiredWeight": 0.25, "DesiredInstanceCount": 3}
    shadowed.update_endpoint_weights_and_capacities(
        EndpointName="mill", DesiredWeightsAndCapacities=[change]
    )
    [dark] = shadowed.describe_endpoint(EndpointName="mill")["ShadowProductionVariants"]
    assert (dark["DesiredWeight"], dark["DesiredInstanceCount"]) == (0.25, 3)


@pytest.mark.parametrize(
    ("production", "shadows", "more", "words"),
    [
        ("ab", "s", {}, "exactly one variant in ProductionVariants; got 2"),
        ("a", "st", {}, "exactly one variant in ShadowProductionVariants; got 2"),
        ("a", "a", {}, 'The variant name "a" was non-unique'),
        ("a", "s", {"AsyncInferenceConfig": LATER}, "AsyncInferenceConfig exclude each other"),
    ],
)
def test_what_aws_excludes_is_refused(
    sagemaker: Any, production: str, shadows: str, more: dict[str, Any], words: str
) -> None:
    sagemaker.create_model(**model("mill"))
    with refused(VALIDATION, words):
        sagemaker.create_endpoint_config(
            EndpointConfigName="mill",
            ProductionVariants=[variant(name) for name in production],
            ShadowProductionVariants=[variant(name) for name in shadows],
            **more,
        )


def test_a_model_of_several_containers_takes_part_in_no_shadow_test(sagemaker: Any) -> None:
    container = model("mill")["PrimaryContainer"]
    several = {**model("line"), "Containers": [container, container]}
    del several["PrimaryContainer"]
    sagemaker.create_model(**several)
    sagemaker.create_model(**model("mill"))
    with refused(VALIDATION, "Model line is multi-model or has several containers"):
        sagemaker.create_endpoint_config(
            EndpointConfigName="mill",
            ProductionVariants=[variant("main")],
            ShadowProductionVariants=[variant("dark", ModelName="line")],
        )
