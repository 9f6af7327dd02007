"""Application Auto Scaling through boto3."""

from __future__ import annotations

from typing import Any

import pytest

from tests.gateway.conftest import ACCOUNT, Gateway
from tests.gateway.failing import Client, refused
from tests.gateway.requests import model, variant
from tidemill.control import scaling_activity
from tidemill.control.scaling_activity import MOST, SECONDS, Activity

RESOURCE = "endpoint/mill/variant/AllTraffic"
VARIANT = {
    "ServiceNamespace": "sagemaker",
    "ResourceId": RESOURCE,
    "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
}
INVOCATIONS = {"PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"}
TRACK: dict[str, Any] = {"TargetValue": 70.0, "PredefinedMetricSpecification": INVOCATIONS}
OWN: dict[str, Any] = {"Namespace": "mine", "MetricName": "queue", "Statistic": "Average"}
UP = {"MetricIntervalLowerBound": 0.0, "ScalingAdjustment": 1}
STEP: dict[str, Any] = {"AdjustmentType": "ChangeInCapacity", "StepAdjustments": [UP]}


@pytest.fixture
def scaling(client: Client, sagemaker: Any) -> Any:
    """The client, in a region where there is an endpoint."""
    sagemaker.create_model(**model("mill"))
    sagemaker.create_endpoint_config(EndpointConfigName="mill", ProductionVariants=[variant()])
    sagemaker.create_endpoint(EndpointName="mill", EndpointConfigName="mill")
    return client("application-autoscaling")


def register(scaling: Any, **changes: Any) -> str:
    asked = {"MinCapacity": 1, "MaxCapacity": 4, **VARIANT, **changes}
    told = {name: value for name, value in asked.items() if value is not None}
    arn: str = scaling.register_scalable_target(**told)["ScalableTargetARN"]
    return arn


def put(scaling: Any, name: str = "busy", kind: str = "TargetTracking", **config: Any) -> Any:
    asked = {"PolicyType": f"{kind}Scaling", f"{kind}ScalingPolicyConfiguration": config}
    return scaling.put_scaling_policy(PolicyName=name, **VARIANT, **asked)


def test_a_target_is_told_as_it_was_registered(scaling: Any, region: str) -> None:
    arn = register(scaling)
    [told] = scaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"]
    assert {name: told[name] for name in VARIANT} == VARIANT
    assert (told["MinCapacity"], told["MaxCapacity"]) == (1, 4)
    assert told["ScalableTargetARN"] == arn
    assert arn.startswith(f"arn:aws:application-autoscaling:{region}:{ACCOUNT}:scalable-target/")
    assert told["RoleARN"].endswith("AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint")
    assert set(told["SuspendedState"].values()) == {False}


def test_registering_again_changes_what_is_named(scaling: Any) -> None:
    arn = register(scaling, SuspendedState={"DynamicScalingInSuspended": True})
    again = register(
        scaling,
        MinCapacity=None,
        MaxCapacity=9,
        SuspendedState={"DynamicScalingOutSuspended": True},
    )
    assert again == arn
    [told] = scaling.describe_scalable_targets(
        ServiceNamespace="sagemaker", ResourceIds=[RESOURCE]
    )["ScalableTargets"]
    assert (told["MinCapacity"], told["MaxCapacity"]) == (1, 9)
    assert told["SuspendedState"] == {
        "DynamicScalingInSuspended": True,
        "DynamicScalingOutSuspended": True,
        "ScheduledScalingSuspended": False,
    }


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"ServiceNamespace": "ecs"}, "Unsupported service namespace"),
        ({"ResourceId": "endpoint/mill"}, "Unsupported service namespace"),
        (
            {"ScalableDimension": "sagemaker:inference-component:DesiredCopyCount"},
            "Unsupported service namespace",
        ),
        (
            {"ScalableDimension": "sagemaker:variant:DesiredProvisionedConcurrency"},
            "is not serverless: its scalable dimension is sagemaker:variant:DesiredInstanceCount",
        ),
        ({"ResourceId": "endpoint/mill/variant/other"}, "no variant"),
        ({"ResourceId": "endpoint/other/variant/AllTraffic"}, "no variant"),
        ({"MinCapacity": None}, "MinCapacity must be specified"),
        ({"MinCapacity": 5}, "cannot be less than minimum"),
        ({"MinCapacity": 0}, "at least 1"),
        ({"MaxCapacity": 1000}, "at most 256"),
    ],
)
def test_wrong_targets_are_refused(scaling: Any, wrong: dict[str, Any], message: str) -> None:
    with refused("ValidationException", message):
        register(scaling, **wrong)
    assert not scaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"]


