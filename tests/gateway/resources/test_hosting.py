"""Models, endpoint configs and endpoints through unmodified boto3."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.gateway.conftest import ACCOUNT, Gateway
from tests.gateway.failing import refused
from tests.gateway.requests import IMAGE, model, variant

VALIDATION = "ValidationException"


@pytest.fixture
def prefix(region: str) -> str:
    return f"arn:aws:sagemaker:{region}:{ACCOUNT}:"


@pytest.fixture
def hosted(sagemaker: Any, gateway: Gateway, region: str) -> Any:
    """A client of a region with an endpoint ``mill`` of two variants that is InService."""
    sagemaker.create_model(**model("mill"))
    both = [variant("blue"), variant("green", InitialVariantWeight=3.0)]
    sagemaker.create_endpoint_config(EndpointConfigName="mill", ProductionVariants=both)
    sagemaker.create_endpoint(EndpointName="mill", EndpointConfigName="mill")
    stand(gateway, region, "InService")
    return sagemaker


def stand(gateway: Gateway, region: str, status: str) -> None:
    gateway.verbs.change("endpoint", region, "mill", lambda row: replace(row, status=status))


def test_a_model_comes_back_as_it_was_sent(sagemaker: Any, prefix: str) -> None:
    request = model("Mill", Tags=[{"Key": "a", "Value": "b"}])
    assert sagemaker.create_model(**request)["ModelArn"] == prefix + "model/Mill"
    told = sagemaker.describe_model(ModelName="Mill")
    assert told["PrimaryContainer"] == request["PrimaryContainer"]
    assert told["ModelArn"] == prefix + "model/Mill"
    assert "Tags" not in told
    [listed] = sagemaker.list_models()["Models"]
    assert set(listed) == {"ModelName", "ModelArn", "CreationTime"}
    sagemaker.delete_model(ModelName="Mill")
    assert sagemaker.list_models()["Models"] == []


def test_a_model_that_is_not_there(sagemaker: Any, prefix: str) -> None:
    for call in (sagemaker.describe_model, sagemaker.delete_model):
        with refused(VALIDATION, f'Could not find model "{prefix}model/nobody".'):
            call(ModelName="nobody")


def test_a_model_that_is_there_already(sagemaker: Any, prefix: str) -> None:
    sagemaker.create_model(**model("mill"))
    with refused(VALIDATION, f'Cannot create already existing model "{prefix}model/mill".'):
        sagemaker.create_model(**model("mill"))


def test_a_model_has_one_container_or_several(sagemaker: Any) -> None:
    several = [{"Image": IMAGE}, {"Image": IMAGE}]
    with refused(VALIDATION, "PrimaryContainer and Containers must not both be given"):
        sagemaker.create_model(**model("mill", Containers=several))


def test_nothing_has_an_empty_name(sagemaker: Any) -> None:
    with refused(VALIDATION, "Value '' at 'modelName' failed to satisfy constraint: Member must"):
        sagemaker.create_model(**model(""))
    sagemaker.create_model(**model("mill"))
    with refused(VALIDATION, "Value '' at 'productionVariants.2.member.variantName'"):
        sagemaker.create_endpoint_config(
            EndpointConfigName="c", ProductionVariants=[variant(), variant("")]
        )


def test_models_are_listed_newest_first(sagemaker: Any) -> None:
    for name in ("b", "a", "c"):
        sagemaker.create_model(**model(name))

    def names(**asked: Any) -> str:
        return "".join(m["ModelName"] for m in sagemaker.list_models(**asked)["Models"])

    assert names() == "cab"
    assert names(SortOrder="Ascending") == "bac"
    assert names(SortBy="Name", SortOrder="Ascending") == "abc"
    assert names(NameContains="A") == ""
    pages = sagemaker.get_paginator("list_models").paginate(PaginationConfig={"PageSize": 1})
    assert "".join(m["ModelName"] for page in pages for m in page["Models"]) == "cab"
    with refused(VALIDATION, "NextToken"):
        sagemaker.list_models(NextToken="made-up")


def test_a_config_comes_back_with_no_member_added(sagemaker: Any, prefix: str) -> None:
    sagemaker.create_model(**model("mill"))
    request = {
        "EndpointConfigName": "mill",
        "ProductionVariants": [
            {"VariantName": "one", "ModelName": "mill", "InitialInstanceCount": 2},
        ],
        "AsyncInferenceConfig": {
            "OutputConfig": {"S3OutputPath": "s3://mill/out", "NotificationConfig": {}}
        },
    }
    arn = sagemaker.create_endpoint_config(**request)["EndpointConfigArn"]
    assert arn == prefix + "endpoint-config/mill"
    told = sagemaker.describe_endpoint_config(EndpointConfigName="mill")
    assert {name: told[name] for name in request} == request
    [listed] = sagemaker.list_endpoint_configs()["EndpointConfigs"]
    assert listed["EndpointConfigArn"] == arn
    sagemaker.delete_endpoint_config(EndpointConfigName="mill")
    assert sagemaker.list_endpoint_configs()["EndpointConfigs"] == []


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("ExplainerConfig", {"ClarifyExplainerConfig": {"ShapConfig": {"ShapBaselineConfig": {}}}}),
    ],
)
def test_a_config_that_cannot_be_kept_is_refused(sagemaker: Any, member: str, value: Any) -> None:
    sagemaker.create_model(**model("mill"))
    with refused(VALIDATION, f"EndpointConfig c has {member}: "):
        sagemaker.create_endpoint_config(
            EndpointConfigName="c", ProductionVariants=[variant()], **{member: value}
        )


def test_a_config_needs_its_models(sagemaker: Any, prefix: str) -> None:
    with refused(VALIDATION, f'Could not find model "{prefix}model/mill".'):
        sagemaker.create_endpoint_config(EndpointConfigName="c", ProductionVariants=[variant()])


def test_a_config_names_each_variant_once(sagemaker: Any) -> None:
    sagemaker.create_model(**model("mill"))
    with refused(VALIDATION, 'The variant name "AllTraffic" was non-unique within the request.'):
        sagemaker.create_endpoint_config(
            EndpointConfigName="c", ProductionVariants=[variant(), variant()]
        )


def test_a_config_that_is_not_there(sagemaker: Any, prefix: str) -> None:
    message = f'Could not find endpoint configuration "{prefix}endpoint-config/nobody".'
    for call in (sagemaker.describe_endpoint_config, sagemaker.delete_endpoint_config):
        with refused(VALIDATION, message):
            call(EndpointConfigName="nobody")
    with refused(VALIDATION, message):
        sagemaker.create_endpoint(EndpointName="e", EndpointConfigName="nobody")


def test_a_config_and_an_endpoint_that_are_there_already(hosted: Any, prefix: str) -> None:
    said = "Cannot create already existing endpoint"
    with refused(VALIDATION, f'{said} configuration "{prefix}endpoint-config/mill".'):
        hosted.create_endpoint_config(EndpointConfigName="mill", ProductionVariants=[variant()])
    with refused(VALIDATION, f'{said} "{prefix}endpoint/mill".'):
        hosted.create_endpoint(EndpointName="mill", EndpointConfigName="mill")


def test_an_endpoint_is_created_and_described(sagemaker: Any, prefix: str) -> None:
    sagemaker.create_model(**model("mill"))
    sagemaker.create_endpoint_config(EndpointConfigName="c", ProductionVariants=[variant()])
    arn = sagemaker.create_endpoint(EndpointName="e", EndpointConfigName="c")["EndpointArn"]
    assert arn == prefix + "endpoint/e"
    told = sagemaker.describe_endpoint(EndpointName="e")
    assert (told["EndpointStatus"], told["EndpointConfigName"]) == ("Creating", "c")
    assert "ProductionVariants" not in told
    [listed] = sagemaker.list_endpoints(StatusEquals="Creating")["Endpoints"]
    assert listed["EndpointArn"] == arn
    assert sagemaker.list_endpoints(StatusEquals="InService")["Endpoints"] == []


def test_a_model_deleted_under_its_config_is_named(sagemaker: Any, prefix: str) -> None:
    sagemaker.create_model(**model("mill"))
    sagemaker.create_endpoint_config(EndpointConfigName="c", ProductionVariants=[variant()])
    sagemaker.delete_model(ModelName="mill")
    with refused(VALIDATION, f'Could not find model "{prefix}model/mill".'):
        sagemaker.create_endpoint(EndpointName="e", EndpointConfigName="c")


def test_an_endpoint_in_service_shows_its_variants(hosted: Any) -> None:
    told = hosted.describe_endpoint(EndpointName="mill")
    blue, green = told["ProductionVariants"]
    assert (blue["VariantName"], blue["DesiredWeight"], blue["DesiredInstanceCount"]) == (
        "blue",
        1.0,
        1,
    )
    assert green["DesiredWeight"] == 3.0
    assert blue["DeployedImages"][0]["SpecifiedImage"] == IMAGE
    hosted.get_waiter("endpoint_in_service").wait(EndpointName="mill")


def test_an_endpoint_that_is_not_there(sagemaker: Any, prefix: str) -> None:
    with refused(VALIDATION, f'Could not find endpoint "{prefix}endpoint/nobody".'):
        sagemaker.describe_endpoint(EndpointName="nobody")
    with refused(VALIDATION, f'Could not find endpoint "{prefix}endpoint/nobody".'):
        sagemaker.delete_endpoint(EndpointName="nobody")
    sagemaker.get_waiter("endpoint_deleted").wait(EndpointName="nobody")


def test_a_deleted_endpoint_leaves(hosted: Any, gateway: Gateway, region: str) -> None:
    hosted.delete_endpoint(EndpointName="mill")
    assert hosted.describe_endpoint(EndpointName="mill")["EndpointStatus"] == "Deleting"
    gateway.verbs.delete("endpoint", region, "mill")
    with refused(VALIDATION, "Could not find endpoint"):
        hosted.delete_endpoint(EndpointName="mill")


def test_an_update_rolls_over_to_another_config(hosted: Any, prefix: str) -> None:
    two = [variant("blue", InitialInstanceCount=2)]
    hosted.create_endpoint_config(EndpointConfigName="next", ProductionVariants=two)
    told = hosted.update_endpoint(
        EndpointName="mill",
        EndpointConfigName="next",
        DeploymentConfig={
            "RollingUpdatePolicy": {
                "MaximumBatchSize": {"Type": "INSTANCE_COUNT", "Value": 1},
                "WaitIntervalInSeconds": 0,
            }
        },
    )
    assert told["EndpointArn"] == prefix + "endpoint/mill"
    told = hosted.describe_endpoint(EndpointName="mill")
    assert (told["EndpointStatus"], told["EndpointConfigName"]) == ("Updating", "mill")
    assert told["PendingDeploymentSummary"]["EndpointConfigName"] == "next"
    assert "RollingUpdatePolicy" in told["LastDeploymentConfig"]
    with refused(VALIDATION, f'Cannot update in-progress endpoint "{prefix}endpoint/mill".'):
        hosted.update_endpoint(EndpointName="mill", EndpointConfigName="next")


@pytest.mark.parametrize(
    ("excluded", "weight", "count"),
    [("DesiredInstanceCount", 3.0, 4), ("DesiredWeight", 9.0, 1), ("DataCaptureConfig", 3.0, 1)],
)
def test_an_update_may_keep_weights_and_counts(
    hosted: Any, gateway: Gateway, region: str, excluded: str, weight: float, count: int
) -> None:
    hosted.create_endpoint_config(
        EndpointConfigName="next",
        ProductionVariants=[variant("green", InitialVariantWeight=9.0, InitialInstanceCount=4)],
    )
    hosted.update_endpoint(
        EndpointName="mill",
        EndpointConfigName="next",
        RetainAllVariantProperties=True,
        ExcludeRetainedVariantProperties=[{"VariantPropertyType": excluded}],
    )
    row = gateway.verbs.describe("endpoint", region, "mill")
    [green] = row.document["state"]["pending"]["variants"]
    assert (green["weight"], green["count"]) == (weight, count)


def test_an_endpoint_that_failed_can_only_be_deleted(
    hosted: Any, gateway: Gateway, region: str
) -> None:
    stand(gateway, region, "Failed")
    with refused(VALIDATION, "in status Failed"):
        hosted.update_endpoint(EndpointName="mill", EndpointConfigName="mill")
    hosted.delete_endpoint(EndpointName="mill")


def test_weights_and_counts_change(hosted: Any) -> None:
    hosted.update_endpoint_weights_and_capacities(
        EndpointName="mill",
        DesiredWeightsAndCapacities=[
            {"VariantName": "blue", "DesiredWeight": 5.0},
            {"VariantName": "green", "DesiredInstanceCount": 2},
        ],
    )
    told = hosted.describe_endpoint(EndpointName="mill")
    blue, green = told["ProductionVariants"]
    assert (blue["DesiredWeight"], blue["DesiredInstanceCount"]) == (5.0, 1)
    assert (green["DesiredWeight"], green["DesiredInstanceCount"]) == (3.0, 2)
    assert told["EndpointStatus"] == "Updating"


@pytest.mark.parametrize("status", ["InService", "Creating"])
def test_a_refused_change_of_weights_leaves_the_endpoint_alone(
    hosted: Any, gateway: Gateway, region: str, prefix: str, status: str
) -> None:
    stand(gateway, region, status)
    before = hosted.describe_endpoint(EndpointName="mill")

    def change(endpoint: str, *names: str) -> None:
        hosted.update_endpoint_weights_and_capacities(
            EndpointName=endpoint,
            DesiredWeightsAndCapacities=[{"VariantName": n, "DesiredWeight": 1} for n in names],
        )

    with refused(VALIDATION, f'Could not find endpoint "{prefix}endpoint/nobody".'):
        change("nobody", "blue")
    message = 'The variant name(s) "red" is/are not present within endpoint configuration "mill".'
    with refused(VALIDATION, message):
        change("mill", "blue", "red")
    with refused(VALIDATION, 'The variant name "blue" was non-unique within the request.'):
        change("mill", "blue", "blue")
    after = hosted.describe_endpoint(EndpointName="mill")
    before.pop("ResponseMetadata")
    after.pop("ResponseMetadata")
    assert before == after


def test_an_endpoint_outlives_its_config(hosted: Any) -> None:
    hosted.delete_endpoint_config(EndpointConfigName="mill")
    assert hosted.describe_endpoint(EndpointName="mill")["EndpointConfigName"] == "mill"


def test_an_endpoint_that_is_deleted_during_an_update_is_what_was_not_found(
    hosted: Any, gateway: Gateway, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    change = gateway.verbs.change

    def too_late(kind: str, region: str, name: str, fn: Any) -> Any:
        gateway.verbs.delete(kind, region, name)
        return change(kind, region, name, fn)

    monkeypatch.setattr(gateway.verbs, "change", too_late)
    with refused(VALIDATION, f'Could not find endpoint "{prefix}endpoint/mill".'):
        hosted.update_endpoint(EndpointName="mill", EndpointConfigName="mill")
