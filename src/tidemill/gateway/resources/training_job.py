"""TrainingJob on the wire: what is asked for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tidemill.control import job_component, training_job
from tidemill.errors import Conflict, NotFound
from tidemill.gateway.call import Call, Handler
from tidemill.gateway.resources import training_job_answer, training_job_request
from tidemill.gateway.resources.channel import check_objects
from tidemill.gateway.resources.listing import Listing
from tidemill.gateway.resources.noun import Noun
from tidemill.gateway.wire.errors import Fault, invalid
from tidemill.spec.training_job import JobStatus
from tidemill.store.base import Row

NOUN = Noun(
    "training_job",
    "TrainingJob",
    unknown="Requested resource not found.",
    taken="Training job names must be unique within an AWS account and region, and a training job "
    "with this name already exists ({arn})",
    taken_code="ResourceInUse",
)
_UPDATABLE = ("ProfilerConfig", "ProfilerRuleConfigurations", "RemoteDebugConfig")


def create(call: Call) -> dict[str, Any]:
    arn = call.arn(NOUN.kind, call.request[NOUN.key])
    job = training_job_request.to_spec(call.request, arn, call.region)
    if not _exists(call):  # a taken name is said before data that is missing
        buckets, role = call.platform.buckets, call.request["RoleArn"]
        check_objects(job.channels, buckets, region=call.region, role=role)
    kept = {name: value for name, value in call.request.items() if name != "Tags"}
    home = call.platform.home
    return NOUN.create(call, lambda tags: training_job.create(call.verbs, home, job, kept, tags))


def describe(call: Call) -> dict[str, Any]:
    row = NOUN.find(call)
    sent = call.echo(row.document["request"])
    return training_job_answer.to_wire(row, sent, call.arn(row.kind, row.name))


def update(call: Call) -> dict[str, Any]:
    """Of a running job: the profiler, remote debugging, how long its instances are kept warm."""
    NOUN.find(call)

    def updated(row: Row) -> Row:
        if row.status != JobStatus.IN_PROGRESS.value:
            raise _rejected(row.status)
        request = dict(row.document["request"])
        request.update({n: call.request[n] for n in _UPDATABLE if n in call.request})
        resources = {**request.get("ResourceConfig", {}), **call.request.get("ResourceConfig", {})}
        return replace(
            row, document={**row.document, "request": {**request, "ResourceConfig": resources}}
        )

    row = call.verbs.change(NOUN.kind, call.region, call.request[NOUN.key], updated)
    return {"TrainingJobArn": call.arn(row.kind, row.name)}


def stop(call: Call) -> None:
    row = NOUN.find(call)
    try:
        training_job.stop(call.verbs, call.region, row.name)
    except Conflict as error:
        raise _rejected(error.got) from None


def delete(call: Call) -> None:
    def remove(region: str, name: str) -> None:
        job_component.settle_job(call.verbs, call.platform.runs, NOUN.kind, region, name)
        try:
            training_job.delete(call.verbs, region, name)
        except Conflict as error:
            raise _rejected(error.got) from None

    NOUN.delete(call, remove)


def _rejected(status: object) -> Fault:
    return invalid(f"The request was rejected because the training job is in status {status}.")


def _exists(call: Call) -> bool:
    try:
        call.verbs.describe(NOUN.kind, call.region, call.request[NOUN.key])
    except NotFound:
        return False
    return True


OPERATIONS: dict[str, Handler] = {
    "CreateTrainingJob": create,
    "DescribeTrainingJob": describe,
    "UpdateTrainingJob": update,
    "StopTrainingJob": stop,
    "DeleteTrainingJob": delete,
    "ListTrainingJobs": Listing(
        NOUN,
        "TrainingJobSummaries",
        training_job_answer.summary,
        descending=False,
        filter_after=True,
        never=frozenset({"WarmPoolStatusEquals", "TrainingPlanArnEquals"}),
    ),
}
