"""Bad input says what is wrong, with what, and what to do; and nothing else is disturbed."""

from __future__ import annotations

import socket
import struct
from collections.abc import Mapping
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.end_to_end.conftest import Platform
from tidemill.sdk.endpoint import Endpoint, deploy
from tidemill.sdk.naming import fresh_name
from tidemill.sdk.train import train
from tidemill.sdk.training_job import JobFailed, TrainingJob

pytestmark = pytest.mark.slow
ROLE = "arn:aws:iam::123456789012:role/any"
CSV = "text/csv;label_size=0"
GOOD_ROWS = b"1,2\n3,4\n5,6\n7,8\n"
RECORD = bytes.fromhex(
    "0a23d7ce2c0000000a160a0676616c756573120c120a0a080000803f00000040"
    "12120a0676616c756573120812060a040000803f"
)


def submit(
    platform: Platform,
    body: bytes,
    *,
    image: str = "kmeans",
    content_type: str = CSV,
    channel: str = "train",
    hyperparameters: Mapping[str, str] | None = None,
) -> TrainingJob:
    """A job over one object with this body."""
    name = fresh_name("bad")
    s3 = platform.connection.client("s3")
    bucket = platform.connection.bucket()
    s3.put_object(Bucket=bucket, Key=f"{name}/data", Body=body)
    location = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{bucket}/{name}/"}
    platform.connection.client("sagemaker").create_training_job(
        TrainingJobName=name,
        AlgorithmSpecification={"TrainingImage": image, "TrainingInputMode": "File"},
        RoleArn=ROLE,
        HyperParameters=dict(hyperparameters or {"k": "2", "feature_dim": "2"}),
        InputDataConfig=[
            {
                "ChannelName": channel,
                "ContentType": content_type,
                "DataSource": {"S3DataSource": location},
            }
        ],
        OutputDataConfig={"S3OutputPath": f"s3://{bucket}/{name}/out"},
        ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
        StoppingCondition={"MaxRuntimeInSeconds": 60},
    )
    return TrainingJob(name, platform.connection)


LINEAR = {"predictor_type": "binary_classifier"}
BAD_JOBS: dict[str, tuple[dict[str, Any], list[str]]] = {
    "a missing channel": ({"body": GOOD_ROWS, "channel": "test"}, ["train", "channel"]),
    "a wrong content type": (
        {"body": GOOD_ROWS, "content_type": "image/png"},
        ["image/png", "text/csv"],
    ),
    "bytes that are not of the type": (
        {"body": GOOD_ROWS, "content_type": "application/x-recordio-protobuf"},
        ["RecordIO", "train"],
    ),
    "a NaN label": (
        {
            "body": b"1,2,3\nnan,4,5\n0,1,1\n",
            "image": "linear-learner",
            "content_type": "text/csv",
            "hyperparameters": LINEAR,
        },
        ["label", "row", "nan"],
    ),
    "a label outside 0 and 1": (
        {
            "body": b"1,2,3\n2,4,5\n0,1,1\n",
            "image": "linear-learner",
            "content_type": "text/csv",
            "hyperparameters": LINEAR,
        },
        ["label", "2"],
    ),
    "ragged rows": ({"body": b"1,2\n3,4,5\n6,7\n"}, ["row", "2", "3"]),
    "words where numbers should be": ({"body": b"1,2\n3,tall\n6,7\n"}, ["tall"]),
    "a truncated RecordIO": (
        {"body": RECORD * 3 + RECORD[:-9], "content_type": "application/x-recordio-protobuf"},
        ["record", "cut short"],
    ),
    "an unknown hyperparameter": (
        {"body": GOOD_ROWS, "hyperparameters": {"k": "2", "feature_dim": "2", "epoch": "3"}},
        ["epoch", "epochs"],
    ),
    "a value out of range": (
        {"body": GOOD_ROWS, "hyperparameters": {"k": "0", "feature_dim": "2"}},
        ["k", "at least", "0"],
    ),
    "a value that is no number": (
        {"body": GOOD_ROWS, "hyperparameters": {"k": "many", "feature_dim": "2"}},
        ["k", "many"],
    ),
    "a wrong feature_dim": (
        {"body": GOOD_ROWS, "hyperparameters": {"k": "2", "feature_dim": "7"}},
        ["feature_dim", "7", "2"],
    ),
    "more clusters than rows": (
        {"body": GOOD_ROWS, "hyperparameters": {"k": "40", "feature_dim": "2"}},
        ["k", "40", "4"],
    ),
    "an image that nobody knows": ({"body": GOOD_ROWS, "image": "kmeens:1"}, ["kmeens", "kmeans"]),
}


@pytest.mark.parametrize("case", BAD_JOBS)
def test_a_job_over_bad_input_fails_and_says_why(case: str, platform: Platform) -> None:
    arguments, words = BAD_JOBS[case]
    job = submit(platform, **arguments)
    with pytest.raises(JobFailed) as failure:
        job.wait(quiet=True, timeout=60)
    reason = str(failure.value)
    assert reason.startswith("ClientError: "), reason
    assert [w for w in words if w.lower() not in reason.lower()] == [], reason


def test_input_that_is_not_there_is_refused_at_creation(platform: Platform) -> None:
    with pytest.raises(ClientError, match="No S3 objects found under S3 URL") as refusal:
        train("kmeans", "s3://no-such-bucket/rows.csv", k=2, connection=platform.connection)
    assert refusal.value.response["Error"]["Code"] == "ValidationException"