def test_a_tracking_policy_makes_its_two_alarms(scaling: Any, client: Client) -> None:
    register(scaling)
    made = put(scaling, **TRACK, ScaleInCooldown=60)
    names = [alarm["AlarmName"] for alarm in made["Alarms"]]
    high, low = client("cloudwatch").describe_alarms(AlarmNames=names)["MetricAlarms"]
    assert high["AlarmName"].startswith(f"TargetTracking-{RESOURCE}-AlarmHigh-")
    assert low["AlarmName"].startswith(f"TargetTracking-{RESOURCE}-AlarmLow-")
    assert (high["Threshold"], high["EvaluationPeriods"], high["Period"]) == (70.0, 3, 60)
    assert (low["Threshold"], low["EvaluationPeriods"], low["Statistic"]) == (63.0, 15, "Sum")
    assert high["AlarmActions"] == low["AlarmActions"] == [made["PolicyARN"]]
    [told] = scaling.describe_scaling_policies(ServiceNamespace="sagemaker")["ScalingPolicies"]
    assert told["TargetTrackingScalingPolicyConfiguration"] == {**TRACK, "ScaleInCooldown": 60}
    assert (told["PolicyARN"], told["Alarms"]) == (made["PolicyARN"], made["Alarms"])
    assert told["PolicyARN"].endswith(f":resource/sagemaker/{RESOURCE}:policyName/busy")


def test_a_changed_policy_changes_its_alarms(scaling: Any, client: Client) -> None:
    register(scaling)
    first = put(scaling, **TRACK)
    second = put(scaling, TargetValue=5.0, CustomizedMetricSpecification=OWN, DisableScaleIn=True)
    assert second["PolicyARN"] == first["PolicyARN"]
    [alarm] = client("cloudwatch").describe_alarms()["MetricAlarms"]
    assert (alarm["Namespace"], alarm["MetricName"], alarm["Threshold"]) == ("mine", "queue", 5.0)
    put(scaling, kind="Step", **STEP)
    assert client("cloudwatch").describe_alarms()["MetricAlarms"] == []


def test_a_step_policy_names_the_alarms_that_name_it(scaling: Any, client: Client) -> None:
    register(scaling)
    made = put(scaling, kind="Step", **STEP)
    assert made["Alarms"] == []
    client("cloudwatch").put_metric_alarm(
        AlarmName="long-queue",
        **OWN,
        Period=60,
        EvaluationPeriods=2,
        Threshold=10.0,
        ComparisonOperator="GreaterThanThreshold",
        AlarmActions=[made["PolicyARN"]],
    )
    [told] = scaling.describe_scaling_policies(**VARIANT, PolicyNames=["busy"])["ScalingPolicies"]
    assert [alarm["AlarmName"] for alarm in told["Alarms"]] == ["long-queue"]


def test_deleting_takes_the_alarms_along(scaling: Any, client: Client) -> None:
    register(scaling)
    put(scaling, "one", **TRACK)
    put(scaling, "two", **TRACK)
    scaling.delete_scaling_policy(PolicyName="one", **VARIANT)
    assert len(client("cloudwatch").describe_alarms()["MetricAlarms"]) == 2
    scaling.deregister_scalable_target(**VARIANT)
    assert client("cloudwatch").describe_alarms()["MetricAlarms"] == []
    assert not scaling.describe_scaling_policies(ServiceNamespace="sagemaker")["ScalingPolicies"]


