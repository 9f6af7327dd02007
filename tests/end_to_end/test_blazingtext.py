"""blazingtext through boto3: what its jobs leave, and what they say of text that is no good."""

from __future__ import annotations

import contextlib
import io
import json
import tarfile
from typing import Any

import boto3
import pytest
from botocore.exceptions import WaiterError

from tests.end_to_end.conftest import Platform

pytestmark = pytest.mark.slow
BUCKET = "texts"
ROLE = "arn:aws:iam::123456789012:role/service-role/Anything"
WORDS = b"king queen money cash king queen money cash\n" * 200
CLASSES = b"__label__tea kettle leaf cup\n__label__sea salt tide wave\n" * 100


class Account:
    """boto3's clients, with a bucket for texts."""

    def __init__(self, platform: Platform) -> None:
        self._connection = platform.connection
        self.sagemaker, self.s3 = self._client("sagemaker"), self._client("s3")
        self.s3.create_bucket(Bucket=BUCKET)

    def _client(self, service: Any) -> Any:
        return boto3.client(
            service,
            endpoint_url=self._connection.url,
            aws_access_key_id=self._connection.access_key_id,
            aws_secret_access_key=self._connection.secret_access_key,
            region_name="us-east-1",
        )

    def train(self, name: str, body: bytes, **hyperparameters: str) -> Any:
        """DescribeTrainingJob of a job that has ended, well or not."""
        self.s3.put_object(Bucket=BUCKET, Key=f"{name}/text", Body=body)
        place = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/{name}/"}
        self.sagemaker.create_training_job(
            TrainingJobName=name,
            AlgorithmSpecification={
                "TrainingImage": "811284229777.dkr.ecr.us-east-1.amazonaws.com/blazingtext:1",
                "TrainingInputMode": "File",
            },
            RoleArn=ROLE,
            HyperParameters={"vector_dim": "8", "epochs": "3", **hyperparameters},
            InputDataConfig=[{"ChannelName": "train", "DataSource": {"S3DataSource": place}}],
            OutputDataConfig={"S3OutputPath": f"s3://{BUCKET}/models/"},
            ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
            StoppingCondition={"MaxRuntimeInSeconds": 600},
        )
        waiter = self.sagemaker.get_waiter("training_job_completed_or_stopped")
        with contextlib.suppress(WaiterError):
            waiter.wait(TrainingJobName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 120})
        return self.sagemaker.describe_training_job(TrainingJobName=name)

    def artifact(self, job: Any) -> dict[str, bytes]:
        """The files of a job's model.tar.gz."""
        assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
        key = job["ModelArtifacts"]["S3ModelArtifacts"].removeprefix(f"s3://{BUCKET}/")
        body = self.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()
        with tarfile.open(fileobj=io.BytesIO(body)) as archive:
            files = {member.name: archive.extractfile(member) for member in archive}
            return {name: file.read() for name, file in files.items() if file is not None}


@pytest.fixture(scope="module")
def account(platform: Platform) -> Account:
    return Account(platform)


@pytest.mark.parametrize("mode", ["skipgram", "batch_skipgram", "cbow"])
def test_a_job_of_vectors_leaves_them_as_word2vec_does(mode: str, account: Account) -> None:
    job = account.train(f"words-{mode.replace('_', '-')}", WORDS, mode=mode)
    files = account.artifact(job)
    assert files["vectors.txt"].splitlines()[0] == b"4 8"
    assert files["vectors.bin"].startswith(b"4 8\n")
    judged = json.loads(files["eval.json"])
    told = {metric["MetricName"]: metric["Value"] for metric in job["FinalMetricDataList"]}
    assert told["train:mean_rho"] == pytest.approx(judged["mean_rho"], abs=1e-4)


def test_a_job_of_classes_leaves_a_model_of_fasttext(account: Account) -> None:
    job = account.train("classes", CLASSES, mode="supervised", buckets="1000")
    assert "model.bin" in account.artifact(job)
    told = {metric["MetricName"]: metric["Value"] for metric in job["FinalMetricDataList"]}
    assert told["train:accuracy"] == 1


@pytest.mark.parametrize(
    ("name", "body", "hyperparameters", "told"),
    [
        ("no-labels", WORDS, {"mode": "supervised"}, "at least two different labels, __label__x"),
        ("too-rare", b"each word comes once\n", {"mode": "cbow"}, "min_count = 5 times"),
        ("no-mode", WORDS, {}, "mode is required"),
        (
            "no-text",
            b"\n\n",
            {"mode": "skipgram"},
            "channel 'train': a channel must have at least one row",
        ),
    ],
)
def test_text_that_cannot_be_learned_fails_the_job_with_the_reason(
    name: str, body: bytes, hyperparameters: dict[str, str], told: str, account: Account
) -> None:
    job = account.train(name, body, **hyperparameters)
    assert job["TrainingJobStatus"] == "Failed"
    assert job["FailureReason"].startswith("ClientError: ")
    assert told in job["FailureReason"]
