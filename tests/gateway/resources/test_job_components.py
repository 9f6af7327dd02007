"""Jobs with an ExperimentConfig: the trial components that stand for them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.gateway.conftest import ACCOUNT, Gateway
from tests.gateway.failing import refused
from tests.gateway.requests import IMAGE, channel, model, training_job
from tidemill.control.job_component import JobComponents
from tidemill.spec.event import Event
from tidemill.store.base import Row

NAME = "mill-1-aws-training-job"
CONFIG = {"ExperimentName": "wheat", "TrialName": "fine", "TrialComponentDisplayName": "Shown"}


@pytest.fixture(autouse=True)
def _wheat(sagemaker: Any) -> None:
    sagemaker.create_experiment(ExperimentName="wheat")


@pytest.fixture(scope="module", autouse=True)
def _grain(gateway: Gateway) -> None:
    s3 = gateway.client("s3", "us-east-1")
    s3.create_bucket(Bucket="grain")
    s3.put_object(Bucket="grain", Key="train/part-0.csv", Body=b"1,2\n")
    s3.close()


def start(sagemaker: Any, name: str = "mill-1", **config: str) -> None:
    sagemaker.create_training_job(
        **training_job(
            name,
            HyperParameters={"k": "10", "init": "random"},
            InputDataConfig=[channel(uri="s3://grain/train", ContentType="text/csv;label_size=0")],
            ExperimentConfig=config or CONFIG,
        )
    )


def end(gateway: Gateway, region: str, status: str, *losses: float, **state: Any) -> None:
    """As if the job's worker had told these losses and ended."""

    def ended(row: Row) -> Row:
        document = {**row.document, "state": {**row.document["state"], **state}}
        return replace(row, status=status, document=document)

    row = gateway.verbs.change("training_job", region, "mill-1", ended)
    place = Path(row.document["state"]["home"]) / "algo-1"
    place.mkdir(parents=True)
    lines = [Event(100.0 + i, "metric", "loss", loss).to_line() for i, loss in enumerate(losses)]
    (place / "events.jsonl").write_text("".join(lines))


def describe(sagemaker: Any) -> Any:
    return sagemaker.describe_trial_component(TrialComponentName=NAME)


def test_a_job_makes_a_component_in_a_trial_of_its_own(sagemaker: Any, region: str) -> None:
    start(sagemaker)
    told = describe(sagemaker)
    arn = f"arn:aws:sagemaker:{region}:{ACCOUNT}:training-job/mill-1"
    assert told["Source"] == {"SourceArn": arn, "SourceType": "SageMakerTrainingJob"}
    assert told["Sources"] == [told["Source"]]
    assert told["DisplayName"] == "Shown"
    assert told["Status"] == {"PrimaryStatus": "InProgress"}
    assert told["Parameters"]["k"] == {"NumberValue": 10.0}
    assert told["Parameters"]["init"] == {"StringValue": "random"}
    assert told["Parameters"]["SageMaker.InstanceType"] == {"StringValue": "ml.m5.large"}
    assert told["InputArtifacts"] == {
        "SageMaker.ImageUri": {"Value": IMAGE},
        "train": {"MediaType": "text/csv", "Value": "s3://grain/train"},
    }
    assert sagemaker.describe_trial(TrialName="fine")["ExperimentName"] == "wheat"
    for filters in ({"TrialName": "fine"}, {"SourceArn": arn}, {"SourceArn": arn.upper()}):
        found = sagemaker.list_trial_components(**filters)["TrialComponentSummaries"]
        assert [one["TrialComponentName"] for one in found] == [NAME]
        assert found[0]["TrialComponentSource"] == told["Source"]
    assert sagemaker.list_tags(ResourceArn=told["TrialComponentArn"])["Tags"] == []