def test_what_is_not_there_is_not_found(scaling: Any) -> None:
    place = f"service namespace: sagemaker, resource ID: {RESOURCE}"
    with refused("ObjectNotFoundException", f"No scalable target found for {place}"):
        scaling.deregister_scalable_target(**VARIANT)
    with refused("ObjectNotFoundException", f"No scalable target registered for {place}"):
        put(scaling, **TRACK)
    with refused("ObjectNotFoundException", "policy name: nobody"):
        scaling.delete_scaling_policy(PolicyName="nobody", **VARIANT)


ALB = {"PredefinedMetricType": "ALBRequestCountPerTarget", "ResourceLabel": "app/x"}


@pytest.mark.parametrize(
    ("kind", "config", "message"),
    [
        ("TargetTracking", {**TRACK, "TargetValue": 0.0}, "greater than 0"),
        ("TargetTracking", {**TRACK, "ScaleInCooldown": -1}, "at least 0"),
        ("TargetTracking", {"TargetValue": 1.0}, "Exactly one"),
        ("TargetTracking", {**TRACK, "CustomizedMetricSpecification": OWN}, "Exactly one"),
        ("TargetTracking", {**TRACK, "PredefinedMetricSpecification": ALB}, "not for variants"),
        (
            "TargetTracking",
            {"TargetValue": 1.0, "CustomizedMetricSpecification": {"Namespace": "mine"}},
            "MetricName",
        ),
        ("Step", {"AdjustmentType": "ChangeInCapacity"}, "StepAdjustments must be specified"),
        ("Step", {**STEP, "MinAdjustmentMagnitude": 1}, "PercentChangeInCapacity only"),
        ("Step", {**STEP, "StepAdjustments": [UP, UP]}, "overlap"),
        (
            "Step",
            {
                **STEP,
                "StepAdjustments": [
                    {**UP, "MetricIntervalUpperBound": 5.0},
                    {**UP, "MetricIntervalLowerBound": 9.0},
                ],
            },
            "gaps",
        ),
        (
            "Step",
            {**STEP, "StepAdjustments": [{**UP, "MetricIntervalUpperBound": 5.0}]},
            "must have none",
        ),
        ("Step", {**STEP, "StepAdjustments": [{"ScalingAdjustment": 1}, UP]}, "the only one"),
    ],
)
def test_wrong_policies_are_refused(
    scaling: Any, kind: str, config: dict[str, Any], message: str
) -> None:
    register(scaling)
    with refused("ValidationException", message):
        put(scaling, kind=kind, **config)
    assert not scaling.describe_scaling_policies(ServiceNamespace="sagemaker")["ScalingPolicies"]


def test_a_policy_needs_the_configuration_of_its_type(scaling: Any) -> None:
    register(scaling)
    config = {"TargetTrackingScalingPolicyConfiguration": TRACK}
    with refused("ValidationException", "PolicyType must be specified"):
        scaling.put_scaling_policy(PolicyName="busy", **VARIANT, **config)
    with refused("ValidationException", "needs StepScalingPolicyConfiguration"):
        scaling.put_scaling_policy(PolicyName="busy", **VARIANT, PolicyType="StepScaling", **config)
    with refused("ValidationException", "PredictiveScaling"):
        scaling.put_scaling_policy(
            PolicyName="busy", **VARIANT, PolicyType="PredictiveScaling", **config
        )


