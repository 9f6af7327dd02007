"""Jobs that run programs of their own are told from those of built-in algorithms."""

from __future__ import annotations

from typing import Any

import pytest

from tests.gateway.conftest import Gateway
from tests.gateway.requests import training_job
from tidemill.control import training_job as jobs
from tidemill.control.plan.training_job import STOP_GRACE, JobState
from tidemill.spec.home import Home

REGISTRY = "683313688378.dkr.ecr.us-east-1.amazonaws.com"
XGBOOST, TORCH = f"{REGISTRY}/sagemaker-xgboost:1.7-1", f"{REGISTRY}/pytorch-training:2.3.0"
PROGRAM = {"sagemaker_program": '"train.py"'}


def created(
    sagemaker: Any, gateway: Gateway, region: str, image: str, **changes: Any
) -> tuple[str, str | None, dict[str, Any]]:
    """Its workers' kind, why it cannot run, and its task."""
    algorithm = {"TrainingImage": image, "TrainingInputMode": "File"}
    algorithm |= changes.pop("algorithm", {})
    sagemaker.create_training_job(**training_job("j", AlgorithmSpecification=algorithm, **changes))
    row = gateway.verbs.describe("training_job", region, "j")
    work = jobs.work(row)
    task = work.task(JobState(home="/h"), "algo-1", Home(gateway.home.root))
    assert (work.grace > STOP_GRACE) == (task["kind"] == "script")
    return task["kind"], work.problem(), task


@pytest.mark.parametrize(
    ("image", "hyperparameters", "kind"),
    [
        (XGBOOST, {"num_round": "3"}, "train"),
        (XGBOOST, PROGRAM, "script"),
        (TORCH, PROGRAM, "script"),
        (f"{REGISTRY}/kmeans:1", PROGRAM, "train"),
    ],
)
def test_repository_and_program_decide(
    sagemaker: Any,
    gateway: Gateway,
    region: str,
    image: str,
    hyperparameters: dict[str, str],
    kind: str,
) -> None:
    found = created(sagemaker, gateway, region, image, HyperParameters=hyperparameters)
    assert found[:2] == (kind, None)


def test_a_framework_without_a_program_says_what_to_do(
    sagemaker: Any, gateway: Gateway, region: str
) -> None:
    _, problem, _ = created(sagemaker, gateway, region, TORCH)
    assert problem == (
        "ClientError: a job with an image of PyTorch must name its program; got no "
        "hyperparameter sagemaker_program. Give the estimator an entry_point."
    )


def test_a_command_of_its_own_and_its_checkpoints_reach_the_worker(
    sagemaker: Any, gateway: Gateway, region: str
) -> None:
    command = {"ContainerEntrypoint": ["/bin/bash", "-c"], "ContainerArguments": ["date"]}
    checkpoints = {"S3Uri": "s3://results/kept", "LocalPath": "/opt/ml/kept"}
    kind, problem, task = created(
        *(sagemaker, gateway, region, TORCH), algorithm=command, CheckpointConfig=checkpoints
    )
    assert (kind, problem) == ("script", None)
    job = task["job"]
    assert (*job["entrypoint"], *job["arguments"]) == ("/bin/bash", "-c", "date")
    assert (job["checkpoint_uri"], job["checkpoint_path"]) == ("s3://results/kept", "/opt/ml/kept")


def test_metrics_of_the_built_in_are_not_a_programs(
    sagemaker: Any, gateway: Gateway, region: str
) -> None:
    created(sagemaker, gateway, region, XGBOOST, HyperParameters=PROGRAM)
    told = sagemaker.describe_training_job(TrainingJobName="j")
    assert "MetricDefinitions" not in told["AlgorithmSpecification"]
