"""Experiment on the wire: what trials are made for."""

from __future__ import annotations

from typing import Any

from tidemill.control import experiment, lineage
from tidemill.errors import Conflict
from tidemill.gateway.call import Call, Handler
from tidemill.gateway.resources.noun import Noun
from tidemill.gateway.resources.record import Record
from tidemill.gateway.wire.errors import invalid
from tidemill.store.base import Row

NOUN = Noun(
    experiment.EXPERIMENT,
    "Experiment",
    unknown="Experiment '{arn}' does not exist.",
    taken="Experiment names must be unique within an AWS account and region. Experiment with name "
    "({name}) already exists.",
    unknown_code="ResourceNotFound",
)


def display_name(row: Row) -> dict[str, Any]:
    """The one given, else the name."""
    return {"DisplayName": row.document["request"].get("DisplayName", row.name)}


RECORD = Record(
    NOUN,
    "Experiments",
    "ExperimentSummaries",
    changes=("DisplayName", "Description"),
    more=display_name,
)


def delete(call: Call) -> dict[str, Any]:
    name = call.request[NOUN.key]
    arn = call.arn(NOUN.kind, name)
    try:
        NOUN.delete(
            call, lambda region, name: experiment.delete_experiment(call.verbs, region, name)
        )
    except Conflict:
        raise invalid(
            f"Experiment '{arn}' cannot be deleted because it has trials. Delete them first."
        ) from None
    lineage.forget(call.verbs, call.region, arn)
    return {NOUN.arn_key: arn}


OPERATIONS: dict[str, Handler] = {**RECORD.operations(), "DeleteExperiment": delete}
