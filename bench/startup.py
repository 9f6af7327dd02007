"""How long one waits: for the platform, for a tiny job, for an endpoint, for an import."""

from __future__ import annotations

import io
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from bench.measure import Row, write
from tidemill.app import server
from tidemill.app.control_plane import IDLE_VARIABLE
from tidemill.sdk.connection import Connection, connect
from tidemill.sdk.naming import fresh_name
from tidemill.spec.home import Home

REPEATS = 5
IDLE_SECONDS = 1.0
"""Of serverless endpoints, in this platform."""
POLL_SECONDS = 0.005
IMAGE = "174872318107.dkr.ecr.us-west-2.amazonaws.com/kmeans:1"
STATEMENTS = ("pass", "import tidemill", "import boto3", "import sklearn", "import sagemaker")


def main() -> None:
    """Measure and write the table."""
    os.environ[IDLE_VARIABLE] = str(IDLE_SECONDS)
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder) / "home")
        ups, downs = _ups_and_downs(home)
        platform = server.start_detached(home, "127.0.0.1", 0, "123456789012")
        try:
            memory = {n: psutil.Process(p.pid).memory_info().rss for n, p in platform.parts.items()}
            connection = connect(home.root)
            jobs, endpoints = _jobs(connection), _endpoints(connection)
            first = _first_answers(connection)
        finally:
            server.stop(home)
    megabytes = {f"{name} MB": round(size / 1e6, 1) for name, size in memory.items()}
    write(
        "startup",
        [
            _row("platform up, all parts ready", ups, **megabytes),
            _row("platform down", downs),
            _row("create_training_job to Completed, 10 rows", jobs),
            _row("create_endpoint to InService", endpoints),
            _row("serverless, from zero: request to answer", first),
            *(_row("fresh interpreter", _imports(s), system=s) for s in STATEMENTS),
        ],
    )


def _row(what: str, seconds: list[float], *, system: str = "tidemill", **figures: Any) -> Row:
    if not seconds:
        return Row("startup", what, system, note="not installed")
    figures = {"slowest s": max(seconds), **figures}
    return Row("startup", what, system, statistics.median(seconds), figures=figures)


def _timed(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _ups_and_downs(home: Home) -> tuple[list[float], list[float]]:
    ups, downs = [], []
    for _ in range(REPEATS):
        ups.append(_timed(lambda: server.start_detached(home, "127.0.0.1", 0, "123456789012")))
        downs.append(_timed(lambda: server.stop(home)))
    return ups, downs


def _jobs(connection: Connection) -> list[float]:
    """A k-means of ten rows, from the request to the status."""
    bucket, sagemaker = connection.bucket(), connection.client("sagemaker")
    rows = io.StringIO()
    np.savetxt(rows, np.arange(20.0).reshape(10, 2), delimiter=",")
    connection.client("s3").put_object(Bucket=bucket, Key="tiny/rows.csv", Body=rows.getvalue())
    return [_timed(lambda: _job(connection, sagemaker, bucket)) for _ in range(REPEATS)]


def _job(connection: Connection, sagemaker: Any, bucket: str) -> str:
    name = fresh_name("tiny")
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{bucket}/tiny/"}
    sagemaker.create_training_job(
        TrainingJobName=name,
        AlgorithmSpecification={"TrainingImage": IMAGE, "TrainingInputMode": "File"},
        RoleArn=connection.role(),
        HyperParameters={"k": "2", "feature_dim": "2"},
        InputDataConfig=[
            {
                "ChannelName": "train",
                "ContentType": "text/csv;label_size=0",
                "DataSource": {"S3DataSource": source},
            }
        ],
        OutputDataConfig={"S3OutputPath": f"s3://{bucket}/out"},
        ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
        StoppingCondition={"MaxRuntimeInSeconds": 60},
    )
    _until(
        lambda: sagemaker.describe_training_job(TrainingJobName=name)["TrainingJobStatus"],
        "Completed",
    )
    return name


def _endpoints(connection: Connection) -> list[float]:
    sagemaker = connection.client("sagemaker")
    job = _job(connection, sagemaker, connection.bucket())
    artifact = sagemaker.describe_training_job(TrainingJobName=job)["ModelArtifacts"]
    container = {"Image": IMAGE, "ModelDataUrl": artifact["S3ModelArtifacts"]}
    sagemaker.create_model(
        ModelName="tiny", ExecutionRoleArn=connection.role(), PrimaryContainer=container
    )
    variant = {"VariantName": "all", "ModelName": "tiny", "InitialInstanceCount": 1}
    sagemaker.create_endpoint_config(
        EndpointConfigName="tiny",
        ProductionVariants=[{**variant, "InstanceType": "ml.m5.large"}],
    )
    return [_timed(lambda: _endpoint(sagemaker)) for _ in range(REPEATS)]


def _endpoint(sagemaker: Any) -> None:
    name = fresh_name("tiny")
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName="tiny")
    _until(lambda: sagemaker.describe_endpoint(EndpointName=name)["EndpointStatus"], "InService")


def _first_answers(connection: Connection) -> list[float]:
    """Of a serverless endpoint without a replica."""
    sagemaker, runtime = connection.client("sagemaker"), connection.client("sagemaker-runtime")
    bounds = {"MemorySizeInMB": 1024, "MaxConcurrency": 5}
    variant = {"VariantName": "all", "ModelName": "tiny", "ServerlessConfig": bounds}
    sagemaker.create_endpoint_config(EndpointConfigName="rare", ProductionVariants=[variant])
    sagemaker.create_endpoint(EndpointName="rare", EndpointConfigName="rare")
    _until(lambda: sagemaker.describe_endpoint(EndpointName="rare")["EndpointStatus"], "InService")

    def ask() -> None:
        runtime.invoke_endpoint(EndpointName="rare", ContentType="text/csv", Body=b"1,2\n")

    seconds = []
    for _ in range(2 * REPEATS):
        _until(lambda: str(_replicas("rare")), "0")
        seconds.append(_timed(ask))
    return seconds


def _replicas(endpoint: str) -> int:
    """The processes of an endpoint that run: what Describe says may be a moment older."""
    homes = (word for one in psutil.process_iter(["cmdline"]) for word in one.info["cmdline"] or ())
    return sum(f"/endpoints/us-east-1/{endpoint}-" in word for word in homes)


def _until(look: Callable[[], str], wanted: str) -> None:
    while (status := look()) != wanted:
        if status in ("Failed", "Stopped"):
            raise RuntimeError(f"{status}, not {wanted}")
        time.sleep(POLL_SECONDS)


def _imports(statement: str) -> list[float]:
    """Fresh interpreters, whole; none when the package is not there."""
    command = [sys.executable, "-c", statement]
    if subprocess.run(command, capture_output=True).returncode:
        return []
    once = partial(subprocess.run, command, check=True, capture_output=True)
    return [_timed(once) for _ in range(REPEATS)]


if __name__ == "__main__":
    main()
