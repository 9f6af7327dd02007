"""Answers in parts through unmodified clients, against a live platform."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError, EventStreamError

from tests.end_to_end import processes
from tests.end_to_end.conftest import Platform
from tests.workers.places import KMEANS
from tests.workers.serve.replicas import CENTRES
from tidemill.algorithms.kmeans.model import KMeansModel
from tidemill.artifact.archive import MODEL, pack
from tidemill.artifact.codec import to_bytes

pytestmark = [pytest.mark.slow, pytest.mark.serial]
ROLE = "arn:aws:iam::123456789012:role/any"
ROWS = b"1.5,2.5,3.5\n" * 100_000


@pytest.fixture(scope="module")
def endpoint(platform: Platform) -> str:
    s3, client = platform.connection.client("s3"), platform.connection.client("sagemaker")
    s3.create_bucket(Bucket="flow")
    packed = pack("kmeans", {"k": 3}, {MODEL: to_bytes(KMeansModel(CENTRES))})
    s3.put_object(Bucket="flow", Key="model.tar.gz", Body=packed)
    container = {"Image": KMEANS, "ModelDataUrl": "s3://flow/model.tar.gz"}
    client.create_model(ModelName="flow", ExecutionRoleArn=ROLE, PrimaryContainer=container)
    variant = {
        "VariantName": "one",
        "ModelName": "flow",
        "InstanceType": "ml.m5.large",
        "InitialInstanceCount": 1,
    }
    client.create_endpoint_config(EndpointConfigName="flow", ProductionVariants=[variant])
    client.create_endpoint(EndpointName="flow", EndpointConfigName="flow")
    waiter = client.get_waiter("endpoint_in_service")
    waiter.wait(EndpointName="flow", WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    return "flow"


def test_the_parts_are_the_answer(platform: Platform, endpoint: str) -> None:
    runtime = platform.connection.client("sagemaker-runtime")
    for accept in ("application/json", "text/csv", "application/x-npy"):
        asked = {"EndpointName": endpoint, "ContentType": "text/csv", "Accept": accept}
        whole = runtime.invoke_endpoint(**asked, Body=ROWS)
        answer = runtime.invoke_endpoint_with_response_stream(
            **asked, Body=ROWS, TargetVariant="one", CustomAttributes="mine", InferenceId="mine"
        )
        assert answer["ContentType"] == whole["ContentType"] == accept
        assert answer["InvokedProductionVariant"] == "one"
        parts = [event["PayloadPart"]["Bytes"] for event in answer["Body"]]
        assert len(parts) > 5
        assert b"".join(parts) == whole["Body"].read()


def test_what_is_refused_is_refused_as_ever(platform: Platform, endpoint: str) -> None:
    runtime = platform.connection.client("sagemaker-runtime")
    with pytest.raises(ClientError, match="'two'") as refused:
        runtime.invoke_endpoint_with_response_stream(
            EndpointName=endpoint, Body=b"1,two,3\n", ContentType="text/csv"
        )
    assert refused.value.response["Error"]["Code"] == "ModelError"
    assert refused.value.response["OriginalStatusCode"] == 400
    with pytest.raises(ClientError, match="not found"):
        runtime.invoke_endpoint_with_response_stream(EndpointName="nowhere", Body=b"1")


def test_a_replica_that_is_killed_breaks_the_stream_alone(
    platform: Platform, endpoint: str
) -> None:
    runtime = platform.connection.client("sagemaker-runtime")
    asked = {"EndpointName": endpoint, "ContentType": "text/csv", "Accept": "application/json"}
    events = iter(runtime.invoke_endpoint_with_response_stream(**asked, Body=4 * ROWS)["Body"])
    assert next(events)["PayloadPart"]["Bytes"].startswith(b'{"predictions":[')
    assert processes.kill("replica", platform.home)
    with pytest.raises(EventStreamError, match="ended before its answer") as broken:
        list(events)
    assert broken.value.response["Error"]["Code"] == "ModelStreamError"
    again: Any = runtime.invoke_endpoint_with_response_stream(**asked, Body=b"1,2,3\n")
    assert len(b"".join(event["PayloadPart"]["Bytes"] for event in again["Body"])) > 50
