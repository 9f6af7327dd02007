"""Data capture through unmodified boto3 and the published SageMaker SDK."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from tests.end_to_end.conftest import Platform
from tests.end_to_end.test_clients import without_telemetry
from tidemill.sdk.train import train

pytestmark = pytest.mark.slow
ROLE = "arn:aws:iam::123456789012:role/any"
SDK = """
import json
from sagemaker import Session
from sagemaker.model_monitor import DataCaptureConfig
from sagemaker.s3 import S3Downloader
session = Session(default_bucket="captured")
config = DataCaptureConfig(True, 100, "s3://captured/below", sagemaker_session=session)
[uri] = S3Downloader.list("s3://captured/below/watched", session)
lines = S3Downloader.read_file(uri, session).splitlines()
print(json.dumps([config._to_request_dict(), *map(json.loads, lines)]))
"""
ASKED = {
    "EnableCapture": True,
    "InitialSamplingPercentage": 100,
    "DestinationS3Uri": "s3://captured/below",
    "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
    "CaptureContentTypeHeader": {
        "CsvContentTypes": ["text/csv"],
        "JsonContentTypes": ["application/json"],
    },
}


def run(script: str, platform: Platform) -> str:
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={
            **platform.environment,
            "SAGEMAKER_USER_CONFIG_OVERRIDE": str(without_telemetry(platform.home)),
        },
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def model(platform: Platform) -> Iterator[str]:
    """A model of two clusters."""
    points = np.random.default_rng(0).normal(size=(500, 2)).astype(np.float32)
    job = train("kmeans", points, k=2, connection=platform.connection).wait(quiet=True)
    client = platform.connection.client("sagemaker")
    told = client.describe_training_job(TrainingJobName=job.name)
    container = {
        "Image": told["AlgorithmSpecification"]["TrainingImage"],
        "ModelDataUrl": told["ModelArtifacts"]["S3ModelArtifacts"],
    }
    client.create_model(ModelName="two", ExecutionRoleArn=ROLE, PrimaryContainer=container)
    platform.connection.client("s3").create_bucket(Bucket="captured")
    yield "two"
    client.delete_model(ModelName="two")


def config(client: Any, name: str, model: str, **more: object) -> None:
    variant = {
        "VariantName": "AllTraffic",
        "ModelName": model,
        "InstanceType": "ml.m5.large",
        "InitialInstanceCount": 1,
    }
    client.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant], **more)


def serve(client: Any) -> dict[str, Any]:
    """Wait; what capture is then told to be."""
    waiter = client.get_waiter("endpoint_in_service")
    waiter.wait(EndpointName="watched", WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    told: dict[str, Any] = client.describe_endpoint(EndpointName="watched")["DataCaptureConfig"]
    return told


def captured(s3: Any, at_least: int) -> list[dict[str, Any]]:
    """The events under S3, once there are so many."""
    until = time.monotonic() + 20
    while True:
        listing = s3.list_objects_v2(Bucket="captured", Prefix="below/watched/AllTraffic/")
        keys = [found["Key"] for found in listing.get("Contents", [])]
        bodies = [s3.get_object(Bucket="captured", Key=k)["Body"].read().decode() for k in keys]
        events = [json.loads(line) for body in bodies for line in body.splitlines()]
        if len(events) >= at_least:
            return events
        assert time.monotonic() < until, f"{len(events)} of {at_least} events"
        time.sleep(0.2)


def test_what_an_endpoint_is_asked_and_answers_lies_in_s3(platform: Platform, model: str) -> None:
    connect = platform.connection.client
    client, runtime, s3 = connect("sagemaker"), connect("sagemaker-runtime"), connect("s3")
    config(client, "on", model, DataCaptureConfig=ASKED)
    assert client.describe_endpoint_config(EndpointConfigName="on")["DataCaptureConfig"] == ASKED
    client.create_endpoint(EndpointName="watched", EndpointConfigName="on")
    assert serve(client) == {
        "EnableCapture": True,
        "CaptureStatus": "Started",
        "CurrentSamplingPercentage": 100,
        "DestinationS3Uri": "s3://captured/below",
        "KmsKeyId": "",
    }

    def ask(**more: str) -> bytes:
        answer = runtime.invoke_endpoint(
            EndpointName="watched",
            Body=b"1,2\n",
            ContentType="text/csv",
            Accept="application/json",
            **more,
        )
        body: bytes = answer["Body"].read()
        return body

    answer = ask()
    ask(InferenceId="order-17", CustomAttributes="shop=3")
    first, second = captured(s3, 2)
    assert first["captureData"] == {
        "endpointInput": {
            "observedContentType": "text/csv",
            "mode": "INPUT",
            "data": "1,2\n",
            "encoding": "CSV",
        },
        "endpointOutput": {
            "observedContentType": "application/json",
            "mode": "OUTPUT",
            "data": answer.decode(),
            "encoding": "JSON",
        },
    }
    assert set(first["eventMetadata"]) == {"eventId", "inferenceTime"}
    about = second["eventMetadata"]
    assert (about["inferenceId"], about["customAttributes"]) == ("order-17", ["shop=3"])
    seen = run(SDK, platform).splitlines()[-1]  # after what the SDK says of its settings
    assert json.loads(seen) == [ASKED, first, second]

    # An update keeps the capture where it is told to, and else takes that of its config.
    config(client, "off", model, DataCaptureConfig={**ASKED, "EnableCapture": False})
    kept = {"EndpointConfigName": "off", "RetainAllVariantProperties": True}
    client.update_endpoint(EndpointName="watched", **kept)
    assert serve(client)["CaptureStatus"] == "Started"
    ask()
    assert len(captured(s3, 3)) == 3
    excluded = [{"VariantPropertyType": "DataCaptureConfig"}]
    client.update_endpoint(
        EndpointName="watched", **kept, ExcludeRetainedVariantProperties=excluded
    )
    told = serve(client)
    assert (told["EnableCapture"], told["CaptureStatus"]) == (False, "Stopped")
    client.delete_endpoint(EndpointName="watched")
