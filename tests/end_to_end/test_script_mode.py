"""Programs of users on a real platform, by boto3 and by the published SDK's own estimators."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

import psutil
import pytest

from tests.end_to_end.conftest import Platform
from tests.end_to_end.processes import kill
from tests.end_to_end.test_clients import run
from tests.workers.script.jobs import SKLEARN, TENSORFLOW, packed

pytestmark = pytest.mark.slow
ROLE = "arn:aws:iam::123456789012:role/service-role/Anything"
BUCKET = "programs"
PATIENCE = 60.0


@pytest.fixture(scope="module", autouse=True)
def bucket(platform: Platform) -> None:
    platform.connection.client("s3").create_bucket(Bucket=BUCKET)


def submit(
    platform: Platform, name: str, files: Mapping[str, str], image: str = SKLEARN, **more: Any
) -> None:
    key = f"{name}/source/sourcedir.tar.gz"
    platform.connection.client("s3").put_object(Bucket=BUCKET, Key=key, Body=packed(files))
    values = {
        "sagemaker_program": "train.py",
        "sagemaker_submit_directory": f"s3://{BUCKET}/{key}",
        "epochs": 3,
    }
    metrics = [{"Name": "loss", "Regex": "loss=([0-9.]+)"}]
    platform.connection.client("sagemaker").create_training_job(
        TrainingJobName=name,
        RoleArn=ROLE,
        AlgorithmSpecification={
            "TrainingImage": image,
            "TrainingInputMode": "File",
            "MetricDefinitions": metrics,
        },
        HyperParameters={n: json.dumps(value) for n, value in values.items()},
        OutputDataConfig={"S3OutputPath": f"s3://{BUCKET}/out"},
        ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
        StoppingCondition={"MaxRuntimeInSeconds": 600},
        **more,
    )


def described(platform: Platform, name: str) -> dict[str, Any]:
    client = platform.connection.client("sagemaker")
    told: dict[str, Any] = client.describe_training_job(TrainingJobName=name)
    return told


def finished(platform: Platform, name: str) -> dict[str, Any]:
    until = time.monotonic() + PATIENCE
    while (told := described(platform, name))["TrainingJobStatus"] in ("InProgress", "Stopping"):
        assert time.monotonic() < until, told
        time.sleep(0.02)
    return told


def log(platform: Platform, name: str) -> list[str]:
    client, group = platform.connection.client("logs"), "/aws/sagemaker/TrainingJobs"
    found = client.filter_log_events(logGroupName=group, logStreamNamePrefix=f"{name}/")
    return [event["message"] for event in found["events"]]


def wait_for(platform: Platform, name: str, line: str, times: int = 1) -> None:
    until = time.monotonic() + PATIENCE
    while log(platform, name).count(line) < times:
        assert time.monotonic() < until, log(platform, name)
        time.sleep(0.05)


def test_the_sdks_scikit_learn_estimator_trains_a_program(platform: Platform) -> None:
    said = run("sagemaker_script_mode.py", platform)
    assert "['weights.json'] with 3 weights, accuracy 0.9" in said or "accuracy 1.0" in said


def test_a_program_can_call_the_platform_and_its_lines_make_metrics(platform: Platform) -> None:
    program = (
        "import boto3, os, sys\n"
        "print('loss=0.5')\nprint('loss=0.25', sys.argv[1:])\n"
        f"print([o['Key'] for o in boto3.client('s3').list_objects_v2(Bucket='{BUCKET}',\n"
        "    Prefix='talks/source')['Contents']])\n"
    )
    submit(platform, "talks", {"train.py": program})
    told = finished(platform, "talks")
    assert told["TrainingJobStatus"] == "Completed", told
    assert [(m["MetricName"], m["Value"]) for m in told["FinalMetricDataList"]] == [("loss", 0.25)]
    assert told["ModelArtifacts"]["S3ModelArtifacts"].endswith("/out/talks/output/model.tar.gz")
    assert "['talks/source/sourcedir.tar.gz']" in log(platform, "talks")
    assert "loss=0.25 ['--epochs', '3']" in log(platform, "talks")


def test_a_failing_program_and_a_missing_framework_say_why(platform: Platform) -> None:
    submit(platform, "fails", {"train.py": "print('hm')\nraise KeyError('label')"})
    submit(platform, "lacks", {"train.py": ""}, TENSORFLOW)
    submit(platform, "nothing", {"other.py": ""})
    reason = finished(platform, "fails")["FailureReason"]
    assert reason.startswith("AlgorithmError: ExecuteUserScriptError:\nExitCode 1\n")
    assert "KeyError: 'label'" in reason
    assert reason.endswith(", exit code: 1")
    assert "pip install tensorflow" in finished(platform, "lacks")["FailureReason"]
    assert "'train.py' among ['other.py']" in finished(platform, "nothing")["FailureReason"]


def test_a_stopped_program_keeps_its_model_and_leaves_no_process(platform: Platform) -> None:
    program = (
        "import os, signal, subprocess, sys, time\n"
        "def leave(*_):\n"
        "    open('/dev/fd/1', 'w').write('told\\n')\n"
        "    sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, leave)\n"
        "open(os.environ['SM_MODEL_DIR'] + '/half', 'w').write('1')\n"
        "subprocess.Popen(['sleep', '98765'], start_new_session=True)\n"
        "print('up', flush=True)\n"
        "while True: time.sleep(1)\n"
    )
    submit(platform, "stops", {"train.py": program})
    wait_for(platform, "stops", "up")
    platform.connection.client("sagemaker").stop_training_job(TrainingJobName="stops")
    told = finished(platform, "stops")
    assert (told["TrainingJobStatus"], told["SecondaryStatus"]) == ("Stopped", "Stopped")
    assert told["ModelArtifacts"]["S3ModelArtifacts"]
    assert "told" in log(platform, "stops")
    lines = [p.info["cmdline"] or [] for p in psutil.process_iter(["cmdline"])]
    assert ["sleep", "98765"] not in lines


def test_a_killed_worker_begins_again_at_the_checkpoints(platform: Platform) -> None:
    program = (
        "import os, pathlib, time\n"
        "place = pathlib.Path(os.environ['SAGEMAKER_BASE_DIR'], 'checkpoints')\n"
        "seen = len(list(place.iterdir()))\n"
        "(place / str(seen)).touch()\n"
        "print('seen', seen, flush=True)\n"
        "time.sleep(0 if seen else 3600)\n"
    )
    checkpoints = {"CheckpointConfig": {"S3Uri": f"s3://{BUCKET}/kept"}}
    submit(platform, "killed", {"train.py": program}, **checkpoints)
    wait_for(platform, "killed", "seen 0")
    assert kill("control plane", platform.home)
    assert kill("script worker", platform.home)
    told = finished(platform, "killed")
    assert told["TrainingJobStatus"] == "Completed", told
    assert "Restarting" in [t["Status"] for t in told["SecondaryStatusTransitions"]]
    assert "seen 1" in log(platform, "killed")
