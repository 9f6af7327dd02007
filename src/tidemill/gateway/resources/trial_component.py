"""TrialComponent on the wire: one run, with what went in, what came out and how it went."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tidemill.control import experiment as experiments
from tidemill.control import job_component, lineage
from tidemill.errors import Conflict, NotFound
from tidemill.gateway import sagemaker_metrics
from tidemill.gateway.call import Call, Handler
from tidemill.gateway.resources import experiment, trial
from tidemill.gateway.resources.arn import name_in
from tidemill.gateway.resources.listing import by_labels
from tidemill.gateway.resources.noun import Noun
from tidemill.gateway.resources.record import Record
from tidemill.gateway.wire.errors import Fault, invalid
from tidemill.store.base import Query, Row

NOUN = Noun(
    experiments.COMPONENT,
    "TrialComponent",
    unknown="Trial Component '{arn}' does not exist.",
    taken="Trial component names must be unique within an AWS account and region. Trial component "
    "with name ({name}) already exists.",
    unknown_code="ResourceNotFound",
)
_MAPS = {"Parameters": 300, "InputArtifacts": 60, "OutputArtifacts": 60}
"""Of names and values, and how many of them a component may have."""
_FILTERS = {"ExperimentName": "experiment", "TrialName": "trial", "SourceArn": "source"}


def _merged(request: Mapping[str, Any], sent: Mapping[str, Any]) -> dict[str, Any]:
    """Maps get what is new to them, and lose what is to be removed; the rest is replaced."""
    found = {**request, **{k: v for k, v in sent.items() if not k.endswith("ToRemove")}}
    for name, most in _MAPS.items():
        gone = frozenset(sent.get(f"{name}ToRemove", ()))
        both = {**request.get(name, {}), **sent.get(name, {})}
        kept = {key: value for key, value in both.items() if key not in gone}
        if len(kept) > most:
            raise invalid(f"A trial component may have at most {most} {name}; got {len(kept)}.")
        found[name] = kept
    return found


def _more(row: Row) -> dict[str, Any]:
    """What describe tells of one that was not asked for in so many words."""
    request = row.document["request"]
    maps = {name: request.get(name, {}) for name in _MAPS}
    source = row.document["state"].get("source")
    sources = {"Source": source, "TrialComponentSource": source} if source else {}
    told = [source] if source else []
    return {**experiment.display_name(row), **maps, **sources, "Sources": told}


def _narrow(call: Call, query: Query) -> Query:
    given = [name for name in _FILTERS if name in call.request]
    if len(given) > 1:
        raise invalid(f"Only one of {', '.join(_FILTERS)} can be a filter; got {', '.join(given)}.")
    if "SourceArn" in given:
        call.request["SourceArn"] = call.request["SourceArn"].lower()
    return by_labels(**_FILTERS)(call, query)


RECORD = Record(
    NOUN,
    "TrialComponents",
    "TrialComponentSummaries",
    changes=(
        "DisplayName",
        "Status",
        "StartTime",
        "EndTime",
        *_MAPS,
        *(f"{name}ToRemove" for name in _MAPS),
    ),
    merge=_merged,
    more=_more,
    narrow=_narrow,
)


def find(call: Call) -> Row:
    """The one that the request names, by name or ARN."""
    return NOUN.find(call, name_in(call, NOUN.kind, call.request[NOUN.key]))


def create(call: Call) -> dict[str, Any]:
    done = RECORD.create(call)
    call.platform.runs.delete(done[NOUN.arn_key])  # of an earlier one, ended in mid-deletion
    return done


def describe(call: Call) -> dict[str, Any]:
    job_component.settle(call.verbs, call.platform.runs, find(call))
    row = find(call)
    told = RECORD.told(call, row, call.operation.output)
    return {**told, "Metrics": sagemaker_metrics.summaries(call, row)}


def delete(call: Call) -> dict[str, Any]:
    arn = call.arn(NOUN.kind, call.request[NOUN.key])
    try:
        NOUN.delete(
            call, lambda region, name: experiments.delete_component(call.verbs, region, name)
        )
    except Conflict:
        raise invalid(
            f"Trial Component '{arn}' cannot be deleted because it is associated with a trial. "
            "Disassociate it first."
        ) from None
    call.platform.runs.delete(arn)
    lineage.forget(call.verbs, call.region, arn)
    return {NOUN.arn_key: arn}


def associate(call: Call) -> dict[str, Any]:
    try:
        return _joined(call, experiments.associate)
    except Conflict:
        most = experiments.MOST_PARENTS
        raise Fault(
            "ResourceLimitExceeded", f"A trial component may be in at most {most} trials."
        ) from None


def disassociate(call: Call) -> dict[str, Any]:
    try:
        return _joined(call, experiments.disassociate)
    except NotFound:
        component, group = call.request[NOUN.key], call.request[trial.NOUN.key]
        raise Fault(
            "ResourceNotFound",
            f"Trial Component '{call.arn(NOUN.kind, component)}' is not associated with Trial "
            f"'{call.arn(trial.NOUN.kind, group)}'.",
        ) from None


def _joined(call: Call, do: Callable[..., object]) -> dict[str, Any]:
    """Do it to the component and the trial that the request names; the trial is missed first."""
    group, component = trial.NOUN.find(call), NOUN.find(call)
    do(call.verbs, call.region, component.name, group.name)
    return {
        NOUN.arn_key: call.arn(NOUN.kind, component.name),
        trial.NOUN.arn_key: call.arn(trial.NOUN.kind, group.name),
    }


OPERATIONS: dict[str, Handler] = {
    **RECORD.operations(),
    "CreateTrialComponent": create,
    "DescribeTrialComponent": describe,
    "DeleteTrialComponent": delete,
    "AssociateTrialComponent": associate,
    "DisassociateTrialComponent": disassociate,
}
