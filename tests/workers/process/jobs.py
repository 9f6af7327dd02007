"""Processing jobs for the tests of their workers."""

from __future__ import annotations

import subprocess
import textwrap
from dataclasses import asdict
from typing import Any

from tests.workers import places
from tests.workers.places import BUCKET, Place
from tidemill.spec.home import WorkerHome
from tidemill.spec.processing_job import Input, Output, ProcessingJob

SKLEARN = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3"
CODE = "/opt/ml/processing/input/code"
HEAD = "import json, os, pathlib, sys\nbase = pathlib.Path(os.environ['SAGEMAKER_BASE_DIR'])\n"


def job(place: Place, script: str, **changes: Any) -> ProcessingJob:
    """A job that runs a Python script with an output at /opt/ml/processing/output."""
    place.put("code/run.py", (HEAD + textwrap.dedent(script)).encode())
    given = {
        "name": "job",
        "arn": "arn:aws:sagemaker:us-east-1:123456789012:processing-job/job",
        "region": "us-east-1",
        "image": SKLEARN,
        "config": {"ProcessingJobName": "job"},
        "entrypoint": ("python3", f"{CODE}/run.py"),
        "outputs": (Output("made", f"s3://{BUCKET}/made/", "/opt/ml/processing/output"),),
        **changes,
    }
    code = Input("code", f"s3://{BUCKET}/code/run.py", CODE)
    return ProcessingJob(**{**given, "inputs": (*given.get("inputs", ()), code)})


def start(place: Place, wanted: ProcessingJob, host: str = "algo-1") -> subprocess.Popen[bytes]:
    """The real worker of one host."""
    hosts = [f"algo-{i + 1}" for i in range(wanted.instances)]
    task = {"kind": "process", "job": asdict(wanted), "host": host, "hosts": hosts}
    home = place.write_task(place.home(host), {**task, "shared": str(place.root / "shared")})
    return places.start("process", home)


def run(place: Place, wanted: ProcessingJob) -> list[WorkerHome]:
    """All hosts to their end: their homes."""
    hosts = [f"algo-{i + 1}" for i in range(wanted.instances)]
    processes = [start(place, wanted, host) for host in hosts]
    for process in processes:
        process.wait(timeout=60)
    return [place.home(host) for host in hosts]


def made(place: Place, prefix: str = "made/") -> dict[str, bytes]:
    """The objects under a prefix, by the rest of their keys."""
    found = place.buckets.list(BUCKET, prefix)
    return {o.key.removeprefix(prefix): place.buckets.get_bytes(BUCKET, o.key) for o in found}


def log(home: WorkerHome) -> str:
    return home.log.read_text()
