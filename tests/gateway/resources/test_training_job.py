"""Training jobs through unmodified boto3."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.gateway.conftest import Gateway
from tests.gateway.failing import Client, refused
from tests.gateway.requests import IMAGE, ROLE, channel, training_job
from tidemill.store.base import Row


@pytest.fixture(scope="module", autouse=True)
def _data(gateway: Gateway) -> None:
    s3 = gateway.client("s3", "us-east-1")
    s3.create_bucket(Bucket="data")
    s3.put_object(Bucket="data", Key="train/part-0.csv", Body=b"1,2\n")
    s3.close()


def finish(gateway: Gateway, region: str, name: str, status: str, **state: Any) -> None:
    def ended(row: Row) -> Row:
        document = {**row.document, "state": {**row.document["state"], **state}}
        return replace(row, status=status, document=document)

    gateway.verbs.change("training_job", region, name, ended)


def test_a_job_is_created_and_described(sagemaker: Any, region: str) -> None:
    request = training_job("mill-1", InputDataConfig=[channel()], HyperParameters={"k": "10"})
    arn = f"arn:aws:sagemaker:{region}:123456789012:training-job/mill-1"
    assert sagemaker.create_training_job(**request)["TrainingJobArn"] == arn
    told = sagemaker.describe_training_job(TrainingJobName="mill-1")
    assert told["TrainingJobArn"] == arn
    assert told["TrainingJobStatus"] == "InProgress"
    assert told["SecondaryStatus"] == "Starting"
    [first] = told["SecondaryStatusTransitions"]
    assert first["Status"] == "Starting"
    assert first["StatusMessage"] == "Launching requested ML instances"
    assert told["LastModifiedTime"] >= told["CreationTime"]
    for name in ("InputDataConfig", "HyperParameters", "ResourceConfig", "StoppingCondition"):
        assert told[name] == request[name]
    assert told["RoleArn"] == ROLE
    assert "Tags" not in told


def test_what_the_sdk_indexes_is_there_though_it_was_left_out(sagemaker: Any) -> None:
    request = training_job("mill", ResourceConfig={"InstanceType": "ml.m5.large"})
    sagemaker.create_training_job(**{**request, "StoppingCondition": {}})
    told = sagemaker.describe_training_job(TrainingJobName="mill")
    assert told["OutputDataConfig"] == {"S3OutputPath": "s3://results/models", "KmsKeyId": ""}
    assert told["ResourceConfig"]["InstanceCount"] == 1
    assert told["ResourceConfig"]["VolumeSizeInGB"] > 0
    assert told["StoppingCondition"]["MaxRuntimeInSeconds"] == 86_400
    assert told["EnableManagedSpotTraining"] is False


def test_the_metrics_of_a_built_in_are_filled_in(sagemaker: Any) -> None:
    sagemaker.create_training_job(**training_job("mill"))
    told = sagemaker.describe_training_job(TrainingJobName="mill")["AlgorithmSpecification"]
    assert "test:msd" in [m["Name"] for m in told["MetricDefinitions"]]
    own = [{"Name": "loss", "Regex": "loss=(.*)"}]
    algorithm = {"TrainingImage": "me/mine:1", "TrainingInputMode": "File"}
    sagemaker.create_training_job(
        **training_job("own", AlgorithmSpecification={**algorithm, "MetricDefinitions": own})
    )
    told = sagemaker.describe_training_job(TrainingJobName="own")["AlgorithmSpecification"]
    assert told["MetricDefinitions"] == own


def test_an_ended_job_says_what_came_of_it(sagemaker: Any, gateway: Gateway, region: str) -> None:
    sagemaker.create_training_job(**training_job("mill"))
    artifact = "s3://results/models/mill/output/model.tar.gz"
    metric = {"MetricName": "test:msd", "Value": 2.5, "Timestamp": 1_700_000_000.5}
    finish(
        gateway,
        region,
        "mill",
        "Completed",
        secondary="Completed",
        artifact=artifact,
        metrics=[metric],
        started=1_700_000_000.0,
        ended=1_700_000_007.4,
    )
    told = sagemaker.describe_training_job(TrainingJobName="mill")
    assert told["ModelArtifacts"] == {"S3ModelArtifacts": artifact}
    assert told["FinalMetricDataList"][0]["Value"] == 2.5
    assert told["TrainingTimeInSeconds"] == told["BillableTimeInSeconds"] == 7
    assert (told["TrainingEndTime"] - told["TrainingStartTime"]).seconds == 7
    sagemaker.get_waiter("training_job_completed_or_stopped").wait(TrainingJobName="mill")
    [listed] = sagemaker.list_training_jobs()["TrainingJobSummaries"]
    assert listed["TrainingEndTime"] == told["TrainingEndTime"]
    assert listed["TrainingJobStatus"] == "Completed"


def test_a_failed_job_says_why(sagemaker: Any, gateway: Gateway, region: str) -> None:
    sagemaker.create_training_job(**training_job("mill"))
    finish(gateway, region, "mill", "Failed", failure="ClientError: no train channel")
    told = sagemaker.describe_training_job(TrainingJobName="mill")
    assert told["FailureReason"] == "ClientError: no train channel"


def test_an_unknown_job_is_not_found_in_the_words_of_aws(sagemaker: Any) -> None:
    for call in (
        sagemaker.describe_training_job,
        sagemaker.stop_training_job,
        sagemaker.delete_training_job,
        sagemaker.update_training_job,
    ):
        with refused("ValidationException", "Requested resource not found."):
            call(TrainingJobName="nobody")


def test_a_taken_name_is_in_use(sagemaker: Any, region: str) -> None:
    sagemaker.create_training_job(**training_job("mill"))
    missing = [channel(uri="s3://nowhere/at-all")]
    for changes in ({}, {"InputDataConfig": missing}):
        with refused("ResourceInUse", f"{region}:123456789012:training-job/mill"):
            sagemaker.create_training_job(**training_job("mill", **changes))


def test_regions_are_separate(sagemaker: Any, client: Client) -> None:
    sagemaker.create_training_job(**training_job("mill"))
    other = client("sagemaker", region="elsewhere-1")
    with refused("ValidationException", "Requested resource not found."):
        other.describe_training_job(TrainingJobName="mill")


@pytest.mark.parametrize("uri", ["s3://nowhere/x", "s3://data/nothing", "s3://data/train/part-1"])
def test_data_that_is_not_there_is_refused_as_aws_does(
    sagemaker: Any, region: str, uri: str
) -> None:
    bucket = uri.split("/")[2]
    message = (
        f'No S3 objects found under S3 URL "{uri}" given in input data source. Please ensure that '
        f"the bucket exists in the selected region ({region}), that objects exist under that S3 "
        f'prefix, and that the role "{ROLE}" has "s3:ListBucket" permissions on bucket "{bucket}".'
    )
    with refused("ValidationException", message):
        sagemaker.create_training_job(
            **training_job("mill", InputDataConfig=[channel(), channel("test", uri)])
        )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"InputDataConfig": [channel(), channel()]}, "Duplicate channel name"),
        ({"InputDataConfig": [channel("..")]}, "'..'"),
        ({"InputDataConfig": [channel(uri="https://example.com/x")]}, "s3DataSource.s3Uri"),
        ({"InputDataConfig": [{"ChannelName": "a", "DataSource": {}}]}, "must have S3DataSource"),
        ({"AlgorithmSpecification": {"TrainingInputMode": "File"}}, "got neither"),
        (
            {
                "AlgorithmSpecification": {
                    "TrainingInputMode": "File",
                    "TrainingImage": IMAGE,
                    "AlgorithmName": "kmeans",
                }
            },
            "got both",
        ),
        ({"OutputDataConfig": {"S3OutputPath": "s3:///x"}}, "outputDataConfig.s3OutputPath"),
        ({"ResourceConfig": {"InstanceCount": 0}}, "InstanceCount must be at least 1; got 0"),
        ({"EnableManagedSpotTraining": True}, "Invalid MaxWaitTimeInSeconds"),
        (
            {
                "AlgorithmSpecification": {
                    "TrainingInputMode": "File",
                    "TrainingImage": IMAGE,
                    "MetricDefinitions": [{"Name": "loss", "Regex": "loss=(["}],
                }
            },
            "metric 'loss' cannot be read",
        ),
    ],
)
def test_a_request_that_cannot_work_says_what_is_wrong(
    sagemaker: Any, changes: dict[str, Any], message: str
) -> None:
    with refused("ValidationException", message):
        sagemaker.create_training_job(**training_job("mill", **changes))
    assert sagemaker.list_training_jobs()["TrainingJobSummaries"] == []


def test_a_running_job_is_stopped_once(sagemaker: Any, gateway: Gateway, region: str) -> None:
    sagemaker.create_training_job(**training_job("mill"))
    sagemaker.stop_training_job(TrainingJobName="mill")
    sagemaker.stop_training_job(TrainingJobName="mill")
    told = sagemaker.describe_training_job(TrainingJobName="mill")
    assert (told["TrainingJobStatus"], told["SecondaryStatus"]) == ("Stopping", "Stopping")
    finish(gateway, region, "mill", "Stopped")
    message = "The request was rejected because the training job is in status Stopped."
    with refused("ValidationException", message):
        sagemaker.stop_training_job(TrainingJobName="mill")


def test_only_an_ended_job_is_deleted(sagemaker: Any, gateway: Gateway, region: str) -> None:
    sagemaker.create_training_job(**training_job("mill"))
    with refused("ValidationException", "in status InProgress"):
        sagemaker.delete_training_job(TrainingJobName="mill")
    finish(gateway, region, "mill", "Completed")
    sagemaker.delete_training_job(TrainingJobName="mill")
    assert sagemaker.list_training_jobs()["TrainingJobSummaries"] == []
    sagemaker.create_training_job(**training_job("mill"))


def test_what_may_change_of_a_running_job_changes(
    sagemaker: Any, gateway: Gateway, region: str
) -> None:
    sagemaker.create_training_job(**training_job("mill"))
    sagemaker.update_training_job(
        TrainingJobName="mill",
        ResourceConfig={"KeepAlivePeriodInSeconds": 60},
        RemoteDebugConfig={"EnableRemoteDebug": True},
    )
    told = sagemaker.describe_training_job(TrainingJobName="mill")
    assert told["ResourceConfig"]["KeepAlivePeriodInSeconds"] == 60
    assert told["ResourceConfig"]["InstanceType"] == "ml.m5.large"
    assert told["RemoteDebugConfig"] == {"EnableRemoteDebug": True}
    finish(gateway, region, "mill", "Completed")
    with refused("ValidationException", "in status Completed"):
        sagemaker.update_training_job(TrainingJobName="mill")


def test_a_page_counts_jobs_looked_at_not_jobs_shown(sagemaker: Any) -> None:
    for name in ("a1", "a2", "a3", "b1", "b2", "b3"):
        sagemaker.create_training_job(**training_job(name))

    def page(size: int) -> tuple[list[str], bool]:
        told = sagemaker.list_training_jobs(NameContains="b", MaxResults=size)
        return [j["TrainingJobName"] for j in told["TrainingJobSummaries"]], "NextToken" in told

    assert page(2) == ([], True)
    assert page(4) == (["b1"], True)
    assert page(6) == (["b1", "b2", "b3"], False)
    everything = sagemaker.get_paginator("list_training_jobs").paginate(
        NameContains="b", PaginationConfig={"PageSize": 2}
    )
    assert len([j for p in everything for j in p["TrainingJobSummaries"]]) == 3


def test_jobs_are_listed_oldest_first(sagemaker: Any) -> None:
    for name in ("b", "a", "c"):
        sagemaker.create_training_job(**training_job(name))

    def names(**asked: Any) -> str:
        told = sagemaker.list_training_jobs(**asked)["TrainingJobSummaries"]
        return "".join(j["TrainingJobName"] for j in told)

    assert names() == "bac"
    assert names(SortOrder="Descending") == "cab"
    assert names(SortBy="Name") == "abc"
    assert names(SortBy="Name", SortOrder="Descending") == "cba"
    assert names(StatusEquals="Completed") == ""
    assert names(WarmPoolStatusEquals="Available") == ""
    assert names(CreationTimeAfter=4_000_000_000) == names(LastModifiedTimeBefore=1) == ""
    assert names(CreationTimeBefore=4_000_000_000, LastModifiedTimeAfter=1) == "bac"
