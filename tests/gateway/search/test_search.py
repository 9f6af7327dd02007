"""Search, through unmodified boto3."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.gateway.conftest import ACCOUNT, Gateway
from tests.gateway.failing import refused
from tests.gateway.requests import model, training_job, variant

LOSSES = {"a": [4.0, 1.0], "b": [2.0, 3.0]}


def filters(*said: tuple[str, str, str]) -> dict[str, Any]:
    found = [{"Name": name, "Operator": how, "Value": value} for name, how, value in said]
    return {"Filters": found}


@pytest.fixture
def mill(sagemaker: Any, client: Callable[..., Any]) -> Any:
    """Components a and b in a trial, with metrics; c by itself, with a tag."""
    sagemaker.create_experiment(ExperimentName="rye", Tags=[{"Key": "grain", "Value": "rye"}])
    sagemaker.create_trial(TrialName="fine", ExperimentName="rye")
    metrics = client("sagemaker-metrics")
    for name in ("a", "b", "c"):
        tags = [{"Key": "odd", "Value": "yes"}] if name == "c" else []
        number = {"NumberValue": float(ord(name))}
        sagemaker.create_trial_component(
            TrialComponentName=name, Parameters={"code": number}, Tags=tags
        )
        if name in LOSSES:
            sagemaker.associate_trial_component(TrialComponentName=name, TrialName="fine")
            at = datetime.now(UTC)
            points = [{"MetricName": "loss", "Value": v, "Timestamp": at} for v in LOSSES[name]]
            metrics.batch_put_metrics(TrialComponentName=name, MetricData=points)
    return sagemaker


def found(mill: Any, expression: Any = None, **more: Any) -> list[str]:
    asked = {"SearchExpression": expression} if expression else {}
    answer = mill.search(Resource="ExperimentTrialComponent", **asked, **more)
    return [one["TrialComponent"]["TrialComponentName"] for one in answer["Results"]]


def test_components_are_found_by_what_is_known_of_them(mill: Any) -> None:
    assert sorted(found(mill)) == ["a", "b", "c"]
    for said, names in (
        (("TrialComponentName", "Equals", "a"), ["a"]),
        (("TrialComponentName", "NotEquals", "a"), ["b", "c"]),
        (("DisplayName", "Contains", "b"), ["b"]),
        (("TrialComponentName", "In", "a, c"), ["a", "c"]),
        (("Parents.TrialName", "Equals", "fine"), ["a", "b"]),
        (("Parents.ExperimentName", "Equals", "rye"), ["a", "b"]),
        (("Parents.ExperimentName", "Equals", "oats"), []),
        (("Tags.odd", "Equals", "yes"), ["c"]),
        (("Parameters.code", "GreaterThan", "97"), ["b", "c"]),
        (("Metrics.loss.Max", "LessThan", "3.5"), ["b"]),
        (("Metrics.loss", "Equals", "1"), ["a"]),
        (("CreationTime", "GreaterThan", "2020-01-01T00:00:00"), ["a", "b", "c"]),
    ):
        assert sorted(found(mill, filters(said))) == names, said
    both = filters(("TrialComponentName", "Equals", "a"), ("Parents.TrialName", "Equals", "fine"))
    assert found(mill, both) == ["a"]
    either = {**filters(("Tags.odd", "Exists", "x"), ("DisplayName", "Equals", "a"))}
    assert sorted(found(mill, {**either, "Operator": "Or"})) == ["a", "c"]


def test_a_result_is_the_whole_record(mill: Any) -> None:
    asked = filters(("TrialComponentName", "Equals", "a"))
    [one] = mill.search(Resource="ExperimentTrialComponent", SearchExpression=asked)["Results"]
    told = one["TrialComponent"]
    assert told["Parents"] == [{"TrialName": "fine", "ExperimentName": "rye"}]
    assert told["Parameters"] == {"code": {"NumberValue": 97.0}}
    assert (told["Metrics"][0]["Last"], told["Metrics"][0]["Count"]) == (1.0, 2)
    assert "Tags" not in told
    asked = filters(("Tags.grain", "Equals", "rye"))
    [one] = mill.search(Resource="Experiment", SearchExpression=asked)["Results"]
    assert one["Experiment"]["Tags"] == [{"Key": "grain", "Value": "rye"}]
    [one] = mill.search(Resource="ExperimentTrial")["Results"]
    assert (one["Trial"]["TrialName"], one["Trial"]["ExperimentName"]) == ("fine", "rye")


def test_results_come_in_any_order_page_by_page(mill: Any) -> None:
    mill.update_trial_component(TrialComponentName="a", DisplayName="z")
    for sort, names in (
        ({}, "acb"),
        ({"SortBy": "LastModifiedTime", "SortOrder": "Ascending"}, "bca"),
        ({"SortBy": "CreationTime", "SortOrder": "Ascending"}, "abc"),
        ({"SortBy": "DisplayName"}, "acb"),
        ({"SortBy": "metrics.loss.max"}, "abc"),
        ({"SortBy": "Metrics.loss.Max", "SortOrder": "Ascending"}, "bac"),
        ({"SortBy": "Parameters.code", "SortOrder": "Ascending"}, "abc"),
    ):
        for size in (1, 2, 3):
            assert pages(mill, size, **sort) == list(names)
    some = filters(("TrialComponentName", "NotEquals", "b"))
    assert pages(mill, 1, SearchExpression=some) == ["a", "c"]
    for sort in ("CreationTime", "DisplayName"):
        with refused("ValidationException", "NextToken"):
            found(mill, SortBy=sort, NextToken="forged")


def pages(mill: Any, size: int, **asked: Any) -> list[str]:
    names = []
    while True:
        answer = mill.search(Resource="ExperimentTrialComponent", MaxResults=size, **asked)
        assert answer["Results"]
        names += [one["TrialComponent"]["TrialComponentName"] for one in answer["Results"]]
        if "NextToken" not in answer:
            return names
        asked["NextToken"] = answer["NextToken"]


def test_what_is_no_property_is_said(mill: Any) -> None:
    for name in ("ExperimentName", "Nothing.At.All"):
        with refused("ValidationException", f"Unknown property name: {name}"):
            found(mill, filters((name, "Equals", "rye")))
        with refused("ValidationException", f"Unknown property name: {name}"):
            found(mill, SortBy=name)


def test_jobs_models_and_endpoints_are_found(sagemaker: Any, gateway: Gateway, region: str) -> None:
    with_rate = training_job("mill-1", HyperParameters={"rate": "0.5"})
    sagemaker.create_training_job(**with_rate, Tags=[{"Key": "team", "Value": "mill"}])
    sagemaker.create_training_job(**training_job("mill-2", HyperParameters={"rate": "0.9"}))
    asked = filters(("HyperParameters.rate", "LessThan", "0.7"), ("Tags.team", "Equals", "mill"))
    [one] = sagemaker.search(Resource="TrainingJob", SearchExpression=asked)["Results"]
    told = one["TrainingJob"]
    assert (told["TrainingJobName"], told["TrainingJobStatus"]) == ("mill-1", "InProgress")
    assert told["Tags"] == [{"Key": "team", "Value": "mill"}]
    asked = filters(("ModelArtifacts.S3ModelArtifacts", "Equals", "s3://results/m"))
    assert sagemaker.search(Resource="TrainingJob", SearchExpression=asked)["Results"] == []

    sagemaker.create_model(**model("mill"))
    asked = filters(("PrimaryContainer.ModelDataUrl", "Contains", "results/models"))
    [one] = sagemaker.search(Resource="Model", SearchExpression=asked)["Results"]
    assert one["Model"]["Model"]["ModelName"] == "mill"
    sagemaker.create_endpoint_config(EndpointConfigName="c", ProductionVariants=[variant()])
    sagemaker.create_endpoint(EndpointName="mill", EndpointConfigName="c")
    asked = filters(("EndpointStatus", "Equals", "Creating"))
    [one] = sagemaker.search(Resource="Endpoint", SearchExpression=asked)["Results"]
    arn = f"arn:aws:sagemaker:{region}:{ACCOUNT}:endpoint/mill"
    assert one["Endpoint"]["EndpointArn"] == arn
    assert sagemaker.search(Resource="Project")["Results"] == []


def test_packages_and_their_groups_are_found(sagemaker: Any) -> None:
    for name in ("rye", "oats"):
        tags = [{"Key": "grain", "Value": name}]
        sagemaker.create_model_package_group(ModelPackageGroupName=name, Tags=tags)
        sagemaker.create_model_package(ModelPackageGroupName=name, ModelPackageDescription=name)
    asked = filters(("Tags.grain", "Equals", "rye"))
    [one] = sagemaker.search(Resource="ModelPackageGroup", SearchExpression=asked)["Results"]
    assert one["ModelPackageGroup"]["ModelPackageGroupName"] == "rye"
    assert one["ModelPackageGroup"]["Tags"] == [{"Key": "grain", "Value": "rye"}]
    asked = filters(("ModelPackageGroupName", "Equals", "oats"))
    [one] = sagemaker.search(Resource="ModelPackage", SearchExpression=asked)["Results"]
    assert one["ModelPackage"]["ModelPackageVersion"] == 1
    assert len(sagemaker.search(Resource="ModelPackage")["Results"]) == 2


def test_what_is_tagged_otherwise_is_not_seen(mill: Any) -> None:
    seen = [{"Key": "Tags.odd", "Value": "no"}]
    assert sorted(found(mill, VisibilityConditions=seen)) == ["a", "b"]
