"""Models with code of users, served on a real platform: by boto3 and by the published SDK."""

from __future__ import annotations

import io
import json
import tarfile
import time
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import psutil
import pytest
from botocore.exceptions import ClientError
from sklearn.linear_model import LinearRegression

from tests.end_to_end.conftest import Platform
from tests.end_to_end.test_clients import run
from tests.workers.script.jobs import SKLEARN, packed

pytestmark = pytest.mark.slow
ROLE = "arn:aws:iam::123456789012:role/service-role/Anything"
BUCKET = "code"
PATIENCE = 60.0
PROGRAM = """
import os
import joblib

def model_fn(model_dir):
    print("a model of", os.environ.get("COLOUR"))
    return joblib.load(os.path.join(model_dir, "model.joblib"))

def predict_fn(data, model):
    if data[0][0] < 0:
        raise ValueError("no room below zero")
    if data[0][0] > 1000:
        os.kill(os.getpid(), 9)
    return model.predict(data)
"""


@pytest.fixture(scope="module")
def model_data(platform: Platform) -> str:
    s3 = platform.connection.client("s3")
    s3.create_bucket(Bucket=BUCKET)
    file = io.BytesIO()
    joblib.dump(LinearRegression().fit([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]], [1, 3, 4]), file)
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w:gz") as tar:
        for name, data in (
            ("model.joblib", file.getvalue()),
            ("code/inference.py", PROGRAM.encode()),
        ):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    s3.put_object(Bucket=BUCKET, Key="model.tar.gz", Body=raw.getvalue())
    return f"s3://{BUCKET}/model.tar.gz"


def deploy(platform: Platform, name: str, model_data: str | None, **environment: str) -> None:
    client = platform.connection.client("sagemaker")
    container: dict[str, Any] = {"Image": SKLEARN, "Environment": environment}
    if model_data is not None:
        container["ModelDataUrl"] = model_data
    client.create_model(ModelName=name, ExecutionRoleArn=ROLE, PrimaryContainer=container)
    variant = {
        "VariantName": "AllTraffic",
        "ModelName": name,
        "InitialInstanceCount": 1,
        "InstanceType": "ml.m5.large",
    }
    client.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])
    client.create_endpoint(EndpointName=name, EndpointConfigName=name)


def settled(platform: Platform, name: str) -> dict[str, Any]:
    client, until = platform.connection.client("sagemaker"), time.monotonic() + PATIENCE
    while (told := client.describe_endpoint(EndpointName=name))["EndpointStatus"] == "Creating":
        assert time.monotonic() < until, told
        time.sleep(0.05)
    found: dict[str, Any] = told
    return found


def invoke(platform: Platform, name: str, body: str, accept: str = "application/json") -> Any:
    return platform.connection.client("sagemaker-runtime").invoke_endpoint(
        EndpointName=name, Body=body, ContentType="text/csv", Accept=accept
    )


@pytest.fixture(scope="module")
def endpoint(platform: Platform, model_data: str) -> str:
    deploy(platform, "plane", model_data, COLOUR="green")
    assert settled(platform, "plane")["EndpointStatus"] == "InService"
    return "plane"


def test_boto3_asks_a_model_with_its_code_in_it(platform: Platform, endpoint: str) -> None:
    told = invoke(platform, endpoint, "0,0\n1,1\n")
    assert told["ContentType"] == "application/json"
    np.testing.assert_allclose(json.loads(told["Body"].read()), [1, 6], rtol=1e-5)
    rows = invoke(platform, endpoint, "0,0\n1,1\n", "text/csv")["Body"].read().split()
    np.testing.assert_allclose([float(row) for row in rows], [1, 6], rtol=1e-5)


