"""Models of several containers through unmodified boto3."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

import tidemill
from tests.end_to_end.conftest import Platform
from tests.workers.serve.pipelines import IMAGES, MODELS
from tidemill.artifact.archive import MODEL, pack
from tidemill.artifact.codec import to_bytes
from tidemill.errors import Invalid

pytestmark = pytest.mark.slow
ROLE = "arn:aws:iam::123456789012:role/any"
ROWS = b"1,2,3,4\n0,7,9,0\n"


@pytest.fixture(scope="module")
def several(platform: Platform) -> Any:
    """A client of SageMaker; the artifacts of all models lie in S3."""
    s3 = platform.connection.client("s3")
    s3.create_bucket(Bucket="several")
    for algorithm, model in MODELS.items():
        packed = pack(algorithm, {}, {MODEL: to_bytes(model)})
        s3.put_object(Bucket="several", Key=f"{algorithm}.tar.gz", Body=packed)
    s3.put_object(Bucket="several", Key="in/rows.csv", Body=ROWS)
    return platform.connection.client("sagemaker")


def containers(*algorithms: str, **changes: Any) -> list[dict[str, Any]]:
    return [
        {
            "Image": IMAGES[algorithm],
            "ModelDataUrl": f"s3://several/{algorithm}.tar.gz",
            "Environment": {"SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT": "text/csv"},
            **({"ContainerHostname": algorithm} if changes else {}),
        }
        for algorithm in algorithms
    ]


def create(client: Any, name: str, *algorithms: str, **changes: Any) -> None:
    """A model, its config and its endpoint, all of one name."""
    steps = containers(*algorithms, **changes)
    client.create_model(ModelName=name, ExecutionRoleArn=ROLE, Containers=steps, **changes)
    variant = {"VariantName": "v", "ModelName": name, "InitialInstanceCount": 1}
    client.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])
    client.create_endpoint(EndpointName=name, EndpointConfigName=name)


def in_service(client: Any, *names: str) -> None:
    waiter = client.get_waiter("endpoint_in_service")
    for name in names:
        waiter.wait(EndpointName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 60})


def test_there_is_a_job_to_deploy() -> None:
    with pytest.raises(Invalid, match="a training job to deploy"):
        tidemill.deploy([])


def test_containers_answer_in_turn_or_directly(platform: Platform, several: Any) -> None:
    create(several, "serial", "pca", "kmeans")
    create(several, "direct", "pca", "kmeans", InferenceExecutionConfig={"Mode": "Direct"})
    source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://several/in/"}}
    in_service(several, "serial", "direct")
    several.create_transform_job(
        TransformJobName="job",
        ModelName="serial",
        TransformInput={"DataSource": source, "ContentType": "text/csv", "SplitType": "Line"},
        TransformOutput={"S3OutputPath": "s3://several/out", "Accept": "text/csv"},
        TransformResources={"InstanceType": "ml.m5.large", "InstanceCount": 1},
    )
    runtime = platform.connection.client("sagemaker-runtime")

    def ask(endpoint: str, body: bytes = ROWS, **more: str) -> bytes:
        answer = runtime.invoke_endpoint(
            EndpointName=endpoint, Body=body, ContentType="text/csv", Accept="text/csv", **more
        )
        told: bytes = answer["Body"].read()
        return told

    projected = ask("direct", TargetContainerHostname="pca")
    clusters = ask("direct", projected, TargetContainerHostname="kmeans")
    assert (len(projected.splitlines()), len(clusters.splitlines())) == (2, 2)
    assert ask("serial") == clusters

    with pytest.raises(ClientError, match="pca, kmeans") as missing:
        ask("direct")
    assert missing.value.response["Error"]["Code"] == "ValidationError"
    with pytest.raises(ClientError, match="needs several containers"):
        ask("serial", TargetContainerHostname="pca")
    with pytest.raises(ClientError, match=r"error \(400\) from kmeans with") as refused:
        ask("direct", TargetContainerHostname="kmeans")
    assert refused.value.response["OriginalStatusCode"] == 400
    with pytest.raises(ClientError, match=r"error \(400\) from container-1 with"):
        ask("serial", b"1,2\n")
    images = several.describe_endpoint(EndpointName="serial")["ProductionVariants"][0]
    assert len(images["DeployedImages"]) == 2

    waiter = several.get_waiter("transform_job_completed_or_stopped")
    waiter.wait(TransformJobName="job", WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    s3 = platform.connection.client("s3")
    assert s3.get_object(Bucket="several", Key="out/rows.csv.out")["Body"].read() == clusters
