"""What a trial component tells of the job that it stands for: read from the job's own request."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Request = Mapping[str, Any]
Values = dict[str, dict[str, Any]]
IMAGE, MODEL = "SageMaker.ImageUri", "SageMaker.ModelArtifact"
LONGEST, MOST_PARAMETERS, MOST_ARTIFACTS = 2_500, 300, 60
_MEDIA = re.compile(r"[-\w]+/[-\w+]+")


@dataclass(frozen=True, slots=True)
class Kind:
    """What is told of one kind of job. suffix: of the component's name · source: SourceType

    parameters: (name, value) · inputs, outputs: (name, URI, content type or nothing), outputs by
    what was asked and by what has become of it
    """

    suffix: str
    source: str
    parameters: Callable[[Request], Iterator[tuple[str, Any]]]
    inputs: Callable[[Request], Iterator[tuple[str, str, str]]]
    outputs: Callable[[Request, Request], Iterator[tuple[str, str, str]]]


def parameters(kind: str, request: Request) -> Values:
    """As a component has them: numbers as such, all else as text."""
    told = KINDS[kind].parameters(request)
    return dict([(name[:320], _value(value)) for name, value in told][:MOST_PARAMETERS])


def inputs(kind: str, request: Request) -> Values:
    """The image and the data that the job reads."""
    return _artifacts(KINDS[kind].inputs(request))


def outputs(kind: str, request: Request, state: Request) -> Values:
    """What the job has written."""
    return _artifacts(KINDS[kind].outputs(request, state))


def used(kind: str, request: Request) -> list[tuple[str, str]]:
    """(URI, artifact type) of what the job has read."""
    told = KINDS[kind].inputs(request)
    return [(uri, "Image" if name == IMAGE else "DataSet") for name, uri, _ in told]


def made(kind: str, request: Request, state: Request) -> list[tuple[str, str]]:
    """(URI, artifact type) of what the job has written."""
    told = KINDS[kind].outputs(request, state)
    return [(uri, "Model" if name == MODEL else "DataSet") for name, uri, _ in told]


def _value(value: Any) -> dict[str, Any]:
    """
    >>> _value("0.5"), _value("auto"), _value("nan")
    ({'NumberValue': 0.5}, {'StringValue': 'auto'}, {'StringValue': 'nan'})
    """
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if math.isfinite(number):
        return {"NumberValue": number}
    return {"StringValue": str(value)[:LONGEST]}


def _artifacts(told: Iterator[tuple[str, str, str]]) -> Values:
    found: Values = {}
    for name, uri, content in told:
        media = _MEDIA.match(content)
        known = {"MediaType": media[0]} if media and len(media[0]) <= 64 else {}
        found[name[:128]] = {**known, "Value": uri[:2048]}
    return dict(list(found.items())[:MOST_ARTIFACTS])


def _cluster(resources: Request) -> Iterator[tuple[str, Any]]:
    for name in ("InstanceCount", "InstanceType", "VolumeSizeInGB"):
        if name in resources:
            yield f"SageMaker.{name}", resources[name]


def _training_parameters(request: Request) -> Iterator[tuple[str, Any]]:
    yield from request.get("HyperParameters", {}).items()
    yield from _cluster(request.get("ResourceConfig", {}))


def _training_inputs(request: Request) -> Iterator[tuple[str, str, str]]:
    algorithm = request.get("AlgorithmSpecification", {})
    yield IMAGE, algorithm.get("TrainingImage", algorithm.get("AlgorithmName")), ""
    for channel in request.get("InputDataConfig", ()):
        source = channel["DataSource"].get("S3DataSource")
        if source:
            yield channel["ChannelName"], source["S3Uri"], channel.get("ContentType", "")


def _training_outputs(request: Request, state: Request) -> Iterator[tuple[str, str, str]]:
    if state.get("artifact"):
        yield MODEL, state["artifact"], ""


def _transform_parameters(request: Request) -> Iterator[tuple[str, Any]]:
    yield from request.get("Environment", {}).items()
    yield "SageMaker.ModelName", request["ModelName"]
    yield from _cluster(request["TransformResources"])


def _transform_inputs(request: Request) -> Iterator[tuple[str, str, str]]:
    sent = request["TransformInput"]
    uri = sent["DataSource"]["S3DataSource"]["S3Uri"]
    yield "SageMaker.TransformInput", uri, sent.get("ContentType", "")


def _transform_outputs(request: Request, state: Request) -> Iterator[tuple[str, str, str]]:
    sent = request["TransformOutput"]
    yield "SageMaker.TransformOutput", sent["S3OutputPath"], sent.get("Accept", "")


def _processing_parameters(request: Request) -> Iterator[tuple[str, Any]]:
    yield from request.get("Environment", {}).items()
    yield from _cluster(request["ProcessingResources"]["ClusterConfig"])


def _processing_inputs(request: Request) -> Iterator[tuple[str, str, str]]:
    yield IMAGE, request["AppSpecification"]["ImageUri"], ""
    for sent in request.get("ProcessingInputs", ()):
        if "S3Input" in sent:
            yield sent["InputName"], sent["S3Input"]["S3Uri"], ""


def _processing_outputs(request: Request, state: Request) -> Iterator[tuple[str, str, str]]:
    for sent in request.get("ProcessingOutputConfig", {}).get("Outputs", ()):
        if "S3Output" in sent:
            yield sent["OutputName"], sent["S3Output"]["S3Uri"], ""


KINDS: Mapping[str, Kind] = {
    "training_job": Kind(
        "-aws-training-job",
        "SageMakerTrainingJob",
        _training_parameters,
        _training_inputs,
        _training_outputs,
    ),
    "transform_job": Kind(
        "-aws-transform-job",
        "SageMakerTransformJob",
        _transform_parameters,
        _transform_inputs,
        _transform_outputs,
    ),
    "processing_job": Kind(
        "-aws-processing-job",
        "SageMakerProcessingJob",
        _processing_parameters,
        _processing_inputs,
        _processing_outputs,
    ),
}
"""The kinds of job that components are made for."""