def test_lists_are_paged(scaling: Any) -> None:
    register(scaling)
    for name in ("b", "a", "c"):
        put(scaling, name, kind="Step", **STEP)
    pages = scaling.get_paginator("describe_scaling_policies").paginate(
        ServiceNamespace="sagemaker", PaginationConfig={"PageSize": 2}
    )
    shown = [[p["PolicyName"] for p in page["ScalingPolicies"]] for page in pages]
    assert shown == [["a", "b"], ["c"]]
    with refused("InvalidNextTokenException", "invalid"):
        scaling.describe_scaling_policies(ServiceNamespace="sagemaker", NextToken="?")
    with refused("ValidationException", "resource ID"):
        scaling.describe_scaling_activities(
            ServiceNamespace="sagemaker", ScalableDimension=VARIANT["ScalableDimension"]
        )


def test_activities_are_told_newest_first_and_bounded(
    scaling: Any, gateway: Gateway, region: str
) -> None:
    now = gateway.verbs.clock()
    old = Activity("old", "Setting", "because", now - SECONDS - 1)
    scaling_activity.record(gateway.verbs, region, RESOURCE, old)
    for number in range(MOST + 3):
        one = Activity(f"a{number:03}", "Setting", "because", now + number)
        scaling_activity.record(gateway.verbs, region, RESOURCE, one)
    done = Activity("a102", "Setting", "because", now + 102, "Successful", "done", now + 200)
    scaling_activity.record(gateway.verbs, region, RESOURCE, done)
    pages = scaling.get_paginator("describe_scaling_activities").paginate(**VARIANT)
    told = [one for page in pages for one in page["ScalingActivities"]]
    assert [one["ActivityId"] for one in told] == [f"a{n:03}" for n in range(102, 2, -1)]
    assert (told[0]["StatusCode"], told[0]["StatusMessage"]) == ("Successful", "done")
    assert "EndTime" not in told[1]


def schedule(scaling: Any, name: str = "morning", **changes: Any) -> None:
    told = {"Schedule": "cron(0 8 ? * MON-FRI *)", "ScalableTargetAction": {"MinCapacity": 3}}
    asked = {**told, **VARIANT, "ScheduledActionName": name, **changes}
    scaling.put_scheduled_action(**{n: v for n, v in asked.items() if v is not None})


def scheduled(scaling: Any, **asked: Any) -> list[dict[str, Any]]:
    told = scaling.describe_scheduled_actions(ServiceNamespace="sagemaker", **asked)
    actions: list[dict[str, Any]] = told["ScheduledActions"]
    return actions


def test_a_scheduled_action_is_told_changed_and_deleted(scaling: Any) -> None:
    register(scaling)
    schedule(scaling, Timezone="Europe/Paris", EndTime=4e9)
    schedule(scaling, "evening", Schedule="rate(2 days)", ScalableTargetAction={"MaxCapacity": 1})
    evening, morning = scheduled(scaling, ResourceId=RESOURCE)
    assert evening["ScheduledActionName"] == "evening"
    assert morning["ScalableTargetAction"] == {"MinCapacity": 3}
    assert morning["EndTime"].timestamp() == 4e9
    schedule(scaling, Schedule=None, ScalableTargetAction={"MinCapacity": 2})
    [changed] = scheduled(scaling, ScheduledActionNames=["morning"])
    assert changed["ScheduledActionARN"] == morning["ScheduledActionARN"]
    assert changed["ScalableTargetAction"] == {"MinCapacity": 2}
    assert (changed["Timezone"], "EndTime" in changed) == ("Europe/Paris", False)
    scaling.delete_scheduled_action(ScheduledActionName="morning", **VARIANT)
    with refused("ObjectNotFoundException", "scheduled action name: morning"):
        scaling.delete_scheduled_action(ScheduledActionName="morning", **VARIANT)
    scaling.deregister_scalable_target(**VARIANT)
    assert scheduled(scaling) == []


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"Schedule": None}, "Schedule must be specified"),
        ({"Schedule": "cron(0 8 * * * *)"}, "one ?"),
        ({"Schedule": "at(2001-01-01T00:00:00)"}, "times to come"),
        ({"Timezone": "Paris"}, "time zone"),
        ({"ScalableTargetAction": None}, "must specify MinCapacity"),
        ({"ScalableTargetAction": {"MinCapacity": 0}}, "from 1 to 256"),
        ({"ScalableTargetAction": {"MinCapacity": 2, "MaxCapacity": 1}}, "cannot be less"),
        ({"StartTime": 4e9, "EndTime": 3e9}, "after StartTime"),
    ],
)
def test_wrong_scheduled_actions_are_refused(
    scaling: Any, wrong: dict[str, Any], message: str
) -> None:
    register(scaling)
    with refused("ValidationException", message):
        schedule(scaling, **wrong)
    assert scheduled(scaling) == []


