"""ModelPackageGroup on the wire: what the versions of a model have in common, and its policy."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from tidemill.control import model_package
from tidemill.errors import NotFound
from tidemill.gateway.call import Call, Handler
from tidemill.gateway.resources.arn import name_in
from tidemill.gateway.resources.noun import Noun
from tidemill.gateway.resources.record import Record
from tidemill.gateway.wire.errors import Fault, invalid
from tidemill.store.base import Query, Row

NOUN = Noun(
    model_package.GROUP,
    "ModelPackageGroup",
    unknown="ModelPackageGroup {arn} does not exist.",
    taken="Model Package Group already exists: {arn}",
)


def _must_be_empty(call: Call, row: Row) -> None:
    if not model_package.is_empty(call.verbs, row):
        raise Fault(
            "ConflictException",
            f"Model Package Group {call.arn(row.kind, row.name)} cannot be deleted because it "
            "still contains Model Packages. Delete them first.",
        )


def _narrow(call: Call, query: Query) -> Query:
    """Other accounts share nothing here."""
    if call.request.get("CrossAccountFilterOption") == "CrossAccount":
        return replace(query, names=())
    return query


RECORD = Record(
    NOUN,
    "ModelPackageGroups",
    "ModelPackageGroupSummaryList",
    status="Completed",
    may_go=_must_be_empty,
    descending=False,
    narrow=_narrow,
)


def by_name(call: Call) -> Call:
    """The same request, with the name where it may have an ARN."""
    return replace(
        call,
        request={**call.request, NOUN.key: name_in(call, NOUN.kind, call.request[NOUN.key])},
    )


def describe(call: Call) -> dict[str, Any]:
    return RECORD.describe(by_name(call))


def delete(call: Call) -> None:
    RECORD.delete(by_name(call))


def put_policy(call: Call) -> dict[str, Any]:
    policy: str = call.request["ResourcePolicy"]
    try:
        is_object = isinstance(json.loads(policy), dict)
    except (ValueError, RecursionError):
        is_object = False
    if not is_object:
        raise invalid("ResourcePolicy must be a policy document: an object in JSON.")
    _set_policy(call, policy)
    return {NOUN.arn_key: call.arn(NOUN.kind, call.request[NOUN.key])}


def get_policy(call: Call) -> dict[str, Any]:
    return {"ResourcePolicy": _policy(call, _find(call))}


def delete_policy(call: Call) -> None:
    _policy(call, _find(call))
    _set_policy(call, None)


def _set_policy(call: Call, policy: str | None) -> None:
    def changed(row: Row) -> Row:
        state = {**row.document["state"], "policy": policy}
        return replace(row, document={**row.document, "state": state})

    call.verbs.change(NOUN.kind, call.region, _find(call).name, changed)


def _policy(call: Call, row: Row) -> str:
    policy: str | None = row.document["state"].get("policy")
    if policy is None:
        raise invalid(f"Cannot find resource policy for: {call.arn(row.kind, row.name)}")
    return policy


def _find(call: Call) -> Row:
    """Of a policy's group AWS says in other words that it is not there."""
    name = call.request[NOUN.key]
    try:
        return call.verbs.describe(NOUN.kind, call.region, name)
    except NotFound:
        arn = call.arn(NOUN.kind, name)
        raise invalid(f"Cannot find Model Package Group: {arn}") from None


OPERATIONS: dict[str, Handler] = {
    **RECORD.operations(),
    "DescribeModelPackageGroup": describe,
    "DeleteModelPackageGroup": delete,
    "PutModelPackageGroupPolicy": put_policy,
    "GetModelPackageGroupPolicy": get_policy,
    "DeleteModelPackageGroupPolicy": delete_policy,
}
