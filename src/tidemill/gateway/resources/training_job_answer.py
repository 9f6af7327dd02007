"""DescribeTrainingJob and ListTrainingJobs: what was sent, and what has happened since."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from tidemill import registry
from tidemill.errors import NotFound
from tidemill.gateway.resources.training_job_request import LONGEST_RUN
from tidemill.spec.framework import has_program
from tidemill.store.base import Row

# What the SDKs index in an answer although a request may leave it out.
_DEFAULTS: dict[str, dict[str, Any]] = {
    "OutputDataConfig": {"KmsKeyId": ""},
    "ResourceConfig": {"InstanceCount": 1, "VolumeSizeInGB": 30},
    "StoppingCondition": {"MaxRuntimeInSeconds": LONGEST_RUN},
}
_SWITCHES = (
    "EnableNetworkIsolation",
    "EnableInterContainerTrafficEncryption",
    "EnableManagedSpotTraining",
)


def to_wire(row: Row, sent: Mapping[str, Any], arn: str) -> dict[str, Any]:
    """The answer of DescribeTrainingJob. sent: the request, as far as the answer repeats it."""
    state = row.document["state"]
    answer: dict[str, Any] = {
        **dict.fromkeys(_SWITCHES, False),
        **sent,
        **{name: {**extra, **sent.get(name, {})} for name, extra in _DEFAULTS.items()},
        "AlgorithmSpecification": _algorithm(sent),
        "TrainingJobArn": arn,
        "TrainingJobStatus": row.status,
        "SecondaryStatus": state["secondary"],
        "SecondaryStatusTransitions": state["transitions"],
        "CreationTime": row.created,
        "LastModifiedTime": row.modified,
    }
    if state.get("artifact"):
        answer["ModelArtifacts"] = {"S3ModelArtifacts": state["artifact"]}
    if state.get("failure"):
        answer["FailureReason"] = state["failure"]
    if state.get("metrics"):
        answer["FinalMetricDataList"] = state["metrics"]
    return {**answer, **_times(state)}


def summary(row: Row) -> dict[str, Any]:
    """What a list says beyond name, ARN and creation."""
    state = row.document["state"]
    ended = {"TrainingEndTime": state["ended"]} if state.get("ended") else {}
    return {
        "LastModifiedTime": row.modified,
        "TrainingJobStatus": row.status,
        "SecondaryStatus": state["secondary"],
        **ended,
    }


def _times(state: Mapping[str, Any]) -> dict[str, Any]:
    started, ended = state.get("started"), state.get("ended")
    times: dict[str, Any] = {"TrainingStartTime": started} if started else {}
    if ended:
        times["TrainingEndTime"] = ended
    if started and ended:
        seconds = max(1, round(ended - started))
        times |= {"TrainingTimeInSeconds": seconds, "BillableTimeInSeconds": seconds}
    return times


def _algorithm(request: Mapping[str, Any]) -> dict[str, Any]:
    """As AWS does, the metrics of a built-in are filled in."""
    sent = request["AlgorithmSpecification"]
    named = has_program(request.get("HyperParameters", {}), request.get("Environment", {}))
    if "MetricDefinitions" in sent or named:
        return dict(sent)
    metrics = _documented(sent.get("TrainingImage", sent.get("AlgorithmName", "")))
    return {**sent, "MetricDefinitions": list(metrics)} if metrics else dict(sent)


@lru_cache(maxsize=256)
def _documented(image: str) -> tuple[dict[str, str], ...]:
    try:
        metrics = registry.declaration(image).metrics
    except (NotFound, ImportError):
        return ()
    return tuple({"Name": m.name, "Regex": m.regex} for m in metrics)
