"""What the page of coverage tells is what the wire does."""

from __future__ import annotations

from typing import Any

import pytest

from tests.gateway.test_door import send
from tidemill.gateway import operations
from tidemill.gateway.wire.model import service


def test_every_operation_of_every_model_is_counted_once() -> None:
    found = operations.coverage()
    assert sorted(found["Amazon SageMaker"]) == service("sagemaker").names
    assert sorted(found["Amazon S3"]) == service("s3").names


def test_a_record_is_told_from_what_something_acts_on() -> None:
    found = operations.coverage()["Amazon SageMaker"]
    assert found["CreateTrainingJob"] == operations.BUILT
    assert found["ListCodeRepositories"] == operations.RECORD
    assert found["CreateExperiment"] == operations.BUILT
    assert found["CreateCluster"] == operations.MISSING


@pytest.mark.parametrize(
    ("name", "depth"),
    [
        ("PutObject", operations.BUILT),
        ("UploadPart", operations.BUILT),
        ("CompleteMultipartUpload", operations.BUILT),
        ("GetBucketCors", operations.RECORD),
        ("PutBucketCors", operations.MISSING),
        ("RenameObject", operations.MISSING),
        ("DeleteBucketMetadataConfiguration", operations.MISSING),
    ],
)
def test_operations_of_buckets_are_told_by_what_their_requests_are_taken_for(
    name: str, depth: str
) -> None:
    assert operations.coverage()["Amazon S3"][name] == depth


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("DELETE", "/kept?metadataConfiguration"),
        ("DELETE", "/kept?uploads"),
        ("DELETE", "/kept?versions"),
        ("DELETE", "/kept/key?annotation"),
        ("DELETE", "/kept/key?attributes"),
        ("PUT", "/kept/key?renameObject"),
        ("PUT", "/kept/key?encryption"),
        ("PUT", "/kept/key?attributes"),
    ],
)
def test_what_is_not_built_is_not_taken_for_what_is(
    client: Any, gateway: Any, method: str, path: str
) -> None:
    s3 = client("s3", region="us-east-1")
    s3.create_bucket(Bucket="kept")
    s3.put_object(Bucket="kept", Key="key", Body=b"kept")
    unsigned = {"x-amz-content-sha256": "UNSIGNED-PAYLOAD"}
    status, _, body = send(gateway, method, path, b"<x/>", unsigned, sign_for="s3")
    assert status in (405, 501), body
    assert s3.get_object(Bucket="kept", Key="key")["Body"].read() == b"kept"
