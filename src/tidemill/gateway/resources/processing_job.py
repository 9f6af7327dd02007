"""ProcessingJob on the wire: scripts that prepare data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tidemill.control import job_component, processing_job
from tidemill.errors import Conflict
from tidemill.gateway.call import Call, Handler
from tidemill.gateway.resources import processing_job_request as requests
from tidemill.gateway.resources.listing import Listing
from tidemill.gateway.resources.noun import Noun
from tidemill.gateway.wire.errors import Fault, invalid
from tidemill.store.base import Row

NOUN = Noun(
    "processing_job",
    "ProcessingJob",
    unknown="Could not find requested job with name: {name}",
    taken="Job name must be unique within an AWS account and region, and a job with this name "
    "already exists ({arn})",
    taken_code="ResourceInUse",
)
_LONGEST_MESSAGE = 1024


def create(call: Call) -> dict[str, Any]:
    job = requests.to_spec(call.request, call.arn(NOUN.kind, call.request[NOUN.key]), call.region)
    kept = {name: value for name, value in call.request.items() if name != "Tags"}
    home = call.platform.home
    return NOUN.create(call, lambda tags: processing_job.create(call.verbs, home, job, kept, tags))


def describe(call: Call) -> dict[str, Any]:
    row = NOUN.find(call)
    sent = call.echo(row.document["request"])
    return {
        "StoppingCondition": requests.STOPPING,
        **sent,
        "ProcessingResources": _resources(sent),
        "ProcessingJobArn": call.arn(row.kind, row.name),
        "CreationTime": row.created,
        **_when(row, "started", "ProcessingStartTime"),
        **_summary(row),
    }


def stop(call: Call) -> None:
    row = NOUN.find(call)
    try:
        processing_job.stop(call.verbs, call.region, row.name)
    except Conflict as error:
        raise invalid(
            f"The request was rejected because the processing job is in status {error.got}."
        ) from None


def delete(call: Call) -> None:
    def remove(region: str, name: str) -> None:
        job_component.settle_job(call.verbs, call.platform.runs, NOUN.kind, region, name)
        try:
            processing_job.delete(call.verbs, region, name)
        except Conflict as error:
            raise Fault(
                "ResourceInUse",
                f"The processing job {name} is in status {error.got}. Only a job that is "
                "Completed, Failed or Stopped can be deleted.",
            ) from None

    NOUN.delete(call, remove)


def _resources(sent: Mapping[str, Any]) -> dict[str, Any]:
    """Of instances that were preferred it is said which were taken."""
    cluster = sent["ProcessingResources"]["ClusterConfig"]
    if "InstancePreferences" not in cluster:
        return {"ClusterConfig": cluster}
    count, kind = requests.instances(sent)
    chosen = {"SelectedInstanceCount": count, "SelectedInstanceType": kind}
    return {"ClusterConfig": {**cluster, **chosen}}


def _summary(row: Row) -> dict[str, Any]:
    """What a description and a list both say of how it goes."""
    state = row.document["state"]
    failure = state.get("failure") if row.status == "Failed" else None
    messages = state.get("messages", {})
    said = "".join(messages[host] for host in sorted(messages)).encode()[:_LONGEST_MESSAGE]
    return {
        "ProcessingJobStatus": row.status,
        "LastModifiedTime": row.modified,
        **_when(row, "ended", "ProcessingEndTime"),
        **({"FailureReason": failure} if failure else {}),
        **({"ExitMessage": said.decode(errors="ignore")} if said else {}),
    }


def _when(row: Row, moment: str, name: str) -> dict[str, Any]:
    time = row.document["state"].get(moment)
    return {name: time} if time else {}


OPERATIONS: dict[str, Handler] = {
    "CreateProcessingJob": create,
    "DescribeProcessingJob": describe,
    "StopProcessingJob": stop,
    "DeleteProcessingJob": delete,
    "ListProcessingJobs": Listing(
        NOUN, "ProcessingJobSummaries", _summary, descending=False, filter_after=True
    ),
}
