"""TransformJob on the wire: batch transform."""

from __future__ import annotations

from typing import Any

from tidemill.control import model as models
from tidemill.control import transform_job
from tidemill.errors import Conflict
from tidemill.gateway.call import Call, Handler
from tidemill.gateway.resources import model, transform_job_request
from tidemill.gateway.resources.listing import Listing
from tidemill.gateway.resources.noun import Noun
from tidemill.gateway.wire.errors import invalid
from tidemill.store.base import Row

NOUN = Noun(
    "transform_job",
    "TransformJob",
    unknown="Requested resource not found.",
    taken="Transform job names must be unique within an AWS account and region, and a transform "
    "job with this name already exists ({arn})",
    taken_code="ResourceInUse",
)


def create(call: Call) -> dict[str, Any]:
    served = models.spec(model.NOUN.find(call, call.request["ModelName"]))
    arn = call.arn(NOUN.kind, call.request[NOUN.key])
    job = transform_job_request.to_spec(call.request, arn, call.region, served)
    kept = {name: value for name, value in call.request.items() if name != "Tags"}
    home = call.platform.home
    return NOUN.create(call, lambda tags: transform_job.create(call.verbs, home, job, kept, tags))


def describe(call: Call) -> dict[str, Any]:
    row = NOUN.find(call)
    return {
        **call.echo(row.document["request"]),
        "TransformJobArn": call.arn(row.kind, row.name),
        "CreationTime": row.created,
        **_standing(row),
        **_when(row, "started", "TransformStartTime"),
    }


def stop(call: Call) -> None:
    row = NOUN.find(call)
    try:
        transform_job.stop(call.verbs, call.region, row.name)
    except Conflict as error:
        raise invalid(
            f"The request was rejected because the transform job is in status {error.got}."
        ) from None


def _summary(row: Row) -> dict[str, Any]:
    return {"LastModifiedTime": row.modified, **_standing(row)}


def _standing(row: Row) -> dict[str, Any]:
    """What a description and a list both say of how it goes."""
    failure = row.document["state"].get("failure") if row.status == "Failed" else None
    reason = {"FailureReason": failure} if failure else {}
    ended = _when(row, "ended", "TransformEndTime")
    return {"TransformJobStatus": row.status, **ended, **reason}


def _when(row: Row, moment: str, name: str) -> dict[str, Any]:
    time = row.document["state"].get(moment)
    return {name: time} if time else {}


OPERATIONS: dict[str, Handler] = {
    "CreateTransformJob": create,
    "DescribeTransformJob": describe,
    "StopTransformJob": stop,
    "ListTransformJobs": Listing(NOUN, "TransformJobSummaries", _summary, filter_after=True),
}