@pytest.fixture(scope="module")
def endpoint(platform: Platform) -> Endpoint:
    job = submit(platform, GOOD_ROWS).wait(quiet=True)
    return deploy(job, connection=platform.connection)


BAD_REQUESTS: dict[str, tuple[bytes, str, list[str]]] = {
    "too many columns": (b"1,2,3", "text/csv", ["2", "3"]),
    "words": (b"1,x", "text/csv", ["x"]),
    "an unknown content type": (b"1,2", "image/png", ["image/png"]),
    "broken JSON": (b'{"instances": [', "application/json", ["JSON"]),
    "JSON of another shape": (b'{"rows": [[1, 2]]}', "application/json", ["instances"]),
    "truncated RecordIO": (RECORD[:-9], "application/x-recordio-protobuf", ["record", "cut short"]),
}


@pytest.mark.parametrize("case", BAD_REQUESTS)
def test_a_bad_request_is_the_callers_error_and_the_endpoint_goes_on(
    case: str, platform: Platform, endpoint: Endpoint
) -> None:
    body, content_type, words = BAD_REQUESTS[case]
    runtime = platform.connection.client("sagemaker-runtime")
    with pytest.raises(ClientError) as refusal:
        runtime.invoke_endpoint(EndpointName=endpoint.name, Body=body, ContentType=content_type)
    error = refusal.value.response
    assert error["Error"]["Code"] == "ModelError"
    assert error["OriginalStatusCode"] in (400, 415)
    assert [w for w in words if w not in error["OriginalMessage"]] == [], error
    assert len(endpoint.predict([[1.0, 2.0]])["closest_cluster"]) == 1


def test_an_oversized_body_is_refused_by_its_bound(platform: Platform, endpoint: Endpoint) -> None:
    runtime = platform.connection.client("sagemaker-runtime")
    with pytest.raises(ClientError, match="6291456"):
        runtime.invoke_endpoint(
            EndpointName=endpoint.name, Body=b"1,2\n" * 2_000_000, ContentType="text/csv"
        )
    assert len(endpoint.predict([[1.0, 2.0]])["closest_cluster"]) == 1


@pytest.mark.parametrize("service", ["sagemaker", "sagemaker-runtime", "s3"])
def test_a_bad_signature_is_refused_by_every_service(
    service: str, platform: Platform, endpoint: Endpoint
) -> None:
    client: Any = boto3.client(
        service,  # type: ignore[call-overload]
        endpoint_url=platform.connection.url,
        aws_access_key_id=platform.connection.access_key_id,
        aws_secret_access_key="wrong",
        region_name="us-east-1",
        config=Config(retries={"total_max_attempts": 1}),
    )
    calls: dict[str, Any] = {
        "sagemaker": lambda: client.list_models(),
        "sagemaker-runtime": lambda: client.invoke_endpoint(
            EndpointName=endpoint.name, Body=b"1,2"
        ),
        "s3": lambda: client.list_buckets(),
    }
    with pytest.raises(ClientError) as refusal:
        calls[service]()
    assert refusal.value.response["ResponseMetadata"]["HTTPStatusCode"] in (400, 403)
    assert "Signature" in refusal.value.response["Error"]["Code"]


def test_a_key_with_dots_stays_in_its_bucket(platform: Platform) -> None:
    s3, bucket = platform.connection.client("s3"), platform.connection.bucket()
    s3.put_object(Bucket=bucket, Key="../../escaped", Body=b"held")
    assert not (platform.home / "escaped").exists()
    assert not (platform.home.parent / "escaped").exists()
    assert s3.get_object(Bucket=bucket, Key="../../escaped")["Body"].read() == b"held"


@pytest.mark.parametrize(
    "noise",
    [b"\x00\xff" * 40, b"GET / HTTP/9.9\r\n\r\n", b"POST /endpoints/" + b"a" * 70_000, b"\r\n" * 9],
)
def test_noise_on_the_port_disturbs_nobody(
    noise: bytes, platform: Platform, endpoint: Endpoint
) -> None:
    address = urlsplit(platform.connection.url)
    with socket.create_connection((address.hostname, address.port), timeout=10) as wire:
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        wire.sendall(noise)
    assert len(endpoint.predict([[1.0, 2.0]])["closest_cluster"]) == 1


@pytest.mark.parametrize("megabytes", [0, 3, 80])
def test_an_upload_that_is_refused_late_is_told_so_in_s3s_words(
    megabytes: int, platform: Platform
) -> None:
    s3, bucket = platform.connection.client("s3"), platform.connection.bucket()
    url = s3.generate_presigned_url("put_object", Params={"Bucket": bucket, "Key": "by-hand"})
    # Without a content type of its own this client says that the bytes are a form, unsigned.
    body = b"x" * (megabytes << 20)
    with pytest.raises(HTTPError) as refusal:
        urlopen(Request(url, data=body, method="PUT"))
    assert refusal.value.code == 403
    assert b"<Error><Code>SignatureDoesNotMatch</Code>" in refusal.value.read()
    refusal.value.close()
    untyped = Request(url, data=body, method="PUT", headers={"Content-Type": ""})
    with urlopen(untyped) as answer:
        assert answer.status == 200
