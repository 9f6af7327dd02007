"""InferenceExperiment on the wire: shadow tests with a beginning and an end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tidemill.control import endpoint as endpoints
from tidemill.control import inference_experiment
from tidemill.control.plan import fleet
from tidemill.control.plan import inference_experiment as plan
from tidemill.errors import Conflict, NotFound
from tidemill.gateway.call import Call, Handler
from tidemill.gateway.resources import endpoint, endpoint_answer, experiment_request, model
from tidemill.gateway.resources.listing import Listing
from tidemill.gateway.resources.noun import Noun
from tidemill.gateway.resources.shadow_variants import check_model
from tidemill.gateway.wire.errors import Fault, invalid
from tidemill.gateway.wire.model import Shape
from tidemill.spec.endpoint import EndpointStatus
from tidemill.spec.endpoint_config import ProductionVariant
from tidemill.spec.inference_experiment import Experiment, ExperimentStatus
from tidemill.store.base import Row


class _Experiment(Noun):
    """Its requests call it by ``Name``."""

    @property
    def key(self) -> str:
        return "Name"


NOUN = _Experiment(
    inference_experiment.KIND,
    "InferenceExperiment",
    unknown='Could not find inference experiment "{arn}".',
    taken='Cannot create already existing inference experiment "{arn}".',
    taken_code="ResourceInUse",
    unknown_code="ResourceNotFound",
)
_UNDER_WAY = {
    ExperimentStatus.CREATING: "Creating",
    ExperimentStatus.UPDATING: "Updating",
    ExperimentStatus.STOPPING: "Updating",
}


def create(call: Call) -> dict[str, Any]:
    name, asked = call.request["EndpointName"], call.request
    served = endpoint.NOUN.find(call, name)
    if served.status != EndpointStatus.IN_SERVICE.value:
        raise invalid(f"Endpoint {name} must be InService; it is {served.status}.")
    live = fleet.from_document(served.document["state"])
    if live.asynchronous is not None or len(live.variants) != 1 or live.variants[0].serverless:
        raise invalid(
            f"Endpoint {name} must be a real-time endpoint of one production variant and no "
            f"shadow; it has {', '.join(v.name for v in live.variants)}."
        )
    wanted = experiment_request.to_spec(asked, live, call.verbs.clock())
    _check_models(call, wanted)
    kept = {name: value for name, value in asked.items() if name != "Tags"}
    _no_other(call, wanted)
    return NOUN.create(
        call,
        lambda tags: inference_experiment.create(
            call.verbs, call.region, asked["Name"], wanted, kept, tags
        ),
    )


def describe(call: Call) -> dict[str, Any]:
    row = NOUN.find(call)
    wanted = inference_experiment.spec(row)
    return {
        **call.echo(row.document["request"]),
        "Arn": call.arn(row.kind, row.name),
        **_standing(row),
        "EndpointMetadata": _endpoint(call, wanted.endpoint),
        "ModelVariants": _variants(row, wanted),
        "ShadowModeConfig": experiment_request.mode(wanted),
    }


def update(call: Call) -> dict[str, Any]:
    """What the request names; whatever the endpoint must have for it is deployed."""
    row, asked = NOUN.find(call), call.request
    told = experiment_request.merged(row.document["request"], asked)

    def changed(
        status: ExperimentStatus, old: Experiment, state: plan.State
    ) -> tuple[ExperimentStatus, Experiment, plan.State]:
        wanted = experiment_request.changed(old, told, asked, runs=state.runs)
        _check_models(call, wanted)
        variants = wanted.variants(runs=state.runs)
        captures = state.runs and wanted.capture != old.capture
        if variants == state.variants and not captures:
            return status, wanted, state
        config = inference_experiment.fresh(row.name)
        state = plan.deployed(state, config, variants, runs=state.runs)
        return ExperimentStatus.UPDATING, wanted, state

    verbs = call.verbs
    return _steady(
        call, lambda: inference_experiment.change(verbs, call.region, row.name, changed, told)
    )


def start(call: Call) -> dict[str, Any]:
    row = NOUN.find(call)
    return _steady(call, lambda: inference_experiment.start(call.verbs, call.region, row.name))


def stop(call: Call) -> dict[str, Any]:
    row, asked = NOUN.find(call), call.request
    left = experiment_request.left(inference_experiment.spec(row), asked)
    for variant in left:
        model.NOUN.find(call, variant.model)
    goal = ExperimentStatus(asked.get("DesiredState", ExperimentStatus.COMPLETED.value))
    reason = asked.get("Reason", "")
    return _steady(
        call,
        lambda: inference_experiment.stop(call.verbs, call.region, row.name, left, goal, reason),
    )


def delete(call: Call) -> dict[str, Any]:
    row = NOUN.find(call)
    return _steady(call, lambda: inference_experiment.delete(call.verbs, call.region, row.name))


def _steady(call: Call, fn: Callable[[], object]) -> dict[str, Any]:
    """Do it, unless the experiment is in a status in which that cannot be done."""
    arn = call.arn(NOUN.kind, call.request["Name"])
    try:
        fn()
    except Conflict as error:
        raise Fault(
            "ConflictException",
            f'Cannot perform {call.operation.name} on inference experiment "{arn}" in status '
            f"{error.got}.",
        ) from None
    return {"InferenceExperimentArn": arn}


def _check_models(call: Call, wanted: Experiment) -> None:
    for variant in (wanted.source, wanted.shadow):
        check_model(model.NOUN.find(call, variant.model))


def _no_other(call: Call, wanted: Experiment) -> None:
    for row in call.verbs.store.unfinished(NOUN.kind, inference_experiment.UNFINISHED):
        same = inference_experiment.spec(row).endpoint == wanted.endpoint
        if row.region == call.region and same and row.name != call.request["Name"]:
            raise invalid(
                f"Endpoint {wanted.endpoint} has the inference experiment {row.name} already. "
                "Stop it first."
            )


def _endpoint(call: Call, name: str) -> dict[str, Any]:
    """EndpointMetadata; the name alone when the endpoint is gone."""
    try:
        row = call.verbs.describe(endpoints.KIND, call.region, name)
    except NotFound:
        return {"EndpointName": name}
    told = endpoint_answer.described(call, row)
    members = ("EndpointName", "EndpointConfigName", "EndpointStatus", "FailureReason")
    return {member: told[member] for member in members if member in told}


def _variants(row: Row, wanted: Experiment) -> list[dict[str, Any]]:
    """The variants of the experiment, be they there or not."""
    there = {variant.name for variant in plan.from_document(row.document["state"]).variants}
    return [
        {**experiment_request.told(v), "Status": _status(row, v, there)}
        for v in (wanted.source, wanted.shadow)
    ]


def _status(row: Row, variant: ProductionVariant, there: set[str]) -> str:
    status = ExperimentStatus(row.status)
    if variant.name not in there:
        return "Deleted" if status.is_final else "Deleting"
    return _UNDER_WAY.get(status, "InService")


def _standing(row: Row) -> dict[str, Any]:
    """What a description and a list both say."""
    wanted, state = inference_experiment.spec(row), row.document["state"]
    told = {
        "Name": row.name,
        "Type": "ShadowMode",
        "Status": row.status,
        "Schedule": {"StartTime": state["started"] or wanted.start, "EndTime": wanted.end},
        "CreationTime": row.created,
        "LastModifiedTime": row.modified,
        "RoleArn": row.document["request"]["RoleArn"],
    }
    if state["reason"]:
        told["StatusReason"] = state["reason"]
    if state["ended"] is not None:
        told["CompletionTime"] = state["ended"]
        told["Schedule"]["EndTime"] = state["ended"]
    return told


def _item(call: Call, row: Row, shape: Shape | None) -> dict[str, Any]:
    request: Mapping[str, Any] = row.document["request"]
    more = {name: request[name] for name in ("Description",) if name in request}
    return {**_standing(row), **more}


OPERATIONS: dict[str, Handler] = {
    "CreateInferenceExperiment": create,
    "DescribeInferenceExperiment": describe,
    "UpdateInferenceExperiment": update,
    "StartInferenceExperiment": start,
    "StopInferenceExperiment": stop,
    "DeleteInferenceExperiment": delete,
    "ListInferenceExperiments": Listing(NOUN, "InferenceExperiments", lambda row: {}, item=_item),
}
