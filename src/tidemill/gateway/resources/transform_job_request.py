"""CreateTransformJob: from AWS's names to ours, and the checks that AWS makes at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tidemill.data import content_type as types
from tidemill.errors import Invalid
from tidemill.gateway.resources import quota
from tidemill.gateway.resources.channel import check_location
from tidemill.gateway.wire.errors import invalid
from tidemill.spec import json_path
from tidemill.spec.model import DIRECT, MULTI, Container, Model
from tidemill.spec.transform_job import DEFAULT_PAYLOAD, Processing, TransformJob

Request = Mapping[str, Any]
MOST_MEGABYTES = 100
_DATA_TYPES = ("S3Prefix", "ManifestFile")
_PROCESSED = (types.CSV, types.JSON, types.JSON_LINES)


def to_spec(request: Request, arn: str, region: str, model: Model) -> TransformJob:
    """A transform job from its request; raises a ValidationException that names what is wrong."""
    source, output = request["TransformInput"], request["TransformOutput"]
    data, resources = source["DataSource"]["S3DataSource"], request["TransformResources"]
    check_location(data["S3Uri"], "transformInput.dataSource.s3DataSource.s3Uri")
    check_location(output["S3OutputPath"], "transformOutput.s3OutputPath")
    job = TransformJob(
        name=request["TransformJobName"],
        arn=arn,
        region=region,
        model=model.name,
        container=_containers(model)[0],
        input_uri=data["S3Uri"],
        output_uri=output["S3OutputPath"],
        data_type=data["S3DataType"],
        content_type=source.get("ContentType") or None,
        accept=output.get("Accept") or None,
        compression=source.get("CompressionType", "None"),
        split=source.get("SplitType", "None"),
        assemble=output.get("AssembleWith", "None"),
        strategy=request.get("BatchStrategy", "MultiRecord"),
        payload_megabytes=request.get("MaxPayloadInMB", DEFAULT_PAYLOAD),
        concurrent=request.get("MaxConcurrentTransforms") or 1,
        instances=quota.check(
            resources["InstanceCount"], f"{resources['InstanceType']} for transform job usage"
        ),
        environment=request.get("Environment", {}),
        processing=_processing(request.get("DataProcessing", {})),
        containers=_containers(model),
    )
    _check(request, job)
    return job


def _containers(model: Model) -> tuple[Container, ...]:
    """Those that answer one after another."""
    if not model.containers:
        raise invalid(f"Model '{model.name}' must have a container; got none.")
    if model.execution == DIRECT:
        raise invalid(
            f"Model '{model.name}' has InferenceExecutionConfig.Mode Direct: no record says which "
            "container it is for. Transform with a model of one container, or of Serial execution."
        )
    if any(container.mode == MULTI for container in model.containers):
        raise invalid(
            f"Model '{model.name}' is a multi-model one: no record says which model it is for. "
            "Transform with a model whose ModelDataUrl names one artifact."
        )
    return model.containers


def _processing(sent: Request) -> Processing:
    for name in ("InputFilter", "OutputFilter"):
        try:
            json_path.parse(sent.get(name, "$"))
        except Invalid as error:
            raise invalid(f"Invalid DataProcessing.{name}: {error}") from None
    join = sent.get("JoinSource", "None") == "Input"
    return Processing(sent.get("InputFilter", "$"), sent.get("OutputFilter", "$"), join)


def _check(request: Request, job: TransformJob) -> None:
    if "DataCaptureConfig" in request:
        raise invalid(
            "DataCaptureConfig of transform jobs is not supported. Leave it out: JoinSource writes "
            "each record with its answer."
        )
    if job.data_type not in _DATA_TYPES:
        raise invalid(f"S3DataType must be S3Prefix or ManifestFile; got {job.data_type}.")
    if job.split == "TFRecord":
        raise invalid(
            "SplitType TFRecord is not supported: no built-in algorithm reads TFRecord. Convert "
            "the data to RecordIO, CSV or JSON Lines."
        )
    _check_payload(job)
    _check_processing(job)


def _check_payload(job: TransformJob) -> None:
    payload, at_once = job.payload_megabytes, job.concurrent
    if payload > MOST_MEGABYTES:
        raise invalid(f"MaxPayloadInMB must be at most {MOST_MEGABYTES}; got {payload}.")
    if payload * at_once > MOST_MEGABYTES:
        raise invalid(
            f"MaxConcurrentTransforms * MaxPayloadInMB must be at most {MOST_MEGABYTES}; got "
            f"{at_once} * {payload}. Lower one of them."
        )


def _check_processing(job: TransformJob) -> None:
    wanted = job.processing
    if wanted.input_filter != "$" or wanted.join:
        _check_type(job.content_type, "TransformInput.ContentType")
    if wanted.output_filter != "$" or wanted.join:
        _check_type(job.accept, "TransformOutput.Accept")
    if not wanted.join:
        return
    if _media(job.content_type) != _media(job.accept):
        raise invalid(
            "With JoinSource Input, TransformInput.ContentType and TransformOutput.Accept must be "
            f"the same; got '{job.content_type}' and '{job.accept}'."
        )
    if job.split != job.assemble:
        raise invalid(
            "With JoinSource Input, TransformInput.SplitType and TransformOutput.AssembleWith must "
            f"be the same; got {job.split} and {job.assemble}."
        )


def _check_type(text: str | None, at: str) -> None:
    if _media(text) not in _PROCESSED:
        raise invalid(
            f"With DataProcessing, {at} must be one of {', '.join(_PROCESSED)}; got '{text or ''}'."
        )


def _media(text: str | None) -> str:
    media = types.split(text or "")[0]
    return types.ALIASES.get(media, media)