def test_a_component_is_kept_up_with_its_job(sagemaker: Any, gateway: Gateway, region: str) -> None:
    start(sagemaker)
    end(gateway, region, "Completed", 4.0, 2.0, started=50.0, ended=60.0, artifact="s3://b/m")
    JobComponents(gateway.verbs, gateway.runs).tick(0.0)
    summary = sagemaker.list_trial_components()["TrialComponentSummaries"][0]
    assert summary["Status"] == {"PrimaryStatus": "Completed"}
    told = describe(sagemaker)
    assert (told["StartTime"].timestamp(), told["EndTime"].timestamp()) == (50.0, 60.0)
    assert told["OutputArtifacts"] == {"SageMaker.ModelArtifact": {"Value": "s3://b/m"}}
    [loss] = told["Metrics"]
    assert (loss["MetricName"], loss["Min"], loss["Last"], loss["Count"]) == ("loss", 2.0, 2.0, 2)
    assert loss["SourceArn"] == told["Source"]["SourceArn"]
    asked = {"StartArns": [told["TrialComponentArn"]], "IncludeEdges": True}
    lineage = sagemaker.query_lineage(**asked)
    kinds = sorted(vertex["Type"] for vertex in lineage["Vertices"])
    assert kinds == ["DataSet", "Image", "Model", "SageMakerTrainingJob"]
    assert len(lineage["Edges"]) == 3


def test_a_failure_is_told_and_outlives_its_job(
    sagemaker: Any, gateway: Gateway, region: str
) -> None:
    start(sagemaker)
    end(gateway, region, "Failed", 1.0, failure="AlgorithmError: " + "x" * 2000)
    sagemaker.delete_training_job(TrainingJobName="mill-1")
    told = describe(sagemaker)
    assert told["Status"]["PrimaryStatus"] == "Failed"
    assert told["Status"]["Message"].startswith("AlgorithmError: x")
    assert len(told["Metrics"]) == 1
    start(sagemaker)  # the same name again: the same component, begun anew
    assert describe(sagemaker)["Status"] == {"PrimaryStatus": "InProgress"}


def test_a_job_needs_an_experiment_that_is_there(sagemaker: Any) -> None:
    with refused("ResourceNotFound", "oats"):
        start(sagemaker, ExperimentName="oats", TrialName="fine")
    with refused("ResourceNotFound", "nowhere"):
        start(sagemaker, TrialName="nowhere")
    sagemaker.create_experiment(ExperimentName="rye")
    sagemaker.create_trial(TrialName="coarse", ExperimentName="rye")
    with refused("ValidationException", "coarse, of experiment 'rye'"):
        start(sagemaker, ExperimentName="wheat", TrialName="coarse")
    assert sagemaker.list_training_jobs()["TrainingJobSummaries"] == []
    assert sagemaker.list_trial_components()["TrialComponentSummaries"] == []
    start(sagemaker, TrialName="coarse")
    start(sagemaker, "mill-2", ExperimentName="wheat")
    found = sagemaker.list_trial_components(TrialName="mill-2-aws-trial")
    assert len(found["TrialComponentSummaries"]) == 1


def test_a_job_of_a_taken_name_leaves_the_component_alone(sagemaker: Any) -> None:
    start(sagemaker)
    with refused("ResourceInUse", "already exists"):
        start(sagemaker, ExperimentName="wheat", TrialName="other")
    found = sagemaker.list_trial_components(TrialName="fine")["TrialComponentSummaries"]
    assert len(found) == 1
    assert not sagemaker.list_trial_components(TrialName="other")["TrialComponentSummaries"]


def test_transform_jobs_have_components_too(sagemaker: Any) -> None:
    sagemaker.create_model(**model("mill"))
    source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://grain/train"}}
    sagemaker.create_transform_job(
        TransformJobName="t-1",
        ModelName="mill",
        TransformInput={"DataSource": source, "ContentType": "text/csv"},
        TransformOutput={"S3OutputPath": "s3://results/out"},
        TransformResources={"InstanceType": "ml.m5.large", "InstanceCount": 1},
        ExperimentConfig=CONFIG,
    )
    told = sagemaker.describe_trial_component(TrialComponentName="t-1-aws-transform-job")
    assert told["Source"]["SourceType"] == "SageMakerTransformJob"
    assert told["Parameters"]["SageMaker.ModelName"] == {"StringValue": "mill"}
    assert told["InputArtifacts"]["SageMaker.TransformInput"]["Value"] == "s3://grain/train"
