"""Experiments, their trials, and the trial components in them: who belongs where.

A component carries its parents, so that joining or leaving a trial is one write. What must hold
between two rows (no trial without its experiment) is kept by one lock: only one process writes.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from tidemill.control.verbs import Verbs
from tidemill.errors import Conflict, NotFound
from tidemill.store.base import Document, Query, Row

EXPERIMENT, TRIAL, COMPONENT = "experiment", "experiment_trial", "experiment_trial_component"
MOST_PARENTS = 300
"""Trials that one component may be in; all of them are written with it."""
RELATIONS = threading.RLock()
"""Held from looking at one row to writing another that relies on it."""


def create_trial(
    verbs: Verbs, region: str, name: str, request: Mapping[str, Any], tags: Mapping[str, str]
) -> Row:
    """Raises NotFound without the experiment that the request names, Conflict for a taken name."""
    experiment = request["ExperimentName"]
    document = {
        "request": dict(request),
        "state": {},
        "labels": {"experiment": [experiment]},
    }
    with RELATIONS:
        verbs.describe(EXPERIMENT, region, experiment)
        return verbs.create(TRIAL, region, name, document, "", tags)


def delete_experiment(verbs: Verbs, region: str, name: str) -> None:
    """Raises NotFound, and Conflict while it has trials."""
    with RELATIONS:
        verbs.delete(EXPERIMENT, region, name, _must_have_none(verbs, TRIAL, "experiment"))


def delete_trial(verbs: Verbs, region: str, name: str) -> None:
    """Raises NotFound, and Conflict while components are associated with it."""
    with RELATIONS:
        verbs.delete(TRIAL, region, name, _must_have_none(verbs, COMPONENT, "trial"))


def delete_component(verbs: Verbs, region: str, name: str) -> Row:
    """What it was; raises NotFound, and Conflict while it is associated with a trial."""

    def check(row: Row) -> None:
        found = parents(row)
        if found:
            raise _in_use(row, f"trial {found[0]['TrialName']!r}")

    with RELATIONS:
        return verbs.delete(COMPONENT, region, name, check)


def associate(verbs: Verbs, region: str, component: str, trial: str) -> Row:
    """Put a component into a trial, once; raises NotFound for either, the trial first."""
    with RELATIONS:
        experiment = verbs.describe(TRIAL, region, trial).document["request"]["ExperimentName"]
        parent = {"TrialName": trial, "ExperimentName": experiment}

        def joined(row: Row) -> Row:
            found = parents(row)
            if parent in found:
                return row
            if len(found) >= MOST_PARENTS:
                raise Conflict(
                    f"a trial component in at most {MOST_PARENTS} trials",
                    got=row.name,
                    do="Disassociate it from one of them first.",
                )
            return with_parents(row, [*found, parent])

        return verbs.change(COMPONENT, region, component, joined)


def disassociate(verbs: Verbs, region: str, component: str, trial: str) -> Row:
    """Take a component out of a trial; raises NotFound for either, or when it is not in it."""
    verbs.describe(TRIAL, region, trial)

    def left(row: Row) -> Row:
        found = parents(row)
        kept = [parent for parent in found if parent["TrialName"] != trial]
        if len(kept) == len(found):
            raise NotFound(
                f"a trial component that is in trial {trial!r}", got=row.name, do="Associate it."
            )
        return with_parents(row, kept)

    with RELATIONS:
        return verbs.change(COMPONENT, region, component, left)


def parents(row: Row) -> Sequence[Mapping[str, str]]:
    """{TrialName, ExperimentName} of each trial that a component is in."""
    found: Sequence[Mapping[str, str]] = row.document["state"].get("parents", ())
    return found


def with_parents(row: Row, found: Sequence[Mapping[str, str]]) -> Row:
    """The component in these trials, and in no others."""
    state = {**row.document["state"], "parents": list(found)}
    document = {**row.document, "state": state}
    return replace(row, document={**document, "labels": labels(document)})


def labels(document: Document) -> dict[str, list[str]]:
    """By which lists find a component. Clients write a source's ARN in lower case, too."""
    found = document["state"].get("parents", ())
    source = document["state"].get("source")
    return {
        "trial": [parent["TrialName"] for parent in found],
        "experiment": sorted({parent["ExperimentName"] for parent in found}),
        "source": [source["SourceArn"].lower()] if source else [],
    }


def _must_have_none(verbs: Verbs, kind: str, key: str) -> Callable[[Row], None]:
    def check(row: Row) -> None:
        query = Query(kind, row.region, labels=((key, row.name),), limit=1)
        for other in verbs.list(query).rows:
            raise _in_use(row, f"{kind.replace('_', ' ')} {other.name!r}")

    return check


def _in_use(row: Row, by: str) -> Conflict:
    kind = row.kind.replace("_", " ")
    return Conflict(
        f"an {kind} that nothing belongs to",
        got=f"{row.name}, with {by}",
        do="Take that out first.",
    )
