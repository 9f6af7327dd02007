"""Processing jobs on a real platform, by boto3 and by the published SDK's own processors."""

from __future__ import annotations

import time
from typing import Any

import psutil
import pytest

from tests.end_to_end.conftest import Platform
from tests.end_to_end.processes import kill
from tests.end_to_end.test_clients import run
from tests.workers.process.jobs import SKLEARN

pytestmark = pytest.mark.slow
ROLE = "arn:aws:iam::123456789012:role/service-role/Anything"
BUCKET = "prepared"
PATIENCE = 60.0
HEAD = "import os, pathlib, sys, time\nbase = pathlib.Path(os.environ['SAGEMAKER_BASE_DIR'])\n"


@pytest.fixture(scope="module", autouse=True)
def bucket(platform: Platform) -> None:
    s3 = platform.connection.client("s3")
    s3.create_bucket(Bucket=BUCKET)
    for part in range(3):
        s3.put_object(Bucket=BUCKET, Key=f"in/{part}", Body=b"%d" % part)


def source(name: str, key: str, path: str, **more: str) -> dict[str, Any]:
    place = {"S3Uri": f"s3://{BUCKET}/{key}", "LocalPath": path, "S3DataType": "S3Prefix"}
    return {"InputName": name, "S3Input": {**place, "S3InputMode": "File", **more}}


def submit(platform: Platform, name: str, script: str, hosts: int = 1, **more: Any) -> None:
    key = f"code/{name}.py"
    platform.connection.client("s3").put_object(
        Bucket=BUCKET, Key=key, Body=(HEAD + script).encode()
    )
    code = "/opt/ml/processing/code"
    shards = {"S3DataDistributionType": "ShardedByS3Key"}
    output = {
        "S3Uri": f"s3://{BUCKET}/out/{name}",
        "LocalPath": "/opt/ml/processing/out",
        "S3UploadMode": "EndOfJob",
    }
    cluster = {"InstanceType": "ml.m5.large", "InstanceCount": hosts, "VolumeSizeInGB": 1}
    platform.connection.client("sagemaker").create_processing_job(
        ProcessingJobName=name,
        RoleArn=ROLE,
        AppSpecification={
            "ImageUri": SKLEARN,
            "ContainerEntrypoint": ["python3", f"{code}/{name}.py"],
        },
        ProcessingInputs=[
            source("code", key, code),
            source("data", "in/", "/opt/ml/processing/in", **shards),
        ],
        ProcessingOutputConfig={"Outputs": [{"OutputName": "o", "S3Output": output}]},
        ProcessingResources={"ClusterConfig": cluster},
        **more,
    )


def finished(platform: Platform, name: str) -> dict[str, Any]:
    client, until = platform.connection.client("sagemaker"), time.monotonic() + PATIENCE
    while True:
        told: dict[str, Any] = client.describe_processing_job(ProcessingJobName=name)
        if told["ProcessingJobStatus"] not in ("InProgress", "Stopping"):
            return told
        assert time.monotonic() < until, told
        time.sleep(0.02)


def log(platform: Platform, name: str) -> list[str]:
    client, group = platform.connection.client("logs"), "/aws/sagemaker/ProcessingJobs"
    found = client.filter_log_events(logGroupName=group, logStreamNamePrefix=f"{name}/")
    return [event["message"] for event in found["events"]]


def wait_for(platform: Platform, name: str, line: str) -> None:
    until = time.monotonic() + PATIENCE
    while line not in log(platform, name):
        assert time.monotonic() < until, log(platform, name)
        time.sleep(0.05)


def made(platform: Platform, name: str) -> dict[str, bytes]:
    s3, prefix = platform.connection.client("s3"), f"out/{name}/"
    found = s3.list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", ())
    return {
        o["Key"].removeprefix(prefix): s3.get_object(Bucket=BUCKET, Key=o["Key"])["Body"].read()
        for o in found
    }


def test_the_sdks_processors_run_a_script(platform: Platform) -> None:
    said = run("sagemaker_processing.py", platform)
    for name in ("by-script", "by-framework"):
        assert f"{name} Completed {{'train': 80, 'test': 20}}" in said


def test_each_host_does_its_share_and_all_leave_a_message(platform: Platform) -> None:
    script = (
        "names = sorted(os.listdir(base / 'processing/in'))\n"
        "(base / 'processing/out' / '-'.join(names)).write_text('1')\n"
        "(base / 'output/message').write_text(' '.join(names) + '; ')\n"
        "print('done', names)\n"
    )
    submit(platform, "shares", script, hosts=2)
    told = finished(platform, "shares")
    assert told["ProcessingJobStatus"] == "Completed", told
    assert told["ExitMessage"] == "0 2; 1; "
    assert made(platform, "shares") == {"0-2": b"1", "1": b"1"}
    assert {"done ['0', '2']", "done ['1']"} <= set(log(platform, "shares"))


def test_a_failing_script_says_why(platform: Platform) -> None:
    submit(platform, "fails", "raise KeyError('label')")
    told = finished(platform, "fails")
    assert told["ProcessingJobStatus"] == "Failed"
    assert told["FailureReason"] == "AlgorithmError: KeyError: 'label', exit code: 1"


def test_a_stopped_job_leaves_no_process_and_a_new_one_is_stopped_at_once(
    platform: Platform,
) -> None:
    client = platform.connection.client("sagemaker")
    script = (
        "import subprocess\n"
        "subprocess.Popen(['sleep', '98764'], start_new_session=True)\n"
        "print('up', flush=True)\ntime.sleep(3600)\n"
    )
    submit(platform, "stops", script)
    wait_for(platform, "stops", "up")
    client.stop_processing_job(ProcessingJobName="stops")
    submit(platform, "new", "time.sleep(3600)")
    client.stop_processing_job(ProcessingJobName="new")
    for name in ("stops", "new"):
        assert finished(platform, name)["ProcessingJobStatus"] == "Stopped"
    lines = [p.info["cmdline"] or [] for p in psutil.process_iter(["cmdline"])]
    assert ["sleep", "98764"] not in lines


def test_a_job_over_its_time_is_stopped(platform: Platform) -> None:
    limit = {"StoppingCondition": {"MaxRuntimeInSeconds": 1}}
    submit(platform, "long", "time.sleep(3600)", **limit)
    assert finished(platform, "long")["ProcessingJobStatus"] == "Stopped"


def test_a_job_begins_again_when_its_worker_is_killed(platform: Platform) -> None:
    script = (
        "again = base / 'again'\n"
        "(base / 'processing/out' / str(again.exists())).write_text('1')\n"
        "print('again', again.exists(), flush=True)\n"
        "if not again.exists():\n    again.touch()\n    time.sleep(3600)\n"
    )
    submit(platform, "killed", script)
    wait_for(platform, "killed", "again False")
    assert kill("control plane", platform.home)
    assert kill("process worker", platform.home)
    told = finished(platform, "killed")
    assert told["ProcessingJobStatus"] == "Completed", told
    assert "again True" in log(platform, "killed")
    assert made(platform, "killed") == {"True": b"1"}
