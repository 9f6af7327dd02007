"""SIGKILL any part at random moments, 20 times each: nothing acknowledged is lost, all goes on."""

from __future__ import annotations

import random
import threading
import time

import numpy as np
import pytest
from botocore.exceptions import BotoCoreError, ClientError

from tests.end_to_end import processes
from tests.end_to_end.conftest import Platform
from tidemill.sdk.channels import Source, upload
from tidemill.sdk.endpoint import Endpoint, deploy
from tidemill.sdk.train import train
from tidemill.sdk.training_job import TrainingJob

pytestmark = [pytest.mark.slow, pytest.mark.serial]
KILLS = 20
ROW = b"0.5,0.5"


@pytest.fixture(scope="module")
def endpoint(platform: Platform) -> Endpoint:
    rows = np.random.default_rng(0).normal(size=(500, 2)).astype(np.float32)
    job = train("kmeans", rows, k=3, connection=platform.connection).wait(quiet=True)
    return deploy(job, connection=platform.connection)


class Asker:
    """Asks the endpoint without pause and without retries of its own, and notes what came."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.failures: list[str] = []
        self.answers = 0
        self._endpoint = endpoint
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._ask)

    def __enter__(self) -> Asker:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def wait_for_answers(self, more: int = 3) -> None:
        wanted = self.answers + more
        deadline = time.monotonic() + 30
        while self.answers < wanted:
            assert time.monotonic() < deadline, self.failures[-3:]
            time.sleep(0.01)

    def _ask(self) -> None:
        client = self._endpoint.connection.client("sagemaker-runtime")
        while not self._over.is_set():
            try:
                client.invoke_endpoint(
                    EndpointName=self._endpoint.name, Body=ROW, ContentType="text/csv"
                )["Body"].read()
                self.answers += 1
            except (ClientError, BotoCoreError) as error:
                self.failures.append(str(error))
            time.sleep(0.002)


@pytest.fixture
def moments() -> random.Random:
    return random.Random(20)


def kill_again_and_again(
    part: str, platform: Platform, asker: Asker, moments: random.Random, longest: float = 0.6
) -> None:
    killed = 0
    deadline = time.monotonic() + 180
    while killed < KILLS:
        assert time.monotonic() < deadline, f"only {killed} processes of {part} were found to kill"
        time.sleep(moments.uniform(0.01, longest))
        killed += processes.kill(part, platform.home)
        asker.wait_for_answers()


@pytest.mark.parametrize("part", ["router", "replica"])
def test_the_endpoint_goes_on_answering_when_a_part_on_its_path_is_killed(
    part: str, platform: Platform, endpoint: Endpoint, moments: random.Random
) -> None:
    with Asker(endpoint) as asker:
        kill_again_and_again(part, platform, asker, moments)
    if part == "replica":
        assert asker.failures == [], "the router holds requests until the replica is back"
    assert asker.answers > KILLS


def test_killing_the_control_plane_loses_nothing_that_was_acknowledged(
    platform: Platform, endpoint: Endpoint, moments: random.Random
) -> None:
    names: list[str] = []
    with Asker(endpoint) as asker:
        over = threading.Event()
        maker = threading.Thread(target=create_models, args=(platform, names, over))
        maker.start()
        kill_again_and_again("control plane", platform, asker, moments, longest=2.0)
        over.set()
        maker.join()
    client = platform.connection.client("sagemaker")
    assert len(names) > KILLS
    for name in names:
        assert client.describe_model(ModelName=name)["ModelName"] == name
    assert asker.failures == [], "invocations do not pass through the control plane"


def create_models(platform: Platform, names: list[str], over: threading.Event) -> None:
    client = platform.connection.client("sagemaker")
    number = 0
    while not over.is_set():
        number += 1
        name = f"kept-{number}"
        try:
            client.create_model(
                ModelName=name,
                ExecutionRoleArn="arn:aws:iam::123456789012:role/any",
                PrimaryContainer={"Image": "kmeans", "ModelDataUrl": "s3://b/model.tar.gz"},
            )
        except (ClientError, BotoCoreError):
            continue
        names.append(name)
        time.sleep(0.02)


def test_killed_training_workers_resume_and_end_in_the_very_same_model(
    platform: Platform, moments: random.Random
) -> None:
    rows = np.random.default_rng(1).normal(size=(50_000, 20)).astype(np.float32)
    source = upload(
        platform.connection,
        (rows, rows @ np.arange(20, dtype=np.float32)),
        prefix=f"s3://{platform.connection.bucket()}/long",
        supervised=True,
    )
    unbroken = start_long_job(platform, source).wait(quiet=True)
    jobs = [start_long_job(platform, source)]
    killed = 0
    deadline = time.monotonic() + 240
    while killed < KILLS:
        assert time.monotonic() < deadline, f"only {killed} workers were found to kill"
        time.sleep(moments.uniform(0.05, 0.7))
        killed += processes.kill("training worker", platform.home)
        if jobs[-1].status == "Completed":
            jobs.append(start_long_job(platform, source))
    digests = {artifact(platform, job.wait(quiet=True)) for job in [*jobs, unbroken]}
    assert len(digests) == 1, "a resumed job must end in the bytes of an unbroken one"


def start_long_job(platform: Platform, source: Source) -> TrainingJob:
    """Some seconds of work: passes without end but for their number."""
    return train(
        "linear-learner",
        source,
        predictor_type="regressor",
        epochs=40,
        early_stopping_patience=100,
        num_models=8,
        connection=platform.connection,
    )


def artifact(platform: Platform, job: TrainingJob) -> str:
    bucket, _, key = job.artifact.removeprefix("s3://").partition("/")
    answer = platform.connection.client("s3").head_object(Bucket=bucket, Key=key)
    return str(answer["ETag"])
