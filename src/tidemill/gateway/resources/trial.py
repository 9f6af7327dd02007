"""Trial on the wire: a group of trial components in an experiment."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tidemill.control import experiment as experiments
from tidemill.errors import Conflict, NotFound
from tidemill.gateway.call import Call, Handler
from tidemill.gateway.resources import experiment
from tidemill.gateway.resources.listing import by_labels
from tidemill.gateway.resources.noun import Noun
from tidemill.gateway.resources.record import Record
from tidemill.gateway.wire.errors import invalid
from tidemill.store.base import Query, Row

NOUN = Noun(
    experiments.TRIAL,
    "Trial",
    unknown="Trial '{arn}' does not exist.",
    taken="Trial names must be unique within an AWS account and region. Trial with name ({name}) "
    "already exists.",
    unknown_code="ResourceNotFound",
)
_of_experiment = by_labels(ExperimentName="experiment")


def _narrow(call: Call, query: Query) -> Query:
    """Of one experiment, and among those that one component is in; nobody's are none."""
    query = _of_experiment(call, query)
    component = call.request.get("TrialComponentName")
    if component is None:
        return query
    row = call.verbs.store.get(experiments.COMPONENT, call.region, component)
    parents = experiments.parents(row) if row is not None else ()
    return replace(query, names=tuple(parent["TrialName"] for parent in parents))


RECORD = Record(
    NOUN,
    "Trials",
    "TrialSummaries",
    changes=("DisplayName",),
    more=experiment.display_name,
    narrow=_narrow,
)


def create(call: Call) -> dict[str, Any]:
    request = {name: value for name, value in call.request.items() if name != "Tags"}

    def make(tags: dict[str, str]) -> Row:
        name = request[NOUN.key]
        return experiments.create_trial(call.verbs, call.region, name, request, tags)

    try:
        return NOUN.create(call, make)
    except NotFound:
        raise experiment.NOUN.missing(call, request[experiment.NOUN.key]) from None


def delete(call: Call) -> dict[str, Any]:
    arn = call.arn(NOUN.kind, call.request[NOUN.key])
    try:
        NOUN.delete(call, lambda region, name: experiments.delete_trial(call.verbs, region, name))
    except Conflict:
        raise invalid(
            f"Trial '{arn}' cannot be deleted because trial components are associated with it. "
            "Disassociate them first."
        ) from None
    return {NOUN.arn_key: arn}


OPERATIONS: dict[str, Handler] = {
    **RECORD.operations(),
    "CreateTrial": create,
    "DeleteTrial": delete,
}
