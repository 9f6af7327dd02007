"""Processing jobs through unmodified boto3."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.gateway.conftest import Gateway
from tests.gateway.failing import refused
from tests.gateway.requests import ROLE
from tidemill.store.base import Row

IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3"


def source(name: str = "input-1", **changes: Any) -> dict[str, Any]:
    given = {
        "S3Uri": "s3://data/in",
        "LocalPath": "/opt/ml/processing/input",
        "S3DataType": "S3Prefix",
        "S3InputMode": "File",
        **changes,
    }
    return {"InputName": name, "AppManaged": False, "S3Input": given}


def target(name: str = "output-1", **changes: Any) -> dict[str, Any]:
    given = {
        "S3Uri": "s3://data/out",
        "LocalPath": "/opt/ml/processing/output",
        "S3UploadMode": "EndOfJob",
        **changes,
    }
    return {"OutputName": name, "S3Output": given}


def request(name: str = "job", **changes: Any) -> dict[str, Any]:
    cluster = {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 30}
    return {
        "ProcessingJobName": name,
        "ProcessingInputs": [source()],
        "ProcessingOutputConfig": {"Outputs": [target()]},
        "ProcessingResources": {"ClusterConfig": cluster},
        "AppSpecification": {
            "ImageUri": IMAGE,
            "ContainerEntrypoint": ["python3", "/opt/ml/processing/input/code/a.py"],
            "ContainerArguments": ["--n", "1"],
        },
        "RoleArn": ROLE,
        **changes,
    }


def end(gateway: Gateway, region: str, status: str, **state: Any) -> None:
    def ended(row: Row) -> Row:
        document = {**row.document, "state": {**row.document["state"], **state}}
        return replace(row, status=status, document=document)

    gateway.verbs.change("processing_job", region, "job", ended)


def spec(gateway: Gateway, region: str) -> dict[str, Any]:
    found: dict[str, Any] = gateway.verbs.describe("processing_job", region, "job").document["spec"]
    return found


def test_a_job_is_created_described_and_listed(sagemaker: Any, region: str) -> None:
    sent = request(
        Environment={"A": "b"},
        NetworkConfig={"EnableNetworkIsolation": False},
        StoppingCondition={"MaxRuntimeInSeconds": 60},
    )
    tags = [{"Key": "a", "Value": "b"}]
    arn = f"arn:aws:sagemaker:{region}:123456789012:processing-job/job"
    assert sagemaker.create_processing_job(**sent, Tags=tags)["ProcessingJobArn"] == arn
    told = sagemaker.describe_processing_job(ProcessingJobName="job")
    assert {name: told[name] for name in sent} == sent
    assert told["ProcessingJobArn"] == arn
    assert told["ProcessingJobStatus"] == "InProgress"
    assert not {"FailureReason", "ExitMessage", "ProcessingEndTime"} & told.keys()
    (listed,) = sagemaker.list_processing_jobs()["ProcessingJobSummaries"]
    assert listed["ProcessingJobArn"] == arn
    assert listed["ProcessingJobStatus"] == "InProgress"
    assert sagemaker.list_tags(ResourceArn=arn)["Tags"] == tags


def test_the_worker_is_told_what_was_asked(sagemaker: Any, gateway: Gateway, region: str) -> None:
    inputs = [source("d", S3DataDistributionType="ShardedByS3Key"), source("mine")]
    inputs[1]["AppManaged"] = True
    outputs = [target("o", S3UploadMode="Continuous"), {**target("mine"), "AppManaged": True}]
    changes = {"ProcessingInputs": inputs, "ProcessingOutputConfig": {"Outputs": outputs}}
    sagemaker.create_processing_job(**request(**changes))
    told = spec(gateway, region)
    (data,), (made,) = told["inputs"], told["outputs"]
    assert (data["path"], data["distribution"]) == ("/opt/ml/processing/input", "ShardedByS3Key")
    assert (made["uri"], made["continuous"]) == ("s3://data/out", True)
    assert told["max_seconds"] == 86_400
    assert told["config"]["ProcessingInputs"] == inputs
    assert told["config"]["ProcessingOutputConfig"] == {"KmsKeyId": None, "Outputs": outputs}
    described = sagemaker.describe_processing_job(ProcessingJobName="job")
    assert described["StoppingCondition"] == {"MaxRuntimeInSeconds": 86_400}


def test_an_ended_job_says_why_and_what_it_left(
    sagemaker: Any, gateway: Gateway, region: str
) -> None:
    sagemaker.create_processing_job(**request())
    messages = {"algo-2": "é" * 600, "algo-1": "first "}
    times = {"started": 1.5, "ended": 2.5}
    end(gateway, region, "Failed", failure="ClientError: no", messages=messages, **times)
    told = sagemaker.describe_processing_job(ProcessingJobName="job")
    assert told["FailureReason"] == "ClientError: no"
    assert told["ExitMessage"] == "first " + "é" * 509
    assert told["ProcessingStartTime"].timestamp() == 1.5
    assert told["ProcessingEndTime"].timestamp() == 2.5
    (listed,) = sagemaker.list_processing_jobs(StatusEquals="Failed")["ProcessingJobSummaries"]
    assert listed["FailureReason"] == "ClientError: no"


def test_jobs_are_listed_oldest_first_and_pages_count_what_was_looked_at(sagemaker: Any) -> None:
    for name in ("b1", "a1", "b2"):
        sagemaker.create_processing_job(**request(name))
    listed = sagemaker.list_processing_jobs()
    names = [job["ProcessingJobName"] for job in listed["ProcessingJobSummaries"]]
    assert names == ["b1", "a1", "b2"]
    assert "NextToken" not in listed
    page = sagemaker.list_processing_jobs(NameContains="b", MaxResults=2)
    assert [job["ProcessingJobName"] for job in page["ProcessingJobSummaries"]] == ["b1"]
    rest = sagemaker.list_processing_jobs(
        NameContains="b", MaxResults=2, NextToken=page["NextToken"]
    )
    assert [job["ProcessingJobName"] for job in rest["ProcessingJobSummaries"]] == ["b2"]


def test_a_job_is_stopped_once_and_deleted_when_it_is_over(
    sagemaker: Any, gateway: Gateway, region: str
) -> None:
    sagemaker.create_processing_job(**request())
    with refused("ResourceInUse", "is in status InProgress"):
        sagemaker.delete_processing_job(ProcessingJobName="job")
    for _ in range(2):
        sagemaker.stop_processing_job(ProcessingJobName="job")
        told = sagemaker.describe_processing_job(ProcessingJobName="job")
        assert told["ProcessingJobStatus"] == "Stopping"
    end(gateway, region, "Stopped")
    with refused("ValidationException", "is in status Stopped"):
        sagemaker.stop_processing_job(ProcessingJobName="job")
    sagemaker.delete_processing_job(ProcessingJobName="job")
    for ask in ("describe", "stop", "delete"):
        with refused("ValidationException", "Could not find requested job with name: job"):
            getattr(sagemaker, f"{ask}_processing_job")(ProcessingJobName="job")
    sagemaker.create_processing_job(**request())
    with refused("ResourceInUse", "already exists"):
        sagemaker.create_processing_job(**request())


def test_instances_may_be_preferred(sagemaker: Any, gateway: Gateway, region: str) -> None:
    preferred = [{"InstanceType": "ml.m5.xlarge", "InstanceCount": 2}]
    cluster: dict[str, Any] = {"VolumeSizeInGB": 30, "InstancePreferences": preferred}
    sagemaker.create_processing_job(**request(ProcessingResources={"ClusterConfig": cluster}))
    told = sagemaker.describe_processing_job(ProcessingJobName="job")["ProcessingResources"]
    chosen = {"SelectedInstanceCount": 2, "SelectedInstanceType": "ml.m5.xlarge"}
    assert told["ClusterConfig"] == {**cluster, **chosen}
    assert spec(gateway, region)["instances"] == 2
    for wrong in ({"VolumeSizeInGB": 1}, {**cluster, "InstanceCount": 1}):
        with refused("ValidationException", "ClusterConfig must have"):
            sagemaker.create_processing_job(
                **request("b", ProcessingResources={"ClusterConfig": wrong})
            )


def with_input(*sent: dict[str, Any]) -> dict[str, Any]:
    return request(ProcessingInputs=list(sent))


def with_output(*sent: dict[str, Any]) -> dict[str, Any]:
    return request(ProcessingOutputConfig={"Outputs": list(sent)})


STORE = {"FeatureGroupName": "group"}
ATHENA = {
    "Catalog": "c",
    "Database": "d",
    "QueryString": "q",
    "OutputS3Uri": "s3://data/q",
    "OutputFormat": "PARQUET",
}


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (with_input(source(LocalPath="/tmp/in")), "must be an absolute path that begins with"),
        (with_input(source(LocalPath="/opt/ml/processing/../code")), "begins with /opt/ml/proc"),
        (with_input(source(LocalPath="/opt/ml/processing")), "begins with /opt/ml/processing/"),
        (with_input(source(LocalPath="opt/ml/processing/a")), "begins with /opt/ml/processing/"),
        (with_input(source(LocalPath="")), "is required when AppManaged is false"),
        (
            with_input(source(S3Uri="https://example.com/x")),
            "'processingInputs.1.member.s3Input.s3Uri'",
        ),
        (with_input(source(S3InputMode="Pipe")), "Pipe of ProcessingInput 'input-1' is not supp"),
        (with_input(source(S3CompressionType="Gzip")), "can only be used if S3InputMode is Pipe"),
        (with_input(source(), source()), "Names of processing inputs must be unique"),
        (with_input({"InputName": "a"}), "ProcessingInput 'a' must have S3Input"),
        (
            with_input(
                {"InputName": "a", "DatasetDefinition": {"AthenaDatasetDefinition": ATHENA}}
            ),
            "DatasetDefinition of input 'a' is not supported",
        ),
        (with_input(*(source(str(i)) for i in range(11))), "length less than or equal to 10"),
        (with_output(*(target(str(i)) for i in range(11))), "length less than or equal to 10"),
        (with_output(target(), target()), "Names of processing outputs must be unique"),
        (with_output(target(LocalPath="/out")), "LocalPath of ProcessingOutput 'output-1'"),
        (with_output({"OutputName": "a"}), "ProcessingOutput 'a' must have S3Output"),
        (
            with_output({"OutputName": "a", "FeatureStoreOutput": STORE}),
            "can only be used if AppManaged is true",
        ),
        (request(Environment={"A": "\0"}), "cannot hold a zero character"),
        (request(StoppingCondition={"MaxRuntimeInSeconds": 777_601}), "or equal to 777600"),
    ],
)
def test_what_aws_would_refuse_is_refused(
    sagemaker: Any, wrong: dict[str, Any], words: str
) -> None:
    with refused("ValidationException", words):
        sagemaker.create_processing_job(**wrong)


def test_an_experiment_may_be_named(sagemaker: Any) -> None:
    sagemaker.create_experiment(ExperimentName="study")
    config = {"ExperimentName": "study", "TrialComponentDisplayName": "cleaning"}
    sagemaker.create_processing_job(**request(ExperimentConfig=config))
    told = sagemaker.describe_processing_job(ProcessingJobName="job")
    assert told["ExperimentConfig"] == config
    component = sagemaker.describe_trial_component(TrialComponentName="job-aws-processing-job")
    assert component["DisplayName"] == "cleaning"
    assert component["Source"]["SourceArn"] == told["ProcessingJobArn"]
