"""Which processing jobs can run here."""

from __future__ import annotations

from typing import Any

import pytest

from tidemill.spec.processing_job import ProcessingJob, problem

ECR = "683313688378.dkr.ecr.us-east-1.amazonaws.com"


def job(image: str, **changes: Any) -> ProcessingJob:
    given = {"entrypoint": ("python3", "a.py"), **changes}
    return ProcessingJob("job", "arn", "us-east-1", image, {}, **given)


@pytest.mark.parametrize(
    "image",
    [
        f"{ECR}/sagemaker-scikit-learn:1.2-1-cpu-py3",
        f"{ECR}/sagemaker-xgboost:1.7-1",
        f"{ECR}/pytorch-training:2.3.0-cpu-py311",
        f"{ECR}/pytorch-inference:2.3.0-cpu-py311",
        "python:3.11-slim",
        f"{ECR}/sagemaker-base-python-310:1.0",
    ],
)
def test_images_of_frameworks_and_of_python_run(image: str) -> None:
    assert problem(job(image)) is None


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (f"{ECR}/sagemaker-spark-processing:3.1-cpu-py37-1", "the image of Spark is not run"),
        (f"{ECR}/sagemaker-clarify-processing:1.0", "the image of SageMaker Clarify is not run"),
        (f"{ECR}/sagemaker-model-monitor-analyzer", "the image of Model Monitor is not run"),
        ("me/mine:1", "must be the image of a framework"),
        ("", "must be the image of a framework"),
    ],
)
def test_other_images_are_refused_by_name(image: str, words: str) -> None:
    found = problem(job(image))
    assert found is not None
    assert found.startswith("ClientError: ")
    assert words in found
    assert repr(image) in found


def test_a_command_is_needed() -> None:
    image = f"{ECR}/sagemaker-scikit-learn:1.2-1-cpu-py3"
    assert "must have a ContainerEntrypoint" in str(problem(job(image, entrypoint=())))
    assert problem(job(image, entrypoint=(), arguments=("python3", "a.py"))) is None
