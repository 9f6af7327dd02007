"""Many models behind one endpoint, through unmodified boto3 and SageMaker's SDK."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from botocore.exceptions import ClientError

from tests.end_to_end.conftest import Platform
from tests.end_to_end.test_metrics import until
from tests.workers.places import KMEANS
from tidemill import registry
from tidemill.algorithms.kmeans.model import KMeansModel
from tidemill.artifact.archive import MODEL, pack
from tidemill.artifact.codec import to_bytes
from tidemill.sdk.endpoint import Endpoint
from tidemill.spec.frame import REQUEST, Frame
from tidemill.workers.serve.answers import Answers

pytestmark = pytest.mark.slow
ROLE = "arn:aws:iam::123456789012:role/any"
COLUMNS, CENTRES = 1000, 100  # 400 kB a model: two of them in a megabyte
ROW = b",".join([b"1"] * COLUMNS) + b"\n"


def model_of(name: str) -> KMeansModel:
    dice = np.random.default_rng(len(name) + ord(name[-1]))
    return KMeansModel(dice.normal(size=(CENTRES, COLUMNS)).astype(np.float32))


def alone(name: str) -> bytes:
    """What a replica of this model answers."""
    frame = Frame(REQUEST, 1, 0, b"text/csv\n\n", ROW)
    return Answers(model_of(name), registry.declaration(KMEANS))([frame])[0].body


@pytest.fixture(scope="module")
def many(platform: Platform) -> Any:
    """A client of SageMaker, with an endpoint ``many`` of the models a, b and c."""
    s3 = platform.connection.client("s3")
    s3.create_bucket(Bucket="many")
    for name in "abc":
        put(s3, name)
    client = platform.connection.client("sagemaker")
    container = {
        "Image": KMEANS,
        "ModelDataUrl": "s3://many/models/",
        "Mode": "MultiModel",
        "Environment": {"TIDEMILL_MODELS_MAX_MEMORY_MB": "1"},
    }
    client.create_model(ModelName="many", ExecutionRoleArn=ROLE, PrimaryContainer=container)
    variant = {"VariantName": "v", "ModelName": "many", "InitialInstanceCount": 1}
    client.create_endpoint_config(EndpointConfigName="many", ProductionVariants=[variant])
    client.create_endpoint(EndpointName="many", EndpointConfigName="many")
    waiter = client.get_waiter("endpoint_in_service")
    waiter.wait(EndpointName="many", WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    return client


def put(s3: Any, name: str) -> None:
    packed = pack("kmeans", {}, {MODEL: to_bytes(model_of(name))})
    s3.put_object(Bucket="many", Key=f"models/nl/{name}.tar.gz", Body=packed)


def test_one_endpoint_answers_for_whatever_model_lies_below_its_prefix(
    platform: Platform, many: Any
) -> None:
    runtime = platform.connection.client("sagemaker-runtime")

    def ask(**more: str) -> bytes:
        answer = runtime.invoke_endpoint(
            EndpointName="many", Body=ROW, ContentType="text/csv", **more
        )
        told: bytes = answer["Body"].read()
        return told

    for name in "abcaabc":  # two fit, so that some are unloaded and come back
        assert ask(TargetModel=f"nl/{name}.tar.gz") == alone(name)
    with pytest.raises(ClientError, match=r"Failed to download model data\(bucket: many") as gone:
        ask(TargetModel="nl/new.tar.gz")
    assert gone.value.response["Error"]["Code"] == "ValidationError"
    put(platform.connection.client("s3"), "new")
    assert ask(TargetModel="nl/new.tar.gz") == alone("new")
    predicted = Endpoint("many", platform.connection).predict(
        np.ones((2, COLUMNS)), model="nl/a.tar.gz"
    )
    assert predicted["closest_cluster"].tolist() == [float(alone("a").split(b",")[0])] * 2
    with pytest.raises(ClientError, match="needs TargetModel"):
        ask()
    with pytest.raises(ClientError, match="TargetModel must be the key"):
        ask(TargetModel="../secret.tar.gz")

    cloudwatch = platform.connection.client("cloudwatch")

    def told(name: str, statistic: str, space: str = "AWS/SageMaker") -> list[float]:
        found = cloudwatch.get_metric_statistics(
            Namespace=space,
            MetricName=name,
            Dimensions=[
                {"Name": "EndpointName", "Value": "many"},
                {"Name": "VariantName", "Value": "v"},
            ],
            StartTime=datetime.now(UTC) - timedelta(minutes=5),
            EndTime=datetime.now(UTC) + timedelta(minutes=5),
            Period=3600,
            Statistics=[statistic],
        )
        return [point[statistic] for point in found["Datapoints"]]

    until(lambda: told("ModelCacheHit", "SampleCount") == [10.0])
    assert told("ModelCacheHit", "Sum") == [1.0]
    assert told("ModelUnloadingTime", "SampleCount") == [6.0]
    assert told("ModelDownloadingTime", "SampleCount") == [4.0]
    assert told("ModelLoadingWaitTime", "Minimum")[0] > 0
    until(lambda: told("LoadedModelCount", "Maximum", "/aws/sagemaker/Endpoints"))
    assert told("LoadedModelCount", "Maximum", "/aws/sagemaker/Endpoints")[0] <= 2
