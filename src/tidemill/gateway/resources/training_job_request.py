"""CreateTrainingJob: from AWS's names to ours, and the checks that AWS makes at once."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

from tidemill.errors import NotFound
from tidemill.gateway.resources import quota
from tidemill.gateway.wire.errors import invalid
from tidemill.spec.channel import Channel
from tidemill.spec.training_job import MetricDefinition, TrainingJob
from tidemill.storage import uri
from tidemill.storage.bucket import Buckets
from tidemill.storage.errors import InvalidUri

Request = Mapping[str, Any]
LONGEST_RUN = 86_400
"""Seconds that a job may run when the request does not say."""


def to_spec(request: Request, arn: str, region: str) -> TrainingJob:
    """A training job from its request; raises a ValidationException that names what is wrong."""
    output, stopping = request["OutputDataConfig"], request.get("StoppingCondition", {})
    _location(output["S3OutputPath"], "outputDataConfig.s3OutputPath")
    _check_waiting(request, stopping)
    algorithm = request.get("AlgorithmSpecification", {})
    resources = request.get("ResourceConfig", {})
    return TrainingJob(
        name=request["TrainingJobName"],
        arn=arn,
        region=region,
        image=_image(algorithm),
        hyperparameters=request.get("HyperParameters", {}),
        channels=_channels(request, algorithm["TrainingInputMode"]),
        output_uri=output["S3OutputPath"],
        instances=_instances(resources),
        instance_type=resources.get("InstanceType", "local"),
        max_seconds=stopping.get("MaxRuntimeInSeconds", LONGEST_RUN),
        environment=request.get("Environment", {}),
        metric_definitions=_metrics(algorithm),
        compress=output.get("CompressionType", "GZIP") == "GZIP",
        checkpoint_uri=request.get("CheckpointConfig", {}).get("S3Uri"),
        retries=request.get("RetryStrategy", {}).get("MaximumRetryAttempts"),
    )


def check_data(request: Request, buckets: Buckets, region: str) -> None:
    """Raise, as AWS does, for an input where there are no objects."""
    for channel in request.get("InputDataConfig", ()):
        source = channel["DataSource"]["S3DataSource"]
        bucket, prefix = uri.parse(source["S3Uri"])
        try:
            found = next(buckets.list(bucket, prefix), None)
        except NotFound:
            found = None
        if found is None:
            raise invalid(
                f'No S3 objects found under S3 URL "{source["S3Uri"]}" given in input data source. '
                "Please ensure that the bucket exists in the selected region "
                f"({region}), that objects exist under that S3 prefix, and that the role "
                f'"{request["RoleArn"]}" has "s3:ListBucket" permissions on bucket "{bucket}".'
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


def _channels(request: Request, mode: str) -> tuple[Channel, ...]:
    sent = request.get("InputDataConfig", ())
    for name, times in Counter(c["ChannelName"] for c in sent).items():
        if times > 1:
            raise invalid(f"Duplicate channel name in InputDataConfig: '{name}'.")
        if name in (".", ".."):
            raise invalid(f"A channel's name becomes a directory, and cannot be '{name}'.")
    return tuple(_channel(c, mode, f"inputDataConfig.{i}.member") for i, c in enumerate(sent, 1))


def _channel(sent: Request, mode: str, at: str) -> Channel:
    source = sent["DataSource"].get("S3DataSource")
    if source is None or len(sent["DataSource"]) != 1:
        raise invalid(
            f"DataSource of channel '{sent['ChannelName']}' must have S3DataSource and nothing "
            "else: file systems are not supported. Copy the data to a bucket."
        )
    _location(source["S3Uri"], f"{at}.dataSource.s3DataSource.s3Uri")
    return Channel(
        name=sent["ChannelName"],
        uri=source["S3Uri"],
        data_type=source["S3DataType"],
        distribution=source.get("S3DataDistributionType", "FullyReplicated"),
        content_type=sent.get("ContentType"),
        compression=sent.get("CompressionType", "None"),
        record_wrapper=sent.get("RecordWrapperType", "None"),
        input_mode=sent.get("InputMode", mode),
        shuffle_seed=sent.get("ShuffleConfig", {}).get("Seed"),
    )


def _location(text: str, at: str) -> None:
    try:
        uri.parse(text)
    except InvalidUri as error:
        raise invalid(
            f"1 validation error detected: Value '{text}' at '{at}' failed to satisfy constraint: "
            f"Member must be an S3 URI. {error.do}"
        ) from None


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