def test_targets_are_tagged(scaling: Any) -> None:
    arn = register(scaling, Tags={"team": "mill"})
    scaling.tag_resource(ResourceARN=arn, Tags={"cost": "1", "team": "river"})
    assert scaling.list_tags_for_resource(ResourceARN=arn)["Tags"] == {"team": "river", "cost": "1"}
    scaling.untag_resource(ResourceARN=arn, TagKeys=["team", "nothing"])
    assert scaling.list_tags_for_resource(ResourceARN=arn)["Tags"] == {"cost": "1"}
    with refused("TooManyTagsException", "50"):
        scaling.tag_resource(ResourceARN=arn, Tags={f"k{n}": "" for n in range(50)})
    scaling.deregister_scalable_target(**VARIANT)
    with refused("ResourceNotFoundException", arn):
        scaling.list_tags_for_resource(ResourceARN=arn)


def test_variants_of_asynchronous_endpoints_may_have_none(scaling: Any, sagemaker: Any) -> None:
    later = {"OutputConfig": {"S3OutputPath": "s3://mill/out"}}
    sagemaker.create_endpoint_config(
        EndpointConfigName="later", ProductionVariants=[variant()], AsyncInferenceConfig=later
    )
    sagemaker.create_endpoint(EndpointName="later", EndpointConfigName="later")
    named = {"ResourceId": "endpoint/later/variant/AllTraffic"}
    register(scaling, MinCapacity=0, **named)
    [told] = scaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"]
    assert told["MinCapacity"] == 0
    night = {"Schedule": "cron(0 20 * * ? *)", "ScheduledActionName": "night"}
    scaling.put_scheduled_action(
        **{**VARIANT, **named}, **night, ScalableTargetAction={"MinCapacity": 0, "MaxCapacity": 0}
    )
    with refused("ValidationException", "at least 0"):
        register(scaling, MinCapacity=-1, **named)


def test_provisioned_concurrency_of_a_serverless_variant_is_scaled(
    client: Client, sagemaker: Any
) -> None:
    sagemaker.create_model(**model("mill"))
    bounds = {"MemorySizeInMB": 1024, "MaxConcurrency": 20, "ProvisionedConcurrency": 2}
    one = {"VariantName": "AllTraffic", "ModelName": "mill", "ServerlessConfig": bounds}
    sagemaker.create_endpoint_config(EndpointConfigName="mill", ProductionVariants=[one])
    sagemaker.create_endpoint(EndpointName="mill", EndpointConfigName="mill")
    scaling = client("application-autoscaling")
    with refused("ValidationException", "is serverless: its scalable dimension is"):
        register(scaling)
    dimension = {"ScalableDimension": "sagemaker:variant:DesiredProvisionedConcurrency"}
    register(scaling, **dimension)
    [told] = scaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"]
    assert told["ScalableDimension"] == dimension["ScalableDimension"]
    used = {"PredefinedMetricType": "SageMakerVariantProvisionedConcurrencyUtilization"}
    made = scaling.put_scaling_policy(
        **{**VARIANT, **dimension},
        PolicyName="used",
        PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration={
            "TargetValue": 0.7,
            "PredefinedMetricSpecification": used,
        },
    )
    [high, _] = client("cloudwatch").describe_alarms()["MetricAlarms"]
    assert len(made["Alarms"]) == 2
    assert high["MetricName"] == "ServerlessProvisionedConcurrencyUtilization"