def test_what_code_raises_is_a_model_error_with_its_traceback(
    platform: Platform, endpoint: str
) -> None:
    with pytest.raises(ClientError) as raised:
        invoke(platform, endpoint, "-1,0\n0,0\n")
    told = raised.value.response
    assert told["Error"]["Code"] == "ModelError"
    assert told["ResponseMetadata"]["HTTPStatusCode"] == 424
    assert told["OriginalStatusCode"] == 500
    assert told["OriginalMessage"].startswith("no room below zero\nTraceback")


def test_code_that_ends_its_process_fails_its_request_alone(
    platform: Platform, endpoint: str
) -> None:
    with pytest.raises(ClientError, match="ended 2 processes of the model") as raised:
        invoke(platform, endpoint, "2000,0\n0,0\n")
    assert raised.value.response["Error"]["Code"] == "ModelError"
    assert invoke(platform, endpoint, "0,0\n1,1\n")["Body"].read()


def test_what_it_prints_is_in_the_endpoints_log(platform: Platform, endpoint: str) -> None:
    logs = platform.connection.client("logs")
    found = logs.filter_log_events(logGroupName=f"/aws/sagemaker/Endpoints/{endpoint}")
    assert "a model of green" in [event["message"] for event in found["events"]]


def test_code_that_does_not_start_fails_the_endpoint_with_its_reason(platform: Platform) -> None:
    source = packed({"serve.py": "import os\n\ndef model_fn(d):\n    raise OSError('no disk')\n"})
    platform.connection.client("s3").put_object(Bucket=BUCKET, Key="source.tar.gz", Body=source)
    about = {"SAGEMAKER_PROGRAM": "serve.py"}
    about["SAGEMAKER_SUBMIT_DIRECTORY"] = f"s3://{BUCKET}/source.tar.gz"
    deploy(platform, "broken", None, **about)
    told = settled(platform, "broken")
    assert told["EndpointStatus"] == "Failed"
    assert "OSError: no disk" in told["FailureReason"]


def test_a_transform_job_asks_the_same_code(platform: Platform, endpoint: str) -> None:
    s3, client = platform.connection.client("s3"), platform.connection.client("sagemaker")
    s3.put_object(Bucket=BUCKET, Key="rows/a.csv", Body=b"0,0\n1,1\n2,0\n")
    client.create_transform_job(
        TransformJobName="plane",
        ModelName=endpoint,
        TransformInput={
            "DataSource": {
                "S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/rows"}
            },
            "ContentType": "text/csv",
            "SplitType": "Line",
        },
        TransformOutput={
            "S3OutputPath": f"s3://{BUCKET}/answers",
            "Accept": "text/csv",
            "AssembleWith": "Line",
        },
        TransformResources={"InstanceType": "ml.m5.large", "InstanceCount": 1},
    )
    until = time.monotonic() + PATIENCE
    while (told := client.describe_transform_job(TransformJobName="plane"))[
        "TransformJobStatus"
    ] == "InProgress":
        assert time.monotonic() < until, told
        time.sleep(0.05)
    assert told["TransformJobStatus"] == "Completed", told
    body = s3.get_object(Bucket=BUCKET, Key="answers/a.csv.out")["Body"].read()
    np.testing.assert_allclose([float(row) for row in body.split()], [1, 6, 5], rtol=1e-5)


def test_the_sdks_scikit_learn_model_is_served(platform: Platform) -> None:
    said = run("sagemaker_serve_your_code.py", platform)
    assert "as they are, 100% the same" in said
    assert int(said.splitlines()[-1].split("%")[0]) > 90


def test_nothing_of_a_deleted_endpoint_runs_on(platform: Platform, endpoint: str) -> None:
    client, until = platform.connection.client("sagemaker"), time.monotonic() + PATIENCE
    assert _programs(platform.home)
    client.delete_endpoint(EndpointName=endpoint)
    while _programs(platform.home):
        assert time.monotonic() < until
        time.sleep(0.05)


def _programs(home: Path) -> list[int]:
    """The processes of user code whose replica lies in this home."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if "tidemill.workers.serve.user.child" in words and any(str(home) in w for w in words):
            found.append(process.pid)
    return found
