"""CreateProcessingJob: from AWS's names to ours, and the checks that AWS makes at once."""

from __future__ import annotations

import posixpath
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tidemill.gateway.resources import quota
from tidemill.gateway.resources.channel import check_location
from tidemill.gateway.wire.errors import invalid
from tidemill.spec.processing_job import LONGEST_RUN, PLACE, Input, Output, ProcessingJob

Request = Mapping[str, Any]
STOPPING = {"MaxRuntimeInSeconds": LONGEST_RUN}


def to_spec(request: Request, arn: str, region: str) -> ProcessingJob:
    """A processing job from its request; raises a ValidationException that names what is wrong."""
    app = request["AppSpecification"]
    count, kind = instances(request)
    inputs = request.get("ProcessingInputs", ())
    outputs = request.get("ProcessingOutputConfig", {}).get("Outputs", ())
    _must_differ([one["InputName"] for one in inputs], "input")
    _must_differ([one["OutputName"] for one in outputs], "output")
    environment = request.get("Environment", {})
    _check_words(app, environment)
    return ProcessingJob(
        name=request["ProcessingJobName"],
        arn=arn,
        region=region,
        image=app["ImageUri"],
        config=_config(request, arn),
        entrypoint=tuple(app.get("ContainerEntrypoint", ())),
        arguments=tuple(app.get("ContainerArguments", ())),
        inputs=tuple(_inputs(inputs)),
        outputs=tuple(_outputs(outputs)),
        environment=environment,
        instances=quota.check(count, f"{kind} for processing job usage"),
        instance_type=kind,
        max_seconds=request.get("StoppingCondition", STOPPING)["MaxRuntimeInSeconds"],
    )


def instances(request: Request) -> tuple[int, str]:
    """How many of which type: as they are said, or the first of those that are preferred."""
    cluster = request["ProcessingResources"]["ClusterConfig"]
    preferred = cluster.get("InstancePreferences")
    single = {"InstanceCount", "InstanceType"} & cluster.keys()
    if preferred and single:
        raise invalid(
            "ClusterConfig must have InstanceCount and InstanceType, or InstancePreferences, and "
            "not both."
        )
    if not preferred and len(single) != 2:
        raise invalid(
            "ClusterConfig must have InstanceCount and InstanceType; got "
            f"{' and '.join(single) or 'neither'}."
        )
    first = {"InstanceCount": 1, **(preferred[0] if preferred else cluster)}
    return first["InstanceCount"], first["InstanceType"]


def _inputs(sent: Sequence[Request]) -> Iterator[Input]:
    for number, one in enumerate(sent, 1):
        name, at = one["InputName"], f"processingInputs.{number}.member.s3Input"
        source = one.get("S3Input")
        if "DatasetDefinition" in one:
            raise invalid(
                f"DatasetDefinition of input '{name}' is not supported: there is no Athena and no "
                "Redshift here. Put the data to a bucket and name it by S3Input."
            )
        if source is None:
            raise invalid(f"ProcessingInput '{name}' must have S3Input.")
        check_location(source["S3Uri"], f"{at}.s3Uri")
        _check_reading(source, name)
        if not one.get("AppManaged", False):
            yield Input(
                name=name,
                uri=source["S3Uri"],
                path=_local_path(source, f"ProcessingInput '{name}'"),
                data_type=source["S3DataType"],
                distribution=source.get("S3DataDistributionType", "FullyReplicated"),
            )


def _check_reading(source: Request, name: str) -> None:
    is_pipe = source.get("S3InputMode", "File") == "Pipe"
    if source.get("S3CompressionType", "None") == "Gzip" and not is_pipe:
        raise invalid(
            f"S3CompressionType Gzip of ProcessingInput '{name}' can only be used if S3InputMode "
            "is Pipe. Leave it out: the files arrive as they are."
        )
    if is_pipe:
        raise invalid(
            f"S3InputMode Pipe of ProcessingInput '{name}' is not supported. Use File: large "
            "objects are not copied."
        )


def _outputs(sent: Sequence[Request]) -> Iterator[Output]:
    for number, one in enumerate(sent, 1):
        name, is_managed = one["OutputName"], one.get("AppManaged", False)
        target = one.get("S3Output")
        if "FeatureStoreOutput" in one and not is_managed:
            raise invalid(
                f"FeatureStoreOutput of ProcessingOutput '{name}' can only be used if AppManaged "
                "is true: the program itself puts the records."
            )
        if target is None:
            if is_managed:
                continue
            raise invalid(f"ProcessingOutput '{name}' must have S3Output.")
        at = f"processingOutputConfig.outputs.{number}.member.s3Output"
        check_location(target["S3Uri"], f"{at}.s3Uri")
        if not is_managed:
            path = _local_path(target, f"ProcessingOutput '{name}'")
            yield Output(name, target["S3Uri"], path, target["S3UploadMode"] == "Continuous")


def _local_path(sent: Request, what: str) -> str:
    """Absolute and below /opt/ml/processing/, wherever dots lead."""
    path: str = sent.get("LocalPath", "")
    if not path:
        raise invalid(f"LocalPath of {what} is required when AppManaged is false.")
    plain = posixpath.normpath(path)
    if "\0" in path or not path.startswith("/") or not plain.startswith(f"{PLACE}/"):
        raise invalid(
            f"LocalPath of {what} must be an absolute path that begins with {PLACE}/; got '{path}'."
        )
    return plain


def _check_words(app: Request, environment: Mapping[str, str]) -> None:
    """No program can be given a zero byte."""
    words = [*app.get("ContainerEntrypoint", ()), *app.get("ContainerArguments", ())]
    if any("\0" in word for word in (*words, *environment.values())):
        raise invalid(
            "ContainerEntrypoint, ContainerArguments and Environment cannot hold a zero character."
        )


def _must_differ(names: Sequence[str], what: str) -> None:
    for name, times in Counter(names).items():
        if times > 1:
            raise invalid(f"Names of processing {what}s must be unique; got '{name}' twice.")


def _config(request: Request, arn: str) -> dict[str, Any]:
    """The content of processingjobconfig.json, which has nulls where nothing was sent."""
    app, outputs = request["AppSpecification"], request.get("ProcessingOutputConfig", {})
    resources = request["ProcessingResources"]["ClusterConfig"]
    return {
        "ProcessingJobArn": arn,
        "ProcessingJobName": request["ProcessingJobName"],
        "AppSpecification": {"ContainerEntrypoint": None, "ContainerArguments": None, **app},
        "Environment": request.get("Environment", {}),
        "ProcessingInputs": list(request.get("ProcessingInputs", ())),
        "ProcessingOutputConfig": {"KmsKeyId": None, "Outputs": [], **outputs},
        "ProcessingResources": {"ClusterConfig": {"VolumeKmsKeyId": None, **resources}},
        "NetworkConfig": request.get("NetworkConfig"),
        "RoleArn": request["RoleArn"],
        "StoppingCondition": request.get("StoppingCondition", STOPPING),
    }
