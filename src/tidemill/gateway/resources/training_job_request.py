"""CreateTrainingJob: from AWS's names to ours, and the checks that AWS makes at once."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from tidemill.gateway.resources import quota
from tidemill.gateway.resources.channel import check_location, to_channels
from tidemill.gateway.wire.errors import invalid
from tidemill.spec.training_job import MetricDefinition, TrainingJob

Request = Mapping[str, Any]
CHECKPOINTS = "/opt/ml/checkpoints"
LONGEST_RUN = 86_400
"""Seconds that a job may run when the request does not say."""


def to_spec(request: Request, arn: str, region: str) -> TrainingJob:
    """A training job from its request; raises a ValidationException that names what is wrong."""
    output, stopping = request["OutputDataConfig"], request.get("StoppingCondition", {})
    check_location(output["S3OutputPath"], "outputDataConfig.s3OutputPath")
    _check_waiting(request, stopping)
    algorithm = request.get("AlgorithmSpecification", {})
    resources = request.get("ResourceConfig", {})
    return TrainingJob(
        name=request["TrainingJobName"],
        arn=arn,
        region=region,
        image=_image(algorithm),
        hyperparameters=request.get("HyperParameters", {}),
        channels=to_channels(request.get("InputDataConfig", ()), algorithm["TrainingInputMode"]),
        output_uri=output["S3OutputPath"],
        instances=_instances(resources),
        instance_type=resources.get("InstanceType", "local"),
        max_seconds=stopping.get("MaxRuntimeInSeconds", LONGEST_RUN),
        environment=request.get("Environment", {}),
        metric_definitions=_metrics(algorithm),
        compress=output.get("CompressionType", "GZIP") == "GZIP",
        checkpoint_uri=request.get("CheckpointConfig", {}).get("S3Uri"),
        checkpoint_path=request.get("CheckpointConfig", {}).get("LocalPath", CHECKPOINTS),
        entrypoint=tuple(algorithm.get("ContainerEntrypoint", ())),
        arguments=tuple(algorithm.get("ContainerArguments", ())),
        retries=request.get("RetryStrategy", {}).get("MaximumRetryAttempts"),
    )


def _image(algorithm: Request) -> str:
    named = [algorithm[n] for n in ("TrainingImage", "AlgorithmName") if n in algorithm]
    if len(named) != 1:
        raise invalid(
            "AlgorithmSpecification must have exactly one of TrainingImage and AlgorithmName; got "
            f"{'both' if named else 'neither'}."
        )
    return str(named[0])


def _instances(resources: Request) -> int:
    groups = resources.get("InstanceGroups") or [resources]
    count: int = sum(g.get("InstanceCount", 1) for g in groups)
    if count < 1:
        raise invalid(f"ResourceConfig.InstanceCount must be at least 1; got {count}.")
    kind = groups[0].get("InstanceType", "local")
    return quota.check(count, f"{kind} for training job usage")


def _metrics(algorithm: Request) -> tuple[MetricDefinition, ...]:
    sent = algorithm.get("MetricDefinitions", ())
    for metric in sent:
        try:
            re.compile(metric["Regex"])
        except (re.error, RecursionError, OverflowError) as error:
            raise invalid(
                f"The regular expression of metric '{metric['Name']}' cannot be read: {error}. "
                f"Got '{metric['Regex']}'."
            ) from None
    return tuple(MetricDefinition(m["Name"], m["Regex"]) for m in sent)


def _check_waiting(request: Request, stopping: Request) -> None:
    spot = request.get("EnableManagedSpotTraining", False)
    run = stopping.get("MaxRuntimeInSeconds", LONGEST_RUN)
    if spot and stopping.get("MaxWaitTimeInSeconds", 0) < run:
        raise invalid(
            "Invalid MaxWaitTimeInSeconds. It must be present and be greater than or equal to "
            "MaxRuntimeInSeconds"
        )
